"""`events/notify.json` and the schedule's `{}` through the real doorway."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import notify
from domainwatch import wiring
from domainwatch.delivery import Delivery
from domainwatch.ports import OutboxEvent, Outcome
from tests.builders import START, Clock
from tests.fakes_ledger import MemoryDocuments
from tests.fakes_store import DELIVERED, MemoryOutbox, MemoryStore, Record

EVENT = json.loads((Path(__file__).parents[2] / "events" / "notify.json").read_text())
CONTEXT = SimpleNamespace(aws_request_id="r1", get_remaining_time_in_millis=lambda: 60_000)


class Receiver:
    def has_receiver(self, target: str) -> bool:
        return True

    def deliver(self, event: OutboxEvent) -> Outcome:
        return Outcome(status=200)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    clock = Clock()
    store = MemoryStore(now=clock)
    for event_id in (*EVENT["events"], "evt_other"):
        store.events[event_id] = Record(
            OutboxEvent(
                id=event_id, type="domain.available", name="example.com", target="available", body="{}", due_at=START
            )
        )
    delivery = Delivery(
        outbox=MemoryOutbox(store, now=clock),
        callback=Receiver(),
        documents=MemoryDocuments(now=clock),
        now=clock,
        chance=lambda: 0.5,
    )
    monkeypatch.setattr(wiring, "delivery", lambda: delivery)
    return store


def test_the_sample_event_is_delivered(store: MemoryStore) -> None:
    reply = notify.handler(EVENT, CONTEXT)
    assert reply == {"delivered": 1, "failed": 0, "dead": 0, "unwanted": 0, "held": 0}
    assert store.events["evt_other"].state != DELIVERED


@pytest.mark.parametrize("event", [{}, {"scheduled": True}])
def test_the_schedule_delivers_what_is_due(store: MemoryStore, event: dict[str, object]) -> None:
    assert notify.handler(event, CONTEXT)["delivered"] == 2
