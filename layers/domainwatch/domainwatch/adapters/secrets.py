"""Secrets Manager's values, kept for a minute so that a rotation shows and a burst of callbacks costs one call."""

import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from domainwatch.errors import BadSettings, TryLater

KEPT_S = 60.0
_BUSY = frozenset(
    {"InternalServiceError", "InternalServiceErrorException", "ThrottlingException", "RequestLimitExceeded"}
)
# What Secrets Manager says of a secret that exists and was never given a value.
_NO_VALUE_YET = "secret value"


class Secrets:
    """Values by ARN or name. An empty ARN is a secret that was not configured: its value is the empty text."""

    def __init__(self, client: Any, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock_s = clock_s
        self._kept: dict[str, tuple[float, str]] = {}

    def value(self, arn: str) -> str:
        """The current value, at most `KEPT_S` old; while Secrets Manager is away, the last one seen. Raises `TryLater`
        and `BadSettings`.
        """
        if not arn:
            return ""
        kept = self._kept.get(arn)
        if kept and self._clock_s() - kept[0] < KEPT_S:
            return kept[1]
        try:
            value = self._fetch(arn)
        except TryLater:
            if kept is None:
                raise
            return kept[1]
        self._kept[arn] = (self._clock_s(), value)
        return value

    def _fetch(self, arn: str) -> str:
        try:
            reply = self._client.get_secret_value(SecretId=arn)
        except ClientError as exc:
            error = exc.response.get("Error", {})
            code, status = error.get("Code", ""), exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code == "ResourceNotFoundException" and _NO_VALUE_YET in error.get("Message", ""):
                return ""
            if code in _BUSY or status >= 500:
                raise TryLater(f"Secrets Manager: {code}", reason="secrets") from exc
            raise BadSettings(f"the secret {arn} cannot be read: {code}") from exc
        except BotoCoreError as exc:
            raise TryLater(f"Secrets Manager: {type(exc).__name__}", reason="secrets") from exc
        return str(reply.get("SecretString") or "")
