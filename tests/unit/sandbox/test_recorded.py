"""Answers files become worlds."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox import ScenarioError, load
from sandbox.scenario import Scenario


def whois(
    name: str | None, tld: str | None, truth: str = "available", text: str = "NOT FOUND", **more: Any
) -> dict[str, Any]:
    return {"id": f"w:{name}", "name": name, "tld": tld, "truth": truth, "text": text, **more}


def rdap(status: int, body: Any, truth: str, **more: Any) -> dict[str, Any]:
    plain = {"id": f"r:{status}", "http_status": status, "content_type": "application/rdap+json", "headers": {}}
    return {**plain, "truth": truth, "body": body if isinstance(body, str) else json.dumps(body), **more}


def recorded(tmp_path: Path, *entries: dict[str, Any]) -> Scenario:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), "utf-8")
    return load("recorded", answers=[path])


def test_a_zone_of_whois_answers_has_no_rdap(tmp_path: Path) -> None:
    scenario = recorded(
        tmp_path, whois("a.com", "com"), rdap(200, {"objectClassName": "domain", "ldhName": "B.ORG."}, "registered")
    )
    zones = {zone.name: zone for zone in scenario.zones}
    assert (zones["com"].whois, zones["com"].rdap) == ("whois.com", None)
    assert (zones["org"].whois, zones["org"].rdap) == (None, "rdap.org")
    assert set(scenario.answers) == {"a.com", "b.org"}


def test_suffixes_between_name_and_zone_are_zones_that_use_their_parents_service(tmp_path: Path) -> None:
    zones = {zone.name: zone for zone in recorded(tmp_path, whois("a.co.uk", "uk")).zones}
    assert set(zones) == {"uk", "co.uk"}
    assert zones["co.uk"].whois is None
    assert zones["co.uk"].control == "nic.co.uk"


def test_a_control_name_is_never_an_answers_name(tmp_path: Path) -> None:
    zones = {zone.name: zone for zone in recorded(tmp_path, whois("nic.at", "at", "registered")).zones}
    assert zones["at"].control == "registry.at"


def test_the_first_answer_about_a_name_is_kept(tmp_path: Path) -> None:
    scenario = recorded(tmp_path, whois("a.com", "com"), whois("A.COM", "com", "registered", "x"), whois(None, None))
    assert len(scenario.names) == 1
    assert [one.why for one in scenario.left_out] == ["the name is w:a.com's already", "has neither a name nor a zone"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('No match for "LOST.COM".', "lost.com"),
        ("Domain Name: found.com\nsee whois.nic.com", "found.com"),
        ("%% [192.0.2.1 REQUEST] >> there.com", "there.com"),
        ("see http://www.registry.com", "answer-1.com"),
    ],
)
def test_a_name_that_is_not_given_is_read_or_made(tmp_path: Path, text: str, name: str) -> None:
    assert recorded(tmp_path, whois(None, "com", text=text)).names[0].name == name


@pytest.mark.parametrize(
    ("entry", "statuses"),
    [
        (whois("a.com", "com", "registered"), ("registered",)),
        (whois("a.com", "com", "reserved"), ("reserved",)),
        (whois("a.com", "com", "transient"), ("unknown",)),
        (whois("a.com", "com", "invalid"), ("unknown", "reserved")),
        (whois("com", "com", "registered"), ("refused", "unknown")),
        (whois(None, "com"), ("available", "unknown")),
        (rdap(404, "", "available-weak"), ("unknown", "likely_available")),
        (rdap(200, {"objectClassName": "domain", "ldhName": "b.com"}, "unknown"), ("unknown",)),
    ],
)
def test_labels_become_expectations(tmp_path: Path, entry: dict[str, Any], statuses: tuple[str, ...]) -> None:
    plan = recorded(tmp_path, entry).names[0]
    assert plan.expect is not None
    assert plan.expect.statuses == statuses
    assert plan.expect.announced == (None if entry["truth"] == "available" else 0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "answers.jsonl, line 1: is not JSON"),
        ("[]", "should be an object"),
        ('{"truth": "maybe", "text": ""}', "truth should be one of"),
        ('{"truth": "available"}', "has neither text"),
        ('{"truth": "available", "http_status": "200"}', "http_status should be an HTTP status"),
    ],
)
def test_a_bad_answers_file_is_answered_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(line + "\n", "utf-8")
    with pytest.raises(ScenarioError, match="line 1") as caught:
        load("recorded", answers=[path])
    assert said in str(caught.value)


def test_a_missing_answers_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        load("recorded", answers=[tmp_path / "none.jsonl"])


def test_the_shipped_answers_cover_every_label() -> None:
    truths = {answer.truth for answer in load("recorded").answers.values()}
    assert truths == {"registered", "available", "reserved", "transient", "invalid", "unknown"}
