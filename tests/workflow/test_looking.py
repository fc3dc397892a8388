"""One name asked for over the HTTP API: the verdict that the queue comes to, and nothing changed by it."""

from typing import Any

import pytest

from tests.workflow.pipeline import Pipeline

STATES = {
    "look-taken.com": "registered",
    "look-free.com": "available",
    "look-kept.com": "reserved",
    "look-throttled.net": "on_hold",
}
EXPECTED = {
    "look-taken.com": "registered",
    "look-free.com": "available",
    "look-kept.com": "reserved",
    "look-throttled.net": "unknown",
}


def test_a_look_says_what_the_queue_says_and_changes_nothing(pipeline: Pipeline) -> None:
    pipeline.put_names(STATES)
    first = {name: _look(pipeline, name) for name in STATES}
    assert {name: body["verdict"]["status"] for name, body in first.items()} == EXPECTED
    assert not any(body["watched"] for body in first.values())
    assert all(pipeline.domain(name) is None for name in STATES)

    pipeline.check(STATES)
    pipeline.await_statuses({name: status for name, status in EXPECTED.items() if status != "unknown"})
    pipeline.await_quiet()
    assert pipeline.statuses(STATES) == EXPECTED
    before, told = _kept(pipeline), len(pipeline.world.receiver.deliveries)

    for name in STATES:
        body = _look(pipeline, name)
        assert (body["status"], body["verdict"]["status"]) == (EXPECTED[name], EXPECTED[name])
        assert body["watched"]
        assert body["domain"] == name
        machine = pipeline.stack.resources["LookStateMachine"].rpartition(":")[2]
        assert f":{machine}:look-" in body["execution"]["arn"]
        assert body["execution"]["link"].startswith("https://")
        assert body["checks"]["rdap"]["reading"]
        assert body["reason"]
    assert _kept(pipeline) == before
    assert len(pipeline.world.receiver.deliveries) == told


def test_a_look_shows_its_findings_and_why(pipeline: Pipeline) -> None:
    pipeline.put_names({"why-free.com": "available", "why-mute.net": "on_hold"})
    free, mute = _look(pipeline, "why-free.com"), _look(pipeline, "why-mute.net")
    assert {finding["check"]: finding["reading"] for finding in free["findings"]} == {
        "dns": "not_found", "rdap": "not_found", "whois": "not_found",
    }  # fmt: skip
    assert len(free["why"]) == 3
    assert free["confidence"] >= 0.9
    assert mute["verdict"]["confidence"] == 0
    assert {finding["reading"] for finding in mute["findings"]} == {"not_found", "no_answer"}
    assert not pipeline.announcements("why-free.com")


def test_a_unicode_name_is_looked_at_under_its_a_label(pipeline: Pipeline) -> None:
    pipeline.put_names({"grün-look.de": "on_hold"})
    body = _look(pipeline, "GRÜN-look.de.")
    assert (body["domain"], body["unicode"], body["status"]) == ("xn--grn-look-75a.de", "grün-look.de", "registered")


@pytest.mark.parametrize(
    ("text", "reason", "suggestion"),
    [
        ("www.look-taken.com", "sub_domain", "look-taken.com"),
        ("192.0.2.1", "ip_address", None),
        ("com", "public_suffix", None),
        ("exa mple.com", None, None),
        ("", None, None),
    ],
)
def test_what_is_no_name_is_refused_with_a_reason(
    pipeline: Pipeline, text: str, reason: str | None, suggestion: str | None
) -> None:
    reply = pipeline.stack.call("POST", "/v1/checks", {"domain": text})
    assert reply.status == 400
    assert reply.body["status"] == 400
    assert reply.body["reason"]
    assert reason in {None, reply.body["reason"]}
    assert reply.body.get("suggestion") == suggestion


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/domains/nobody-watches-this.com", 404),
        ("GET", "/domain/nobody-watches-this.com", 404),
        ("GET", "/domain/www.look-taken.com", 400),
        ("GET", "/v1/nothing", 404),
    ],
)
def test_unknown_things_are_problems(pipeline: Pipeline, method: str, path: str, status: int) -> None:
    reply = pipeline.stack.call(method, path)
    assert (reply.status, reply.body["status"]) == (status, status)


@pytest.mark.parametrize("token", ["", "dw_wrong"])
def test_without_a_good_token_nothing_is_looked_at(pipeline: Pipeline, token: str) -> None:
    assert pipeline.stack.call("POST", "/v1/checks", {"domain": "look-taken.com"}, token=token).status == 401


def _look(pipeline: Pipeline, name: str) -> dict[str, Any]:
    reply = pipeline.stack.call("POST", "/v1/checks", {"domain": name})
    assert reply.status == 200, reply.body
    return dict(reply.body)


def _kept(pipeline: Pipeline) -> tuple[Any, Any]:
    """The watched names, and the events waiting or delivered. What services were asked may differ after a look."""
    dynamodb = pipeline.stack.client("dynamodb")
    names = dynamodb.scan(TableName=pipeline.stack.outputs["NamesTable"])["Items"]
    ledger = dynamodb.scan(TableName=pipeline.stack.outputs["LedgerTable"])["Items"]
    return (
        sorted(map(repr, names)),
        sorted(repr(item) for item in ledger if item["pk"]["S"].startswith("outbox#")),
    )
