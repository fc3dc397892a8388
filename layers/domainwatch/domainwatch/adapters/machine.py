"""The ladder on Step Functions: started and gone, or started and waited for."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ReadTimeoutError
from botocore.exceptions import ConnectionError as NoConnectionError

from domainwatch import wire
from domainwatch.errors import BadMessage, BadSettings, DeadlinePassed, Malformed, TryLater
from domainwatch.ports import Execution

_BUSY = frozenset({"ExecutionLimitExceeded", "ThrottlingException", "TooManyRequestsException", "ServiceUnavailable"})
_WRONG_INPUT = frozenset({"InvalidExecutionInput", "InvalidName", "ValidationException"})


class StateMachine:
    """One state machine. `client` is boto3's Step Functions client; for `look` it needs a read timeout below the
    caller's own and no retries, since a retried synchronous start is a second execution.
    """

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self._arn = arn

    def start(self, name: str, body: Mapping[str, Any]) -> bool:
        """Start an execution under this name; False when there was one already. Raises `TryLater`, `BadMessage`."""
        try:
            self._client.start_execution(stateMachineArn=self._arn, name=name, input=wire.dumps(body))
        except (BotoCoreError, ClientError) as exc:
            if _code(exc) == "ExecutionAlreadyExists":
                return False
            raise _ours(exc) from exc
        return True

    def look(self, name: str, body: Mapping[str, Any]) -> Execution:
        """See `Runner.look`."""
        try:
            reply = self._client.start_sync_execution(stateMachineArn=self._arn, name=name, input=wire.dumps(body))
        except (BotoCoreError, ClientError) as exc:
            raise _ours(exc) from exc
        arn, status = str(reply.get("executionArn", "")), reply.get("status")
        if status == "TIMED_OUT":
            raise DeadlinePassed(f"the execution {arn} took too long")
        if status != "SUCCEEDED":
            raise Malformed(f"{arn} ended as {status}: {str(reply.get('error', ''))[:200]}", reason="execution_failed")
        try:
            output = json.loads(reply["output"])
        except (KeyError, TypeError, ValueError) as exc:
            raise Malformed(f"{arn} ended without an output", reason="execution_failed") from exc
        if not isinstance(output, dict):
            raise Malformed(f"{arn} ended with an output that is no object", reason="execution_failed")
        return Execution(arn=arn, output=output, link=console_link(arn))


def console_link(arn: str) -> str:
    """Where the console shows an Express execution."""
    region = arn.split(":")[3] if arn.count(":") >= 6 else ""
    if not region:
        return ""
    host = f"https://{region}.console.aws.amazon.com/states/home?region={region}"
    return f"{host}#/express-executions/details/{quote(arn, safe=':')}"


def _code(exc: BotoCoreError | ClientError) -> str:
    return str(exc.response.get("Error", {}).get("Code", "")) if isinstance(exc, ClientError) else ""


def _ours(exc: BotoCoreError | ClientError) -> Exception:
    if isinstance(exc, ReadTimeoutError):
        return DeadlinePassed("the execution took longer than we can wait")
    code = _code(exc)
    if code in _WRONG_INPUT:
        return BadMessage(f"Step Functions refused the input: {code}")
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) if isinstance(exc, ClientError) else 0
    if isinstance(exc, HTTPClientError | NoConnectionError) or code in _BUSY or status >= 500:
        return TryLater(f"Step Functions is busy or away: {code or type(exc).__name__}")
    return BadSettings(f"Step Functions refused: {code or type(exc).__name__}")
