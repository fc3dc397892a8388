"""From findings to verdicts to the store: what changed is written together with the events that tell it, and nothing
else is.

A name is written only when something about it changed. The execution's own knowledge of it decides cheaply whether it
may have; the stored item, read anew, decides what is written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from domainwatch import events, wire
from domainwatch.cadences import cadence_of
from domainwatch.errors import TryLater
from domainwatch.findings import Check, Finding
from domainwatch.names import Name
from domainwatch.phases import Phase
from domainwatch.ports import Change, Now, OutboxEvent, QueuePort, Store, Watched
from domainwatch.verdicts import Delays, Known, Status, Verdict, decide
from domainwatch.wire import Batch, Message, SettleRequest

MAX_ROUNDS = 4
MAX_EVENTS_IN_REPLY = 100
MAX_QUEUE_DELAY_S = 900
_PHASE_EVENTS = {
    Phase.EXPIRING: "domain.expiring",
    Phase.REDEMPTION: "domain.redemption",
    Phase.PENDING_DELETE: "domain.pending_delete",
}
_FREE = frozenset({Status.AVAILABLE, Status.LIKELY_AVAILABLE})
_NOBODY_ASKED = frozenset({"no_rung_answered", "no_service"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings that settling goes by. `receivers` are the outbox targets that somebody listens at."""

    delays: Delays
    threshold: float
    every_check: bool
    receivers: frozenset[str]
    event_types: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settler:
    """Decides and writes one batch."""

    store: Store
    queue: QueuePort
    rules: Rules
    now: Now

    def settle(self, request: SettleRequest) -> dict[str, Any]:
        """Settle every name that is not deferred. Returns counts, the ids of new events (at most 100) and, for a look,
        results.

        Safe to run again: the same findings change a settled name no more, and what is put back on the queue is the
        same message. Raises `TryLater` when somebody else kept changing the same names.
        """
        by_name = _by_name(request)
        if request.batch.look:
            return self._look(request, by_name)
        self._put_back(request.deferred)
        told: list[str] = []
        statuses: dict[str, int] = {}
        open_names = [name for name in by_name if self._may_have_changed(request, name, by_name[name], statuses)]
        for _ in range(MAX_ROUNDS):
            stored = self.store.get_many(open_names)
            # One instant for the whole batch: what is due together then travels together.
            now = self.now()
            outcomes = [
                settled_name(stored[name], by_name[name], request, self.rules, now)
                for name in open_names
                if name in stored
            ]
            self._confirm_later(request, outcomes)
            unwritten = self.store.commit([outcome.change for outcome in outcomes if outcome.change is not None])
            lost = {change.before.name for change in unwritten}
            for outcome in outcomes:
                if outcome.name not in lost:
                    statuses[outcome.status] = statuses.get(outcome.status, 0) + 1
                    told += [event.id for event in outcome.events]
            open_names = [name for name in open_names if name in lost]
            if not open_names:
                break
        else:
            raise TryLater(f"{len(open_names)} names kept changing while they were settled", reason="conflict")
        return {
            "settled": sum(statuses.values()),
            "deferred": sum(len(message.names) for message in request.deferred),
            "left": len(request.left),
            "statuses": statuses,
            "events": told[:MAX_EVENTS_IN_REPLY],
            "news": bool(told),
        }

    def _may_have_changed(
        self, request: SettleRequest, name: Name, findings: Sequence[Finding], statuses: dict[str, int]
    ) -> bool:
        """Whether the name is worth reading. The usual one, registered and delegated as before, is not: it is counted
        and done.
        """
        known = request.known[name]
        verdict = decide(findings, known, now=self.now(), delays=self.rules.delays)
        plain = (
            not self.rules.every_check
            and verdict.status is Status.REGISTERED is known.status
            and (verdict.phase, known.stale_since) == (known.phase, None)
            and all(finding.check is Check.DNS for finding in findings)
            and _results(findings, verdict.status, known) == known.results
        )
        if plain:
            statuses[verdict.status.value] = statuses.get(verdict.status.value, 0) + 1
        return not plain

    def _look(self, request: SettleRequest, by_name: Mapping[Name, Sequence[Finding]]) -> dict[str, Any]:
        stored = self.store.get_many(list(by_name))
        results = []
        for name, findings in by_name.items():
            watched = stored.get(name, Watched(name=name))
            outcome = settled_name(watched, findings, request, self.rules, self.now())
            results.append(
                {
                    "name": name.text,
                    "watched": name in stored,
                    "attributes": dict(outcome.after.attributes),
                    "verdict": {
                        "status": outcome.verdict.status.value,
                        "confidence": outcome.verdict.confidence,
                        "reason": outcome.verdict.reason,
                        "why": list(outcome.verdict.why),
                    },
                    "findings": [wire.finding_json(finding) for finding in findings],
                }
            )
        return {"settled": len(results), "deferred": 0, "statuses": {}, "events": [], "news": False, "results": results}

    def _put_back(self, deferred: Sequence[Message]) -> None:
        now = self.now().timestamp()
        self.queue.send([(message.json(), _delay_s(message.continue_at - now)) for message in deferred])

    def _confirm_later(self, request: SettleRequest, outcomes: Iterable["Outcome"]) -> None:
        """Queue the second look of names that began to look free, or whose second look has not settled it yet."""
        by_moment: dict[datetime, list[Name]] = {}
        for outcome in outcomes:
            if outcome.confirm_at is not None:
                by_moment.setdefault(outcome.confirm_at, []).append(outcome.name)
        now = self.now()
        messages = [
            Message(
                run_id=request.batch.run_id, reason="confirm", names=tuple(names), continue_at=confirm_at.timestamp()
            )
            for confirm_at, names in by_moment.items()
        ]
        self.queue.send([(message.json(), _delay_s(message.continue_at - now.timestamp())) for message in messages])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one name came to. `change` is None when nothing about it changed; `confirm_at` is when to look again."""

    name: Name
    verdict: Verdict
    after: Watched
    change: Change | None
    confirm_at: datetime | None

    @property
    def status(self) -> str:
        return str(self.after.attributes["status"])

    @property
    def events(self) -> tuple[OutboxEvent, ...]:
        return () if self.change is None else self.change.events


def settled_name(
    watched: Watched, findings: Sequence[Finding], request: SettleRequest, rules: Rules, now: datetime
) -> Outcome:
    """One name's verdict, its item afterwards and the events that tell the difference. Pure."""
    known = replace(wire.known_from(watched.attributes), version=watched.version)
    asked, findings = findings, _not_overtaken(findings, watched.attributes)
    verdict = decide(findings, known, now=now, delays=rules.delays)
    if verdict.status is Status.UNKNOWN and request.failed and verdict.reason in _NOBODY_ASKED:
        # A rung that failed left nothing behind; that nobody else serves the name is not why it is unknown.
        verdict = replace(verdict, reason=f"failed_{request.failed[-1]}")
    attributes = _attributes_after(watched.attributes, known, verdict, findings, now)
    # What is not sure enough to be announced is not called available in a check's result either.
    sure = verdict.status is not Status.AVAILABLE or verdict.confidence >= rules.threshold
    said = verdict.status if sure else Status.LIKELY_AVAILABLE
    attributes["results"] = _results(findings, said, known)
    announce = _to_announce(attributes, verdict, rules)
    if announce:
        attributes["announced"] = True
    told = [*_results_told(known, said, findings, rules, now)]
    episode = int(attributes.get("episode", 0))
    if announce:
        told.append(
            events.available_event(watched.name, findings, confidence=verdict.confidence, episode=episode, at=now)
        )
    data = {key: attributes.get(key) for key in ("status", "phase", "confidence", "reason", "facts")}
    for event_type in _types(known, verdict, announce=announce):
        if event_type in rules.event_types:
            told.append(
                events.typed_event(watched.name, event_type, data, episode=f"{episode}.{watched.version}", at=now)
            )
    told = [event for event in told if event.target in rules.receivers]
    after = Watched(name=watched.name, attributes=attributes, version=watched.version)
    overtaken = bool(asked) and not findings
    changed = not overtaken and (bool(told) or _differs(watched.attributes, attributes))
    return Outcome(
        name=watched.name,
        verdict=verdict,
        after=after,
        change=Change(before=watched, after=after, events=tuple(told)) if changed else None,
        confirm_at=_confirm_at(known, verdict, request.batch, rules.delays, now),
    )


