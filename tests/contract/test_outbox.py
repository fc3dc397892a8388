"""Events not yet delivered: what the fake and the DynamoDB outbox both promise, and where the real one can fail."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from domainwatch.errors import BadMessage, TryLater
from domainwatch.ports import OutboxEvent
from tests.contract import places
from tests.contract.places import START, Place, added, changed, event


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with mock_aws():
        yield places.client()


@pytest.fixture(params=["memory", "dynamo"])
def place(request: pytest.FixtureRequest) -> Place:
    return places.memory() if request.param == "memory" else places.dynamo(request.getfixturevalue("client"))


@pytest.fixture
def real(client: Any) -> Place:
    return places.dynamo(client)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def told(place: Place, *events: OutboxEvent) -> None:
    item = place.store.get(places.name("name0000.com")) or added(place, "name0000.com")
    assert place.store.commit([changed(item, *events, tags=[each.id for each in events])]) == []


def one(place: Place, event_id: str = "e1") -> OutboxEvent:
    (found,) = place.outbox.get_events([event_id])
    return found


def test_an_event_is_read_as_it_was_told(place: Place) -> None:
    first = replace(event("e1"), body='{"ü":"\\u0000"}', created_at=after(-5), due_at=START + timedelta(microseconds=7))
    told(place, first)
    assert one(place) == first
    assert place.outbox.get_events(["e1", "nothing", "e1"]) == [first]
    assert place.outbox.get_events([]) == []


def test_due_events_come_oldest_first_and_no_more_than_asked(place: Place) -> None:
    told(place, *(event(f"e{number}", due_at=after(-(number * 7 % 40))) for number in range(40)))

    due = place.outbox.due(now=START, limit=100)
    assert [each.due_at for each in due] == sorted(after(-number) for number in range(40))
    assert place.outbox.due(now=START, limit=3) == due[:3]
    assert [each.due_at for each in place.outbox.due(now=after(-38), limit=100)] == [after(-39), after(-38)]
    assert place.outbox.pending_count() == 40


def test_an_event_is_taken_by_one_deliverer(place: Place) -> None:
    told(place, event("e1"))
    (due,) = place.outbox.due(now=START, limit=10)

    assert place.outbox.claim(due, until=after(60))
    assert not place.outbox.claim(due, until=after(60))
    assert not place.outbox.claim(due, until=after(61))
    assert place.outbox.due(now=after(59), limit=10) == []
    assert place.outbox.claim(place.outbox.due(now=after(60), limit=10)[0], until=after(120))


def test_an_event_unheard_of_is_not_taken(place: Place) -> None:
    assert not place.outbox.claim(event("e1"), until=after(60))
    place.outbox.delivered(event("e1"), at=START, status=200)
    place.outbox.failed(event("e1"), next_at=after(5), error="500")
    assert not place.outbox.redrive("e1", now=START)
    assert place.outbox.pending_count() == 0


def test_a_delivered_event_waits_no_more(place: Place) -> None:
    told(place, event("e1"))
    taken = one(place)
    assert place.outbox.claim(taken, until=after(60))

    place.outbox.delivered(taken, at=after(1), status=204)
    place.outbox.delivered(taken, at=after(2), status=200)
    place.outbox.failed(taken, next_at=after(5), error="a slower deliverer's time-out")

    assert place.outbox.get_events(["e1"]) == []
    assert place.outbox.due(now=after(1000), limit=10) == []
    assert not place.outbox.claim(taken, until=after(60))
    assert place.outbox.pending_count() == 0


def test_a_failed_event_waits_for_its_next_attempt(place: Place) -> None:
    told(place, event("e1"))
    taken = one(place)
    assert place.outbox.claim(taken, until=after(60))
    place.outbox.failed(taken, next_at=after(5.5), error="HTTP 500 " + "x" * 1000)

    assert place.outbox.due(now=after(5), limit=10) == []
    (due,) = place.outbox.due(now=after(6), limit=10)
    assert (due.attempts, due.due_at) == (1, after(5.5))
    assert due.last_error.startswith("HTTP 500 xxx")
    assert len(due.last_error) == 500

    place.outbox.failed(taken, next_at=after(900), error="told again by a slower deliverer")
    assert one(place) == due


def test_a_slow_deliverer_counts_no_attempt_of_another(place: Place) -> None:
    told(place, event("e1"))
    slow = one(place)
    assert place.outbox.claim(slow, until=after(60))
    (fast,) = place.outbox.due(now=after(60), limit=1)
    assert place.outbox.claim(fast, until=after(120))
    place.outbox.failed(fast, next_at=None, error="gone")
    place.outbox.failed(slow, next_at=after(65), error="late")
    assert [each.last_error for each in place.outbox.dead(limit=10)] == ["gone"]
    assert place.outbox.pending_count() == 0


def test_a_dead_event_is_visible_and_can_be_driven_again(place: Place) -> None:
    told(place, event("e1"), event("e2"))
    for event_id in ("e1", "e2"):
        place.clock.pass_s(10)
        place.outbox.failed(one(place, event_id), next_at=None, error="410 Gone")

    assert [(each.id, each.attempts, each.due_at) for each in place.outbox.dead(limit=10)] == [
        ("e2", 1, after(20)),
        ("e1", 1, after(10)),
    ]
    assert len(place.outbox.dead(limit=1)) == 1
    assert place.outbox.due(now=after(99), limit=10) == []
    assert place.outbox.pending_count() == 0
    assert not place.outbox.claim(place.outbox.dead(limit=1)[0], until=after(60))

    assert place.outbox.redrive("e1", now=after(30))
    assert not place.outbox.redrive("e1", now=after(30))
    (due,) = place.outbox.due(now=after(30), limit=10)
    assert (due.id, due.attempts, due.due_at, due.last_error) == ("e1", 0, after(30), "410 Gone")
    assert [each.id for each in place.outbox.dead(limit=10)] == ["e2"]


def test_a_dead_event_may_still_turn_out_delivered(place: Place) -> None:
    told(place, event("e1"))
    taken = one(place)
    place.outbox.failed(taken, next_at=None, error="time-out")
    place.outbox.delivered(taken, at=after(1), status=200)
    assert place.outbox.dead(limit=10) == []
    assert not place.outbox.redrive("e1", now=after(2))


@pytest.mark.parametrize("limit", [1, 4, 30, 100])
@pytest.mark.parametrize("state", ["pending", "dead"])
def test_pages_give_every_event_once(place: Place, state: str, limit: int) -> None:
    told(place, *(event(f"e{number}", due_at=after(number % 5)) for number in range(30)))
    if state == "dead":
        for number in range(30):
            place.outbox.failed(one(place, f"e{number}"), next_at=None, error="")
    seen, position = [], None

    for _ in range(31):
        page, position = place.outbox.page(state=state, after=position, limit=limit)
        seen += [each.id for each in page]
        if position is None:
            break

    assert sorted(seen) == sorted(f"e{number}" for number in range(30))


def test_a_page_of_anything_else_is_refused(place: Place) -> None:
    with pytest.raises(BadMessage):
        place.outbox.page(state="delivered", after=None, limit=1)
    for position in ({}, {"bucket": "due#77", "due_at": "1", "pk": "x"}):
        with pytest.raises(BadMessage):
            place.outbox.page(state="pending", after=position, limit=1)


# --- the real one -----------------------------------------------------------------------------------------------------


def test_delivery_leaves_a_record_that_ends_by_itself(real: Place) -> None:
    told(real, event("e1"))
    real.outbox.delivered(one(real), at=after(1), status=204)
    record = real.ledger("outbox#e1", "event")
    assert record is not None
    assert record["delivered_at"] == {"S": "2026-03-01T12:00:01.250Z"}
    assert record["http_status"] == {"N": "204"}
    assert record["attempts"] == {"N": "1"}
    assert int(record["ttl"]["N"]) == int(after(1).timestamp()) + 30 * 86400
    assert not record.keys() & {"due_bucket", "due_at"}


def test_events_are_spread_over_the_buckets(real: Place) -> None:
    told(real, *(event(f"e{number}") for number in range(90)))
    records = [real.ledger(f"outbox#e{number}", "event") for number in range(90)]
    assert len({record["due_bucket"]["S"] for record in records if record}) == 16


def test_a_lost_reply_to_a_claim_is_known_again(real: Place) -> None:
    told(real, event("e1"))
    with places.replies_lost(real.client, "UpdateItem"):
        assert real.outbox.claim(one(real), until=after(60))
    assert one(real).due_at == after(60)


@pytest.mark.parametrize("next_at", [after(5), None])
def test_a_lost_reply_to_a_failure_counts_once(real: Place, next_at: datetime | None) -> None:
    told(real, event("e1"))
    with places.replies_lost(real.client, "UpdateItem"):
        real.outbox.failed(one(real), next_at=next_at, error="500")
    (counted,) = real.outbox.due(now=after(10), limit=1) if next_at else real.outbox.dead(limit=1)
    assert counted.attempts == 1


def test_a_lost_reply_to_a_delivery_changes_nothing(real: Place) -> None:
    told(real, event("e1"))
    with places.replies_lost(real.client, "UpdateItem"):
        real.outbox.delivered(one(real), at=after(1), status=200)
    record = real.ledger("outbox#e1", "event")
    assert record is not None
    assert record["attempts"] == {"N": "1"}


def test_a_busy_ledger_is_asked_again_and_then_given_up(real: Place) -> None:
    told(real, event("e1"))
    with places.answers(real.client, "Query", "ThrottlingException", times=3):
        assert len(real.outbox.due(now=START, limit=10)) == 1
    failing = places.answers(real.client, "UpdateItem", "InternalServerError", status=500, times=100)
    with failing, pytest.raises(TryLater):
        real.outbox.claim(one(real), until=after(60))
    assert real.outbox.claim(one(real), until=after(60))
