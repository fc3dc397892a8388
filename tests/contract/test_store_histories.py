"""Random histories of the store and its outbox: the real ones, with replies lost and tables busy, against the fakes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from moto import mock_aws

from domainwatch.names import Name
from domainwatch.ports import Change, OutboxEvent, Watched
from tests.contract import places
from tests.contract.places import SHARDS, Place, changed, event, watched

NAMES = [Name.parse(text) for text in ("a.com", "b.com", "c.de", "d.org", "bücher.de", "e.co.uk")]
EVENTS = ["e1", "e2", "e3", "e4"]
SOURCES = ["list", "hand"]

a_name = st.sampled_from(NAMES)
some_names = st.lists(a_name, max_size=5)
attributes = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["registered", "available", "unknown"]),
        "phase": st.sampled_from([None, "active", "grace"]),
        "priority": st.booleans(),
        "cadence": st.sampled_from(["hot", "normal"]),
    },
    optional={"facts": st.dictionaries(st.sampled_from("xyz"), st.floats(-9, 9) | st.text(max_size=3), max_size=2)},
)
events = st.lists(st.sampled_from(EVENTS), max_size=2, unique=True)
faults = st.sampled_from(["none", "none", "lost", "busy", "cancelled"])
FAULTS: dict[str, Callable[[Any, str], AbstractContextManager[Any]]] = {
    "none": lambda client, operation: nullcontext(),
    "lost": places.replies_lost,
    "busy": lambda client, operation: places.answers(client, operation, "InternalServerError", status=500),
    "cancelled": lambda client, operation: places.answers(client, operation, "TransactionConflictException"),
}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with mock_aws():
        yield places.client()


class Histories(RuleBasedStateMachine):
    """Does the same to both and compares all that can be seen of them."""

    client: Any

    @initialize()
    def start(self) -> None:
        self.fake = places.memory()
        self.real = places.dynamo(self.client)
        self.held: dict[Name, Watched] = {}  # as somebody read them, perhaps long ago
        self.taken: dict[str, OutboxEvent] = {}
        self.added = 0

    @rule(seconds=st.sampled_from([1, 30, 400]))
    def time_passes(self, seconds: int) -> None:
        for place in self._both():
            place.clock.pass_s(seconds)

    @rule(some=some_names, source=st.sampled_from(SOURCES), what=attributes, fault=faults)
    def add(self, some: list[Name], source: str, what: dict[str, Any], fault: str) -> None:
        self.added += 1
        items = [watched(each, source=source, added_at=f"time {self.added}", **what) for each in some]
        with FAULTS[fault](self.real.client, "TransactWriteItems"):
            new = self.real.store.add(items)
        assert new == self.fake.store.add(items)

    @rule(some=some_names, source=st.sampled_from([*SOURCES, None]), fault=faults)
    def remove(self, some: list[Name], source: str | None, fault: str) -> None:
        with FAULTS[fault](self.real.client, "TransactWriteItems"):
            gone = self.real.store.remove(some, source=source)
        # The account in memory knows no tokens, so a deletion whose reply was lost looks like somebody else's.
        assert gone == self.fake.store.remove(some, source=source) or fault == "lost"

    @rule(some=some_names)
    def read(self, some: list[Name]) -> None:
        found = self.real.store.get_many(some)
        assert found == self.fake.store.get_many(some)
        self.held |= found

    @rule(some=st.lists(st.tuples(a_name, attributes, events), max_size=5), fault=faults)
    def commit(self, some: list[tuple[Name, dict[str, Any], list[str]]], fault: str) -> None:
        changes: list[Change] = [
            changed(self.held[each], *(event(event_id, due_at=self.real.clock.at) for event_id in told), **what)
            for each, what, told in some
            if each in self.held
        ]
        with FAULTS[fault](self.real.client, "TransactWriteItems"):
            unwritten = self.real.store.commit(changes)
        assert unwritten == self.fake.store.commit(changes)

    @rule(of=st.sampled_from(EVENTS), hold_s=st.sampled_from([10, 60]), fault=faults)
    def claim(self, of: str, hold_s: int, fault: str) -> None:
        waiting = self.fake.outbox.get_events([of])
        mine = self.taken.get(of, waiting[0] if waiting else event(of))
        until = self.real.clock.at + timedelta(seconds=hold_s)
        with FAULTS[fault](self.real.client, "UpdateItem"):
            claimed = self.real.outbox.claim(mine, until=until)
        assert claimed == self.fake.outbox.claim(mine, until=until)
        self.taken |= {each.id: each for each in waiting}

    @rule(of=st.sampled_from(EVENTS), end=st.sampled_from(["delivered", "failed", "dead"]), fault=faults)
    def attempt_ends(self, of: str, end: str, fault: str) -> None:
        mine = self.taken.get(of)
        if mine is None:
            return
        at = self.real.clock.at
        with FAULTS[fault](self.real.client, "UpdateItem"):
            self._end(self.real, mine, end)
        self._end(self.fake, mine, end)
        assert self.real.clock.at == at

    def _end(self, place: Place, mine: OutboxEvent, end: str) -> None:
        at = place.clock.at
        if end == "delivered":
            place.outbox.delivered(mine, at=at, status=200)
        else:
            place.outbox.failed(mine, next_at=at + timedelta(seconds=5) if end == "failed" else None, error=end)

    @rule(of=st.sampled_from(EVENTS))
    def redrive(self, of: str) -> None:
        now = self.real.clock.at
        assert self.real.outbox.redrive(of, now=now) == self.fake.outbox.redrive(of, now=now)

    def _both(self) -> tuple[Place, Place]:
        return self.fake, self.real

    @invariant()
    def the_same_is_stored(self) -> None:
        assert self.real.store.get_many(NAMES) == self.fake.store.get_many(NAMES)
        assert self.real.store.counts() == self.fake.store.counts()
        assert self.real.outbox.get_events(EVENTS) == self.fake.outbox.get_events(EVENTS)

    def teardown(self) -> None:
        """The lists, at the end of each history."""
        fake, real = self.fake.store, self.real.store
        for shard in range(SHARDS):
            assert list(real.due_names(shard, "hot")) == list(fake.due_names(shard, "hot"))
            assert list(real.shard_items(shard)) == list(fake.shard_items(shard))
        for status, phase in ((None, None), ("available", None), (None, "grace")):
            page = real.page(status=status, phase=phase, after=None, limit=2)
            assert page == fake.page(status=status, phase=phase, after=None, limit=2)
        now = self.real.clock.at
        assert _by_id(self.real.outbox.due(now=now, limit=9)) == _by_id(self.fake.outbox.due(now=now, limit=9))
        assert _by_id(self.real.outbox.dead(limit=9)) == _by_id(self.fake.outbox.dead(limit=9))
        assert self.real.outbox.pending_count() == self.fake.outbox.pending_count()


def _by_id(found: list[OutboxEvent]) -> list[OutboxEvent]:
    return sorted(found, key=lambda each: each.id)


def test_random_histories_end_alike(client: Any) -> None:
    machine = type("HistoriesHere", (Histories,), {"client": client})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
