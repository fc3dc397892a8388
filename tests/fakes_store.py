"""The store and the outbox in memory, proven by the same contract tests as the real ones."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domainwatch.errors import BadMessage
from domainwatch.names import Name
from domainwatch.ports import Change, Now, OutboxEvent, Watched
from domainwatch.wire import instant, instant_text, shard_of

DELIVERED, WAITING, DEAD = "delivered", "waiting", "dead"


@dataclass(slots=True)
class Record:
    """An event in the ledger and what became of it."""

    event: OutboxEvent
    state: str = WAITING
    delivered_at: datetime | None = None
    http_status: int | None = None


class MemoryStore:
    """`items` and `events` are what is stored; look, but change them through the ports."""

    def __init__(self, *, now: Now, shards: int = 256) -> None:
        self.items: dict[Name, Watched] = {}
        self.events: dict[str, Record] = {}
        self.shards = shards
        self._last_changes: dict[Name, tuple[Watched, tuple[str, ...]]] = {}
        self._now = now

    def get(self, name: Name) -> Watched | None:
        return self.items.get(name)

    def get_many(self, names: Sequence[Name]) -> dict[Name, Watched]:
        return {name: self.items[name] for name in names if name in self.items}

    def add(self, items: Iterable[Watched]) -> list[Name]:
        added = []
        for item in items:
            if item.name not in self.items:
                self.items[item.name] = Watched(name=item.name, attributes=_copy(item.attributes), version=1)
                added.append(item.name)
        return added

    def remove(self, names: Iterable[Name], *, source: str | None = None) -> int:
        going = [
            name
            for name in dict.fromkeys(names)
            if name in self.items and source in {None, self.items[name].attributes.get("source")}
        ]
        for name in going:
            del self.items[name]
            self._last_changes.pop(name, None)
        return len(going)

    def commit(self, changes: Sequence[Change]) -> list[Change]:
        return [change for change in changes if not self._written(change)]

    def _written(self, change: Change) -> bool:
        there = self.items.get(change.before.name)
        after = Watched(
            name=change.before.name, attributes=_copy(change.after.attributes), version=change.before.version + 1
        )
        this = (after, tuple(event.id for event in change.events))
        if there is not None and self._last_changes.get(after.name) == this:
            return True  # the same change once more
        added_at = change.before.attributes.get("added_at")
        if there is None or there.version != change.before.version:
            return False
        if added_at is not None and there.attributes.get("added_at") != added_at:
            return False
        self.items[after.name] = after
        self._last_changes[after.name] = this
        for event in change.events:
            created_at = instant(instant_text(event.created_at or self._now()))
            self.events.setdefault(event.id, Record(replace(event, created_at=created_at)))
        return True

    def due_names(self, shard: int, cadence: str | None) -> Iterator[Name]:
        for item in self.shard_items(shard):
            if cadence in {None, item.attributes.get("cadence") or "normal"}:
                yield item.name

    def shard_items(self, shard: int) -> Iterator[Watched]:
        return iter([item for place, _, item in self._in_order() if place == shard])

    def _in_order(self) -> list[tuple[int, str, Watched]]:
        placed = ((shard_of(name, self.shards), name.text, item) for name, item in self.items.items())
        return sorted(placed, key=lambda each: each[:2])

    def page(
        self, *, status: str | None, phase: str | None, after: Mapping[str, Any] | None, limit: int
    ) -> tuple[list[Watched], Mapping[str, Any] | None]:
        if limit < 1:
            raise BadMessage("a page has at least one name")
        walked = [
            each
            for each in self._in_order()
            if status in {None, _status(each[2].attributes)} and phase in {None, _phase(each[2].attributes)}
        ]
        start: tuple[Any, ...] = (-1, "") if after is None else _position(after)
        if status not in {None, "registered"} or phase not in {None, "active"}:
            walked = sorted(walked, key=lambda each: each[1])  # an index lists them by name
            rest = [each for each in walked if each[1] > start[1]]
        else:
            rest = [each for each in walked if each[:2] > start]
        shown = rest[:limit]
        position = {"shard": shown[-1][0], "name": shown[-1][1]} if len(rest) > limit else None
        return [item for _, _, item in shown], position

    def counts(self) -> dict[str, dict[str, int]]:
        attributes = [item.attributes for item in self.items.values()]
        priority = sum(1 for each in attributes if each.get("priority"))
        return {
            "status": dict(Counter(map(_status, attributes))),
            "phase": dict(Counter(phase for phase in map(_phase, attributes) if phase)),
            "priority": {"high": priority} if priority else {},
        }


class MemoryOutbox:
    """The outbox of a `MemoryStore`."""

    def __init__(self, store: MemoryStore, *, now: Now) -> None:
        self.records = store.events
        self._now = now

    def _in_state(self, state: str) -> list[OutboxEvent]:
        events = [record.event for record in self.records.values() if record.state == state]
        return sorted(events, key=lambda event: (event.due_at, event.id))

    def due(self, *, now: datetime, limit: int) -> list[OutboxEvent]:
        return [event for event in self._in_state(WAITING) if event.due_at <= now][:limit]

    def get_events(self, ids: Sequence[str]) -> list[OutboxEvent]:
        waiting = {event.id: event for event in self._in_state(WAITING)}
        return [waiting[each] for each in dict.fromkeys(ids) if each in waiting]

    def claim(self, event: OutboxEvent, *, until: datetime) -> bool:
        record = self.records.get(event.id)
        if record is None or record.state != WAITING or record.event.due_at != event.due_at:
            return False
        record.event = replace(record.event, due_at=until)
        return True

    def delivered(self, event: OutboxEvent, *, at: datetime, status: int) -> None:
        record = self.records.get(event.id)
        if record is not None and record.state != DELIVERED:
            record.state, record.delivered_at, record.http_status = DELIVERED, at, status

    def failed(self, event: OutboxEvent, *, next_at: datetime | None, error: str) -> None:
        record = self.records.get(event.id)
        if record is None or record.state != WAITING or record.event.attempts != event.attempts:
            return
        record.state = WAITING if next_at else DEAD
        record.event = replace(
            record.event, due_at=next_at or self._now(), attempts=event.attempts + 1, last_error=error[:500]
        )

    def dead(self, *, limit: int) -> list[OutboxEvent]:
        return self._in_state(DEAD)[::-1][:limit]

    def redrive(self, event_id: str, *, now: datetime) -> bool:
        record = self.records.get(event_id)
        if record is None or record.state != DEAD:
            return False
        record.state = WAITING
        record.event = replace(record.event, due_at=now, attempts=0)
        return True

    def pending_count(self) -> int:
        return len(self._in_state(WAITING))

    def page(
        self, *, state: str, after: Mapping[str, Any] | None, limit: int
    ) -> tuple[list[OutboxEvent], Mapping[str, Any] | None]:
        if state not in {"pending", "dead"}:
            raise BadMessage(f"events are listed as pending or dead, not {state!r}")
        events = self._in_state(WAITING) if state == "pending" else self._in_state(DEAD)[::-1]
        try:
            start = 0 if after is None else int(after["start"])
        except (KeyError, ValueError, TypeError) as exc:
            raise BadMessage("malformed position in the list of events") from exc
        end = start + limit
        return events[start:end], {"start": end} if end < len(events) else None


def _copy(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives it back: nothing shared with the caller, tuples as lists."""
    copied: dict[str, Any] = json.loads(json.dumps(attributes, allow_nan=False))
    return copied


def _status(attributes: Mapping[str, Any]) -> str:
    return str(attributes.get("status") or "unknown")


def _phase(attributes: Mapping[str, Any]) -> str | None:
    phase = attributes.get("phase")
    return str(phase) if phase and _status(attributes) == "registered" else None


def _position(after: Mapping[str, Any]) -> tuple[int, str]:
    shard, name = after.get("shard"), after.get("name")
    if not isinstance(shard, int) or not isinstance(name, str) or not name:
        raise BadMessage("malformed position in the list of names")
    return shard, name
