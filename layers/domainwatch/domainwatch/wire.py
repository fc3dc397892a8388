"""The JSON shapes that cross a boundary, and the types they become: queue messages, execution inputs, stored items,
bodies.

Raw dictionaries stop here. Instants travel as RFC 3339 UTC text, except where an older contract says epoch seconds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from domainwatch.errors import BadMessage, NameRefused
from domainwatch.findings import NO_FACTS, Check, Facts, Finding, Reading
from domainwatch.names import Name
from domainwatch.phases import Phase
from domainwatch.ports import Lease
from domainwatch.verdicts import FirstLook, Known, Status

MESSAGE_VERSION = 1
MAX_NAMES_PER_MESSAGE = 1000
REASONS = ("new", "due", "manual", "deferred", "confirm")
RUNGS = ("fast", "rdap", "whois")
# What a Step Functions payload holds is 262,144 bytes; this leaves room for the envelope around it.
MAX_PAYLOAD_BYTES = 250_000


def dumps(value: object) -> str:
    """Compact JSON, the one form that is measured, hashed, signed and sent."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def size_bytes(value: object) -> int:
    """How many bytes a value takes as compact JSON."""
    return len(dumps(value).encode())


def instant_text(at: datetime | None) -> str | None:
    """RFC 3339 UTC with milliseconds."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(text: str | None) -> datetime | None:
    """The instant that `instant_text` wrote."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def epoch_ms(at: datetime) -> int:
    """Milliseconds since 1970."""
    return round(at.timestamp() * 1000)


def from_epoch_ms(value: int) -> datetime:
    """The aware UTC instant of milliseconds since 1970."""
    return datetime.fromtimestamp(value / 1000, UTC)


def digest(*parts: str) -> str:
    """A stable key from any number of parts; hashed, because cutting long keys makes two of them one."""
    return sha256("\n".join(parts).encode()).hexdigest()


# --- findings ---------------------------------------------------------------------------------------------------------


def facts_json(facts: Facts) -> dict[str, Any]:
    """Facts as stored and shown; what is not known is left out."""
    shown = {
        "registrar": facts.registrar,
        "created_at": instant_text(facts.created_at),
        "updated_at": instant_text(facts.updated_at),
        "expires_at": instant_text(facts.expires_at),
        "statuses": list(facts.statuses),
        "nameservers": list(facts.nameservers),
        "dnssec": facts.dnssec,
    }
    return {key: value for key, value in shown.items() if value not in (None, [])}


