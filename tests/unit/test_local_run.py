"""What the local run reads, concludes and prints; no process is started here."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tools.environments import Problem
from tools.local.emulator import Emulator
from tools.local.ladder import Ladder
from tools.local.options import Options
from tools.local.view import Row, Told, View, names_table
from tools.local.world import shortcomings

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_options_default_to_the_drop_scenario() -> None:
    options = Options.from_env({})
    assert options == Options(scenario="drop", answers=(), names="", live=False, keep=False, port=0, contact="")


def test_answers_alone_mean_the_recorded_scenario(tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.touch()
    options = Options.from_env({"ANSWERS": str(answers), "KEEP": "1", "NETWORK": "live", "PORT": "4566"})
    assert (options.scenario, options.answers) == ("recorded", (answers,))
    assert options.keep
    assert options.live
    assert options.port == 4566


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"NETWORK": "wild"}, "NETWORK=wild is not known"),
        ({"ANSWERS": "nowhere.jsonl"}, "nowhere.jsonl: there is no such file"),
        ({"PORT": "http"}, "PORT=http is no port"),
        ({"PORT": "70000"}, "PORT=70000 is no port"),
    ],
)
def test_what_cannot_be_meant_gets_a_sentence(env: dict[str, str], sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        Options.from_env(env)


def test_commands_reach_the_emulator_with_nobodys_credentials(tmp_path: Path) -> None:
    env = Emulator(port=4566, folder=tmp_path).environment(
        {"AWS_PROFILE": "mine", "AWS_ACCESS_KEY_ID": "real", "PYTHONPATH": "x", "PATH": "/bin"}
    )
    assert env["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert env["AWS_ACCESS_KEY_ID"] == "test"
    assert env["PATH"] == "/bin"
    assert not {"AWS_PROFILE", "PYTHONPATH"} & set(env)


JUDGED: dict[str, Any] = {"false_available": [], "wrong": [], "refused": []}
EXPECTED: dict[str, Any] = {"wrong": [], "names": [], "told_twice": [], "bad_signatures": [], "bad_shapes": []}
STATE: dict[str, Any] = {"services": []}


@pytest.mark.parametrize(
    ("judged", "expected", "state", "fault"),
    [
        ({"false_available": ["a.com"]}, {}, {}, "a.com was called available"),
        ({"wrong": [{"name": "a.com", "expected": ["reserved"], "status": "unknown"}]}, {}, {}, "not reserved"),
        ({"refused": ["a.com"]}, {}, {}, "a.com was refused"),
        ({}, {"wrong": [{"name": "a.com", "why": "announced before it was free"}]}, {}, "before it was free"),
        ({}, {"names": [{"name": "a.com", "ok": None, "why": "not announced yet"}]}, {}, "not announced yet"),
        ({}, {"told_twice": ["id-1"]}, {}, "id-1 was delivered twice"),
        ({}, {"bad_signatures": [3]}, {}, "delivery 3: its signature is wrong"),
        ({}, {"bad_shapes": [{"n": 4, "shape": "no domain"}]}, {}, "delivery 4: no domain"),
        ({}, {}, {"services": [{"name": "s", "violations": 2}]}, "s was asked faster than its limit, 2 times"),
    ],
)
def test_every_shortcoming_is_said(
    judged: dict[str, Any], expected: dict[str, Any], state: dict[str, Any], fault: str
) -> None:
    (said,) = shortcomings(JUDGED | judged, EXPECTED | expected, STATE | state, recorded=False)
    assert fault in said


def test_recorded_answers_may_be_read_wrongly_but_never_as_available() -> None:
    wrong = {"wrong": [{"name": "a.com", "expected": ["reserved"], "status": "unknown"}], "refused": ["b.com"]}
    assert not shortcomings(JUDGED | wrong, EXPECTED, STATE, recorded=True)
    false = wrong | {"false_available": ["a.com"]}
    assert shortcomings(JUDGED | false, EXPECTED, STATE, recorded=True) == ["a.com was called available"]


class Workflows:
    """One execution of which a.com leaves after the fast rung."""

    status = "RUNNING"

    def list_executions(self, **_: Any) -> dict[str, Any]:
        return {"executions": [{"executionArn": "arn", "status": self.status}]}

    def get_execution_history(self, **_: Any) -> dict[str, Any]:
        def reply(names: list[str]) -> str:
            return json.dumps({"Payload": {"open": names}})

        return {
            "events": [
                {
                    "type": "ExecutionStarted",
                    "executionStartedEventDetails": {"input": json.dumps({"names": ["a.com", "b.com"]})},
                },
                {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "CheckFast"}},
                {"type": "TaskSucceeded", "taskSucceededEventDetails": {"output": reply(["b.com"])}},
                {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "CheckRdap"}},
                {"type": "TaskSucceeded", "taskSucceededEventDetails": {"output": reply([])}},
                {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Settle"}},
                {"type": "TaskSucceeded", "taskSucceededEventDetails": {"output": reply([])}},
            ]
        }


def test_the_last_rung_of_each_name_is_read_from_the_history() -> None:
    workflows = Workflows()
    ladder = Ladder(workflows=workflows, state_machine_arn="machine")
    ladder.look()
    assert ladder.rungs == {"a.com": "fast", "b.com": "rdap"}
    assert ladder.running == 1
    workflows.status = "SUCCEEDED"
    ladder.look()
    assert (ladder.running, ladder.finished) == (0, {"arn"})


def test_without_a_terminal_each_change_is_one_plain_line() -> None:
    view = View()
    out = io.StringIO()
    view.console = Console(file=out, width=120, highlight=False)
    row = Row(name="a.com", rung="rdap", status="available", phase="active")
    told = [Told(at_s=1.0, text="a.com AVAILABLE", signed=True, duplicate=False)]
    for _ in range(2):
        view.show("7 s of 9 s", [row], told, now=NOW)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert "a.com" in lines[0]
    assert "on rdap" in lines[0]
    assert lines[1].endswith("a.com AVAILABLE  signed")
    assert "\x1b" not in out.getvalue()


def test_many_names_are_counted_instead_of_listed() -> None:
    rows = [Row(name=f"n{number}.com", rung="fast", status="registered") for number in range(100)]
    console = Console(file=io.StringIO(), width=120)
    console.print(names_table(rows, now=NOW))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "registered" in text
    assert "100" in text
    assert "n1.com" not in text
