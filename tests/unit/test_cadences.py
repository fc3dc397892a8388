"""What is due, and when: cadences over in-memory ports."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainwatch import cadences
from domainwatch.cadences import CADENCES, DEFAULTS_S, Scheduler, cadence_of, next_check_at, parse_cadences
from domainwatch.errors import BadSettings, TryLater
from domainwatch.names import Name
from domainwatch.phases import Phase
from domainwatch.ports import Watched
from domainwatch.settings import ScheduleSettings
from domainwatch.verdicts import Status
from domainwatch.wire import message_from, shard_of
from tests.fakes_ledger import MemoryDocuments, MemoryQueue
from tests.fakes_store import MemoryStore

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SHARDS = 16


class Clock:
    """A clock that only tests move."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class World:
    """A scheduler over fakes."""

    def __init__(
        self, *, intervals_s: Mapping[str, float] = DEFAULTS_S, shards: int = SHARDS, batch_size: int = 1000
    ) -> None:
        self.clock = Clock()
        self.store = MemoryStore(now=self.clock, shards=shards)
        self.documents = MemoryDocuments(now=self.clock)
        self.queue = MemoryQueue()
        self.remaining_s = 60.0
        self.shards = shards
        self.scheduler = Scheduler(
            settings=ScheduleSettings(cadences=intervals_s, batch_size=batch_size),
            store=self.store,
            documents=self.documents,
            queue=self.queue,
            shards=shards,
            now=self.clock,
        )

    def watch(
        self, *texts: str, cadence: str = "normal", status: str = "registered", phase: str | None = "active"
    ) -> None:
        self.store.add(
            Watched(
                name=Name.parse(text),
                attributes={"cadence": cadence, "status": status, "phase": phase, "source": "list"},
            )
            for text in texts
        )

    def tick(self) -> list[dict[str, Any]]:
        """Run the schedule once; returns the messages that it sent."""
        before = len(self.queue.sent)
        self.done = self.scheduler.schedule(remaining_s=lambda: self.remaining_s)
        return self.queue.messages[before:]

    def ticks(self, count: int, *, every_s: float = 60) -> list[tuple[datetime, dict[str, Any]]]:
        sent = []
        for _ in range(count):
            sent += [(self.clock.at, message) for message in self.tick()]
            self.clock.pass_s(every_s)
        return sent


def names_of(messages: list[dict[str, Any]]) -> list[str]:
    return sorted(name for message in messages for name in message["names"])


def many(count: int, suffix: str = "com") -> list[str]:
    return [f"name{index}.{suffix}" for index in range(count)]


class TestSettings:
    def test_all_four(self) -> None:
        text = "hot=60,priority=300,normal=3600,slow=86400"
        assert parse_cadences(text) == {"hot": 60.0, "priority": 300.0, "normal": 3600.0, "slow": 86400.0}

    def test_one_left_out_keeps_its_default(self) -> None:
        assert parse_cadences(" hot = 2.5 ,") == {**DEFAULTS_S, "hot": 2.5}

    @pytest.mark.parametrize(
        "text", ["fast=60", "hot=", "hot=soon", "hot=0", "hot=-1", "hot=nan", "hot=inf", "hot", "=5"]
    )
    def test_nonsense_stops_the_start(self, text: str) -> None:
        with pytest.raises(BadSettings):
            parse_cadences(text)


class TestCadenceOf:
    @pytest.mark.parametrize(
        ("status", "phase", "priority", "cadence"),
        [
            (Status.LIKELY_AVAILABLE, None, False, "hot"),
            (Status.REGISTERED, Phase.PENDING_DELETE, False, "hot"),
            (Status.REGISTERED, Phase.PENDING_DELETE, True, "hot"),
            (Status.REGISTERED, Phase.REDEMPTION, False, "priority"),
            (Status.REGISTERED, Phase.ACTIVE, True, "priority"),
            (Status.AVAILABLE, None, True, "priority"),
            (Status.RESERVED, None, True, "priority"),
            (Status.REGISTERED, Phase.ACTIVE, False, "normal"),
            (Status.REGISTERED, Phase.EXPIRING, False, "normal"),
            (Status.REGISTERED, Phase.GRACE, False, "normal"),
            (Status.REGISTERED, Phase.ON_HOLD, False, "normal"),
            (Status.AVAILABLE, None, False, "normal"),
            (Status.UNKNOWN, None, False, "normal"),
            (Status.RESERVED, None, False, "slow"),
        ],
    )
    def test_table(self, status: Status, phase: Phase | None, priority: bool, cadence: str) -> None:
        assert cadence_of(status, phase, priority=priority) == cadence

    @given(st.sampled_from(Status), st.none() | st.sampled_from(Phase), st.booleans())
    def test_every_name_has_one(self, status: Status, phase: Phase | None, priority: bool) -> None:
        assert cadence_of(status, phase, priority=priority) in CADENCES


