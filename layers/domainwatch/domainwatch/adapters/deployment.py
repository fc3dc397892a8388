"""What a deployment needs once: the secrets that no CloudFormation resource can generate.

The webhook secret is `whsec_<base64>` (Standard Webhooks 1.0) and the admin token is `dw_<id>_<secret>`, of which the
ledger keeps only a hash. Both are made if their secret has no value yet, so doing it twice changes nothing.
"""

import base64
import hashlib
import json
import secrets
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError

WEBHOOK_SECRET_BYTES = 32
TOKEN_BYTES = 32
RESPONSE_TIMEOUT_S = 10.0


class SecretsManager(Protocol):
    """The two calls we make of Secrets Manager's client."""

    def get_secret_value(self, *, SecretId: str) -> Mapping[str, Any]: ...  # noqa: N803

    def put_secret_value(self, *, SecretId: str, SecretString: str) -> Mapping[str, Any]: ...  # noqa: N803


class Ledger(Protocol):
    """The one call we make of DynamoDB's table resource."""

    def put_item(self, *, Item: Mapping[str, Any]) -> Mapping[str, Any]: ...  # noqa: N803


def new_webhook_secret() -> str:
    """`whsec_` and the base64 of 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(WEBHOOK_SECRET_BYTES)).decode()


def new_admin_token() -> str:
    """`dw_<id>_<secret>`, both parts hexadecimal so that neither holds an underscore."""
    return f"dw_{secrets.token_hex(6)}_{secrets.token_hex(TOKEN_BYTES)}"


def make_secrets(
    manager: SecretsManager, ledger: Ledger, *, webhook_secret_arn: str, admin_token_arn: str, now: datetime
) -> None:
    """Fill both secrets if they are empty, and see that the ledger knows the token's hash.

    The secret comes first: a crash between the two leaves a token the next run still finds and hashes.
    """
    _value_or_new(manager, webhook_secret_arn, new_webhook_secret)
    token = _value_or_new(manager, admin_token_arn, new_admin_token)
    ledger.put_item(
        Item={
            "pk": f"token#{token.split('_')[1]}",
            "sk": "token",
            "sha256": hashlib.sha256(token.encode()).hexdigest(),
            "scope": "admin",
            "created_at": now.isoformat(timespec="seconds"),
        }
    )


def fulfil(event: Mapping[str, Any], *, make: Callable[[], None], log_stream: str) -> None:
    """Do what CloudFormation asks of the custom resource, and tell it how that ended, whatever happened."""
    failure = None
    try:
        if event["RequestType"] != "Delete":
            make()
    except Exception as exc:  # the stack must hear of any failure, or it waits for an hour
        failure = f"{type(exc).__name__}: {exc}"
    answer_stack(event, log_stream=log_stream, failure=failure)


def answer_stack(event: Mapping[str, Any], *, log_stream: str, failure: str | None) -> None:
    """Tell CloudFormation how a custom resource's request ended; without it the stack waits for its timeout."""
    body = {
        "Status": "FAILED" if failure else "SUCCESS",
        "Reason": f"{failure or 'done'} (log stream {log_stream})",
        # One physical id for ever: another one would make CloudFormation delete what it names.
        "PhysicalResourceId": event.get("PhysicalResourceId") or "secrets",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    request = urllib.request.Request(
        event["ResponseURL"],
        data=json.dumps(body).encode(),
        method="PUT",
        headers={"Content-Type": ""},  # the address is signed without one
    )
    with urllib.request.urlopen(request, timeout=RESPONSE_TIMEOUT_S):
        pass


def _value_or_new(manager: SecretsManager, arn: str, make: Callable[[], str]) -> str:
    try:
        value: str = manager.get_secret_value(SecretId=arn).get("SecretString", "")
    except ClientError as exc:
        # A secret without any version yet.
        if exc.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        value = ""
    if not value:
        value = make()
        manager.put_secret_value(SecretId=arn, SecretString=value)
    return value
