"""What the workflow tests do to a deployed stack and how they wait, all of it by its outputs and resources."""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

from sandbox.receiver import Delivery
from sandbox.world import World
from tools.local.stack import NotNow, Stack

T = TypeVar("T")
PATIENCE_S = 45.0
POLL_S = 0.2


def until(question: Callable[[], T], what: str, *, patience_s: float = PATIENCE_S) -> T:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + patience_s
    while True:
        answer: T | None = None
        with suppress(NotNow):
            answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(POLL_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A deployed stack in its small internet."""

    stack: Stack
    world: World
    runs: dict[str, str] = field(default_factory=dict)

    # --- names and messages -------------------------------------------------------------------------------------------

    def put_names(self, states: Mapping[str, str]) -> None:
        """Let these names exist in the world, each in its state; the domain list does not have them."""
        for name, state in states.items():
            self.world.put_name(name, state, listed=False)

    def send(self, *bodies: str) -> None:
        """Put messages on the queue, in one call."""
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        reply = self.stack.client("sqs").send_message_batch(
            QueueUrl=self.stack.outputs["CheckQueueUrl"], Entries=entries
        )
        assert not reply.get("Failed")

    def check(self, names: Collection[str]) -> str:
        """Queue a check of these names by hand; returns the run's id."""
        body = message(names)
        self.send(body)
        return str(json.loads(body)["run_id"])

    # --- executions ---------------------------------------------------------------------------------------------------

    def executions(self, run_id: str) -> list[dict[str, Any]]:
        """The executions that this run's messages started, as Step Functions describes them, with `output` parsed.

        Its second looks and what it deferred carry the same id, and are left out.
        """
        client = self.stack.client("stepfunctions")
        listed = client.list_executions(stateMachineArn=self.stack.outputs["StateMachineArn"], maxResults=1000)
        found = []
        for arn in (each["executionArn"] for each in listed["executions"] if each["name"].startswith("manual-")):
            if self.runs.get(arn, run_id) != run_id:
                continue
            execution = client.describe_execution(executionArn=arn)
            self.runs[arn] = json.loads(execution["input"])["batch"]["run_id"]
            if self.runs[arn] == run_id:
                found.append(execution | {"output": json.loads(execution.get("output") or "null")})
        return found

    def ended(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of the run's one execution."""

        def execution() -> dict[str, Any] | None:
            return next((one for one in self.executions(run_id) if one["status"] != "RUNNING"), None)

        return until(execution, f"the end of {run_id}") or {}

    def states(self, execution: Mapping[str, Any]) -> list[str]:
        """The states that an execution entered, in order."""
        history = self.stack.client("stepfunctions").get_execution_history(
            executionArn=execution["executionArn"], maxResults=1000
        )
        details = (event.get("stateEnteredEventDetails") for event in history["events"])
        return [each["name"] for each in details if each]

    # --- what came of it ----------------------------------------------------------------------------------------------

    def domain(self, name: str) -> dict[str, Any] | None:
        """What the HTTP API says of a watched name."""
        reply = self.stack.call("GET", f"/v1/domains/{name}")
        return reply.body if reply.status == 200 else None

    def statuses(self, names: Collection[str]) -> dict[str, str | None]:
        found = {name: self.domain(name) for name in names}
        return {name: body["status"] if body else None for name, body in found.items()}

    def await_statuses(self, expected: Mapping[str, str]) -> None:
        """Wait until each name has the status expected of it."""
        found: dict[str, Any] = {}

        def all_right() -> bool:
            found.update((domain["domain"], domain) for domain in self.stack.domains() if domain["domain"] in expected)
            return {name: domain["status"] for name, domain in found.items()} == expected

        try:
            until(all_right, "every verdict")
        except AssertionError:
            wrong = {name: found.get(name) for name in expected if found.get(name, {}).get("status") != expected[name]}
            raise AssertionError(f"of {dict(expected)} these are otherwise: {wrong}") from None

    def await_quiet(self) -> None:
        """Wait until no message waits, no execution runs and no event is due: nothing more will come."""
        left: list[Any] = []

        def quiet() -> bool:
            left[:] = self.under_way()
            return not left

        try:
            until(quiet, "quiet")
        except AssertionError:
            raise AssertionError(f"still under way: {left}") from None

    def under_way(self) -> list[Any]:
        """The messages (as counts), executions and events that are not done."""
        queue = self.stack.client("sqs").get_queue_attributes(
            QueueUrl=self.stack.outputs["CheckQueueUrl"], AttributeNames=["All"]
        )["Attributes"]
        waiting = {key: number for key, number in queue.items() if key.startswith("ApproximateN") and number != "0"}
        running = self.stack.client("stepfunctions").list_executions(
            stateMachineArn=self.stack.outputs["StateMachineArn"], statusFilter="RUNNING"
        )["executions"]
        return [*waiting.items(), *(execution["name"] for execution in running), *self.waiting_events()]

    def announcements(self, name: str) -> list[Delivery]:
        """Every arrival of the news that the name is available, also those the receiver turned away."""
        return [one for one in list(self.world.receiver.deliveries) if (one.kind, one.domain) == ("available", name)]

    def waiting_events(self) -> list[dict[str, Any]]:
        """The events of the outbox that are not delivered yet."""
        reply = self.stack.call("GET", "/v1/events?state=pending&limit=1000")
        assert reply.status == 200, reply.body
        return list(reply.body["events"])

    def notify(self) -> dict[str, Any]:
        """Deliver what is due, as the schedule does."""
        return dict(self.stack.invoke("NotifyFunction"))

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    @contextmanager
    def broken(self, *functions: str) -> Iterator[None]:
        """Meanwhile each call of these functions fails: their handler is one that cannot read an event."""
        client = self.stack.client("lambda")
        handlers = {}
        try:
            for function in functions:
                name = self.stack.resources[function]
                handlers[name] = client.get_function_configuration(FunctionName=name)["Handler"]
                client.update_function_configuration(FunctionName=name, Handler="json.loads")
            yield
        finally:
            for name, handler in handlers.items():
                client.update_function_configuration(FunctionName=name, Handler=handler)


def message(names: Collection[str]) -> str:
    """A queue message as someone outside writes it: a check by hand of these names (A-labels)."""
    return json.dumps({"version": 1, "run_id": uuid4().hex, "reason": "manual", "rung": "fast", "names": sorted(names)})
