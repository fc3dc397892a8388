"""Scenario files: what they may say, and what a mistake in one is answered with."""

from pathlib import Path

import pytest

from sandbox import ScenarioError, State, load, parse
from sandbox.scenario import SCENARIOS

HEAD = """\
services:
  r: {kind: rdap}
zones:
  com: {rdap: r}
names:
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("name", sorted(path.stem for path in SCENARIOS.glob("*.yaml")))
def test_the_shipped_scenarios_load(name: str) -> None:
    scenario = load(name)
    assert scenario.names
    assert all(plan.expect is not None for plan in scenario.names)


def test_drop_fits_its_own_clock() -> None:
    scenario = load("drop")
    hot_s = float(dict(part.split("=") for part in scenario.cadence_seconds.split(","))["hot"])
    for plan in scenario.names:
        assert plan.expect is not None
        freed = [at_s for at_s, state in plan.timeline if state is State.AVAILABLE]
        taken = [at_s for at_s, state in plan.timeline if state is State.CAUGHT]
        if freed and freed[0] > 0:
            assert plan.expect.max_delay_s == 2 * hot_s
            assert freed[0] + 2 * hot_s <= (taken[0] if taken else scenario.duration_s)


def test_names_are_kept_as_a_labels_and_listed_as_written() -> None:
    plans = {plan.name: plan for plan in load("drop").names}
    assert plans["xn--strae-oqa.de"].listed_as == "Straße.de"
    assert "strasse.de" in plans


def test_keys_are_texts_even_for_norway(tmp_path: Path) -> None:
    path = written(tmp_path, "services:\n  r: {kind: rdap}\nzones:\n  no: {rdap: r}\nnames:\n  fjord.no: registered\n")
    assert load(path).zones[0].name == "no"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names: [", "mine.yaml, line 1: is not YAML"),
        ("tile: x\n", "mine.yaml, line 1: tile: is not known here"),
        ("zones: 5\n", "mine.yaml, line 1: zones: should be a mapping, is '5'"),
        ("tick_s: soon\n", "mine.yaml, line 1: tick_s: should be a number, is 'soon'"),
        ("starts: never\n", "line 1: starts: should be one of at_first_list_fetch, at_once, is 'never'"),
        ("zones:\n  com: {rdap: nobody}\n", "line 2: zones.com.rdap: there is no rdap service 'nobody'"),
        ("zones:\n  com: {control: nic.org}\n", "line 2: zones.com.control: should be a name directly under com"),
        ("services:\n  r: {kind: gopher}\n", "line 2: services.r.kind: should be one of rdap, whois"),
        (
            "services:\n  r:\n    kind: rdap\n    format: denic\n",
            "line 4: services.r.format: is for WHOIS services only",
        ),
        ("services:\n  r:\n    kind: whois\n    query: x\n", "line 4: services.r.query: should contain {name}"),
        (HEAD + "  a.org: registered\n", "line 6: names.a.org: there is no zone 'org'"),
        (HEAD + "  a: registered\n", "line 6: names.a: is not a domain name"),
        (HEAD + "  a.com: sold\n", "line 6: names.a.com: should be one of registered"),
        (HEAD + "  a.com: registered\n  a.com: available\n", "line 7: 'a.com' stands here twice"),
        (HEAD + "  a.com: registered\n  A.com: available\n", "line 7: names.A.com: is a.com, which is already there"),
        (HEAD + "  a.com:\n    timeline: {5: available}\n", "line 7: names.a.com.timeline: should begin at second 0"),
        (HEAD + "  a.com:\n    timeline: {x: available}\n", "the key should be seconds since the start"),
        (
            HEAD + "  a.com:\n    timeline: available\n    expect: {status: free}\n",
            "line 8: names.a.com.expect.status: should be of registered",
        ),
        (
            "services:\n  r: {kind: rdap, faults: [{fault: flood}]}\n",
            "line 2: services.r.faults[0].fault: should be one",
        ),
        ("faults:\n  moon: []\n", "line 2: faults.moon: is no target here"),
    ],
)
def test_a_mistake_is_answered_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(written(tmp_path, text))
    assert said in str(caught.value)


def test_an_unknown_scenario_names_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match="drop, recorded"):
        load("nowhere")


def test_a_mapping_is_a_scenario_too() -> None:
    scenario = parse(
        {
            "services": {"r": {"kind": "rdap"}},
            "zones": {"com": {"rdap": "r"}},
            "names": {"a.com": {"timeline": {0: "expiring", 5: "available"}}},
        }
    )
    assert scenario.names[0].timeline == ((0.0, State.EXPIRING), (5.0, State.AVAILABLE))
    assert scenario.names[0].expect is None


def test_names_make_their_own_world() -> None:
    scenario = load("drop", names=["a.com", "b.co.uk=available"])
    assert [zone.name for zone in scenario.zones] == ["co.uk", "com", "uk"]
    assert [(plan.name, plan.timeline[0][1]) for plan in scenario.names] == [
        ("a.com", State.REGISTERED),
        ("b.co.uk", State.AVAILABLE),
    ]


@pytest.mark.parametrize(
    ("entry", "said"), [("com", "is not a domain name"), ("a.com=sold", "the state should be one of")]
)
def test_a_bad_name_is_refused(entry: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        load("drop", names=[entry])
