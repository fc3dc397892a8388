"""The deployed stack, as someone sees it who has only its outputs."""

import base64
from collections.abc import Callable
from typing import Any

from sandbox.world import World
from tools.local.stack import Stack


def test_outputs_name_what_is_there(stack: Stack) -> None:
    ddb = stack.client("dynamodb")
    for table in ("NamesTable", "LedgerTable"):
        assert ddb.describe_table(TableName=stack.outputs[table])["Table"]["TableStatus"] == "ACTIVE"
    machine = stack.client("stepfunctions").describe_state_machine(stateMachineArn=stack.outputs["StateMachineArn"])
    assert machine["type"] == "STANDARD"
    assert stack.client("sqs").get_queue_attributes(QueueUrl=stack.outputs["CheckQueueUrl"], AttributeNames=["All"])


def test_the_webhook_secret_is_the_given_one(stack: Stack, world: World) -> None:
    value = stack.client("secretsmanager").get_secret_value(SecretId=stack.outputs["WebhookSecretArn"])["SecretString"]
    assert value == world.webhook_secret
    assert len(base64.b64decode(value.removeprefix("whsec_"))) >= 24


def test_the_admin_token_works_and_is_nowhere_in_the_tables(stack: Stack) -> None:
    assert stack.token.startswith("dw_")
    assert stack.call("GET", "/status").status == 200
    assert stack.call("GET", "/status", token="").status == 401
    assert stack.call("GET", "/status", token=stack.token[:-1] + "x").status == 401
    items = stack.client("dynamodb").scan(TableName=stack.outputs["LedgerTable"])["Items"]
    assert stack.token not in str(items)


def test_health_needs_no_token(stack: Stack) -> None:
    assert stack.call("GET", "/health", token="").status in {200, 503}


def test_every_name_of_the_list_ends_as_the_world_says(
    stack: Stack, world: World, eventually: Callable[[Callable[[], Any]], Any]
) -> None:
    expected = {name["name"]: set(name["expect"]["statuses"]) for name in world.state()["names"]}

    def all_right() -> bool:
        found = {domain["domain"]: domain["status"] for domain in stack.domains()}
        return all(found.get(name) in statuses for name, statuses in expected.items())

    assert eventually(all_right)


def test_what_is_free_was_announced_once_and_signed(
    stack: Stack, world: World, eventually: Callable[[Callable[[], Any]], Any]
) -> None:
    assert eventually(lambda: {one.domain for one in world.receiver.deliveries if one.kind == "available"})
    available = [one for one in world.receiver.deliveries if one.kind == "available" and one.accepted]
    assert {one.domain for one in available} <= {"free.com", "open.dev"}
    assert len({one.webhook_id for one in available}) == len({one.domain for one in available})
    assert all(one.signature == "ok" for one in world.receiver.deliveries)
