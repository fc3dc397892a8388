from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainwatch.findings import Check, Finding, Reading
from domainwatch.phases import Phase
from domainwatch.verdicts import Delays, FirstLook, Known, Status, Verdict, decide
from tests.builders import START, facts, finding

DELAYS = Delays(confirmation_s=90, suspicious_s=900)
NEW = Known()
WAS_REGISTERED = Known(status=Status.REGISTERED, phase=Phase.PENDING_DELETE)
NXDOMAIN = finding(Check.DNS, Reading.NOT_FOUND)
RDAP_404 = finding(Check.RDAP, Reading.NOT_FOUND)
WHOIS_NONE = finding(Check.WHOIS, Reading.NOT_FOUND)


def verdict(*findings: Finding, known: Known = NEW, at_s: float = 1.0) -> Verdict:
    return decide(findings, known, now=START + timedelta(seconds=at_s), delays=DELAYS)


def likely(*, seconds_ago: float, suspicious: bool = False) -> Known:
    at = START - timedelta(seconds=seconds_ago)
    return Known(status=Status.LIKELY_AVAILABLE, first_look=FirstLook(at=at, suspicious=suspicious))


@pytest.mark.parametrize("check", [Check.DNS, Check.RDAP, Check.WHOIS, Check.HTTP])
def test_any_fresh_registered_finding_wins(check: Check) -> None:
    said = finding(check, Reading.REGISTERED)
    others = [other for other in (NXDOMAIN, RDAP_404, WHOIS_NONE) if other.check is not check]
    assert verdict(said, *others).status is Status.REGISTERED


def test_reserved_wins_over_available() -> None:
    assert verdict(NXDOMAIN, RDAP_404, finding(Check.WHOIS, Reading.RESERVED)).status is Status.RESERVED


def test_two_witnesses_make_a_name_available_that_nothing_was_known_of() -> None:
    told = verdict(NXDOMAIN, RDAP_404, WHOIS_NONE)
    assert told.status is Status.AVAILABLE
    assert told.confidence >= 0.75


def test_dns_is_not_needed_beside_two_witnesses_but_makes_them_surer() -> None:
    without = verdict(RDAP_404, WHOIS_NONE)
    assert without.status is Status.AVAILABLE
    assert without.confidence < verdict(NXDOMAIN, RDAP_404, WHOIS_NONE).confidence


@pytest.mark.parametrize("status", [Status.REGISTERED, Status.RESERVED])
def test_two_witnesses_about_a_name_known_otherwise_await_a_second_look(status: Status) -> None:
    told = verdict(NXDOMAIN, RDAP_404, WHOIS_NONE, known=Known(status=status))
    assert told.status is Status.LIKELY_AVAILABLE
    assert told.first_look is not None


@pytest.mark.parametrize("witness", [RDAP_404, WHOIS_NONE])
def test_one_witness_and_the_parent_make_a_name_likely_available_at_most(witness: Finding) -> None:
    told = verdict(NXDOMAIN, witness)
    assert told.status is Status.LIKELY_AVAILABLE
    assert told.confidence < 0.75


@pytest.mark.parametrize("witness", [RDAP_404, WHOIS_NONE])
def test_one_witness_without_the_parents_denial_is_not_enough(witness: Finding) -> None:
    told = verdict(finding(Check.DNS, Reading.NO_ANSWER, reason="wildcard"), witness)
    assert (told.status, told.reason) == (Status.UNKNOWN, "single_witness_without_dns")


@pytest.mark.parametrize("check", [Check.RDAP, Check.WHOIS])
def test_a_denial_of_a_service_that_proved_nothing_is_no_witness(check: Check) -> None:
    told = verdict(NXDOMAIN, finding(check, Reading.NOT_FOUND, proven=False))
    assert (told.status, told.reason) == (Status.UNKNOWN, "unproven_witness")


def test_a_second_look_confirms_when_late_enough_and_proven_since() -> None:
    assert verdict(NXDOMAIN, RDAP_404, known=likely(seconds_ago=90)).status is Status.AVAILABLE


@pytest.mark.parametrize(
    ("known", "witness"),
    [
        (likely(seconds_ago=89), RDAP_404),
        (likely(seconds_ago=899, suspicious=True), RDAP_404),
        (likely(seconds_ago=90), RDAP_404.proven(START - timedelta(seconds=90))),
        (likely(seconds_ago=90), RDAP_404.proven(START - timedelta(seconds=91))),
    ],
    ids=["too early", "too early for a suspicious one", "proven at the first look", "proven before the first look"],
)
def test_a_second_look_that_does_not_count_leaves_the_first_one_standing(known: Known, witness: Finding) -> None:
    told = verdict(NXDOMAIN, witness, known=known)
    assert told.status is Status.LIKELY_AVAILABLE
    assert told.first_look == known.first_look


