"""The watch list's intake and the schedule over the real store, ledger and queue, as the two functions run them."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

import fetch_domains
import schedule_checks
from domainwatch import wiring
from domainwatch.adapters.documents import DynamoDocuments
from domainwatch.adapters.queue import SqsQueue
from domainwatch.adapters.store import DynamoStore
from domainwatch.cadences import DEFAULTS_S, Scheduler
from domainwatch.ports import HttpReply
from domainwatch.settings import ListSettings, ScheduleSettings
from domainwatch.watchlist import Watchlist
from tests.contract.tables import create_tables

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SHARDS = 32


class Context:
    """What Lambda hands to a handler, as far as ours look."""

    aws_request_id = "1"

    def get_remaining_time_in_millis(self) -> int:
        return 250_000


class Zones:
    """Every top-level domain exists."""

    def exists(self, tld: str) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


class World:
    """The two functions' parts on an account in memory; `calls` counts DynamoDB's operations."""

    def __init__(self) -> None:
        self.at = START
        self.body: object = {"domains": []}
        dynamodb = boto3.client("dynamodb", region_name="eu-central-1")
        names_table, ledger_table = create_tables(dynamodb)
        self.calls: dict[str, int] = {}
        dynamodb.meta.events.register("before-call.dynamodb", self._called)
        self.sqs = boto3.client("sqs", region_name="eu-central-1")
        self.url = self.sqs.create_queue(QueueName="checks")["QueueUrl"]
        schedule = ScheduleSettings(cadences=DEFAULTS_S, batch_size=1000)
        documents = DynamoDocuments(dynamodb, ledger_table=ledger_table, now=self.now)
        self.store = DynamoStore(
            dynamodb, names_table=names_table, ledger_table=ledger_table, shards=SHARDS, now=self.now
        )
        queue = SqsQueue(self.sqs, self.url)
        self.watchlist = Watchlist(
            settings=ListSettings(url="http://list.example/", refresh_interval_s=300),
            schedule=schedule,
            http=self,  # type: ignore[arg-type]
            store=self.store,
            documents=documents,
            queue=queue,
            zones=Zones(),
            shards=SHARDS,
            token=lambda: "",
            now=self.now,
        )
        self.scheduler = Scheduler(
            settings=schedule, store=self.store, documents=documents, queue=queue, shards=SHARDS, now=self.now
        )

    def now(self) -> datetime:
        return self.at

    def fetch(self, url: str, **_: Any) -> HttpReply:
        return HttpReply(status=200, headers={}, body=json.dumps(self.body).encode(), url=url)

    def _called(self, model: Any, **_: Any) -> None:
        self.calls[model.name] = self.calls.get(model.name, 0) + 1

    def run(self, function: Any, event: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.clear()
        reply: dict[str, Any] = function.handler(dict(event), Context())
        return reply

    def queued(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
            found += [json.loads(message["Body"]) for message in messages]
        return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    with mock_aws():
        built = World()
        monkeypatch.setattr(wiring, "watchlist", lambda: built.watchlist)
        monkeypatch.setattr(wiring, "scheduler", lambda: built.scheduler)
        yield built


def event(function: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((Path("events") / f"{function}.json").read_text())
    return loaded


def test_names_enter_are_queued_and_later_due(world: World) -> None:
    world.body = {"domains": [*(f"name{index}.com" for index in range(40)), {"domain": "hot.org", "priority": True}, 7]}
    reply = world.run(fetch_domains, event("fetch_domains"))
    assert (reply["outcome"], reply["added"], reply["refused"]) == ("done", 41, 1)
    assert sum(len(message["names"]) for message in world.queued()) == 41
    assert world.store.counts()["status"] == {"unknown": 41}

    assert "skipped" in world.run(fetch_domains, {"scheduled": True})
    assert world.run(fetch_domains, {})["outcome"] == "unchanged"
    assert world.calls == {"GetItem": 1, "PutItem": 2}

    world.run(schedule_checks, event("schedule_checks"))
    assert [message["names"] for message in world.queued()] == [["hot.org"]]
    due: list[str] = []
    for _ in range(60):
        world.at += timedelta(minutes=1)
        world.run(schedule_checks, {})
        due += [name for message in world.queued() for name in message["names"] if not message.get("facts")]
    assert sorted(set(due)) == sorted([*(f"name{index}.com" for index in range(40)), "hot.org"])
    assert due.count("hot.org") == 12


def test_a_tick_with_nothing_due_is_a_handful_of_calls(world: World) -> None:
    world.body = {"domains": ["a.com", "b.com"]}
    world.run(fetch_domains, {})
    world.run(schedule_checks, {})
    world.at += timedelta(seconds=1)
    world.run(schedule_checks, {})
    assert sum(world.calls.values()) <= 4


def test_an_empty_store_is_a_handful_of_calls_too(world: World) -> None:
    world.run(schedule_checks, {})
    world.at += timedelta(minutes=1)
    world.run(schedule_checks, {})
    assert sum(world.calls.values()) <= 12


def test_a_mass_removal_waits_and_is_confirmed(world: World) -> None:
    world.body = {"domains": [f"name{index}.com" for index in range(40)]}
    world.run(fetch_domains, {})
    world.body = {"domains": [{"domain": "name0.com", "priority": True}, "new.org"]}
    assert world.run(fetch_domains, {})["outcome"] == "held"
    assert world.store.counts()["priority"] == {"high": 1}
    assert world.run(fetch_domains, {})["removed"] == 39
    assert world.store.counts()["status"] == {"unknown": 2}