def _not_overtaken(findings: Sequence[Finding], attributes: Mapping[str, Any]) -> list[Finding]:
    """The findings that are not older than those the name was last decided by: what waited long for its turn must not
    take a name back to what it was before.
    """
    decided = attributes.get("findings", {})

    def overtaken(finding: Finding) -> bool:
        at = wire.instant(decided.get(finding.check.value, {}).get("asked_at"))
        # Stored instants have milliseconds only.
        return at is not None and finding.asked_at < at - timedelta(milliseconds=1)

    return [finding for finding in findings if not overtaken(finding)]


def _attributes_after(
    before: Mapping[str, Any], known: Known, verdict: Verdict, findings: Sequence[Finding], now: datetime
) -> dict[str, Any]:
    after = dict(before)
    if verdict.status is Status.UNKNOWN:
        # Silence erases nothing: the last known status stays, and since when it is stale is said.
        after["reason"] = verdict.reason
        after["findings"] = {**before.get("findings", {}), **_deciding(findings)}
        if known.status is Status.UNKNOWN:
            after |= {"status": Status.UNKNOWN.value, "confidence": 0.0}
        elif known.stale_since is None:
            after["stale_since"] = wire.instant_text(now)
        after["cadence"] = _cadence(after, known.status, known.phase)
        return after
    moved = verdict.status is not known.status
    if moved or "since" not in before:
        after["since"] = wire.instant_text(now)
    after |= {
        "status": verdict.status.value,
        "phase": verdict.phase.value if verdict.phase else None,
        "confidence": verdict.confidence,
        "reason": verdict.reason,
        "stale_since": None,
        "facts": wire.facts_json(verdict.facts),
        "first_look": wire.first_look_json(verdict.first_look),
        "findings": {**before.get("findings", {}), **_deciding(findings)},
        "cadence": _cadence(after, verdict.status, verdict.phase),
    }
    if verdict.status not in _FREE and before.get("announced"):
        # Whoever has it now, the next time it is free is another episode.
        after |= {"announced": False, "episode": int(before.get("episode", 0)) + 1}
    if verdict.status is Status.AVAILABLE and known.status is not Status.AVAILABLE:
        after["reason"] = "new" if known.status is Status.UNKNOWN else verdict.reason
    return after


