"""Delivered, or visibly failed: one way for what a batch produced and for what is due."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from domainwatch.delivery import (
    CLAIM_S,
    JITTER,
    PAUSES_S,
    SILENT_ATTEMPTS,
    Delivered,
    Delivery,
    pause_s,
)
from domainwatch.errors import TryLater
from domainwatch.ports import OutboxEvent, Outcome
from tests.builders import START, Clock
from tests.fakes_ledger import MemoryDocuments
from tests.fakes_store import DEAD, DELIVERED, WAITING, MemoryOutbox, MemoryStore, Record

OK = Outcome(status=200)
BROKEN = Outcome(status=500, error="HTTP 500: sorry")
SILENT = Outcome(error="timeout: nobody there")


class FakeCallback:
    """Answers by event id, otherwise `otherwise`; `sent` keeps the ids in the order they came."""

    def __init__(self, otherwise: Outcome = OK) -> None:
        self.otherwise = otherwise
        self.outcomes: dict[str, Outcome | Exception | Callable[[], Outcome]] = {}
        self.receivers = {"result", "available", "event"}
        self.sent: list[str] = []

    def has_receiver(self, target: str) -> bool:
        return target in self.receivers

    def deliver(self, event: OutboxEvent) -> Outcome:
        self.sent.append(event.id)
        outcome = self.outcomes.get(event.id, self.otherwise)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome if isinstance(outcome, Outcome) else outcome()


class House:
    """A delivery over an outbox in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(now=self.clock)
        self.outbox = MemoryOutbox(self.store, now=self.clock)
        self.documents = MemoryDocuments(now=self.clock)
        self.callback = FakeCallback()
        self.delivery = Delivery(
            outbox=self.outbox,
            callback=self.callback,
            documents=self.documents,
            now=self.clock,
            chance=lambda: 0.5,
        )

    def add(self, event_id: str, *, target: str = "available", in_s: float = 0.0, attempts: int = 0) -> OutboxEvent:
        event = OutboxEvent(
            id=event_id,
            type="domain.available",
            name="example.com",
            target=target,
            body="{}",
            due_at=START + timedelta(seconds=in_s),
            attempts=attempts,
            created_at=START,
        )
        self.store.events[event_id] = Record(event)
        return event

    def deliver(self, ids: list[str] | None = None, *, remaining_s: Callable[[], float] = lambda: 60.0) -> Delivered:
        return self.delivery.deliver(ids, remaining_s=remaining_s)

    def record(self, event_id: str) -> Record:
        return self.store.events[event_id]


@pytest.fixture
def house() -> House:
    return House()


def test_what_a_batch_produced_is_delivered_at_once(house: House) -> None:
    house.add("evt_1")
    house.add("evt_2")
    house.add("evt_other")
    assert house.deliver(["evt_1", "evt_2", "evt_1"]) == Delivered(delivered=2)
    assert sorted(house.callback.sent) == ["evt_1", "evt_2"]
    assert house.record("evt_1").state == DELIVERED
    assert house.record("evt_1").http_status == 200
    assert house.record("evt_other").state == WAITING


def test_the_schedule_delivers_everything_due_and_nothing_else(house: House) -> None:
    house.add("evt_1")
    house.add("evt_later", in_s=600)
    assert house.deliver() == Delivered(delivered=1)
    assert house.callback.sent == ["evt_1"]


def test_the_schedule_leaves_a_heartbeat(house: House) -> None:
    house.deliver()
    assert house.documents.read("heartbeat", "notify") == {"at": "2026-03-01T12:00:00.000Z"}


def test_delivering_twice_sends_once(house: House) -> None:
    house.add("evt_1")
    house.deliver(["evt_1"])
    house.deliver(["evt_1"])
    house.deliver()
    assert house.callback.sent == ["evt_1"]


def test_an_event_that_another_run_claimed_is_left_to_it(house: House) -> None:
    event = house.add("evt_1")
    assert house.outbox.claim(event, until=START + timedelta(seconds=CLAIM_S))
    assert house.deliver(["evt_1"]) == Delivered()
    assert house.deliver() == Delivered()
    house.clock.move(CLAIM_S + 1)
    assert house.deliver() == Delivered(delivered=1)


def test_an_event_is_claimed_while_it_is_sent(house: House) -> None:
    house.add("evt_1")
    seen = []

    def watch() -> Outcome:
        seen.append(house.record("evt_1").event.due_at)
        return OK

    house.callback.outcomes["evt_1"] = watch
    house.deliver()
    assert seen == [START + timedelta(seconds=CLAIM_S)]


def test_a_failed_event_is_tried_again_after_its_pause(house: House) -> None:
    house.add("evt_1")
    house.callback.otherwise = BROKEN
    assert house.deliver(["evt_1"]) == Delivered(failed=1)
    waiting = house.record("evt_1").event
    assert waiting.due_at == START + timedelta(seconds=5)
    assert (waiting.attempts, waiting.last_error) == (1, "HTTP 500: sorry")
    house.callback.otherwise = OK
    house.clock.move(5)
    assert house.deliver() == Delivered(delivered=1)


def test_an_event_dies_after_its_last_pause_and_can_be_revived(house: House) -> None:
    house.add("evt_1")
    house.callback.otherwise = BROKEN
    attempts = 0
    while house.record("evt_1").state == WAITING:
        house.clock.at = house.record("evt_1").event.due_at
        house.deliver()
        attempts += 1
    assert attempts == len(PAUSES_S) + 1
    assert house.record("evt_1").state == DEAD
    assert house.outbox.redrive("evt_1", now=house.clock())
    house.callback.otherwise = OK
    assert house.deliver() == Delivered(delivered=1)