class TestSchedule:
    def test_an_empty_store_sends_nothing_and_costs_little(self) -> None:
        world = World(shards=256)
        assert world.ticks(60) == []
        assert sum(world.documents.calls.values()) < 60 * 6

    def test_messages_are_well_formed(self) -> None:
        world = World()
        world.watch("a.com", "b.com", cadence="priority")
        (message,) = world.tick()
        parsed = message_from(str(message).replace("'", '"'))
        assert (parsed.reason, parsed.rung, parsed.facts) == ("due", "fast", False)
        assert names_of([message]) == ["a.com", "b.com"]

    def test_a_hot_name_is_due_each_minute_and_almost_alone(self) -> None:
        world = World()
        world.watch(*many(25), cadence="hot", phase="pending_delete")
        sent = world.ticks(10)
        assert len(sent) == 30
        assert max(len(message["names"]) for _, message in sent) == 10
        assert all(len(names_of([m for at, m in sent if at == moment])) == 25 for moment in {at for at, _ in sent})

    def test_many_hot_names_are_packed(self) -> None:
        world = World(batch_size=200)
        world.watch(*many(250), cadence="hot", phase="pending_delete")
        assert sorted(len(message["names"]) for message in world.tick()) == [50, 200]

    def test_a_schedule_that_comes_a_little_early_or_late_skips_nothing(self) -> None:
        world = World()
        world.watch("a.com", cadence="hot", phase="pending_delete")
        for offset_s in (0, 61, 119, 181, 238, 300):
            world.clock.at = START + timedelta(seconds=offset_s)
            assert len(world.tick()) == 1

    def test_normal_names_are_each_checked_once_an_hour_from_the_first_hour_on(self) -> None:
        world = World()
        world.watch(*many(200))
        sent = world.ticks(181)
        normal = [(at, name) for at, message in sent if not message.get("facts") for name in message["names"]]
        for hour in range(3):
            begin = START + timedelta(hours=hour)
            names = [name for at, name in normal if begin < at <= begin + timedelta(hours=1)]
            assert sorted(names) == sorted(many(200))

    def test_the_first_hour_is_no_burst(self) -> None:
        world = World()
        world.watch(*many(400))
        assert max(len(names_of([message])) for _, message in world.ticks(60)) < 100

    def test_the_slow_run_takes_all_names_for_their_facts(self) -> None:
        world = World()
        world.watch(*many(20))
        world.watch("r.com", cadence="slow", status="reserved", phase=None)
        world.watch("h.com", cadence="hot", phase="pending_delete")
        sent = world.ticks(24 * 12 + 1, every_s=300)
        slow = [message for _, message in sent if message.get("facts")]
        assert names_of(slow) == sorted([*many(20), "r.com", "h.com"])

    def test_one_message_takes_the_names_of_several_shards(self) -> None:
        world = World()
        world.watch(*many(300), cadence="priority")
        (message,) = world.tick()
        assert len(message["names"]) == 300
        assert len({shard_of(Name.parse(name), SHARDS) for name in message["names"]}) == SHARDS

    def test_messages_hold_at_most_a_batch(self) -> None:
        world = World(batch_size=70)
        world.watch(*many(300), cadence="priority")
        messages = world.tick()
        assert sorted(len(message["names"]) for message in messages) == [20, 70, 70, 70, 70]
        assert names_of(messages) == sorted(many(300))

    def test_after_an_outage_a_missed_run_is_made_once(self) -> None:
        world = World()
        world.watch(*many(50), cadence="priority")
        world.tick()
        world.clock.pass_s(6 * 3600)
        assert names_of([m for m in world.tick() if not m.get("facts")]) == sorted(many(50))
        world.clock.pass_s(60)
        assert [m for m in world.tick() if not m.get("facts")] == []

    def test_after_an_outage_a_large_list_is_caught_up_with_over_several_ticks(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cadences, "UNHURRIED_NAMES", 40)
        world = World(shards=60, intervals_s={**DEFAULTS_S, "slow": 10 * 86400.0})
        world.watch(*many(480))
        world.tick()
        world.clock.pass_s(5 * 3600)
        per_tick: list[int] = []
        while not per_tick or world.done.left:
            per_tick.append(len(names_of([m for m in world.tick() if not m.get("facts")])))
            world.clock.pass_s(60)
            assert len(per_tick) < 60
        assert sum(per_tick) >= 480
        assert max(per_tick) < 80
        assert len(per_tick) >= 8

    def test_hot_names_come_first(self) -> None:
        world = World()
        world.watch(*many(30), cadence="priority")
        world.watch("h.com", cadence="hot", phase="pending_delete")
        assert world.tick()[0]["names"] == ["h.com"]