def test_a_name_with_much_registration_left_is_suspicious() -> None:
    known = Known(status=Status.REGISTERED, phase=Phase.ACTIVE, facts=facts(expires_at=START + timedelta(days=200)))
    told = verdict(NXDOMAIN, RDAP_404, WHOIS_NONE, known=known)
    assert told.first_look is not None
    assert told.first_look.suspicious


def test_a_name_that_was_leaving_is_not_suspicious() -> None:
    known = replace(WAS_REGISTERED, facts=facts(expires_at=START + timedelta(days=200)))
    told = verdict(NXDOMAIN, RDAP_404, WHOIS_NONE, known=known)
    assert told.first_look is not None
    assert not told.first_look.suspicious


def test_an_old_finding_says_nothing_any_more() -> None:
    assert verdict(NXDOMAIN, RDAP_404, WHOIS_NONE, at_s=3601).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("findings", "reason"),
    [
        ((), "no_rung_answered"),
        ((NXDOMAIN,), "no_rung_answered"),
        (
            (NXDOMAIN, finding(Check.RDAP, Reading.NO_ANSWER, reason="no_service"),
             finding(Check.WHOIS, Reading.NO_ANSWER, reason="no_service")),
            "no_service",
        ),
        (
            (NXDOMAIN, finding(Check.RDAP, Reading.NO_ANSWER, reason="rate_limited"),
             finding(Check.WHOIS, Reading.NO_ANSWER, reason="no_service")),
            "rate_limited",
        ),
    ],
)  # fmt: skip
def test_unknown_says_why(findings: tuple[Finding, ...], reason: str) -> None:
    told = verdict(*findings)
    assert (told.status, told.reason, told.confidence) == (Status.UNKNOWN, reason, 0.0)


def test_an_available_name_stays_available_on_lesser_evidence_but_not_on_none() -> None:
    known = Known(status=Status.AVAILABLE, reason="new")
    assert verdict(NXDOMAIN, RDAP_404, known=known).status is Status.AVAILABLE
    assert verdict(NXDOMAIN, known=known).status is Status.UNKNOWN


def test_facts_seen_before_hold_while_dns_alone_is_asked() -> None:
    expires_at = START + timedelta(days=10)
    known = Known(status=Status.REGISTERED, phase=Phase.EXPIRING, facts=facts(expires_at=expires_at))
    told = verdict(finding(Check.DNS, Reading.REGISTERED), known=known)
    assert (told.phase, told.facts.expires_at) == (Phase.EXPIRING, expires_at)


def test_facts_of_an_earlier_registration_do_not_survive_its_end() -> None:
    known = Known(status=Status.AVAILABLE, facts=facts(expires_at=START - timedelta(days=80)))
    told = verdict(finding(Check.DNS, Reading.REGISTERED), known=known)
    assert (told.phase, told.facts.expires_at) == (Phase.ACTIVE, None)


ANY_FINDING = st.builds(
    lambda check, reading, proven, age_s: finding(
        check, reading, proven=proven, asked_at=START - timedelta(seconds=age_s)
    ),
    st.sampled_from(list(Check)),
    st.sampled_from(list(Reading)),
    st.booleans(),
    st.integers(0, 7200),
)
ANY_KNOWN = st.builds(
    Known,
    status=st.sampled_from(list(Status)),
    first_look=st.none()
    | st.builds(
        FirstLook, at=st.integers(0, 2000).map(lambda ago: START - timedelta(seconds=ago)), suspicious=st.booleans()
    ),
)


@given(st.lists(ANY_FINDING, max_size=6), ANY_KNOWN)
def test_available_always_rests_on_a_proven_denial_and_never_on_a_contradiction(
    findings: list[Finding], known: Known
) -> None:
    told = decide(findings, known, now=START, delays=DELAYS)
    assert 0.0 <= told.confidence <= 1.0
    if told.status not in {Status.AVAILABLE, Status.LIKELY_AVAILABLE}:
        return
    fresh = {each.check: each for each in sorted(findings, key=lambda each: each.asked_at)}
    denials = [
        each
        for each in fresh.values()
        if each.check in {Check.RDAP, Check.WHOIS} and each.reading is Reading.NOT_FOUND and each.proven_at
    ]
    assert denials
    assert not any(
        each.reading in {Reading.REGISTERED, Reading.RESERVED} and START - each.asked_at <= timedelta(hours=1)
        for each in fresh.values()
    )


@given(ANY_KNOWN, st.sampled_from(list(product([True, False], repeat=3))))
def test_less_evidence_never_raises_confidence(known: Known, kept: tuple[bool, bool, bool]) -> None:
    everything = (NXDOMAIN, RDAP_404, WHOIS_NONE)
    some = [each for each, keep in zip(everything, kept, strict=True) if keep]
    whole = decide(everything, known, now=START, delays=DELAYS)
    part = decide(some, known, now=START, delays=DELAYS)
    assert part.confidence <= whole.confidence
