"""The watched names: what the fake and the DynamoDB store both promise, and what only the real one can get wrong."""

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from domainwatch.errors import BadMessage, BadSettings, TryLater
from domainwatch.ports import Watched
from domainwatch.wire import shard_of
from tests.contract import places
from tests.contract.places import SHARDS, Place, added, changed, event, name, names, stored, watched


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


# --- adding and reading -----------------------------------------------------------------------------------------------


def test_what_is_added_is_read_back(place: Place) -> None:
    attributes = {
        "status": "registered",
        "phase": "expiring",
        "confidence": 1.0,
        "since": "2026-03-01T12:00:00.250Z",
        "stale_since": None,
        "facts": {"registrar": "", "statuses": ["ok"], "dnssec": False, "nested": {"ratio": 0.1, "big": 1e16}},
        "tags": [],
        "findings": {"dns": {"duration_ms": 12, "excerpt": "ü\\x00"}},
        "priority": True,
        "episode": 3,
    }
    place.store.add([Watched(name=name("straße.de"), attributes=attributes)])

    item = stored(place, name("straße.de"))

    assert item == Watched(name=name("straße.de"), attributes=attributes, version=1)
    assert isinstance(item.attributes["confidence"], float)
    assert isinstance(item.attributes["episode"], int)
    assert place.store.get(name("strasse.de")) is None


def test_adding_tells_which_names_are_new(place: Place) -> None:
    added(place, "a.com", source="hand")

    new = place.store.add([watched("b.com"), watched("a.com"), watched("c.com"), watched("b.com", status="reserved")])

    assert new == [name("b.com"), name("c.com")]
    assert stored(place, name("a.com")).attributes["source"] == "hand"
    assert stored(place, name("b.com")).attributes["status"] == "unknown"
    assert place.store.add([]) == []


def test_many_names_are_added_and_read(place: Place) -> None:
    everyone = names(130)

    assert place.store.add(watched(each) for each in everyone) == everyone
    assert list(place.store.get_many([*everyone, name("other.org")])) == everyone
    assert place.store.counts()["status"] == {"unknown": 130}
    assert place.store.add(watched(each) for each in everyone) == []
    assert place.store.counts()["status"] == {"unknown": 130}


def test_reading_none_reads_nothing(place: Place) -> None:
    assert place.store.get_many([]) == {}
    assert place.store.commit([]) == []
    assert place.store.remove([]) == 0
    assert place.store.counts() == {"status": {}, "phase": {}, "priority": {}}


def test_shards_and_cadences_list_names_in_order(place: Place) -> None:
    everyone = names(24)
    place.store.add(watched(each, cadence="hot" if each.text < "name0006" else "slow") for each in everyone)

    for shard in range(SHARDS):
        here = [each for each in everyone if shard_of(each, SHARDS) == shard]
        assert list(place.store.due_names(shard, None)) == here
        assert list(place.store.due_names(shard, "hot")) == [each for each in here if each.text < "name0006"]
        assert list(place.store.due_names(shard, "normal")) == []
        assert [item.name for item in place.store.shard_items(shard)] == here
        assert [item.attributes["cadence"] for item in place.store.shard_items(shard) if item.name in here[:1]]


def test_a_changed_cadence_moves_the_name(place: Place) -> None:
    item = added(place, "a.com", cadence="normal")
    shard = shard_of(item.name, SHARDS)

    assert place.store.commit([changed(item, cadence="hot")]) == []

    assert list(place.store.due_names(shard, "normal")) == []
    assert list(place.store.due_names(shard, "hot")) == [item.name]


# --- removing ---------------------------------------------------------------------------------------------------------


def test_removing_by_source_leaves_the_others(place: Place) -> None:
    place.store.add([watched("a.com"), watched("b.com", source="hand"), watched("c.com", source="queue")])

    assert place.store.remove([name("a.com"), name("b.com"), name("x.com"), name("a.com")], source="list") == 1
    assert place.store.get(name("a.com")) is None
    assert place.store.remove([name("b.com"), name("a.com")]) == 1
    assert place.store.counts()["status"] == {"unknown": 1}


def test_a_removed_name_is_not_written(place: Place) -> None:
    item = added(place, "a.com")
    place.store.remove([item.name])
    change = changed(item, event("e1"), status="available")

    assert place.store.commit([change]) == [change]
    assert place.store.get(item.name) is None
    assert place.outbox.pending_count() == 0


