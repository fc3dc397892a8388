"""Who gets in, and what everybody else is told."""

from datetime import timedelta

import pytest

from domainwatch.errors import TryLater
from domainwatch.wire import instant_text
from tests.fakes_api import TOKENS, ApiWorld

READING = [
    ("GET", "/status"),
    ("GET", "/domains"),
    ("GET", "/domain/example.com"),
    ("GET", "/metrics"),
    ("GET", "/v1/status"),
    ("GET", "/v1/domains"),
    ("GET", "/v1/domains/example.com"),
    ("GET", "/v1/rdap/example.com"),
    ("GET", "/v1/whois/example.com"),
    ("GET", "/v1/events"),
    ("POST", "/v1/checks"),
]
WRITING = [
    ("POST", "/refresh"),
    ("POST", "/metrics/reset"),
    ("POST", "/v1/refresh"),
    ("POST", "/v1/checks:bulk"),
    ("PUT", "/v1/domains/example.com"),
    ("DELETE", "/v1/domains/example.com"),
    ("POST", "/v1/events/evt_1/redrive"),
]


@pytest.fixture
def world() -> ApiWorld:
    return ApiWorld()


@pytest.mark.parametrize(("method", "path"), [*READING, *WRITING, ("GET", "/nothing/here"), ("PATCH", "/domains")])
@pytest.mark.parametrize("token", [None, "", "nonsense", "dw_idadmin_wrongwrongwrongwrong", "dw_nobody_" + "0" * 32])
def test_without_a_token_of_ours_there_is_nothing(world: ApiWorld, method: str, path: str, token: str | None) -> None:
    status, body, headers = world.call(method, path, token=token)
    assert status == 401
    assert body["reason"] in {"missing_token", "invalid_token"}
    assert headers["www-authenticate"].startswith("Bearer")
    assert headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("scheme", ["Basic", "", "Token"])
def test_only_bearer_counts(world: ApiWorld, scheme: str) -> None:
    status, _, _ = world.call(
        "GET", "/status", token=None, headers={"authorization": f"{scheme} {TOKENS['admin']}".strip()}
    )
    assert status == 401


def test_the_scheme_may_be_spelled_in_any_case(world: ApiWorld) -> None:
    assert world.call("GET", "/status", token=None, headers={"Authorization": f"bearer {TOKENS['read']}"})[0] == 200


@pytest.mark.parametrize(("method", "path"), WRITING)
def test_reading_does_not_allow_writing(world: ApiWorld, method: str, path: str) -> None:
    status, body, headers = world.call(method, path, token=TOKENS["read"])
    assert (status, body["reason"]) == (403, "insufficient_scope")
    assert 'scope="write"' in headers["www-authenticate"]


@pytest.mark.parametrize(("method", "path"), [*READING, *WRITING])
@pytest.mark.parametrize("scope", ["write", "admin"])
def test_larger_scopes_include_the_smaller(world: ApiWorld, method: str, path: str, scope: str) -> None:
    assert world.call(method, path, token=TOKENS[scope])[0] not in {401, 403}


def test_health_needs_no_token(world: ApiWorld) -> None:
    assert world.call("GET", "/health", token=None)[0] == 200
    assert world.call("GET", "/v1/health", token="nonsense")[0] == 200


def test_an_expired_token_is_refused(world: ApiWorld) -> None:
    token = "dw_short_" + "1" * 32
    world.add_token(token, "read", expires_at=instant_text(world.clock() + timedelta(hours=1)))
    assert world.call("GET", "/status", token=token)[0] == 200
    world.clock.move(3600)
    assert world.call("GET", "/status", token=token)[1]["reason"] == "expired_token"


def test_a_revoked_token_is_dead_within_a_minute(world: ApiWorld) -> None:
    token = TOKENS["write"]
    assert world.call("GET", "/status", token=token)[0] == 200
    world.documents.write("token#idwrite", "token", {"sha256": "", "scope": "write"})
    world.clock.move(59)
    assert world.call("GET", "/status", token=token)[0] == 200
    world.clock.move(1)
    assert world.call("GET", "/status", token=token)[0] == 401


def test_a_token_is_read_once_a_minute(world: ApiWorld) -> None:
    for _ in range(5):
        world.call("GET", "/domain/example.com", token=TOKENS["read"])
    assert world.documents.calls["read"] == 1


def test_guessing_ids_fills_no_memory(world: ApiWorld) -> None:
    for number in range(1500):
        world.call("GET", "/status", token=f"dw_guess{number}_{'0' * 32}")
    assert len(world.api._tokens._kept) <= 1000


def test_a_token_with_a_scope_we_do_not_know_may_do_nothing(world: ApiWorld) -> None:
    token = "dw_odd1_" + "2" * 32
    world.add_token(token, "emperor")
    assert world.call("GET", "/status", token=token)[0] == 403


def test_nobody_comes_in_while_the_ledger_is_away(world: ApiWorld) -> None:
    def away(pk: str, sk: str) -> None:
        raise TryLater("throttled", reason="throttled")

    world.documents.read = away  # type: ignore[assignment,method-assign]
    status, body, headers = world.call("GET", "/status")
    assert (status, body["reason"]) == (503, "throttled")
    assert headers["retry-after"] == "5"


def test_no_reply_holds_a_token(world: ApiWorld) -> None:
    for method, path in [*READING, *WRITING, ("GET", "/nothing")]:
        assert "0123456789abcdef" not in str(world.call(method, path))
