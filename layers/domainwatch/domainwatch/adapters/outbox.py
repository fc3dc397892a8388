"""The outbox in the ledger: events not yet delivered, and for a while those that were.

An event is written by the store, in the transaction of the change it tells. While it waits it is in the index `ByDue`
under one of 16 buckets (so that the index has no hot partition), a dead one under `dead`. Delivery takes it out of the
index and leaves it as the record of the delivery.
"""

import heapq
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from domainwatch.adapters.dynamo import ConditionFailed, Dynamo, Item, from_item, plain, to_item
from domainwatch.errors import BadMessage
from domainwatch.ports import Now, OutboxEvent
from domainwatch.wire import digest, instant, instant_text

BUCKETS = 16
DEAD = "dead"
RECORD_DAYS = 30
MAX_ERROR_CHARS = 500
_INDEX = "ByDue"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def due_bucket(event_id: str) -> str:
    """Where an event waits in the index."""
    return f"due#{int(digest(event_id)[:8], 16) % BUCKETS}"


def event_key(event_id: str) -> Item:
    """The ledger key of an event, waiting, dead or delivered."""
    return {"pk": {"S": f"outbox#{event_id}"}, "sk": {"S": "event"}}


def event_item(event: OutboxEvent, *, now: datetime) -> Item:
    """The ledger item of a new event."""
    values = {
        "due_bucket": due_bucket(event.id),
        "target": event.target,
        "type": event.type,
        "name": event.name,
        "body": event.body,
        "attempts": event.attempts,
        "created_at": instant_text(event.created_at or now),
        "last_error": event.last_error[:MAX_ERROR_CHARS],
    }
    return {**event_key(event.id), **to_item(values), "due_at": _due(event.due_at)}


def _due(at: datetime) -> dict[str, str]:
    """Epoch seconds to the microsecond, in digits: a float would not be equal to itself after the way to the table."""
    microseconds = (at - _EPOCH) // timedelta(microseconds=1)
    return {"N": f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06}".rstrip("0").rstrip(".")}


def _event(item: Item) -> OutboxEvent:
    values = from_item({key: value for key, value in item.items() if key != "due_at"})
    return OutboxEvent(
        id=values["pk"].removeprefix("outbox#"),
        type=values["type"],
        name=values["name"],
        target=values["target"],
        body=values["body"],
        due_at=_EPOCH + timedelta(microseconds=int(Decimal(item["due_at"]["N"]) * 1_000_000)),
        attempts=values["attempts"],
        created_at=instant(values["created_at"]),
        last_error=values["last_error"],
    )