def test_a_name_added_again_is_not_its_old_self(place: Place) -> None:
    before = added(place, "a.com", added_at="2026-03-01T12:00:00.000Z")
    place.store.remove([before.name])
    added(place, "a.com", added_at="2026-03-02T12:00:00.000Z")
    change = changed(before, event("e1"), status="available")

    assert place.store.commit([change]) == [change]
    assert stored(place, before.name).attributes["status"] == "unknown"


# --- committing -------------------------------------------------------------------------------------------------------


def test_a_change_and_its_events_are_written_together(place: Place) -> None:
    item = added(place, "a.com")

    assert place.store.commit([changed(item, event("e1"), event("e2"), status="available")]) == []

    after = stored(place, item.name)
    assert (after.version, after.attributes["status"]) == (2, "available")
    assert [each.id for each in place.outbox.get_events(["e2", "e1"])] == ["e2", "e1"]
    assert place.outbox.get_events(["e1"])[0].created_at == places.START


def test_a_stale_change_is_returned_and_the_others_are_written(place: Place) -> None:
    first, second, third = (added(place, text) for text in ("a.com", "b.com", "c.com"))
    place.store.commit([changed(second, status="reserved")])
    stale = changed(second, event("e2"), status="available")

    unwritten = place.store.commit(
        [changed(third, event("e3"), status="available"), stale, changed(first, event("e1"), status="available")]
    )

    assert unwritten == [stale]
    assert place.store.counts()["status"] == {"available": 2, "reserved": 1}
    assert [each.id for each in place.outbox.get_events(["e1", "e2", "e3"])] == ["e1", "e3"]


def test_of_two_changes_of_one_version_one_is_written(place: Place) -> None:
    item = added(place, "a.com")
    changes = [changed(item, status="available"), changed(item, status="reserved")]

    assert place.store.commit(changes) == changes[1:]
    assert stored(place, item.name).attributes["status"] == "available"


def test_the_same_change_again_is_written_already(place: Place) -> None:
    item = added(place, "a.com")
    change = changed(item, event("e1"), status="available")

    assert place.store.commit([change]) == []
    assert place.store.commit([change]) == []

    assert stored(place, item.name).version == 2
    assert place.store.counts()["status"] == {"available": 1}
    assert place.outbox.pending_count() == 1


def test_an_event_told_before_is_not_told_twice_and_blocks_nothing(place: Place) -> None:
    first, second = added(place, "a.com"), added(place, "b.com")
    place.store.commit([changed(first, event("e1"), status="available")])
    (told,) = place.outbox.get_events(["e1"])
    place.outbox.delivered(told, at=places.START, status=200)

    again = changed(stored(place, first.name), event("e1"), event("e2"), reason="looked again")
    assert place.store.commit([again, changed(second, event("e3"), status="reserved")]) == []

    assert stored(place, first.name).attributes["reason"] == "looked again"
    assert [each.id for each in place.outbox.get_events(["e1", "e2", "e3"])] == ["e2", "e3"]


def test_one_event_of_two_changes_is_told_once(place: Place) -> None:
    first, second = added(place, "a.com"), added(place, "b.com")

    assert place.store.commit([changed(first, event("e1"), tags=["x"]), changed(second, event("e1"), tags=["x"])]) == []

    assert place.outbox.pending_count() == 1
    assert stored(place, second.name).version == 2


def test_many_changes_are_packed(place: Place) -> None:
    place.store.add(watched(each) for each in names(80))
    changes = [
        changed(item, event(f"e-{item.name}"), event(f"f-{item.name}"), status="registered", phase="active")
        for item in place.store.get_many(names(80)).values()
    ]

    assert place.store.commit(changes) == []

    assert place.store.counts() == {"status": {"registered": 80}, "phase": {"active": 80}, "priority": {}}
    assert place.outbox.pending_count() == 160


def test_what_was_given_back_can_be_given_in(place: Place) -> None:
    item = added(place, "a.com", confidence=0.5, facts={"statuses": ("ok",)})

    assert item.attributes["facts"] == {"statuses": ["ok"]}
    assert place.store.commit([changed(item)]) == []
    assert stored(place, item.name).attributes == item.attributes


# --- counting and paging ----------------------------------------------------------------------------------------------


