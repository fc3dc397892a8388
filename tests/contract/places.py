"""Where a store and its outbox may live: in memory, or in DynamoDB's tables in an account in memory."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

from domainwatch.adapters.dynamo import Dynamo
from domainwatch.adapters.outbox import DynamoOutbox
from domainwatch.adapters.store import DynamoStore
from domainwatch.names import Name
from domainwatch.ports import Change, Now, Outbox, OutboxEvent, Store, Watched
from tests.contract.tables import create_tables
from tests.fakes_store import MemoryOutbox, MemoryStore

START = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
SHARDS = 4
_numbers = itertools.count()


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass(slots=True, kw_only=True)
class Place:
    """One store with its outbox. The client and the tables only exist where they are real."""

    store: Store
    outbox: Outbox
    clock: Clock
    client: Any = None
    names_table: str = ""
    ledger_table: str = ""
    pauses: list[float] = field(default_factory=list)

    def ledger(self, pk: str, sk: str) -> dict[str, Any] | None:
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        item: dict[str, Any] | None = self.client.get_item(TableName=self.ledger_table, Key=key).get("Item")
        return item


def memory() -> Place:
    clock = Clock()
    store = MemoryStore(now=clock, shards=SHARDS)
    return Place(store=store, outbox=MemoryOutbox(store, now=clock), clock=clock)


def client() -> Any:
    """A client that leaves all repeating to us, so that a fault is met once and not hidden."""
    return boto3.client("dynamodb", region_name="eu-central-1", config=Config(retries={"total_max_attempts": 1}))


def dynamo(shared_client: Any) -> Place:
    clock = Clock()
    names_table, ledger_table = create_tables(shared_client, f"-{next(_numbers)}")
    pauses: list[float] = []

    def patient(a_client: Any) -> Dynamo:
        return Dynamo(a_client, sleep=pauses.append, chance=lambda: 1.0)

    now: Now = clock
    return Place(
        store=DynamoStore(
            shared_client, names_table=names_table, ledger_table=ledger_table, shards=SHARDS, now=now, dynamo=patient
        ),
        outbox=DynamoOutbox(shared_client, ledger_table=ledger_table, now=now, dynamo=patient),
        clock=clock,
        client=shared_client,
        names_table=names_table,
        ledger_table=ledger_table,
        pauses=pauses,
    )


# --- what goes wrong --------------------------------------------------------------------------------------------------


@contextmanager
def replies_lost(a_client: Any, operation: str, *, times: int = 1) -> Iterator[list[int]]:
    """The first `times` calls are done, and their replies never arrive."""
    lost: list[int] = []

    def lose(**_: Any) -> None:
        if len(lost) < times:
            lost.append(1)
            raise ConnectionClosedError(endpoint_url="https://dynamodb.test")

    with handler(a_client, f"after-call.dynamodb.{operation}", lose):
        yield lost


@contextmanager
def answers(
    a_client: Any, operation: str, code: str, *, status: int = 400, times: int = 1, more: dict[str, Any] | None = None
) -> Iterator[list[Any]]:
    """The first `times` calls are refused with this error and not done; gives the requests refused."""
    refused: list[Any] = []

    def refuse(params: Any, **_: Any) -> Any:
        if len(refused) >= times:
            return None
        refused.append(params)
        raw = type("Raw", (), {"status_code": status, "headers": {}})()
        return raw, {
            "Error": {"Code": code, "Message": "told to"},
            "ResponseMetadata": {"HTTPStatusCode": status},
            **(more or {}),
        }

    with handler(a_client, f"before-call.dynamodb.{operation}", refuse):
        yield refused


@contextmanager
def before_each(a_client: Any, operation: str, act: Callable[[], object], *, times: int = 1) -> Iterator[None]:
    """Somebody else acts just before the first `times` calls."""
    acted: list[int] = []

    def step_in(**_: Any) -> None:
        if len(acted) < times:
            acted.append(1)
            act()

    with handler(a_client, f"before-call.dynamodb.{operation}", step_in):
        yield


@contextmanager
def requests(a_client: Any, operation: str) -> Iterator[list[Any]]:
    """The parameters of each call of an operation."""
    seen: list[Any] = []

    def see(params: Any, **_: Any) -> None:
        seen.append(params)

    with handler(a_client, f"provide-client-params.dynamodb.{operation}", see):
        yield seen


@contextmanager
def handler(a_client: Any, event: str, handler: Callable[..., Any]) -> Iterator[None]:
    a_client.meta.events.register_first(event, handler)
    try:
        yield
    finally:
        a_client.meta.events.unregister(event, handler)


# --- what is stored ---------------------------------------------------------------------------------------------------


def name(text: str) -> Name:
    return Name.parse(text)


def names(count: int, *, suffix: str = "com") -> list[Name]:
    return [Name.parse(f"name{number:04}.{suffix}") for number in range(count)]


def watched(text: str | Name, **attributes: Any) -> Watched:
    known = {"status": "unknown", "source": "list", "cadence": "normal", "priority": False, "added_at": "2026-03-01"}
    return Watched(name=text if isinstance(text, Name) else name(text), attributes={**known, **attributes})


def added(place: Place, text: str | Name, **attributes: Any) -> Watched:
    item = watched(text, **attributes)
    place.store.add([item])
    return stored(place, item.name)


def stored(place: Place, of: Name) -> Watched:
    item = place.store.get(of)
    assert item is not None
    return item


def changed(before: Watched, *events: OutboxEvent, **attributes: Any) -> Change:
    after = Watched(name=before.name, attributes={**before.attributes, **attributes}, version=before.version)
    return Change(before=before, after=after, events=events)


def event(event_id: str, *, due_at: datetime = START, of: str = "name0000.com") -> OutboxEvent:
    return OutboxEvent(
        id=event_id, type="domain.available", name=of, target="available", body='{"domain":"…"}', due_at=due_at
    )
