"""The secrets made at deploy, against an account in memory, and the word CloudFormation waits for."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

import make_secrets

CONTEXT = SimpleNamespace(log_stream_name="stream-1")


class Account:
    def __init__(self) -> None:
        self.secrets = boto3.client("secretsmanager")
        self.webhook_arn = self.secrets.create_secret(Name="webhook")["ARN"]
        self.token_arn = self.secrets.create_secret(Name="token")["ARN"]
        self.ledger = boto3.resource("dynamodb").create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )

    def value(self, arn: str) -> str:
        return str(self.secrets.get_secret_value(SecretId=arn)["SecretString"])


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "LEDGER_TABLE": "ledger",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        account = Account()
        monkeypatch.setenv("WEBHOOK_SECRET_ARN", account.webhook_arn)
        monkeypatch.setenv("ADMIN_TOKEN_SECRET_ARN", account.token_arn)
        yield account


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What CloudFormation's side hears."""
    heard: list[dict[str, Any]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setitem(REQUEST, "ResponseURL", f"http://127.0.0.1:{server.server_port}/answer")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield heard
    server.shutdown()
    thread.join()
    server.server_close()


REQUEST: dict[str, Any] = {
    "RequestType": "Create",
    "StackId": "stack",
    "RequestId": "request",
    "LogicalResourceId": "MakeSecrets",
    "ResourceProperties": {},
}


def test_both_secrets_are_made_and_only_the_hash_is_kept(account: Account, answers: list[dict[str, Any]]) -> None:
    make_secrets.handler(REQUEST, CONTEXT)

    scheme, _, encoded = account.value(account.webhook_arn).partition("_")
    assert scheme == "whsec"
    assert len(base64.b64decode(encoded, validate=True)) >= 24

    token = account.value(account.token_arn)
    prefix, token_id, _ = token.split("_")
    assert prefix == "dw"
    item = account.ledger.get_item(Key={"pk": f"token#{token_id}", "sk": "token"})["Item"]
    assert item["sha256"] == hashlib.sha256(token.encode()).hexdigest()
    assert item["scope"] == "admin"
    assert datetime.fromisoformat(str(item["created_at"])).tzinfo == UTC
    assert token not in str(account.ledger.scan()["Items"])
    assert [answer["Status"] for answer in answers] == ["SUCCESS"]


def test_twice_is_once(account: Account, answers: list[dict[str, Any]]) -> None:
    make_secrets.handler(REQUEST, CONTEXT)
    first = account.value(account.webhook_arn), account.value(account.token_arn)
    make_secrets.handler(REQUEST | {"RequestType": "Update", "PhysicalResourceId": "secrets"}, CONTEXT)
    assert (account.value(account.webhook_arn), account.value(account.token_arn)) == first
    assert account.ledger.scan()["Count"] == 1
    assert {answer["PhysicalResourceId"] for answer in answers} == {"secrets"}


def test_a_given_value_stays(account: Account, answers: list[dict[str, Any]]) -> None:
    given = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
    account.secrets.put_secret_value(SecretId=account.webhook_arn, SecretString=given)
    make_secrets.handler(REQUEST, CONTEXT)
    assert account.value(account.webhook_arn) == given


def test_a_crash_before_the_hash_was_kept_is_mended(account: Account, answers: list[dict[str, Any]]) -> None:
    token = "dw_0123456789ab_" + "f" * 64
    account.secrets.put_secret_value(SecretId=account.token_arn, SecretString=token)
    make_secrets.handler(REQUEST, CONTEXT)
    assert account.value(account.token_arn) == token
    assert "Item" in account.ledger.get_item(Key={"pk": "token#0123456789ab", "sk": "token"})


def test_a_failure_is_told_to_the_stack(
    account: Account, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGER_TABLE", "elsewhere")
    make_secrets.handler(REQUEST, CONTEXT)
    assert [answer["Status"] for answer in answers] == ["FAILED"]
    assert "ResourceNotFoundException" in answers[0]["Reason"]


def test_deleting_touches_nothing(account: Account, answers: list[dict[str, Any]]) -> None:
    make_secrets.handler(REQUEST | {"RequestType": "Delete", "PhysicalResourceId": "secrets"}, CONTEXT)
    assert account.ledger.scan()["Count"] == 0
    assert [answer["Status"] for answer in answers] == ["SUCCESS"]