def test_counts_follow_every_change(place: Place) -> None:
    item = added(place, "a.com", priority=True)
    added(place, "b.com")
    assert place.store.counts() == {"status": {"unknown": 2}, "phase": {}, "priority": {"high": 1}}

    place.store.commit([changed(item, status="registered", phase="grace", priority=False)])
    assert place.store.counts() == {"status": {"registered": 1, "unknown": 1}, "phase": {"grace": 1}, "priority": {}}

    place.store.commit([changed(stored(place, item.name), status="available")])  # a phase is of registered names only
    assert place.store.counts() == {"status": {"available": 1, "unknown": 1}, "phase": {}, "priority": {}}

    place.store.remove([item.name, name("b.com")])
    assert place.store.counts() == {"status": {}, "phase": {}, "priority": {}}


KINDS = (
    {"status": "registered", "phase": "active"},
    {"status": "registered", "phase": "expiring"},
    {"status": "available", "phase": "active"},
    {"status": "unknown"},
)


@pytest.mark.parametrize(
    ("status", "phase", "kinds"),
    [
        (None, None, {0, 1, 2, 3}),
        ("registered", None, {0, 1}),
        ("available", None, {2}),
        ("unknown", None, {3}),
        ("reserved", None, set()),
        (None, "active", {0}),
        (None, "expiring", {1}),
        ("registered", "expiring", {1}),
        ("registered", "active", {0}),
        ("registered", "grace", set()),
        ("available", "active", set()),
    ],
)
@pytest.mark.parametrize("limit", [1, 7, 10, 100])
def test_pages_give_everything_once(
    place: Place, status: str | None, phase: str | None, kinds: set[int], limit: int
) -> None:
    place.store.add(watched(each, **KINDS[index % 4]) for index, each in enumerate(names(40)))
    seen, position = [], None

    for _ in range(45):
        page, position = place.store.page(status=status, phase=phase, after=position, limit=limit)
        assert len(page) == limit or position is None
        seen += [item.name for item in page]
        if position is None:
            break

    assert len(seen) == len(set(seen))
    assert set(seen) == {each for index, each in enumerate(names(40)) if index % 4 in kinds}


def test_a_page_goes_on_behind_a_name_that_went(place: Place) -> None:
    place.store.add(watched(each, status="available") for each in names(9))
    for status in (None, "available"):
        everyone, _ = place.store.page(status=status, phase=None, after=None, limit=100)
        first, position = place.store.page(status=status, phase=None, after=None, limit=3)
        place.store.remove([first[-1].name])
        rest, end = place.store.page(status=status, phase=None, after=position, limit=100)
        assert [item.name for item in first + rest] == [item.name for item in everyone]
        assert end is None


