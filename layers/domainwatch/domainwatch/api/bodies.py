"""The bodies of the HTTP API, from what is stored. Instants are RFC 3339 UTC."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domainwatch import wire
from domainwatch.findings import Finding
from domainwatch.names import Name, shown
from domainwatch.ports import Execution, OutboxEvent, Watched


def domain_body(watched: Watched, next_check_at: str | None) -> dict[str, Any]:
    """One watched name, all of it."""
    stored = watched.attributes
    return {
        **_head(watched),
        "facts": stored.get("facts") or {},
        "drop_window": stored.get("drop_window") or None,
        "checks": stored.get("findings") or {},
        "next_check_at": next_check_at,
    }


def summary_body(watched: Watched) -> dict[str, Any]:
    """One watched name in a list."""
    return _head(watched)


def _head(watched: Watched) -> dict[str, Any]:
    stored = watched.attributes
    return {
        "domain": watched.name.text,
        "unicode": watched.name.unicode,
        "status": stored.get("status", "unknown"),
        "phase": stored.get("phase"),
        "confidence": stored.get("confidence"),
        "reason": stored.get("reason"),
        "since": stored.get("since"),
        "stale_since": stored.get("stale_since"),
        "cadence": stored.get("cadence"),
        "priority": bool(stored.get("priority")),
        "tags": stored.get("tags") or [],
        "source": stored.get("source"),
    }


def look_body(name: Name, execution: Execution, next_check_at: str | None) -> dict[str, Any]:
    """What a look found: the name's body as it would be, the verdict, every finding, and where the execution is seen.

    The verdict is the look's own. The body's `status` is the last known one where the look learned nothing.
    """
    results = execution.output.get("results") or [{}]
    result: Mapping[str, Any] = results[0]
    attributes = dict(result.get("attributes") or {"status": "unknown", "reason": "not_asked"})
    findings = list(result.get("findings") or ())
    attributes["findings"] = {finding["check"]: finding for finding in findings}
    verdict = result.get("verdict") or {"status": "unknown", "confidence": 0.0, "reason": "not_asked", "why": []}
    body = domain_body(Watched(name=name, attributes=attributes), next_check_at)
    if not result.get("watched"):
        body |= {"since": None, "cadence": None, "source": None}
    return {
        **body,
        "watched": bool(result.get("watched")),
        "verdict": verdict,
        "why": list(verdict.get("why") or ()),
        "findings": findings,
        "execution": {"arn": execution.arn, "link": execution.link},
    }


def finding_body(finding: Finding) -> dict[str, Any]:
    """One direct look-up: what was read, and the raw beginning of the answer."""
    return {"domain": finding.name.text, "unicode": finding.name.unicode, **wire.finding_json(finding)}


def event_body(event: OutboxEvent) -> dict[str, Any]:
    """One event of the outbox, without its body."""
    return {
        "id": event.id,
        "type": event.type,
        "domain": event.name,
        "unicode": shown(event.name),
        "target": event.target,
        "attempts": event.attempts,
        "created_at": wire.instant_text(event.created_at),
        "due_at": wire.instant_text(event.due_at),
        "last_error": event.last_error,
    }


def list_body(state: Mapping[str, Any] | None) -> dict[str, Any]:
    """What became of the last list refresh."""
    stored = state or {}
    return {
        "fetched_at": moment_text(stored.get("fetched_at")),
        "accepted": stored.get("accepted", 0),
        "refused": stored.get("refused", 0),
        "refused_entries": stored.get("refused_entries") or [],
        "held": stored.get("held") or None,
        "error": stored.get("error") or None,
        "tried_at": moment_text(stored.get("tried_at")),
        "failures": stored.get("failures", 0),
        "names_count": stored.get("names_count", 0),
    }


def moment_text(stored: Any) -> str | None:
    """A stored instant, epoch seconds or text, as text."""
    if isinstance(stored, int | float) and not isinstance(stored, bool):
        return wire.instant_text(wire.from_epoch_ms(round(stored * 1000)))
    return stored if isinstance(stored, str) else None


def age_s(stored: Any, now: datetime) -> float | None:
    """How long ago a stored instant was, in seconds."""
    at = wire.instant(moment_text(stored))
    return None if at is None else round((now - at).total_seconds(), 1)
