"""A batch's way through the real doorways: real adapters over real sockets to the sandbox, an account in memory.

Step Functions is played by a few lines here; the real state machine runs in tests/workflow.
"""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

import check_fast
import check_rdap
import check_whois
import notify
import refresh_registries
import settle
import start_batch
from domainwatch import wiring
from domainwatch.names import Name
from sandbox import World as Sandbox
from sandbox import serve
from tests.contract.tables import create_tables

EVENTS = Path(__file__).parents[2] / "events"
CONTEXT = SimpleNamespace(aws_request_id="r1", get_remaining_time_in_millis=lambda: 60_000)
RUNGS = {"fast": check_fast, "rdap": check_rdap, "whois": check_whois}


class World:
    """The account, the sandbox, and what stands for the state machine."""

    def __init__(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sandbox = sandbox
        self.sqs = boto3.client("sqs")
        self.dynamodb = boto3.client("dynamodb")
        self.queue, self.dead = (self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("checks", "dead"))
        names_table, ledger_table = create_tables(self.dynamodb)
        secret = boto3.client("secretsmanager").create_secret(Name="webhook", SecretString=sandbox.webhook_secret)
        token = boto3.client("secretsmanager").create_secret(Name="token", SecretString=sandbox.auth_token)
        urls = sandbox.urls
        for key, value in {
            "NAMES_TABLE": names_table,
            "LEDGER_TABLE": ledger_table,
            "CHECK_QUEUE_URL": self.queue,
            "CHECK_DEAD_LETTER_QUEUE_URL": self.dead,
            "STATE_MACHINE_ARN": self._machine(),
            "WEBHOOK_SECRET_ARN": secret["ARN"],
            "API_SECRET_ARN": token["ARN"],
            "DOMAIN_API_URL": "",
            "DOMAIN_API_REFRESH_INTERVAL": "300",
            "API_CALLBACK_URL": urls["callback_url"],
            "API_AVAILABLE_CALLBACK_URL": urls["available_callback_url"],
            "CALLBACK_MODE": "changes",
            "AVAILABILITY_THRESHOLD": "0.75",
            "EVENT_TYPES": "",
            "RESOLVER_ADDRESSES": urls["resolver"],
            "ZONES_URL": urls["zones_url"],
            "RDAP_BOOTSTRAP_URL": urls["bootstrap_url"],
            "WHOIS_ROOT_SERVER": urls["whois_root"],
            "ALLOWED_PRIVATE_NETWORKS": urls["allowed_private_networks"],
            "CONTACT_ADDRESS": "ops@example.com",
            "CADENCE_SECONDS": "hot=60",
            "CONFIRMATION_DELAY_S": "90",
            "SUSPICIOUS_CONFIRMATION_DELAY_S": "900",
            "SHARDS": "8",
            "BATCH_SIZE": "1000",
        }.items():
            monkeypatch.setenv(key, value)

    @staticmethod
    def _machine() -> str:
        role = "arn:aws:iam::123456789012:role/ladder"
        definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
        made = boto3.client("stepfunctions").create_state_machine(name="ladder", definition=definition, roleArn=role)
        return str(made["stateMachineArn"])

    def queue_names(self, *names: str) -> None:
        message = {"version": 1, "run_id": "r1", "reason": "manual", "rung": "fast", "names": list(names)}
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=json.dumps(message))

    def start(self, body: str | None = None) -> dict[str, Any]:
        """StartBatch over what is on the queue, or over one body; its reply."""
        if body is None:
            body = self.sqs.receive_message(QueueUrl=self.queue)["Messages"][0]["Body"]
        return start_batch.handler({"Records": [{"messageId": "m1", "body": body}]}, CONTEXT)

    def inputs(self) -> list[dict[str, Any]]:
        """The inputs of all executions started so far."""
        machine = boto3.client("stepfunctions")
        arn = machine.list_state_machines()["stateMachines"][0]["stateMachineArn"]
        found = machine.list_executions(stateMachineArn=arn)["executions"]
        return [json.loads(machine.describe_execution(executionArn=each["executionArn"])["input"]) for each in found]

    def climb(self, given: dict[str, Any], *, broken: tuple[str, ...] = ()) -> dict[str, Any]:
        """What the state machine does with one execution's input; a broken rung hands over to the next."""
        facts = {"open": given["names"], "findings": given["findings"], "deferred": [], "failed": []}
        for rung in ("fast", "rdap", "whois")[("fast", "rdap", "whois").index(given["rung"]) :]:
            if not facts["open"]:
                break
            if rung in broken:
                facts["failed"].append(rung)
                continue
            request = {"batch": given["batch"], "open": facts["open"], "findings": facts["findings"]}
            reply = json.loads(json.dumps(RUNGS[rung].handler(request, CONTEXT)))
            facts |= {"open": reply["open"], "findings": reply["findings"]}
            facts["deferred"] += reply["deferred"]
        settled = {key: given[key] for key in ("batch", "known", "names")} | facts
        return json.loads(json.dumps(settle.handler({k: v for k, v in settled.items() if k != "open"}, CONTEXT)))

    def statuses(self) -> dict[str, str]:
        shards = [wiring.store().shard_items(shard) for shard in range(8)]
        return {item.name.text: item.attributes["status"] for shard in shards for item in shard}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for factory in vars(wiring).values():
        if isinstance(factory, functools._lru_cache_wrapper):
            factory.cache_clear()
    with mock_aws(), serve("drop", start=True) as sandbox:
        yield World(sandbox, monkeypatch)
        wiring.http().close()


