"""The check `whois`: whom it asks and how, what referrals may add, and how what goes wrong reads."""

from typing import Any, cast

import pytest

from domainwatch.checks import whois
from domainwatch.errors import AddressForbidden, DeadlinePassed, DomainwatchError, RateLimited, Unreachable
from domainwatch.findings import Check, Finding, Reading
from domainwatch.names import Name
from domainwatch.ports import Probes, WhoisReply, WhoisService, Zones
from tests.builders import Clock
from tests.fakes_net import FakeDns, FakeHttp, FakeWhois

NAME = Name(text="palmbay.test", suffix="test")
SERVICE = WhoisService(service="whois.test:43", query="domain {name}", charset="latin-1")
REGISTRY = ("whois.test:43", "domain palmbay.test")
THIN = "Domain Name: palmbay.test\nRegistrar: Palm\nRegistrar WHOIS Server: whois.palm.test\nUpdated Date: 2023-01-02\n"
FULL = THIN + "Registry Expiry Date: 2031-01-02\n"


def probes(fake: FakeWhois, service: WhoisService | None = SERVICE) -> Probes:
    class KnownZones:
        def whois(self, name: Name) -> WhoisService | None:
            return service

    zones = cast(Zones, cast(Any, KnownZones()))
    return Probes(now=Clock(), zones=zones, dns=FakeDns(), http=FakeHttp(), whois=fake)


def check(answer: str | WhoisReply | DomainwatchError, **more: str | DomainwatchError) -> tuple[Finding, FakeWhois]:
    fake = FakeWhois(answers={REGISTRY: answer})
    for host, text in more.items():
        fake.answers[f"{host.replace('_', '.')}:43", "palmbay.test"] = text
    return whois.check(NAME, probes(fake), timeout_s=5), fake


def test_a_whole_record_is_registered_and_follows_nothing() -> None:
    finding, fake = check(FULL, whois_palm_test="never asked")
    assert (finding.check, finding.reading, finding.service) == (Check.WHOIS, Reading.REGISTERED, "whois.test:43")
    assert finding.facts.registrar == "Palm"
    assert fake.asked == [("whois.test:43", "domain palmbay.test", "latin-1")]


def test_a_registrar_adds_what_the_registry_leaves_out() -> None:
    finding, fake = check(
        THIN, whois_palm_test="Domain Name: palmbay.test\nRegistrar: Other\nExpiry Date: 2031-01-02\n"
    )
    assert (finding.reading, finding.facts.registrar) == (Reading.REGISTERED, "Palm")
    assert finding.facts.expires_at is not None
    assert "[whois.palm.test:43]" in finding.excerpt
    assert [asked[0] for asked in fake.asked] == ["whois.test:43", "whois.palm.test:43"]


@pytest.mark.parametrize(
    "said", ["No match for palmbay.test", "Domain Name: coconut.test\nExpiry Date: 2031-01-02\n", Unreachable("gone")]
)
def test_a_registrar_never_changes_the_reading(said: str | DomainwatchError) -> None:
    finding, _ = check(THIN, whois_palm_test=said)
    assert (finding.reading, finding.facts.expires_at) == (Reading.REGISTERED, None)


def test_at_most_two_hops_and_no_circle() -> None:
    texts = {f"whois_hop{at}_test": THIN.replace("whois.palm.test", f"whois.hop{at + 1}.test") for at in range(5)}
    _, fake = check(THIN.replace("whois.palm.test", "whois.hop0.test"), **texts)
    assert len(fake.asked) == 3
    _, fake = check(THIN.replace("whois.palm.test", "whois.test"))
    assert len(fake.asked) == 1


def test_a_denial_follows_nothing() -> None:
    finding, fake = check("No match for palmbay.test\nRegistrar WHOIS Server: whois.palm.test\n")
    assert finding.reading is Reading.NOT_FOUND
    assert len(fake.asked) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Unreachable("no route"), "unreachable"),
        (DeadlinePassed("slow"), "timeout"),
        (AddressForbidden("private"), "address_forbidden"),
        (RateLimited("slow down", retry_after_s=7.0), "rate_limited"),
        ("Too many requests...\n\nNo entries found.", "rate_limited"),
        (WhoisReply(text="No match for palmbay.test", complete=False), "incomplete"),
        ("", "empty"),
    ],
)
def test_what_goes_wrong_is_no_answer(answer: str | WhoisReply | DomainwatchError, reason: str) -> None:
    finding, _ = check(answer)
    assert (finding.reading, finding.reason, finding.service) == (Reading.NO_ANSWER, reason, "whois.test:43")
    assert finding.retry_after_s == (7.0 if isinstance(answer, RateLimited) else None)


def test_without_a_server_there_is_no_service() -> None:
    finding = whois.check(NAME, probes(FakeWhois(), service=None), timeout_s=5)
    assert (finding.reading, finding.reason, finding.service) == (Reading.NO_ANSWER, "no_service", "")
    assert whois.service_of(NAME, probes(FakeWhois(), service=None)) is None
    assert whois.service_of(NAME, probes(FakeWhois())) == "whois.test:43"
