"""Which rung each name climbed to, read from the executions' own histories."""

import json
from dataclasses import dataclass, field
from typing import Any

RUNGS = {"CheckFast": "fast", "CheckRdap": "rdap", "CheckWhois": "whois"}
NEXT = {"fast": "rdap", "rdap": "whois"}


@dataclass(slots=True, kw_only=True)
class Ladder:
    """`rungs` holds the last rung seen of each name."""

    workflows: Any
    state_machine_arn: str
    rungs: dict[str, str] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    running: int = 0

    def look(self, *, follow: bool = True) -> None:
        """Read what is new. Histories carry whole batches: of a large world only the running are counted."""
        executions = self.workflows.list_executions(stateMachineArn=self.state_machine_arn, maxResults=100)[
            "executions"
        ]
        self.running = sum(execution["status"] == "RUNNING" for execution in executions)
        for execution in reversed(executions) if follow else ():
            arn = execution["executionArn"]
            if arn in self.finished:
                continue
            self._read(arn)
            if execution["status"] != "RUNNING":
                self.finished.add(arn)

    def _read(self, arn: str) -> None:
        events = self.workflows.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        names: list[str] = []
        rung = ""
        for event in events:
            if event["type"] == "ExecutionStarted":
                names = json.loads(event["executionStartedEventDetails"]["input"]).get("names", [])
            elif event["type"] == "TaskStateEntered":
                rung = RUNGS.get(event["stateEnteredEventDetails"]["name"], "")
                if rung:
                    self.rungs.update(dict.fromkeys(names, rung))
            elif event["type"] == "TaskSucceeded" and rung:
                payload = json.loads(event["taskSucceededEventDetails"]["output"]).get("Payload") or {}
                names = payload.get("open") or []
