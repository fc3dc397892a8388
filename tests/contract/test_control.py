"""The queues' depths against moto's SQS, and a refresh through Lambda's client."""

import io
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from moto import mock_aws

from domainwatch.adapters.control import FunctionRefresher, SqsDepths
from domainwatch.errors import Malformed, TryLater


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with mock_aws():
        yield boto3.client("sqs", region_name="eu-west-1")


def test_depths_are_counted(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="checks")["QueueUrl"]
    empty = sqs.create_queue(QueueName="dead")["QueueUrl"]
    for _ in range(3):
        sqs.send_message(QueueUrl=url, MessageBody="{}")
    sqs.send_message(QueueUrl=url, MessageBody="{}", DelaySeconds=600)
    sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)
    assert SqsDepths(sqs, {"checks": url, "dead": empty}).depths() == {
        "checks": {"waiting": 2, "in_flight": 1, "delayed": 1},
        "dead": {"waiting": 0, "in_flight": 0, "delayed": 0},
    }


def test_a_queue_that_does_not_answer_is_for_later(sqs: Any) -> None:
    with pytest.raises(TryLater):
        SqsDepths(sqs, {"checks": "https://sqs.eu-west-1.amazonaws.com/123456789012/nothing"}).depths()


class Lambda:
    """Lambda's client with one scripted answer."""

    def __init__(self, answer: Exception | bytes, *, error: str = "") -> None:
        self.answer = answer
        self.error = error
        self.sent: dict[str, Any] = {}

    def invoke(self, **request: Any) -> dict[str, Any]:
        self.sent = request
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"Payload": io.BytesIO(self.answer)} | ({"FunctionError": self.error} if self.error else {})


@pytest.mark.parametrize(("confirm", "event"), [(False, {}), (True, {"confirm_removal": True})])
def test_a_refresh_waits_for_its_answer(confirm: bool, event: dict[str, Any]) -> None:
    client = Lambda(b'{"outcome":"done"}')
    assert FunctionRefresher(client, "fetch").refresh(confirm_removal=confirm) == {"outcome": "done"}
    assert (client.sent["FunctionName"], client.sent["InvocationType"]) == ("fetch", "RequestResponse")
    assert json.loads(client.sent["Payload"]) == event


def test_a_long_refresh_goes_on_without_us() -> None:
    client = Lambda(ReadTimeoutError(endpoint_url="https://lambda"))
    assert FunctionRefresher(client, "fetch").refresh(confirm_removal=False) is None


@pytest.mark.parametrize(
    ("client", "error"),
    [
        (Lambda(b'{"errorMessage":"x"}', error="Unhandled"), Malformed),
        (Lambda(b"<html>"), Malformed),
        (Lambda(EndpointConnectionError(endpoint_url="https://lambda")), TryLater),
    ],
)
def test_a_refresh_that_fails_says_so(client: Lambda, error: type[Exception]) -> None:
    with pytest.raises(error):
        FunctionRefresher(client, "fetch").refresh(confirm_removal=False)


def test_an_answer_that_is_no_object_is_empty() -> None:
    assert FunctionRefresher(Lambda(b"null"), "fetch").refresh(confirm_removal=False) == {}
