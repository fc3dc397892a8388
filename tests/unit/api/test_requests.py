"""Requests as they come, the malformed ones included: every error is a problem, and nothing brings the API down."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainwatch.api.gateway import MAX_BODY_BYTES, request_from
from tests.fakes_api import TOKENS, ApiWorld, request_event

PROBLEM_KEYS = {"type", "title", "status", "detail", "reason"}


@pytest.fixture
def world() -> ApiWorld:
    return ApiWorld()


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/nothing", 404, "no_such_path"),
        ("GET", "/", 404, "no_such_path"),
        ("GET", "/v1", 404, "no_such_path"),
        ("GET", "/v2/domains", 404, "no_such_path"),
        ("POST", "/checks", 404, "no_such_path"),
        ("GET", "/domain/a.com/b", 404, "no_such_path"),
        ("PATCH", "/v1/domains", 405, "method_not_allowed"),
        ("GET", "/refresh", 405, "method_not_allowed"),
        ("GET", "/domain/%FF.com", 400, "malformed_path"),
        ("GET", "/domain/example.com", 404, "not_watched"),
    ],
)
def test_every_error_is_a_problem(world: ApiWorld, method: str, path: str, status: int, reason: str) -> None:
    got, body, headers = world.call(method, path)
    assert (got, body["status"], body["reason"]) == (status, status, reason)
    assert headers["content-type"] == "application/problem+json"
    assert body.keys() >= PROBLEM_KEYS
    assert body["type"] == f"urn:domainwatch:problem:{reason}"


def test_405_says_what_is_allowed(world: ApiWorld) -> None:
    _, _, headers = world.call("POST", "/v1/domains/example.com")
    assert headers["allow"] == "GET, PUT, DELETE"


def test_a_fault_of_ours_is_a_problem_and_is_reported(world: ApiWorld) -> None:
    def broken() -> None:
        raise RuntimeError("a secret detail")

    world.store.counts = broken  # type: ignore[assignment,method-assign]
    status, body, _ = world.call("GET", "/status")
    assert (status, body["reason"]) == (500, "internal")
    assert "secret detail" not in str(body)
    ((event, exc),) = world.reports
    assert event == "request_failed"
    assert isinstance(exc, RuntimeError)


@pytest.mark.parametrize("stage", ["$default", "prod"])
def test_the_stage_in_the_path_does_not_count(world: ApiWorld, stage: str) -> None:
    for path in (f"/{stage}/v1/status", f"/{quote(stage)}/v1/status"):
        assert world.api.answer(request_event("GET", path, stage=stage))["statusCode"] == 200


@pytest.mark.parametrize("path", ["/status", "/status/", "/v1/status", "//status"])
def test_slashes_are_forgiven(world: ApiWorld, path: str) -> None:
    assert world.call("GET", path)[0] == 200


def test_head_is_get_without_a_body(world: ApiWorld) -> None:
    status, body, _ = world.call("HEAD", "/health")
    assert (status, body) == (200, None)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "malformed_json"),
        (b"\xff\xfe\x00", "malformed_json"),
        (b"[" * 200_000, "malformed_json"),
        (b'{"domain": NaN}', "malformed_json"),
        (b'{"domain": ' + b"9" * 10_000 + b"}", "malformed_json"),
        (b"[]", "missing_domain"),
        (b'"example.com"', "missing_domain"),
        (b'{"name": "example.com"}', "missing_domain"),
        (b'{"domain": 7}', "not_text"),
        (b'{"domain": null}', "not_text"),
        (b'{"domain": "a\\ud800.com"}', "control_character"),
        (b"", "missing_domain"),
    ],
)
def test_a_bad_body_is_a_400_with_a_reason(world: ApiWorld, raw: bytes, reason: str) -> None:
    status, body, _ = world.call("POST", "/v1/checks", raw=raw)
    assert (status, body["reason"]) == (400, reason)
    assert world.runner.inputs == []


def test_a_body_that_is_no_base64_is_a_400(world: ApiWorld) -> None:
    event = request_event("POST", "/v1/checks", raw=b"{}") | {"body": "no base64!"}
    response = world.api.answer(event)
    assert response["statusCode"] == 400
    assert json.loads(response["body"])["reason"] == "malformed_body"


def test_a_body_above_a_megabyte_is_a_413(world: ApiWorld) -> None:
    status, body, _ = world.call("POST", "/v1/checks", raw=b" " * (MAX_BODY_BYTES + 1))
    assert (status, body["reason"]) == (413, "too_large")


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "", "application/merge-patch+json"])
def test_what_tools_say_of_json_when_nobody_told_them_is_taken_for_json(world: ApiWorld, media_type: str) -> None:
    status, _, _ = world.call("POST", "/v1/checks", {"domain": "example.com"}, headers={"content-type": media_type})
    assert status == 200


@pytest.mark.parametrize("media_type", ["text/plain", "text/html", "multipart/form-data; boundary=x"])
def test_a_body_of_another_type_is_a_415(world: ApiWorld, media_type: str) -> None:
    status, body, _ = world.call("POST", "/v1/checks", {"domain": "example.com"}, headers={"content-type": media_type})
    assert (status, body["reason"]) == (415, "not_json")


def test_parameters_of_the_media_type_do_not_count(world: ApiWorld) -> None:
    status, _, _ = world.call(
        "PUT", "/v1/domains/example.com", {}, headers={"content-type": "Application/JSON; charset=utf-8"}
    )
    assert status == 201


def test_a_query_that_cannot_be_decoded_is_a_400(world: ApiWorld) -> None:
    assert world.call("GET", "/domains", query="status=%ff")[1]["reason"] == "malformed_query"
    assert world.call("GET", "/domains", query="&".join("a=1" for _ in range(100)))[1]["reason"] == "malformed_query"


def test_a_query_may_come_parsed() -> None:
    event = request_event("GET", "/domains") | {"queryStringParameters": {"limit": "5"}}
    assert request_from(event).query == {"limit": "5"}


def test_replies_are_not_to_be_stored(world: ApiWorld) -> None:
    _, _, headers = world.call("GET", "/status")
    assert headers["cache-control"] == "no-store"
    assert headers["content-type"] == "application/json"


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]),
    path=st.one_of(
        st.text(max_size=40),
        st.builds("/v1/domains/{}".format, st.text(max_size=30)),
        st.builds("/v1/rdap/{}".format, st.text(max_size=30)),
        st.sampled_from(["/v1/checks", "/v1/checks:bulk", "/v1/domains", "/v1/events", "/v1/events/x/redrive"]),
    ),
    raw=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=12),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["domain", "domains", "priority", "tags"]), inner, max_size=3)
            ),
        ).map(lambda value: json.dumps(value).encode()),
    ),
    query=st.text(alphabet="abcdelimitcursorstatusphase=&%0123456789", max_size=30),
)
def test_no_request_brings_it_down(method: str, path: str, raw: bytes, query: str) -> None:
    world = ApiWorld()
    event = request_event(method, path, raw=raw, query=query, token=TOKENS["admin"])
    response = world.api.answer(event)
    assert response["statusCode"] < 500
    assert world.reports == []
    if response["statusCode"] >= 400 and method != "HEAD":
        body = json.loads(response["body"])
        assert body.keys() >= PROBLEM_KEYS
        assert body["status"] == response["statusCode"]