@pytest.mark.parametrize("after", [{}, {"shard": "1", "name": "a.com"}, {"shard": 1}, {"shard": 1, "name": ""}])
def test_a_malformed_position_is_refused(place: Place, after: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        place.store.page(status=None, phase=None, after=after, limit=1)


def test_a_page_of_nothing_is_refused(place: Place) -> None:
    with pytest.raises(BadMessage):
        place.store.page(status=None, phase=None, after=None, limit=0)


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_lost_reply_to_a_commit_is_known_again(real: Place) -> None:
    items = [added(real, each) for each in names(5)]
    changes = [changed(item, event(f"e-{item.name}"), status="available") for item in items]

    with places.replies_lost(real.client, "TransactWriteItems", times=2) as lost:
        assert real.store.commit(changes) == []

    assert len(lost) == 2
    assert real.store.counts()["status"] == {"available": 5}
    assert {stored(real, item.name).version for item in items} == {2}
    assert real.outbox.pending_count() == 5


def test_a_lost_reply_to_adding_still_tells_what_is_new(real: Place) -> None:
    with places.replies_lost(real.client, "TransactWriteItems"):
        assert real.store.add([watched(each) for each in names(5)]) == names(5)
    assert real.store.add([watched(each) for each in names(5)]) == []
    assert real.store.counts()["status"] == {"unknown": 5}


def test_a_lost_reply_to_removing_counts_down_once(real: Place) -> None:
    real.store.add([watched(each) for each in names(5)])
    with places.replies_lost(real.client, "TransactWriteItems"):
        real.store.remove(names(3))
    assert real.store.counts()["status"] == {"unknown": 2}
    assert list(real.store.get_many(names(5))) == names(5)[3:]


def test_repetitions_carry_the_same_token(real: Place) -> None:
    item = added(real, "a.com")
    with (
        places.requests(real.client, "TransactWriteItems") as seen,
        places.answers(real.client, "TransactWriteItems", "InternalServerError", status=500, times=2),
    ):
        assert real.store.commit([changed(item, event("e1"), status="available")]) == []
        for _ in range(2):
            assert real.store.remove([item.name]) == 1
            real.store.add([watched("a.com")])
        assert real.store.remove([item.name]) == 1

    tokens = [params["ClientRequestToken"] for params in seen]
    assert tokens[0] == tokens[1] == tokens[2]
    assert len(set(tokens)) == len(tokens) - 2  # the same removal later is another transaction
    assert all(len(token) <= 36 for token in tokens)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 400),
        ("ProvisionedThroughputExceededException", 400),
        ("TransactionInProgressException", 400),
        ("InternalServerError", 500),
        ("ServiceUnavailable", 503),
        ("NeverHeardOf", 502),
    ],
)
def test_a_busy_table_is_asked_again_and_then_given_up(real: Place, code: str, status: int) -> None:
    item = added(real, "a.com")
    with places.answers(real.client, "TransactWriteItems", code, status=status, times=3):
        assert real.store.commit([changed(item, status="reserved")]) == []
    assert real.pauses == [0.05, 0.1, 0.2]

    before = stored(real, item.name)
    with places.answers(real.client, "TransactWriteItems", code, status=status, times=100), pytest.raises(TryLater):
        real.store.commit([changed(before, event("e1"), status="available")])
    assert stored(real, item.name) == before
    assert real.outbox.pending_count() == 0
    assert sum(real.pauses) < 10


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_contended_transaction_is_tried_again_and_then_given_up(real: Place, code: str) -> None:
    item = added(real, "a.com")
    more = {"CancellationReasons": [{"Code": "None"}, {"Code": code}, {"Code": "None"}]}
    change = changed(item, event("e1"), status="available")
    failing = places.answers(real.client, "TransactWriteItems", "TransactionCanceledException", times=100, more=more)
    with failing, pytest.raises(TryLater):
        real.store.commit([change])
    assert 5 < len(real.pauses) < 20
    with places.answers(real.client, "TransactWriteItems", "TransactionCanceledException", times=3, more=more):
        assert real.store.commit([change]) == []
    assert real.outbox.pending_count() == 1


def test_a_cancellation_without_reasons_is_tried_again(real: Place) -> None:
    item = added(real, "a.com")
    with places.answers(real.client, "TransactWriteItems", "TransactionCanceledException", times=2):
        assert real.store.commit([changed(item, status="available")]) == []


def test_somebody_else_was_faster(real: Place) -> None:
    items = [added(real, each) for each in names(4)]
    changes = [changed(item, event(f"e-{item.name}"), status="available") for item in items]
    faster = changed(items[2], status="reserved")
    with places.before_each(real.client, "TransactWriteItems", lambda: real.store.commit([faster])):
        assert real.store.commit(changes) == [changes[2]]
    assert real.store.counts()["status"] == {"available": 3, "reserved": 1}
    assert real.outbox.pending_count() == 3


def test_removing_meets_a_change(real: Place) -> None:
    item = added(real, "a.com")
    faster = changed(item, status="reserved")
    with places.before_each(real.client, "TransactWriteItems", lambda: real.store.commit([faster])):
        assert real.store.remove([item.name], source="list") == 1
    assert real.store.counts()["status"] == {}


def test_adding_meets_somebody_adding_the_same(real: Place) -> None:
    other = watched("name0001.com", source="hand")
    with places.before_each(real.client, "TransactWriteItems", lambda: real.store.add([other])):
        assert real.store.add([watched(each) for each in names(3)]) == [names(3)[0], names(3)[2]]
    assert stored(real, other.name).attributes["source"] == "hand"
    assert real.store.counts()["status"] == {"unknown": 3}


def test_one_change_too_large_stops_no_other(real: Place) -> None:
    first, second, third = (added(real, each) for each in names(3))
    changes = [
        changed(first, status="available"),
        changed(second, event("e2"), notes="x" * 400_000),
        changed(third, status="available"),
    ]
    with pytest.raises(BadMessage, match="too large"):
        real.store.commit(changes)
    assert real.store.counts()["status"] == {"available": 2, "unknown": 1}
    assert real.outbox.pending_count() == 0


