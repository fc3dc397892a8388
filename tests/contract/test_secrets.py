"""Secrets Manager's values: kept for a minute, translated errors."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from domainwatch.adapters.secrets import KEPT_S, Secrets
from domainwatch.errors import BadSettings, TryLater


class Clock:
    """Seconds that only tests let pass."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    with mock_aws():
        yield boto3.client("secretsmanager", region_name="eu-central-1")


def test_a_rotation_shows_after_a_minute(manager: Any) -> None:
    arn = manager.create_secret(Name="token", SecretString="old")["ARN"]
    clock = Clock()
    secrets = Secrets(manager, clock_s=clock)
    assert secrets.value(arn) == "old"
    manager.put_secret_value(SecretId=arn, SecretString="new")
    assert secrets.value(arn) == "old"
    clock.at_s += KEPT_S
    assert secrets.value(arn) == "new"


def test_no_arn_and_no_value_are_the_empty_text(manager: Any) -> None:
    arn = manager.create_secret(Name="unset")["ARN"]
    secrets = Secrets(manager)
    assert secrets.value("") == ""
    assert secrets.value(arn) == ""


def test_a_secret_that_does_not_exist_is_a_setting(manager: Any) -> None:
    with pytest.raises(BadSettings, match="nowhere"):
        Secrets(manager).value("nowhere")


class FakeManager:
    """A client that answers or raises as the script says."""

    def __init__(self, *script: str | Exception) -> None:
        self.script = list(script)

    def get_secret_value(self, **_: Any) -> dict[str, Any]:
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return {"SecretString": step}


def failure(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetSecretValue")


AWAY = [
    failure("ThrottlingException"),
    failure("InternalServiceError", 500),
    failure("Anything", 503),
    EndpointConnectionError(endpoint_url="http://127.0.0.1"),
]


@pytest.mark.parametrize("error", AWAY)
def test_while_the_manager_is_away_the_last_value_counts(error: Exception) -> None:
    clock = Clock()
    secrets = Secrets(FakeManager("value", error, "later"), clock_s=clock)
    assert secrets.value("arn") == "value"
    clock.at_s += KEPT_S + 1
    assert secrets.value("arn") == "value"
    assert secrets.value("arn") == "later"


@pytest.mark.parametrize("error", AWAY)
def test_without_any_value_the_caller_tries_later(error: Exception) -> None:
    with pytest.raises(TryLater):
        Secrets(FakeManager(error)).value("arn")


def test_a_denied_access_is_a_setting() -> None:
    with pytest.raises(BadSettings, match="AccessDenied"):
        Secrets(FakeManager(failure("AccessDeniedException"))).value("arn")
