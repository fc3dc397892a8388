"""Changes worth telling: their ids, and the bodies that receivers get, built once and never altered again.

The two bodies of the original service carry exactly its keys, with epoch seconds as float; every other event type has
the Standard Webhooks shape and goes only to receivers that opted in. An id is derived from name, type and episode, so
a retry, a crash, a redrive or a replay tells the same event under the same id.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from domainwatch import wire
from domainwatch.findings import NO_FACTS, Check, Facts, Finding, Reading
from domainwatch.names import Name
from domainwatch.ports import OutboxEvent
from domainwatch.verdicts import Status

CHECK_RESULT = "check.result"
DOMAIN_AVAILABLE = "domain.available"
TARGET_RESULT = "result"
TARGET_AVAILABLE = "available"
TARGET_EVENT = "event"

# Words of `no_answer` that say the question cannot be answered here and now, or that the answer decides nothing. Every
# other one is a failure of the asking itself (timeout, unreachable, malformed, servfail, …), which the result calls an
# error.
_UNANSWERED = frozenset(
    {
        "bare_404",
        "blocked",
        "contended",
        "contradictory",
        "deferred",
        "foreign_registry",
        "no_delegation",
        "no_free_slot",
        "no_service",
        "not_served",
        "out_of_time",
        "quota_used_up",
        "rate_limited",
        "throttled",
        "unrecognised",
        "wildcard",
    }
)
_REGISTRY_CHECKS = frozenset({Check.RDAP, Check.WHOIS})
_CHECKS_SHOWN = (Check.DNS, Check.RDAP, Check.WHOIS)


def event_id(name: Name, event_type: str, episode: int | str) -> str:
    """The id of an event for ever: `evt_` and 32 hexadecimal digits."""
    return "evt_" + wire.digest(name.text, event_type, str(episode))[:32]


def result_word(finding: Finding, status: Status) -> str:
    """A finding in the original service's words: `available`, `unavailable`, `unknown` or `error`.

    `available` needs the registry's own proven denial and a verdict that says so too: a receiver that acts on it must
    not be sooner than the announcement. DNS and HTTP can never say it.
    """
    if finding.conclusive:
        return "unavailable"
    if finding.reading is Reading.NOT_FOUND:
        proven = finding.check in _REGISTRY_CHECKS and finding.proven_at is not None
        return "available" if proven and status is Status.AVAILABLE else "unknown"
    return "unknown" if finding.reason in _UNANSWERED else "error"


def result_body(finding: Finding, status: Status) -> dict[str, Any]:
    """The body of one check's result. `timestamp` is when the check asked."""
    return {"domain": finding.name.text, **_result(finding, status)}


def available_body(name: Name, findings: Iterable[Finding], *, confidence: float, at: datetime) -> dict[str, Any]:
    """The body that tells an available name. `checks` always has `dns`, `rdap` and `whois`, asked or not."""
    latest = {finding.check: finding for finding in sorted(findings, key=lambda each: each.asked_at)}
    return {
        "domain": name.text,
        "status": "available",
        "confidence": confidence,
        "timestamp": at.timestamp(),
        "checks": {
            "timestamp": max((finding.asked_at for finding in latest.values()), default=at).timestamp(),
            "checks": {
                check.value: _result(latest[check], Status.AVAILABLE) if check in latest else _not_asked(check, at)
                for check in _CHECKS_SHOWN
            },
        },
    }


def result_event(finding: Finding, status: Status, *, at: datetime) -> OutboxEvent:
    """The event that tells one check's result; asking again is another episode."""
    return _event(
        finding.name,
        CHECK_RESULT,
        target=TARGET_RESULT,
        body=result_body(finding, status),
        episode=f"{finding.check}@{wire.epoch_ms(finding.asked_at)}",
        at=at,
    )


def available_event(
    name: Name, findings: Iterable[Finding], *, confidence: float, episode: int, at: datetime
) -> OutboxEvent:
    """The event that announces an available name: one per episode, that is per time the name became free."""
    body = available_body(name, findings, confidence=confidence, at=at)
    return _event(name, DOMAIN_AVAILABLE, target=TARGET_AVAILABLE, body=body, episode=episode, at=at)


def typed_event(
    name: Name, event_type: str, data: Mapping[str, Any], *, episode: int | str, at: datetime
) -> OutboxEvent:
    """An event of an opted-in type, `{"type", "timestamp", "data"}`; `data` begins with the name."""
    body = {"type": event_type, "timestamp": at.timestamp(), "data": {"domain": name.text, **data}}
    # `event:` keeps an opted-in `domain.available` apart from the announcement, which has that very type and episode.
    return _event(name, event_type, target=TARGET_EVENT, body=body, episode=f"event:{episode}", at=at)


def _event(
    name: Name, event_type: str, *, target: str, body: Mapping[str, Any], episode: int | str, at: datetime
) -> OutboxEvent:
    return OutboxEvent(
        id=event_id(name, event_type, episode),
        type=event_type,
        name=name.text,
        target=target,
        body=wire.dumps(body),
        due_at=at,
        created_at=at,
    )


def _result(finding: Finding, status: Status) -> dict[str, Any]:
    return {
        "check_type": finding.check.value,
        "result": result_word(finding, status),
        "timestamp": finding.asked_at.timestamp(),
        "details": _details(finding.facts),
        "duration_ms": finding.duration_ms,
    }


def _not_asked(check: Check, at: datetime) -> dict[str, Any]:
    return {
        "check_type": check.value,
        "result": "unknown",
        "timestamp": at.timestamp(),
        "details": _details(NO_FACTS),
        "duration_ms": 0,
    }


def _details(facts: Facts) -> dict[str, Any]:
    # What JSON's escapes let through and UTF-8 cannot write must not keep an event from being sent.
    registrar = facts.registrar.encode("utf-8", "replace").decode() if facts.registrar else None
    return {
        "registrar": registrar,
        "creation_date": wire.instant_text(facts.created_at),
        "expiration_date": wire.instant_text(facts.expires_at),
    }
