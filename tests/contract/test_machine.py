"""Step Functions as its client answers, good and bad (botocore's own stubber; no emulator runs Express here)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.stub import Stubber

from domainwatch.adapters.machine import StateMachine, console_link
from domainwatch.errors import BadMessage, BadSettings, DeadlinePassed, DomainwatchError, Malformed, TryLater

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:look"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:express:look:look-1:0f"
AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def client() -> Any:
    return boto3.client("stepfunctions", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")


@pytest.fixture
def stub(client: Any) -> Iterator[Stubber]:
    with Stubber(client) as stub:
        yield stub


@pytest.fixture
def machine(client: Any) -> StateMachine:
    return StateMachine(client, MACHINE)


def _sync(status: str, **more: Any) -> dict[str, Any]:
    return {"executionArn": EXECUTION, "startDate": AT, "stopDate": AT, "status": status, **more}


def test_a_look_gives_its_output_and_where_to_see_it(machine: StateMachine, stub: Stubber) -> None:
    stub.add_response(
        "start_sync_execution",
        _sync("SUCCEEDED", output='{"results":[]}'),
        {"stateMachineArn": MACHINE, "name": "look-1", "input": '{"names":["bücher.de"]}'},
    )
    execution = machine.look("look-1", {"names": ["bücher.de"]})
    assert (execution.arn, execution.output) == (EXECUTION, {"results": []})
    assert execution.link == console_link(EXECUTION)
    assert "region=eu-west-1#/express-executions/details/arn:aws:states" in execution.link


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (_sync("TIMED_OUT"), DeadlinePassed),
        (_sync("FAILED", error="States.TaskFailed", cause="…"), Malformed),
        (_sync("SUCCEEDED"), Malformed),
        (_sync("SUCCEEDED", output="{"), Malformed),
        (_sync("SUCCEEDED", output="[]"), Malformed),
    ],
)
def test_an_execution_that_failed_says_so(
    machine: StateMachine, stub: Stubber, reply: dict[str, Any], error: type[DomainwatchError]
) -> None:
    stub.add_response("start_sync_execution", reply)
    with pytest.raises(error):
        machine.look("look-1", {})


@pytest.mark.parametrize("operation", ["start_sync_execution", "start_execution"])
@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (("ThrottlingException", 400), TryLater),
        (("ExecutionLimitExceeded", 400), TryLater),
        (("InternalFailure", 500), TryLater),
        (("InvalidExecutionInput", 400), BadMessage),
        (("AccessDeniedException", 400), BadSettings),
        (("StateMachineDoesNotExist", 400), BadSettings),
    ],
)
def test_refusals_become_ours(
    machine: StateMachine, stub: Stubber, operation: str, refusal: tuple[str, int], error: type[DomainwatchError]
) -> None:
    code, status = refusal
    for _ in range(10):  # the client repeats some of them by itself
        stub.add_client_error(operation, code, http_status_code=status)
    with pytest.raises(error):
        (machine.look if operation == "start_sync_execution" else machine.start)("n", {})


def test_starting_twice_is_one_execution(machine: StateMachine, stub: Stubber) -> None:
    stub.add_response(
        "start_execution",
        {"executionArn": EXECUTION, "startDate": AT},
        {"stateMachineArn": MACHINE, "name": "due-1", "input": json.dumps({"a": 1}, separators=(",", ":"))},
    )
    stub.add_client_error("start_execution", "ExecutionAlreadyExists")
    assert machine.start("due-1", {"a": 1}) is True
    assert machine.start("due-1", {"a": 1}) is False


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (ReadTimeoutError(endpoint_url="https://states"), DeadlinePassed),
        (EndpointConnectionError(endpoint_url="https://states"), TryLater),
    ],
)
def test_a_network_that_fails_is_told_apart(failure: Exception, error: type[DomainwatchError]) -> None:
    class Broken:
        def start_sync_execution(self, **request: Any) -> None:
            raise failure

    with pytest.raises(error):
        StateMachine(Broken(), MACHINE).look("look-1", {})


def test_an_arn_of_no_region_has_no_link() -> None:
    assert console_link("nonsense") == ""