def _deciding(findings: Iterable[Finding]) -> dict[str, Any]:
    return {finding.check.value: wire.finding_json(finding) for finding in findings}


def _cadence(attributes: Mapping[str, Any], status: Status, phase: Phase | None) -> str:
    return cadence_of(status, phase, priority=bool(attributes.get("priority")))


# What differs at every look without anything about the name having changed.
_NOT_A_CHANGE = frozenset({"findings", "confidence", "reason"})


def _differs(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    ignored = (
        _NOT_A_CHANGE
        if before.get("status") == after.get("status") and "findings" in before
        else frozenset({"findings"})
    )
    if after.get("status") == Status.UNKNOWN.value or after.get("stale_since"):
        ignored = frozenset({"findings"})
    keys = (before.keys() | after.keys()) - ignored
    return any((before.get(key) or None) != (after.get(key) or None) for key in keys)


def _results(findings: Iterable[Finding], status: Status, known: Known) -> dict[str, str]:
    told = {finding.check.value: events.result_word(finding, status) for finding in findings}
    return {**known.results, **told}


def _to_announce(attributes: Mapping[str, Any], verdict: Verdict, rules: Rules) -> bool:
    return (
        verdict.status is Status.AVAILABLE and verdict.confidence >= rules.threshold and not attributes.get("announced")
    )


def _results_told(
    known: Known, status: Status, findings: Sequence[Finding], rules: Rules, now: datetime
) -> Iterable[OutboxEvent]:
    """Each check's result that differs from that check's last one; every result where that is asked for."""
    for finding in findings:
        word = events.result_word(finding, status)
        if rules.every_check or known.results.get(finding.check.value) != word:
            yield events.result_event(finding, status, at=now)


def _types(known: Known, verdict: Verdict, *, announce: bool) -> Iterable[str]:
    """The types of event that this verdict is, for receivers that opted in."""
    if announce:
        yield events.DOMAIN_AVAILABLE
    if verdict.status is Status.LIKELY_AVAILABLE and known.status is not Status.LIKELY_AVAILABLE:
        yield "domain.likely_available"
    if verdict.status is not Status.REGISTERED:
        return
    if verdict.phase in _PHASE_EVENTS and verdict.phase is not known.phase:
        yield _PHASE_EVENTS[verdict.phase]
    if known.status in _FREE:
        yield "domain.registered"
    elif known.status is Status.REGISTERED and _tellable(known) != _tellable(verdict):
        yield "domain.changed"


def _tellable(seen: Known | Verdict) -> tuple[Any, ...]:
    return (seen.facts.registrar, seen.facts.nameservers, seen.facts.statuses)


def _confirm_at(known: Known, verdict: Verdict, batch: Batch, delays: Delays, now: datetime) -> datetime | None:
    """When to look a second time. One chain of second looks per first look: it begins with it and only its own looks go
    on.
    """
    if verdict.status is not Status.LIKELY_AVAILABLE or verdict.first_look is None:
        return None
    if known.first_look is not None and batch.reason != "confirm":
        return None
    earliest = verdict.first_look.at + delays.of(verdict.first_look)
    return earliest if earliest > now else now + timedelta(seconds=min(delays.confirmation_s, MAX_QUEUE_DELAY_S))


def _by_name(request: SettleRequest) -> dict[Name, list[Finding]]:
    """Each name's findings. A deferred name is left to its own run, unless what is known of it here is already
    conclusive.
    """
    found: dict[Name, list[Finding]] = {name: [] for name in request.names}
    for finding in request.findings:
        if finding.name in found:
            found[finding.name].append(finding)
    waiting = {name for message in request.deferred for name in message.names}.union(request.left)
    return {
        name: findings
        for name, findings in found.items()
        if name not in waiting or any(finding.conclusive for finding in findings)
    }


def _delay_s(wait_s: float) -> int:
    return max(0, min(MAX_QUEUE_DELAY_S, int(wait_s + 0.999)))
