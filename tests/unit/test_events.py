"""The bodies that receivers know, to the key, and ids that never change."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainwatch import events
from domainwatch.findings import Check, Finding, Reading
from domainwatch.verdicts import Status
from tests.builders import START, facts, finding, name

RESULT_KEYS = ["domain", "check_type", "result", "timestamp", "details", "duration_ms"]


def test_result_body_has_exactly_the_known_keys() -> None:
    expires = datetime(2027, 5, 4, 3, 2, 1, tzinfo=UTC)
    found = finding(Check.RDAP, Reading.REGISTERED, facts=facts(expires_at=expires), duration_ms=12)
    assert events.result_body(found, Status.REGISTERED) == {
        "domain": "example.com",
        "check_type": "rdap",
        "result": "unavailable",
        "timestamp": START.timestamp(),
        "details": {
            "registrar": "Registrar Inc.",
            "creation_date": None,
            "expiration_date": "2027-05-04T03:02:01.000Z",
        },
        "duration_ms": 12,
    }


def test_available_body_has_exactly_the_known_keys() -> None:
    at = START + timedelta(seconds=2)
    findings = [finding(Check.DNS, Reading.NOT_FOUND), finding(Check.RDAP, Reading.NOT_FOUND)]
    body = events.available_body(name(), findings, confidence=0.98, at=at)
    assert list(body) == ["domain", "status", "confidence", "timestamp", "checks"]
    assert (body["status"], body["confidence"], body["timestamp"]) == ("available", 0.98, at.timestamp())
    assert list(body["checks"]) == ["timestamp", "checks"]
    assert body["checks"]["timestamp"] == START.timestamp()
    checks = body["checks"]["checks"]
    assert list(checks) == ["dns", "rdap", "whois"]
    assert all(list(check) == RESULT_KEYS[1:] for check in checks.values())
    assert [check["result"] for check in checks.values()] == ["unknown", "available", "unknown"]


def test_the_body_names_the_a_label() -> None:
    found = finding(
        Check.WHOIS, Reading.REGISTERED, name=name("bücher.example.com".removesuffix(".example.com") + ".de")
    )
    assert events.result_body(found, Status.REGISTERED)["domain"] == "xn--bcher-kva.de"


def test_the_latest_finding_of_a_check_is_shown() -> None:
    older = finding(Check.RDAP, Reading.NO_ANSWER, duration_ms=1)
    newer = finding(Check.RDAP, Reading.NOT_FOUND, asked_at=START + timedelta(seconds=90), duration_ms=2)
    body = events.available_body(name(), [newer, older], confidence=0.95, at=START)
    assert body["checks"]["checks"]["rdap"]["duration_ms"] == 2


@pytest.mark.parametrize("reading", [Reading.REGISTERED, Reading.RESERVED])
@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("check", list(Check))
def test_what_is_taken_is_unavailable(check: Check, status: Status, reading: Reading) -> None:
    assert events.result_word(finding(check, reading), status) == "unavailable"


@pytest.mark.parametrize("check", [Check.RDAP, Check.WHOIS])
def test_a_proven_denial_by_the_registry_is_available(check: Check) -> None:
    said = finding(check, Reading.NOT_FOUND)
    assert events.result_word(said, Status.AVAILABLE) == "available"
    for status in (Status.LIKELY_AVAILABLE, Status.REGISTERED, Status.RESERVED, Status.UNKNOWN):
        assert events.result_word(said, status) == "unknown"
    assert events.result_word(said.proven(None), Status.AVAILABLE) == "unknown"


@given(
    check=st.sampled_from(Check),
    reading=st.sampled_from(Reading),
    status=st.sampled_from(Status),
    proven=st.booleans(),
    reason=st.text(max_size=12),
)
def test_nothing_but_a_proven_denial_says_available(
    check: Check, reading: Reading, status: Status, proven: bool, reason: str
) -> None:
    word = events.result_word(finding(check, reading, proven=proven, reason=reason), status)
    assert word in {"available", "unavailable", "unknown", "error"}
    if word == "available":
        assert check in {Check.RDAP, Check.WHOIS}
        assert proven
        assert reading is Reading.NOT_FOUND
        assert status in {Status.AVAILABLE, Status.LIKELY_AVAILABLE}


@pytest.mark.parametrize("reason", ["timeout", "unreachable", "malformed", "servfail", "too_large", "what_is_this"])
def test_a_failed_check_is_an_error(reason: str) -> None:
    assert events.result_word(_silent(reason), Status.UNKNOWN) == "error"


@pytest.mark.parametrize("reason", ["wildcard", "no_service", "rate_limited", "throttled"])
def test_a_check_that_nobody_could_answer_is_unknown(reason: str) -> None:
    assert events.result_word(_silent(reason), Status.UNKNOWN) == "unknown"


def test_ids_come_from_name_type_and_episode() -> None:
    made = events.event_id(name(), "domain.available", 3)
    assert made == events.event_id(name(), "domain.available", 3)
    assert made.startswith("evt_")
    assert len(made) == 36
    others = {
        events.event_id(name("other.com"), "domain.available", 3),
        events.event_id(name(), "domain.expiring", 3),
        events.event_id(name(), "domain.available", 4),
    }
    assert len(others | {made}) == 4


def test_a_replay_is_the_same_event() -> None:
    findings = [finding(Check.RDAP, Reading.NOT_FOUND), finding(Check.WHOIS, Reading.NOT_FOUND)]
    first = events.available_event(name(), findings, confidence=0.98, episode=1, at=START)
    again = events.available_event(name(), findings, confidence=0.98, episode=1, at=START + timedelta(hours=3))
    assert first.id == again.id
    assert first.target == "available"
    assert first.type == "domain.available"


def test_results_of_one_batch_have_ids_of_their_own() -> None:
    told = [
        events.result_event(found, Status.AVAILABLE, at=START)
        for found in (
            finding(Check.RDAP, Reading.NOT_FOUND),
            finding(Check.WHOIS, Reading.NOT_FOUND),
            finding(Check.RDAP, Reading.NOT_FOUND, asked_at=START + timedelta(seconds=1)),
        )
    ]
    assert len({event.id for event in told}) == 3
    assert {event.target for event in told} == {"result"}


def test_the_body_is_the_exact_text() -> None:
    event = events.result_event(finding(Check.RDAP, Reading.REGISTERED), Status.REGISTERED, at=START)
    assert list(json.loads(event.body)) == RESULT_KEYS
    assert ": " not in event.body


def test_a_typed_event_has_three_keys_and_an_id_of_its_own() -> None:
    typed = events.typed_event(name(), "domain.available", {"reason": "new"}, episode=1, at=START)
    assert json.loads(typed.body) == {
        "type": "domain.available",
        "timestamp": START.timestamp(),
        "data": {"domain": "example.com", "reason": "new"},
    }
    announced = events.available_event(name(), [], confidence=1.0, episode=1, at=START)
    assert typed.id != announced.id
    assert typed.target == "event"


def test_what_utf8_cannot_write_keeps_no_event_from_being_sent() -> None:
    found = finding(Check.RDAP, Reading.REGISTERED, facts=facts(registrar="A\ud800B"))
    event = events.result_event(found, Status.REGISTERED, at=START)
    assert json.loads(event.body.encode())["details"]["registrar"] == "A?B"


def _silent(reason: str) -> Finding:
    return replace(finding(Check.WHOIS, Reading.NO_ANSWER), reason=reason)
