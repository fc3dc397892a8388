import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from domainwatch.errors import TryLater
from domainwatch.findings import Check, Reading
from domainwatch.ports import Watched
from domainwatch.starting import Received, Started, Starter
from domainwatch.wire import Message, NewName, pack_finding
from tests.builders import START, Clock, finding, name
from tests.fakes_ledger import MemoryQueue
from tests.fakes_store import MemoryStore


@dataclass(slots=True)
class MemoryMachine:
    executions: dict[str, dict[str, Any]] = field(default_factory=dict)
    away_for: int = 0

    def start(self, name: str, body: Mapping[str, Any]) -> bool:
        if self.away_for:
            self.away_for -= 1
            raise TryLater("the machine is away")
        if name in self.executions:
            return False
        self.executions[name] = json.loads(json.dumps(body))
        return True


@dataclass(slots=True)
class MemoryDeadLetters:
    buried: list[tuple[str, str]] = field(default_factory=list)
    away: bool = False

    def bury(self, body: str, reason: str) -> None:
        if self.away:
            raise TryLater("the queue is away")
        self.buried.append((body, reason))


@dataclass(slots=True)
class World:
    clock: Clock = field(default_factory=Clock)
    queue: MemoryQueue = field(default_factory=MemoryQueue)
    machine: MemoryMachine = field(default_factory=MemoryMachine)
    dead_letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    store: MemoryStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryStore(now=self.clock)

    def watch(self, *texts: str) -> None:
        self.store.add(
            Watched(name=name(text), attributes=NewName(name=name(text), source="list").attributes(at=START))
            for text in texts
        )

    def start(self, *bodies: str) -> Started:
        starter = Starter(
            store=self.store, queue=self.queue, dead_letters=self.dead_letters, machine=self.machine, now=self.clock
        )
        return starter.start([Received(message_id=f"m{number}", body=body) for number, body in enumerate(bodies)])


@pytest.fixture
def world() -> World:
    return World()


def body(*names: str, reason: str = "due", **changes: Any) -> str:
    message = Message(run_id="r1", reason=reason, names=tuple(name(each) for each in names), **changes)
    return json.dumps(message.json())


def test_a_message_delivered_three_times_is_one_execution(world: World) -> None:
    world.watch("a.com")
    done = [world.start(body("a.com")) for _ in range(3)]
    assert [(each.executions, each.repeated, each.failed) for each in done] == [(1, 0, ()), (0, 1, ()), (0, 1, ())]
    [execution] = world.machine.executions.values()
    assert execution["names"] == ["a.com"]


def test_garbage_alone_is_buried_with_its_reason_and_the_rest_starts(world: World) -> None:
    world.watch("a.com", "b.com")
    done = world.start(body("a.com"), "{garbage", body("b.com"))
    assert (done.executions, done.buried, done.failed) == (2, 1, ())
    [(buried, reason)] = world.dead_letters.buried
    assert buried == "{garbage"
    assert "JSON" in reason


def test_garbage_that_cannot_be_buried_is_delivered_again(world: World) -> None:
    world.dead_letters.away = True
    assert world.start("{garbage").failed == ("m0",)


def test_only_the_message_that_failed_is_delivered_again(world: World) -> None:
    world.watch("a.com", "b.com")
    world.machine.away_for = 1
    done = world.start(body("a.com"), body("b.com"))
    assert (done.executions, done.failed) == (1, ("m0",))


def test_a_message_before_its_moment_goes_back_on_the_queue(world: World) -> None:
    world.watch("a.com")
    early = body("a.com", reason="deferred", continue_at=START.timestamp() + 2000)
    done = world.start(early)
    assert (done.put_back, world.machine.executions) == (1, {})
    assert world.queue.sent == [(json.loads(early), 900)]
    world.clock.move(2000)
    assert world.start(early).executions == 1


@pytest.mark.parametrize("reason", ["due", "new", "deferred", "confirm"])
def test_names_that_are_no_longer_watched_are_not_checked(world: World, reason: str) -> None:
    done = world.start(body("gone.com", reason=reason))
    assert done == Started()
    assert (world.machine.executions, world.store.items) == ({}, {})


def test_a_name_asked_for_by_hand_becomes_a_watched_one(world: World) -> None:
    assert world.start(body("new.com", reason="manual")).executions == 1
    assert world.store.items[name("new.com")].attributes["source"] == "queue"


def dns_finding(age_s: float) -> list[object]:
    asked_at = finding(Check.DNS, Reading.NOT_FOUND, name=name("a.com"), asked_at=START - timedelta(seconds=age_s))
    return pack_finding(asked_at)


@pytest.mark.parametrize(("age_s", "rung", "brought"), [(5, "whois", ["dns", "rdap"]), (300, "fast", ["rdap"])])
def test_a_deferred_batch_asks_dns_anew_when_its_answer_has_grown_old(
    world: World, age_s: float, rung: str, brought: list[str]
) -> None:
    world.watch("a.com")
    rdap = pack_finding(finding(Check.RDAP, Reading.NOT_FOUND, name=name("a.com"), asked_at=START))
    findings = (tuple(dns_finding(age_s)), tuple(rdap))
    deferred = body("a.com", reason="deferred", rung="whois", findings=findings)
    assert [world.start(deferred).executions, world.start(deferred).repeated] == [1, 1]
    [execution] = world.machine.executions.values()
    assert (execution["rung"], [each[1] for each in execution["findings"]]) == (rung, brought)


def test_a_message_from_outside_begins_at_the_rung_it_names(world: World) -> None:
    world.start(body("a.com", reason="manual", rung="whois"))
    [execution] = world.machine.executions.values()
    assert execution["rung"] == "whois"


def test_a_batch_too_large_for_an_execution_is_halved(world: World) -> None:
    texts = [f"{'x' * 60}{number:03}.com" for number in range(1000)]
    world.watch(*texts)
    assert world.start(body(*texts)).put_back == 1
    assert world.machine.executions == {}
    assert [len(message["names"]) for message in world.queue.messages] == [500, 500]
    assert world.start(*map(json.dumps, world.queue.messages)).executions == 2