def test_410_ends_it_at_once(house: House) -> None:
    house.add("evt_1")
    house.callback.otherwise = Outcome(status=410, error="HTTP 410: ", gone=True)
    assert house.deliver() == Delivered(dead=1)
    assert house.record("evt_1").state == DEAD


def test_retry_after_is_respected(house: House) -> None:
    house.add("evt_1", attempts=1)
    house.callback.otherwise = replace(BROKEN, status=429, retry_after_s=400)
    house.deliver()
    assert house.record("evt_1").event.due_at == START + timedelta(seconds=400)


@pytest.mark.parametrize("attempts", range(1, len(PAUSES_S) + 1))
def test_the_pauses_are_spread_by_a_fifth(attempts: int) -> None:
    step_s = PAUSES_S[attempts - 1]
    assert pause_s(attempts, chance=0.0) == pytest.approx(step_s * (1 - JITTER))
    assert pause_s(attempts, chance=1.0) == pytest.approx(step_s * (1 + JITTER))


def test_there_is_no_pause_after_the_last() -> None:
    assert pause_s(len(PAUSES_S) + 1, chance=0.5) is None


@pytest.mark.parametrize(("asked_s", "given_s"), [(1, 300), (400, 400), (600, 600), (86_400, 600)])
def test_retry_after_counts_up_to_twice_the_pause(asked_s: float, given_s: float) -> None:
    assert pause_s(2, chance=0.5, retry_after_s=asked_s) == given_s


def test_without_a_receiver_an_event_is_done_with_and_says_so(house: House) -> None:
    house.add("evt_1", target="event")
    house.callback.receivers = {"result", "available"}
    assert house.deliver() == Delivered(unwanted=1)
    assert house.callback.sent == []
    assert (house.record("evt_1").state, house.record("evt_1").http_status) == (DELIVERED, 0)


def test_a_fault_of_ours_keeps_no_other_event_back(house: House) -> None:
    house.add("evt_1")
    house.add("evt_2")
    house.callback.outcomes["evt_1"] = RuntimeError("a bug")
    assert house.deliver() == Delivered(delivered=1, failed=1)
    assert house.record("evt_1").event.last_error == "internal: RuntimeError"


def test_a_slow_receiver_delays_no_other(house: House) -> None:
    released = threading.Event()

    def slow() -> Outcome:
        assert released.wait(timeout=10)
        return SILENT

    def quick() -> Outcome:
        released.set()  # the slow one is answered only after this one was sent
        return OK

    for number in range(20):
        house.add(f"evt_slow_{number:02}", target="result")
        house.callback.outcomes[f"evt_slow_{number:02}"] = slow
    house.add("evt_quick")
    house.callback.outcomes["evt_quick"] = quick
    done = house.deliver()
    assert done.delivered == 1
    assert house.record("evt_quick").state == DELIVERED


def test_a_receiver_that_keeps_silent_is_left_alone_for_a_while(house: House) -> None:
    house.callback.otherwise = SILENT
    for number in range(50):
        house.add(f"evt_{number:02}", target="result")
    done = house.deliver()
    assert done.failed == len(house.callback.sent)
    assert SILENT_ATTEMPTS <= done.failed < 2 * SILENT_ATTEMPTS
    assert done.failed + done.held == 50
    held = [record.event for record in house.store.events.values() if record.event.id not in house.callback.sent]
    assert all(event.attempts == 0 and event.due_at > house.clock() for event in held)


def test_no_attempt_begins_that_could_outlast_the_function(house: House) -> None:
    house.add("evt_1")
    assert house.deliver(remaining_s=lambda: 12.0) == Delivered()
    assert house.deliver(["evt_1"], remaining_s=lambda: 12.0) == Delivered()
    assert house.record("evt_1").event.due_at == START


def test_more_than_a_page_is_delivered_in_one_run(house: House) -> None:
    for number in range(1200):
        house.add(f"evt_{number}")
    assert house.deliver() == Delivered(delivered=1200)


def test_an_index_that_lags_behind_does_not_end_in_a_loop(house: House) -> None:
    event = house.add("evt_1")
    house.outbox.due = lambda *, now, limit: [event]  # type: ignore[method-assign]
    assert house.deliver() == Delivered(delivered=1)
    assert house.callback.sent == ["evt_1"]


def test_trouble_with_the_outbox_is_raised_once_the_others_are_done(house: House) -> None:
    house.add("evt_1")
    house.add("evt_2")
    record_one = house.outbox.delivered

    def delivered(event: OutboxEvent, *, at: object, status: int) -> None:
        if event.id == "evt_1":
            raise TryLater("throttled")
        record_one(event, at=house.clock(), status=status)

    house.outbox.delivered = delivered  # type: ignore[assignment,method-assign]
    with pytest.raises(TryLater):
        house.deliver()
    assert house.record("evt_1").state == WAITING
    assert house.record("evt_2").state == DELIVERED
    house.outbox.delivered = record_one  # type: ignore[method-assign]
    house.clock.move(CLAIM_S)
    assert house.deliver() == Delivered(delivered=1)
    assert house.callback.sent.count("evt_1") == 2  # the same event, under the same id


def test_totals_add_up(house: House) -> None:
    house.add("evt_1")
    house.deliver()
    house.add("evt_2")
    house.callback.otherwise = BROKEN
    house.deliver()
    assert house.documents.read("totals", "callbacks") == {"delivered": 1, "failed": 1, "version": 2}