class DynamoOutbox:
    """The outbox over DynamoDB; what is promised is said in `ports.Outbox`."""

    def __init__(self, client: Any, *, ledger_table: str, now: Now, dynamo: Callable[[Any], Dynamo] = Dynamo) -> None:
        self._dynamo = dynamo(client)
        self._table = ledger_table
        self._now = now

    def due(self, *, now: datetime, limit: int) -> list[OutboxEvent]:
        """The events due at `now`, oldest first, at most `limit`. The index lags a little: claim before sending."""
        buckets = [self._due_in(f"due#{number}", now, limit) for number in range(BUCKETS)]
        merged = heapq.merge(*buckets, key=lambda event: (event.due_at, event.id))
        return list(islice(merged, limit))

    def _due_in(self, bucket: str, now: datetime, limit: int) -> list[OutboxEvent]:
        items = self._dynamo.query(
            self._table,
            IndexName=_INDEX,
            KeyConditionExpression="#bucket = :bucket AND #due <= :now",
            ExpressionAttributeNames={"#bucket": "due_bucket", "#due": "due_at"},
            ExpressionAttributeValues={":bucket": {"S": bucket}, ":now": _due(now)},
            Limit=max(1, limit),
        )
        return [_event(item) for item in islice(items, limit)]

    def get_events(self, ids: Sequence[str]) -> list[OutboxEvent]:
        """Those of the events that still wait, neither delivered nor dead, in the order asked."""
        wanted = list(dict.fromkeys(ids))
        items = self._dynamo.get_all(self._table, [event_key(each) for each in wanted])
        found = {item["pk"]["S"]: item for item in items}
        waiting = (found.get(f"outbox#{each}", {}) for each in wanted)
        return [_event(item) for item in waiting if item.get("due_bucket", {}).get("S", DEAD) != DEAD]

    def claim(self, event: OutboxEvent, *, until: datetime) -> bool:
        """Take an event for one attempt: True for one deliverer only. If that one dies, it is due again at `until`."""
        claim_id = uuid.uuid4().hex
        try:
            self._update(
                event.id,
                "SET #due = :until, #claim = :claim",
                "#due = :was AND #bucket = :bucket",
                names={"#due": "due_at", "#bucket": "due_bucket", "#claim": "claim_id"},
                values={
                    ":until": _due(until),
                    ":was": _due(event.due_at),
                    ":bucket": {"S": due_bucket(event.id)},
                    ":claim": {"S": claim_id},
                },
            )
        except ConditionFailed as exc:
            # Our own claim, when only its reply was lost and the call was repeated.
            return exc.item.get("claim_id", {}).get("S") == claim_id
        return True

    def delivered(self, event: OutboxEvent, *, at: datetime, status: int) -> None:
        """The receiver has it. Holds against every `failed` of a slower deliverer; a second time changes nothing."""
        self._try_update(
            event.id,
            "SET #at = :at, #status = :status, #ttl = :ttl ADD #attempts :one REMOVE #due, #bucket, #claim",
            "attribute_exists(#pk) AND attribute_not_exists(#at)",
            names={
                "#pk": "pk",
                "#at": "delivered_at",
                "#status": "http_status",
                "#ttl": "ttl",
                "#attempts": "attempts",
                "#due": "due_at",
                "#bucket": "due_bucket",
                "#claim": "claim_id",
            },
            values={
                ":at": {"S": str(instant_text(at))},
                ":status": {"N": str(status)},
                ":ttl": {"N": str(int((at + timedelta(days=RECORD_DAYS)).timestamp()))},
                ":one": {"N": "1"},
            },
        )

    def failed(self, event: OutboxEvent, *, next_at: datetime | None, error: str) -> None:
        """Count the attempt `event` was taken for, once: nothing happens if it was counted or delivered meanwhile."""
        bucket = due_bucket(event.id)
        self._try_update(
            event.id,
            "SET #due = :next, #bucket = :to, #attempts = :attempts, #error = :error REMOVE #claim",
            "#bucket = :bucket AND #attempts = :before",
            names={
                "#due": "due_at",
                "#bucket": "due_bucket",
                "#attempts": "attempts",
                "#error": "last_error",
                "#claim": "claim_id",
            },
            values={
                ":next": _due(next_at or self._now()),
                ":to": {"S": bucket if next_at else DEAD},
                ":attempts": {"N": str(event.attempts + 1)},
                ":error": {"S": str(plain(error))[:MAX_ERROR_CHARS]},
                ":bucket": {"S": bucket},
                ":before": {"N": str(event.attempts)},
            },
        )

    def dead(self, *, limit: int) -> list[OutboxEvent]:
        """The events given up, latest first; their `due_at` is when."""
        return [_event(item) for item in islice(self._bucket(DEAD, limit, latest_first=True), limit)]

    def redrive(self, event_id: str, *, now: datetime) -> bool:
        """Make a dead event due at `now`, with all its attempts before it. False when there is no such dead event."""
        return self._try_update(
            event_id,
            "SET #due = :now, #bucket = :bucket, #attempts = :none",
            "#bucket = :dead",
            names={"#due": "due_at", "#bucket": "due_bucket", "#attempts": "attempts"},
            values={
                ":now": _due(now),
                ":bucket": {"S": due_bucket(event_id)},
                ":none": {"N": "0"},
                ":dead": {"S": DEAD},
            },
        )

    def pending_count(self) -> int:
        """How many events wait, due or not; dead ones do not count."""
        return sum(
            page["Count"]
            for number in range(BUCKETS)
            for page in self._dynamo.query_pages(self._table, Select="COUNT", **_whole(f"due#{number}"))
        )

    def page(
        self, *, state: str, after: Mapping[str, Any] | None, limit: int
    ) -> tuple[list[OutboxEvent], Mapping[str, Any] | None]:
        """One page of the events that are `pending` (bucket by bucket, oldest first in each) or `dead` (latest first),
        and the position after it (None: the end). Raises `BadMessage` for another state or a malformed position.
        """
        if state not in {"pending", "dead"}:
            raise BadMessage(f"events are listed as pending or dead, not {state!r}")
        buckets = [DEAD] if state == "dead" else [f"due#{number}" for number in range(BUCKETS)]
        items = list(islice(self._walk(buckets, after, limit, latest_first=state == "dead"), limit + 1))
        shown = items[:limit]
        if len(items) <= limit or not shown:
            return [_event(item) for item in shown], None
        last = shown[-1]
        position = {"bucket": last["due_bucket"]["S"], "due_at": last["due_at"]["N"], "pk": last["pk"]["S"]}
        return [_event(item) for item in shown], position

    def _walk(
        self, buckets: list[str], after: Mapping[str, Any] | None, limit: int, *, latest_first: bool
    ) -> Iterator[Item]:
        start: Item | None = None
        if after is not None:
            try:
                buckets = buckets[buckets.index(after["bucket"]) :]
                start = {
                    "due_bucket": {"S": buckets[0]},
                    "due_at": {"N": str(after["due_at"])},
                    "pk": {"S": str(after["pk"])},
                    "sk": {"S": "event"},
                }
            except (KeyError, ValueError, TypeError) as exc:
                raise BadMessage("malformed position in the list of events") from exc
        for bucket in buckets:
            yield from self._bucket(bucket, limit + 1, latest_first=latest_first, start=start)
            start = None

    def _bucket(self, bucket: str, limit: int, *, latest_first: bool, start: Item | None = None) -> Iterator[Item]:
        request: dict[str, Any] = {"ScanIndexForward": not latest_first, "Limit": max(1, limit)}
        if start is not None:
            request["ExclusiveStartKey"] = start
        return self._dynamo.query(self._table, **_whole(bucket), **request)

    def _try_update(self, *args: Any, **kwargs: Any) -> bool:
        try:
            self._update(*args, **kwargs)
        except ConditionFailed:
            return False
        return True

    def _update(
        self, event_id: str, update: str, condition: str, *, names: Mapping[str, str], values: Mapping[str, Any]
    ) -> None:
        self._dynamo.call(
            "update_item",
            TableName=self._table,
            Key=event_key(event_id),
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )


def _whole(bucket: str) -> dict[str, Any]:
    return {
        "IndexName": _INDEX,
        "KeyConditionExpression": "#bucket = :bucket",
        "ExpressionAttributeNames": {"#bucket": "due_bucket"},
        "ExpressionAttributeValues": {":bucket": {"S": bucket}},
    }