def test_a_change_that_the_table_refuses_stops_no_other(real: Place) -> None:
    items = [added(real, each) for each in names(3)]
    changes = [changed(item, status="available") for item in items]
    deep: Any = "bottom"
    for _ in range(40):
        deep = [deep]
    changes[1] = changed(items[1], event("e2"), facts=deep)

    def refuse_deep(params: Any, **_: Any) -> Any:
        if '[{"L": [{"L": [{"L":' in str(params["body"]):
            raw = type("Raw", (), {"status_code": 400, "headers": {}})()
            error = {"Code": "ValidationException", "Message": "Nesting Levels have exceeded supported limits"}
            return raw, {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}
        return None

    with places.handler(real.client, "before-call.dynamodb.TransactWriteItems", refuse_deep), pytest.raises(BadMessage):
        real.store.commit(changes)
    assert real.store.counts()["status"] == {"available": 2, "unknown": 1}
    assert real.outbox.pending_count() == 0


def test_large_changes_stay_below_the_limit_of_a_transaction(real: Place) -> None:
    items = [added(real, each) for each in names(16)]
    with places.requests(real.client, "TransactWriteItems") as seen:
        assert real.store.commit([changed(item, notes="x" * 350_000) for item in items]) == []
    assert [len(str(params)) < 4_000_000 for params in seen] == [True, True]
    # And reading them back takes more than one page of 1 MB.
    found = [item.name for shard in range(SHARDS) for item in real.store.shard_items(shard)]
    assert sorted(found) == names(16)


def test_a_transaction_is_filled_but_never_above_the_limit(real: Place) -> None:
    with places.requests(real.client, "TransactWriteItems") as seen:
        real.store.add(watched(each) for each in names(120))
        items = list(real.store.get_many(names(120)).values())
        assert real.store.commit([changed(item, event(f"e-{item.name}"), status="reserved") for item in items]) == []
        # Two changes that tell one event go one after the other.
        items = list(real.store.get_many(names(2)).values())
        assert real.store.commit([changed(item, event("both"), tags=["x"]) for item in items]) == []
    sizes = [len(params["TransactItems"]) for params in seen]
    assert max(sizes) <= 100
    assert len(sizes) == 2 + 3 + 3  # of the last three one is cancelled, because the event is told


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, 10**40, object()])
def test_what_no_table_can_hold_is_refused(real: Place, value: object) -> None:
    item = added(real, "a.com")
    with pytest.raises(BadMessage):
        real.store.commit([changed(item, confidence=value)])
    assert stored(real, item.name) == item


def test_half_a_character_is_stored_as_a_question_mark(real: Place) -> None:
    item = added(real, "a.com", facts={"registrar": "Bad \ud800 Inc."})
    assert item.attributes["facts"] == {"registrar": "Bad ? Inc."}


def test_keys_left_unread_are_asked_again(real: Place) -> None:
    real.store.add(watched(each) for each in names(7))
    keys = [{"shard": {"S": str(shard_of(each, SHARDS))}, "name": {"S": each.text}} for each in names(7)]
    left = {"UnprocessedKeys": {real.names_table: {"Keys": keys}}, "Responses": {}}

    with places.answers(real.client, "BatchGetItem", "", status=200, times=3, more=left):
        assert list(real.store.get_many(names(7))) == names(7)
    with places.answers(real.client, "BatchGetItem", "", status=200, times=100, more=left), pytest.raises(TryLater):
        real.store.get_many(names(7))


def test_a_missing_table_is_a_matter_of_the_deployment(real: Place) -> None:
    with places.answers(real.client, "GetItem", "ResourceNotFoundException"), pytest.raises(BadSettings):
        real.store.get(name("a.com"))
    with places.answers(real.client, "GetItem", "AccessDeniedException"), pytest.raises(BadSettings):
        real.store.get(name("a.com"))


def test_nothing_scans(real: Place) -> None:
    real.store.add(watched(each) for each in names(12))
    with places.requests(real.client, "Scan") as scans, places.requests(real.client, "Query") as queries:
        real.store.page(status=None, phase=None, after=None, limit=5)
        real.store.page(status="unknown", phase=None, after=None, limit=5)
        real.store.counts()
        list(real.store.due_names(0, "normal"))
    assert (scans, bool(queries)) == ([], True)