def facts_from(shown: Mapping[str, Any] | None) -> Facts:
    """The facts that `facts_json` wrote."""
    if not shown:
        return NO_FACTS
    return Facts(
        registrar=shown.get("registrar"),
        created_at=instant(shown.get("created_at")),
        updated_at=instant(shown.get("updated_at")),
        expires_at=instant(shown.get("expires_at")),
        statuses=tuple(shown.get("statuses", ())),
        nameservers=tuple(shown.get("nameservers", ())),
        dnssec=shown.get("dnssec"),
    )


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as stored and shown."""
    return {
        "check": finding.check.value,
        "reading": finding.reading.value,
        "reason": finding.reason,
        "service": finding.service,
        "asked_at": instant_text(finding.asked_at),
        "duration_ms": finding.duration_ms,
        "facts": facts_json(finding.facts),
        "excerpt": finding.excerpt,
        "proven_at": instant_text(finding.proven_at),
    }


def pack_finding(finding: Finding) -> list[Any]:
    """A finding as it travels through an execution, where a thousand of them must fit: a list in a fixed order, with
    what is empty at its end left out.
    """
    packed = [
        finding.name.text,
        finding.check.value,
        finding.reading.value,
        finding.reason,
        finding.service,
        epoch_ms(finding.asked_at),
        finding.duration_ms,
        epoch_ms(finding.proven_at) if finding.proven_at else 0,
        facts_json(finding.facts) or 0,
        finding.excerpt,
    ]
    while not packed[-1]:
        packed.pop()
    return packed


def unpack_finding(packed: Sequence[Any]) -> Finding:
    """The finding that `pack_finding` wrote. Raises `BadMessage`."""
    if len(packed) > 10:
        raise BadMessage("malformed finding: too long")
    filled = [*packed, *([0] * (10 - len(packed)))]
    name, check, reading, reason, service, asked_ms, duration_ms, proven_ms, facts, excerpt = filled
    try:
        return Finding(
            name=Name.parse(name),
            check=Check(check),
            reading=Reading(reading),
            reason=reason or "",
            service=service or "",
            asked_at=from_epoch_ms(asked_ms),
            duration_ms=duration_ms,
            proven_at=from_epoch_ms(proven_ms) if proven_ms else None,
            facts=facts_from(facts or None),
            excerpt=excerpt or "",
        )
    except (ValueError, TypeError, AttributeError, OverflowError, OSError, NameRefused) as exc:
        raise BadMessage(f"malformed finding: {exc}") from exc


# --- what is known of a name ------------------------------------------------------------------------------------------


def pack_known(known: Known) -> list[Any]:
    """The part of what is known that tells whether anything changed, as it travels in an execution's input: a list in a
    fixed order, with what is empty at its end left out. A thousand of them must fit beside a thousand findings.
    """
    packed: list[Any] = [
        known.status.value,
        known.phase.value if known.phase else 0,
        known.version,
        epoch_ms(known.facts.expires_at) if known.facts.expires_at else 0,
        dict(known.results) or 0,
        [epoch_ms(known.first_look.at), int(known.first_look.suspicious)] if known.first_look else 0,
        epoch_ms(known.stale_since) if known.stale_since else 0,
        known.reason if known.stale_since else 0,
    ]
    while not packed[-1]:
        packed.pop()
    return packed


def unpack_known(packed: Sequence[Any]) -> Known:
    """The knowledge that `pack_known` wrote. Raises `BadMessage`."""
    filled = [*packed, *([0] * (8 - len(packed)))]
    status, phase, version, expires_ms, results, look, stale_ms, reason = filled
    try:
        return Known(
            status=Status(status or "unknown"),
            phase=Phase(phase) if phase else None,
            version=int(version),
            facts=Facts(expires_at=from_epoch_ms(expires_ms)) if expires_ms else NO_FACTS,
            results=dict(results or {}),
            first_look=FirstLook(at=from_epoch_ms(look[0]), suspicious=bool(look[1])) if look else None,
            stale_since=from_epoch_ms(stale_ms) if stale_ms else None,
            reason=reason or "",
        )
    except (ValueError, TypeError, KeyError, IndexError) as exc:
        raise BadMessage(f"malformed knowledge of a name: {exc}") from exc


def known_from(attributes: Mapping[str, Any]) -> Known:
    """What is known of a name, from its stored attributes. Raises `BadMessage`."""
    try:
        look = attributes.get("first_look")
        return Known(
            status=Status(attributes.get("status", "unknown")),
            phase=Phase(attributes["phase"]) if attributes.get("phase") else None,
            reason=attributes.get("reason", ""),
            stale_since=instant(attributes.get("stale_since")),
            facts=facts_from(attributes.get("facts")),
            first_look=(
                FirstLook(at=datetime.fromisoformat(look["at"]), suspicious=bool(look.get("suspicious")))
                if look
                else None
            ),
            results=dict(attributes.get("results", {})),
            version=int(attributes.get("version", 0)),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise BadMessage(f"malformed knowledge of a name: {exc}") from exc


def first_look_json(look: FirstLook | None) -> dict[str, Any] | None:
    return None if look is None else {"at": instant_text(look.at), "suspicious": look.suspicious}


# --- the queue and the execution --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A queue message: up to 1,000 names that climb the ladder together, from `rung` on, not before `continue_at`
    (epoch seconds). `facts` asks for the registry's facts even of names that DNS shows as registered. After
    `patience_s` seconds the names come again by themselves, so that none waits longer in this message (0: they do not,
    it waits as long as it takes). `findings` (packed) and `lease` are what a deferred batch brings along.
    """

    run_id: str
    reason: str
    names: tuple[Name, ...]
    rung: str = "fast"
    facts: bool = False
    continue_at: float = 0.0
    patience_s: float = 0.0
    findings: tuple[tuple[Any, ...], ...] = ()
    lease: Lease | None = None

    def json(self) -> dict[str, Any]:
        """The message's body."""
        body: dict[str, Any] = {
            "version": MESSAGE_VERSION,
            "run_id": self.run_id,
            "reason": self.reason,
            "rung": self.rung,
            "names": [name.text for name in self.names],
        }
        if self.facts:
            body["facts"] = True
        if self.continue_at:
            body["continue_at"] = self.continue_at
        if self.patience_s:
            body["patience_s"] = self.patience_s
        if self.findings:
            body["findings"] = [list(finding) for finding in self.findings]
        if self.lease:
            body["lease"] = lease_json(self.lease)
        return body

    @property
    def execution_name(self) -> str:
        """The same message, delivered again, is the same execution. At most 80 characters of a safe alphabet."""
        return f"{self.reason}-{digest(dumps(self.json()))[:48]}"


