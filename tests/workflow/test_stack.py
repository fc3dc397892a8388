"""The deployed stack, as someone sees it who has only its outputs."""

import base64

from sandbox.world import World
from tests.workflow.pipeline import Pipeline
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


def test_every_name_of_the_list_ended_as_the_world_says(pipeline: Pipeline, world: World) -> None:
    expected = {name.name: name.expect for name in world.scenario.names if name.expect}
    assert pipeline.statuses(expected) == {name: expect.statuses[0] for name, expect in expected.items()}
    for name, expect in expected.items():
        assert len(pipeline.announcements(name)) == expect.announced


def test_the_list_api_was_asked_with_its_token_and_told_in_status(stack: Stack, world: World) -> None:
    told = stack.call("GET", "/status").body["list"]
    assert told["accepted"] == len(world.scenario.names)
    assert told["refused"] == 0
    assert told["fetched_at"]
