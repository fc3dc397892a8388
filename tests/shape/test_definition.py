"""The ladder's definition, walked: nothing dangles, nothing is read before it is set, limits nest."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonata
import pytest
import yaml

from tools.translate import template

ROOT = Path(__file__).resolve().parents[2]
DEFINITION = yaml.safe_load((ROOT / "statemachine" / "check_batch.asl.yaml").read_text(encoding="utf-8"))
STATES: dict[str, dict[str, Any]] = DEFINITION["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
RESOURCES = template()["Resources"]

Edge = tuple[str, str, frozenset[str]]


def edges(name: str, state: dict[str, Any]) -> Iterator[Edge]:
    """Every way out of a state: from, to, and the variables set on that way."""
    assigned = frozenset(state.get("Assign", {}))
    for key in ("Next", "Default"):
        if key in state:
            yield name, state[key], assigned
    for choice in state.get("Choices", []):
        yield name, choice["Next"], assigned | frozenset(choice.get("Assign", {}))
    for catcher in state.get("Catch", []):
        yield name, catcher["Next"], frozenset(catcher.get("Assign", {}))


EDGES = [edge for name, state in STATES.items() for edge in edges(name, state)]


def expressions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)
    elif isinstance(node, str) and node.startswith("{%"):
        assert node.endswith("%}"), node
        yield node.removeprefix("{%").removesuffix("%}").strip()


def variables(state: dict[str, Any]) -> set[str]:
    """The workflow's variables that a state's expressions read; `$name(` is a function, `$states` is not ours."""
    found = set()
    for expression in expressions(state):
        found |= set(re.findall(r"\$([a-zA-Z_]\w*)\b(?!\s*\()", expression))
    return found - {"states"}


def function_of(state_name: str) -> dict[str, Any]:
    properties: dict[str, Any] = RESOURCES[f"{state_name}Function"]["Properties"]
    return properties


def timeout_s(logical_id: str) -> int:
    default = template()["Globals"]["Function"]["Timeout"]
    return int(RESOURCES[logical_id]["Properties"].get("Timeout", default))


def test_every_way_leads_to_a_state() -> None:
    assert DEFINITION["StartAt"] in STATES
    assert {target for _, target, _ in EDGES} <= set(STATES)


def test_every_state_is_reached() -> None:
    reached, todo = set(), [DEFINITION["StartAt"]]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += [target for _, target, _ in edges(name, STATES[name])]
    assert reached == set(STATES)


def test_only_ends_lead_nowhere() -> None:
    for name, state in STATES.items():
        leads_on = any(True for _ in edges(name, state))
        assert leads_on == (state["Type"] not in {"Succeed", "Fail"}), name
        assert "End" not in state, name


def test_choices_have_a_default() -> None:
    for name, state in STATES.items():
        if state["Type"] == "Choice":
            assert state.get("Default"), name


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_a_limit_a_retry_and_a_way_on(name: str) -> None:
    state = TASKS[name]
    assert state["TimeoutSeconds"] > timeout_s(f"{name}Function")
    assert [catcher["ErrorEquals"] for catcher in state["Catch"]] == [["States.ALL"]]
    assert [retry["ErrorEquals"] for retry in state["Retry"]] == [["Lambda.TooManyRequestsException"], ["States.ALL"]]
    for retry in state["Retry"]:
        assert retry["JitterStrategy"] == "FULL"
        assert retry["MaxAttempts"] <= 8
        assert retry["MaxDelaySeconds"] <= 30


def test_retries_are_alike() -> None:
    first, *others = (state["Retry"] for state in TASKS.values())
    assert all(retry == first for retry in others)


def test_a_failing_rung_hands_over_and_says_so() -> None:
    for name, rung, following in [
        ("CheckFast", "fast", "CheckRdap"),
        ("CheckRdap", "rdap", "CheckWhois"),
        ("CheckWhois", "whois", "Settle"),
    ]:
        (catcher,) = TASKS[name]["Catch"]
        assert catcher["Next"] == following
        assert rung in catcher["Assign"]["failed"]


def test_every_expression_parses() -> None:
    found = list(expressions(STATES))
    assert len(found) > 20
    for expression in found:
        jsonata.Jsonata(expression)


def test_variables_are_set_on_every_path_before_they_are_read() -> None:
    everything = frozenset().union(*(assigned for _, _, assigned in EDGES))
    at_entry = dict.fromkeys(STATES, everything)
    at_entry[DEFINITION["StartAt"]] = frozenset()
    changed = True
    while changed:
        changed = False
        for source, target, assigned in EDGES:
            narrowed = at_entry[target] & (at_entry[source] | assigned)
            if narrowed != at_entry[target]:
                at_entry[target], changed = narrowed, True
    for name, state in STATES.items():
        assert variables(state) <= at_entry[name], name


def test_a_state_is_named_as_its_function() -> None:
    for name, state in TASKS.items():
        assert state["Arguments"]["FunctionName"] == f"${{{name}Function}}"
        module = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        assert function_of(name)["Handler"] == f"{module}.handler"


def test_both_machines_get_the_functions_the_definition_names() -> None:
    named = {f"{name}Function" for name in TASKS}
    for machine in ("CheckBatchStateMachine", "LookStateMachine"):
        properties = RESOURCES[machine]["Properties"]
        assert set(properties["DefinitionSubstitutions"]) == named
        assert properties["Definition"] == DEFINITION
    allowed = RESOURCES["LadderRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]
    assert {arn["Fn::GetAtt"][0] for arn in allowed["Resource"]} == named


@pytest.mark.parametrize(
    ("reply", "open_names", "deferred"),
    [
        ({"open": [], "deferred": []}, [], []),
        ({"open": ["a.com"], "deferred": [{"rung": "rdap"}]}, ["a.com"], [{"rung": "rdap"}]),
        ({"open": ["a.com", "b.com"], "deferred": []}, ["a.com", "b.com"], []),
    ],
)
def test_lists_of_any_length_stay_lists(reply: dict[str, Any], open_names: list[str], deferred: list[Any]) -> None:
    assign = STATES["CheckFast"]["Assign"]

    def value(key: str) -> Any:
        (expression,) = expressions(assign[key])
        compiled = jsonata.Jsonata(expression)
        frame = compiled.create_frame()
        frame.bind("states", {"result": {"Payload": reply}})
        frame.bind("deferred", [])
        return compiled.evaluate(None, frame)

    assert value("open") == open_names
    assert value("deferred") == deferred