def message_from(body: str | bytes) -> Message:
    """Parse a queue message. Raises `BadMessage` with what is wrong: it belongs in the dead-letter queue."""
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadMessage(f"the message is no JSON: {exc}") from exc
    if not isinstance(raw, dict):
        raise BadMessage("the message is no JSON object")
    if raw.get("version") != MESSAGE_VERSION:
        raise BadMessage(f"the message's version is {raw.get('version')!r}, this is {MESSAGE_VERSION}")
    run_id, reason, rung = raw.get("run_id"), raw.get("reason"), raw.get("rung", "fast")
    if not isinstance(run_id, str) or not run_id.isprintable() or not 1 <= len(run_id) <= 128:
        raise BadMessage("run_id must be a text of 1 to 128 printable characters")
    if reason not in REASONS:
        raise BadMessage(f"reason must be one of {', '.join(REASONS)}")
    if rung not in RUNGS:
        raise BadMessage(f"rung must be one of {', '.join(RUNGS)}")
    names = raw.get("names")
    if not isinstance(names, list) or not 1 <= len(names) <= MAX_NAMES_PER_MESSAGE:
        raise BadMessage(f"names must be a list of 1 to {MAX_NAMES_PER_MESSAGE}")
    findings = raw.get("findings", [])
    if not isinstance(findings, list) or not all(isinstance(finding, list) for finding in findings):
        raise BadMessage("findings must be a list of lists")
    for finding in findings:
        unpack_finding(finding)  # what no rung could read must not start an execution
    continue_at, patience_s = (_seconds(raw, key) for key in ("continue_at", "patience_s"))
    return Message(
        run_id=run_id,
        reason=str(reason),
        rung=rung,
        names=tuple(dict.fromkeys(_name_in_message(name) for name in names)),
        facts=raw.get("facts") is True,
        continue_at=continue_at,
        patience_s=patience_s,
        findings=tuple(tuple(finding) for finding in findings),
        lease=lease_from(raw.get("lease")),
    )


def _seconds(raw: Mapping[str, Any], key: str) -> float:
    value = raw.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise BadMessage(f"{key} must be a number of seconds")
    return float(value)


def _name_in_message(raw: object) -> Name:
    try:
        return Name.parse(raw)
    except NameRefused as exc:
        raise BadMessage(f"{str(raw)[:100]!r} in names: {exc}") from exc


def lease_json(lease: Lease | None) -> dict[str, Any] | None:
    """A lease as it travels."""
    if lease is None:
        return None
    return {
        "kind": lease.kind,
        "service": lease.service,
        "start_ms": lease.start_ms,
        "slots": lease.slots,
        "interval_ms": lease.interval_ms,
    }


