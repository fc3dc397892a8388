"""The receiver's own reading of signatures and bodies."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from sandbox.receiver import new_delivery_signature, shape_of, verify

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
NOW = 1_800_000_000
BODY = '{"domain": "straße.de"}'


def headers(signature: str, timestamp: str = str(NOW)) -> dict[str, str]:
    return {"webhook-id": "evt_1", "webhook-timestamp": timestamp, "webhook-signature": signature}


def test_what_the_reference_library_signs_is_ok() -> None:
    signature = Webhook(SECRET).sign("evt_1", datetime.fromtimestamp(NOW, UTC), BODY)
    assert verify(SECRET, headers(signature), BODY.encode(), now=NOW + 5) == "ok"
    assert signature == new_delivery_signature(SECRET, "evt_1", NOW, BODY.encode())


def test_one_good_signature_among_several_is_enough() -> None:
    good = new_delivery_signature(SECRET, "evt_1", NOW, BODY.encode())
    assert verify(SECRET, headers(f"v1a,xyz v1,AAAA {good}"), BODY.encode(), now=NOW) == "ok"


@pytest.mark.parametrize(
    ("given", "now", "said"),
    [
        ({}, NOW, "missing"),
        (headers("v1,AAAA"), NOW, "bad"),
        (headers("v1,AAAA", "soon"), NOW, "bad timestamp"),
        (headers("v1,AAAA"), NOW + 301, "too old"),
        (headers("v1,AAAA"), NOW - 301, "from the future"),
    ],
)
def test_what_is_wrong_is_said(given: dict[str, str], now: float, said: str) -> None:
    assert verify(SECRET, given, BODY.encode(), now=now) == said


def test_another_secret_or_body_is_bad() -> None:
    signature = new_delivery_signature(SECRET, "evt_1", NOW, BODY.encode())
    other = "whsec_" + base64.b64encode(b"x" * 24).decode()
    assert verify(other, headers(signature), BODY.encode(), now=NOW) == "bad"
    assert verify(SECRET, headers(signature), b"{}", now=NOW) == "bad"


RESULT: dict[str, Any] = {
    "domain": "a.com",
    "check_type": "rdap",
    "result": "available",
    "timestamp": 1.5,
    "details": {"registrar": None, "creation_date": None, "expiration_date": None},
    "duration_ms": 12,
}
AVAILABLE: dict[str, Any] = {
    "domain": "a.com",
    "status": "available",
    "confidence": 0.9,
    "timestamp": 1.5,
    "checks": {"timestamp": 1.5, "checks": {"dns": {}, "rdap": {}, "whois": {}}},
}


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("result", RESULT, "ok"),
        ("available", AVAILABLE, "ok"),
        ("event", {"type": "domain.expiring", "timestamp": "x", "data": {}}, "ok"),
        ("result", [], "not a JSON object"),
        ("result", {**RESULT, "why": 1}, "also has why"),
        ("result", {**RESULT, "result": "free"}, "result is 'free'"),
        ("result", {**RESULT, "details": {}}, "without creation_date, expiration_date, registrar"),
        ("result", {**RESULT, "timestamp": "now"}, "timestamp is no number"),
        ("available", {"domain": "a.com"}, "without checks, confidence, status, timestamp"),
        ("available", {**AVAILABLE, "checks": {}}, "checks.checks is missing"),
    ],
)
def test_bodies_are_compared_with_the_two_known_ones(kind: str, body: Any, said: str) -> None:
    assert shape_of(kind, body) == said