def test_a_batch_climbs_settles_and_is_told(world: World) -> None:
    assert refresh_registries.handler({}, CONTEXT) == {"zones": "fresh", "bootstrap": "fresh"}
    world.queue_names("northwind.com", "xn--strae-oqa.de", "onlylooksfree.com", "keepout.dev", "lookout.io", "atoll.ws")
    assert world.start() == {"batchItemFailures": []}
    [given] = world.inputs()
    reply = world.climb(given)
    assert world.statuses() == {
        "northwind.com": "registered",
        "xn--strae-oqa.de": "likely_available",  # one witness: a second look is due
        "onlylooksfree.com": "registered",
        "keepout.dev": "reserved",
        "lookout.io": "unknown",
        "atoll.ws": "available",
    }
    assert notify.handler({"events": reply["events"]}, CONTEXT)["delivered"] == len(reply["events"])
    announced = [each for each in world.sandbox.deliveries() if each["kind"] == "available"]
    assert [each["body"]["domain"] for each in announced] == ["atoll.ws"]


def test_every_rung_broken_still_settles_with_the_reason(world: World) -> None:
    world.queue_names("northwind.com")
    world.start()
    [given] = world.inputs()
    world.climb(given, broken=("fast", "rdap", "whois"))
    item = wiring.store().get(Name.parse("northwind.com"))
    assert item is not None
    assert (item.attributes["status"], item.attributes["reason"]) == ("unknown", "failed_whois")


def test_without_rdap_the_next_rung_decides(world: World) -> None:
    world.queue_names("onlylooksfree.com")
    world.start()
    [given] = world.inputs()
    world.climb(given, broken=("rdap",))
    assert world.statuses() == {"onlylooksfree.com": "registered"}


def test_garbage_is_buried_with_its_reason(world: World) -> None:
    assert world.start("{garbage") == {"batchItemFailures": []}
    [message] = world.sqs.receive_message(QueueUrl=world.dead, MessageAttributeNames=["All"])["Messages"]
    assert message["Body"] == "{garbage"
    assert "JSON" in message["MessageAttributes"]["reason"]["StringValue"]


@pytest.mark.parametrize(
    ("sample", "doorway"),
    [("check_fast", check_fast), ("check_rdap", check_rdap), ("check_whois", check_whois), ("settle", settle)],
)
def test_the_sample_event_is_understood(world: World, sample: str, doorway: Any) -> None:
    reply = doorway.handler(json.loads((EVENTS / f"{sample}.json").read_text()), CONTEXT)
    assert "deferred" in reply


def test_the_sample_message_starts_an_execution(world: World) -> None:
    event = json.loads((EVENTS / "start_batch.json").read_text())
    assert start_batch.handler(event, CONTEXT) == {"batchItemFailures": []}
    assert [given["names"] for given in world.inputs()] == [["example.com"]]