class TestCrashes:
    def test_a_tick_that_failed_while_queueing_sends_the_same_messages_again(self) -> None:
        world = World(batch_size=20)
        world.watch(*many(50), cadence="priority")
        world.watch(*many(5, "org"), cadence="hot", phase="pending_delete")
        world.queue.refuse_next = 1
        with pytest.raises(TryLater):
            world.tick()
        world.clock.pass_s(45)
        first = world.tick()
        again = World(batch_size=20)
        again.watch(*many(50), cadence="priority")
        again.watch(*many(5, "org"), cadence="hot", phase="pending_delete")
        assert names_of(first) == names_of(again.tick())

    def test_two_ticks_at_once_send_the_same_messages(self) -> None:
        world = World()
        world.watch(*many(50), cadence="priority")
        world.tick()
        world.clock.pass_s(300)
        stored = world.documents.read("shards", "priority")
        assert stored is not None
        first = world.tick()
        # The other tick read before this one wrote.
        world.documents.write("shards", "priority", stored)
        world.clock.pass_s(2)
        assert [m for m in world.tick() if m["run_id"].startswith("priority")] == [
            m for m in first if m["run_id"].startswith("priority")
        ]

    def test_the_tick_that_writes_last_does_not_undo_the_first(self) -> None:
        world = World()
        world.watch("a.com", cadence="priority")
        world.tick()
        moments = world.documents.read("shards", "priority")
        assert moments is not None
        assert not world.documents.swap("shards", "priority", field_name="version", expected=0, body={"version": 1})
        assert world.documents.read("shards", "priority") == moments

    def test_with_little_time_left_the_rest_waits_for_the_next_tick(self) -> None:
        world = World()
        world.watch(*many(50), cadence="priority")
        world.remaining_s = 5
        assert world.tick() == []
        assert world.done.left > 0
        world.remaining_s = 60
        world.clock.pass_s(60)
        assert names_of(world.tick()) == sorted(many(50))


class TestSettingsThatChange:
    def test_a_shorter_interval_counts_within_itself(self) -> None:
        world = World()
        world.watch(*many(40))
        world.tick()
        quicker = World(intervals_s={**DEFAULTS_S, "normal": 120.0})
        quicker.documents, quicker.store = world.documents, world.store
        quicker.scheduler = Scheduler(
            settings=ScheduleSettings(cadences={**DEFAULTS_S, "normal": 120.0}, batch_size=1000),
            store=world.store,
            documents=world.documents,
            queue=quicker.queue,
            shards=SHARDS,
            now=quicker.clock,
        )
        quicker.clock.pass_s(60)
        sent = quicker.ticks(3)
        assert set(names_of([m for _, m in sent if not m.get("facts")])) == set(many(40))

    def test_intervals_below_a_minute_work_as_often_as_the_schedule_comes(self) -> None:
        world = World(intervals_s={"hot": 1.0, "priority": 2.0, "normal": 4.0, "slow": 40.0})
        world.watch(*many(20))
        sent = world.ticks(9, every_s=2)
        normal = names_of([m for _, m in sent if not m.get("facts")])
        assert {normal.count(name) for name in many(20)} <= {4, 5}


class TestCounts:
    """With the store's counts in the ledger, shards without such names are not asked for them."""

    def test_only_shards_with_such_names_are_asked(self) -> None:
        world = World(shards=256)
        world.watch("h.com", cadence="hot", phase="pending_delete")
        shard = shard_of(Name.parse("h.com"), 256)
        world.documents.write("counts", str(shard), {"status#registered": 1, "phase#pending_delete": 1})
        asked: list[tuple[int, str | None]] = []
        due_names = world.store.due_names

        def counting(shard: int, cadence: str | None) -> Any:
            asked.append((shard, cadence))
            return due_names(shard, cadence)

        world.store.due_names = counting  # type: ignore[method-assign]
        assert names_of(world.tick()) == ["h.com"]
        assert asked == [(shard, "hot")]

    def test_the_slow_run_asks_them_all(self) -> None:
        world = World()
        world.watch(*many(20))
        world.documents.write("counts", "0", {"status#registered": 0})
        slow = [m for _, m in world.ticks(24 * 12 + 1, every_s=300) if m.get("facts")]
        assert names_of(slow) == sorted(many(20))


class TestNextCheck:
    def test_unknown_before_the_first_tick(self) -> None:
        assert next_check_at(MemoryDocuments(now=Clock()), 3, "normal") is None

    def test_the_sooner_of_its_cadence_and_the_slow_run(self) -> None:
        world = World()
        world.tick()
        at = next_check_at(world.documents, 3, "normal")
        assert at == START + timedelta(seconds=3600 * 4 / SHARDS)
        assert next_check_at(world.documents, 3, "hot") == START + timedelta(seconds=60)
        assert next_check_at(world.documents, 3, "slow") == START + timedelta(seconds=86400 * 4 / SHARDS)


def test_the_tick_leaves_a_heartbeat() -> None:
    world = World()
    world.tick()
    assert world.documents.read("heartbeat", "schedule_checks") == {"at": "2026-03-01T12:00:00.000Z"}
    assert world.done.json() == {"names": {}, "messages": 0, "shards": 32, "left": 0}