def lease_from(raw: Mapping[str, Any] | None) -> Lease | None:
    """The lease that `lease_json` wrote. Raises `BadMessage`."""
    if raw is None:
        return None
    try:
        return Lease(
            kind=str(raw["kind"]),
            service=_printable(raw["service"]),
            start_ms=int(raw["start_ms"]),
            slots=int(raw["slots"]),
            interval_ms=int(raw["interval_ms"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise BadMessage(f"malformed lease: {exc}") from exc


def _printable(raw: object) -> str:
    text = str(raw)
    if not text.isprintable():
        raise ValueError("a text with characters that cannot be printed")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The facts of one execution. `look`: only look, change nothing, announce nothing. `room` is how many bytes of
    findings the execution's payloads still hold. `prove_since`: the latest first look among the names; a service must
    have answered a control question after it (None: none of them awaits a second look). `patience_s`: see `Message`.
    """

    run_id: str
    reason: str
    look: bool = False
    facts: bool = False
    room: int = MAX_PAYLOAD_BYTES // 2
    prove_since: datetime | None = None
    patience_s: float = 0.0
    lease: Lease | None = None

    def json(self) -> dict[str, Any]:
        """The batch as every state of the execution sees it."""
        return {
            "run_id": self.run_id,
            "reason": self.reason,
            "look": self.look,
            "facts": self.facts,
            "room": self.room,
            "prove_since": epoch_ms(self.prove_since) if self.prove_since else None,
            "patience_s": self.patience_s,
            "lease": lease_json(self.lease),
        }


def batch_from(raw: Mapping[str, Any]) -> Batch:
    """The batch that `Batch.json` wrote. Raises `BadMessage`."""
    try:
        return Batch(
            run_id=str(raw["run_id"]),
            reason=str(raw["reason"]),
            look=bool(raw.get("look")),
            facts=bool(raw.get("facts")),
            room=int(raw["room"]),
            prove_since=from_epoch_ms(raw["prove_since"]) if raw.get("prove_since") else None,
            patience_s=float(raw.get("patience_s") or 0),
            lease=lease_from(raw.get("lease")),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise BadMessage(f"malformed batch: {exc}") from exc


def execution_input(message: Message, known: Mapping[Name, Known], *, look: bool = False) -> dict[str, Any]:
    """What the state machine starts with. `names` are those of `known`: what is not watched is not checked."""
    names = [name.text for name in message.names if name in known]
    packed = {name.text: pack_known(known[name]) for name in message.names if name in known}
    findings = [list(finding) for finding in message.findings if finding and finding[0] in packed]
    # The largest payload is that of `Settle`, which holds all of these and the findings; what is deferred there repeats
    # the names.
    room = MAX_PAYLOAD_BYTES - 2 * size_bytes(names) - size_bytes(packed)
    batch = Batch(
        run_id=message.run_id,
        reason=message.reason,
        look=look,
        facts=message.facts,
        room=room,
        prove_since=max((each.first_look.at for each in known.values() if each.first_look), default=None),
        patience_s=message.patience_s,
        lease=message.lease,
    )
    return {"batch": batch.json(), "rung": message.rung, "names": names, "known": packed, "findings": findings}


@dataclass(frozen=True, slots=True, kw_only=True)
class RungRequest:
    """What a rung is asked: the batch, the names still open and all findings so far."""

    batch: Batch
    open: tuple[Name, ...]
    findings: tuple[Finding, ...] = ()


def rung_request_from(event: Mapping[str, Any]) -> RungRequest:
    """Parse a rung's event. Raises `BadMessage`."""
    try:
        return RungRequest(
            batch=batch_from(event["batch"]),
            open=tuple(Name.parse(name) for name in event["open"]),
            findings=tuple(unpack_finding(finding) for finding in event.get("findings") or ()),
        )
    except (KeyError, TypeError, NameRefused) as exc:
        raise BadMessage(f"malformed request to a rung: {exc}") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class RungReply:
    """A rung's answer: the names no rung could settle yet, all findings so far, what must wait, as messages, and the
    names left to their next run, which comes before their turn would.
    """

    open: tuple[Name, ...]
    findings: tuple[Finding, ...]
    deferred: tuple[Message, ...] = ()
    left: tuple[Name, ...] = ()

    def json(self) -> dict[str, Any]:
        """The reply as the state machine assigns it."""
        return {
            "open": [name.text for name in self.open],
            "findings": [pack_finding(finding) for finding in self.findings],
            "deferred": [message.json() for message in self.deferred],
            "left": [name.text for name in self.left],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRequest:
    """What `Settle` is asked: everything the execution learned."""

    batch: Batch
    names: tuple[Name, ...]
    known: Mapping[Name, Known]
    findings: tuple[Finding, ...]
    deferred: tuple[Message, ...] = ()
    left: tuple[Name, ...] = ()
    failed: tuple[str, ...] = ()


def settle_request_from(event: Mapping[str, Any]) -> SettleRequest:
    """Parse the event of `Settle`. Raises `BadMessage`."""
    try:
        names = tuple(Name.parse(name) for name in event["names"])
        known = event.get("known") or {}
        return SettleRequest(
            batch=batch_from(event["batch"]),
            names=names,
            known={name: unpack_known(known.get(name.text, ())) for name in names},
            findings=tuple(unpack_finding(finding) for finding in event.get("findings") or ()),
            deferred=tuple(message_from(dumps(message)) for message in event.get("deferred") or ()),
            left=tuple(Name.parse(name) for name in event.get("left") or ()),
            failed=tuple(str(rung) for rung in event.get("failed") or ()),
        )
    except (KeyError, TypeError, AttributeError, NameRefused) as exc:
        raise BadMessage(f"malformed request to settle: {exc}") from exc


# --- the watched name as stored ---------------------------------------------------------------------------------------


def shard_of(name: Name, shards: int) -> int:
    """The shard of a name: fixed for a stack's life."""
    return int(sha256(name.text.encode()).hexdigest()[:15], 16) % shards


@dataclass(frozen=True, slots=True, kw_only=True)
class NewName:
    """A name about to be watched; `source` is `list`, `hand` or `queue`."""

    name: Name
    source: str
    priority: bool = False
    tags: tuple[str, ...] = field(default=())

    def attributes(self, *, at: datetime) -> dict[str, Any]:
        """The item's attributes before anything was found out."""
        return {
            "status": Status.UNKNOWN.value,
            "reason": "not_checked_yet",
            "since": instant_text(at),
            "added_at": instant_text(at),
            # A name watched anew begins other episodes than it had before, so that its news is told again.
            "episode": int(at.timestamp()),
            "source": self.source,
            "priority": self.priority,
            "tags": list(self.tags),
            "cadence": "priority" if self.priority else "normal",
        }
