"""What every DynamoDB adapter needs: JSON values to attribute values and back, calls repeated while that may help, and
vendor errors as ours.

Values are plain JSON. A number without a fraction comes back as an int, any other as a float; no `Decimal` leaves here.
"""

import json
import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from domainwatch.errors import BadMessage, BadSettings, Conflict, TryLater, Unreachable

Item = dict[str, dict[str, Any]]
T = TypeVar("T")

# An item may have 400 KB, a transaction 4 MB and 100 actions; ours are measured as JSON, which is hardly ever smaller.
MAX_ITEM_BYTES = 380_000
MAX_TRANSACTION_BYTES = 3_500_000
MAX_ACTIONS = 100
KEYS_PER_GET = 100

# As many as botocore keeps connections: more threads at once would only open and close others.
CALLS_AT_ONCE = 10
# How often a call is made in all, beside the client's own quick retries, and how long the pauses between may grow.
ATTEMPTS = 6
TRANSACTION_ATTEMPTS = 10
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0

_MAX_DIGITS = 38
_SMALLEST, _LARGEST = 1e-130, 1e125
_BUSY = {
    "InternalServerError",
    "ItemCollectionSizeLimitExceededException",
    "LimitExceededException",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}
_MISCONFIGURED = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "ResourceNotFoundException",
    "UnrecognizedClientException",
}


class ConditionFailed(Conflict):
    """The item is not as the condition wants it; `item` is what is there now (empty: nothing, or not asked for)."""

    def __init__(self, message: str, item: Item) -> None:
        super().__init__(message)
        self.item = item


class Cancelled(Conflict):
    """A transaction was not done; `reasons` has one entry per action: (code, what is there now)."""

    def __init__(self, message: str, reasons: Sequence[tuple[str, Item]]) -> None:
        super().__init__(message)
        self.reasons = reasons


def busy(code: str) -> bool:
    """Whether an error or cancellation code means that the same again, a little later, may work."""
    return code in _BUSY


class Dynamo:
    """DynamoDB calls, repeated (bounded, jittered) while DynamoDB is busy or away, that raise our errors only.

    Every call is safe to repeat: reads are, and writes carry a condition or a token.
    """

    def __init__(
        self,
        client: Any,
        *,
        sleep: Callable[[float], object] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._chance = chance
        self._lines = threading.BoundedSemaphore(CALLS_AT_ONCE)

    def pause(self, attempt: int) -> None:
        """Wait before the next attempt (0 is the first pause): exponential, with full jitter."""
        self._sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt) * self._chance())

    def call(self, operation: str, **request: Any) -> Mapping[str, Any]:
        """One operation by its client method's name. Raises `TryLater`, `ConditionFailed`, `Cancelled`, `BadSettings`
        or `BadMessage`.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self._lines:
                    reply: Mapping[str, Any] = getattr(self._client, operation)(**request)
            except (BotoCoreError, ClientError) as exc:
                error = _ours(operation, exc)
                if not isinstance(error, TryLater) or attempt + 1 == ATTEMPTS:
                    raise error from exc
                self.pause(attempt)
            else:
                return reply
        raise AssertionError("unreachable")

    def get_all(self, table: str, keys: Sequence[Item], **request: Any) -> Iterator[Item]:
        """The items of those keys that exist, read consistently, in no order. What DynamoDB left out is asked again."""
        for chunk in chunks(keys, KEYS_PER_GET):
            pending: list[Item] = chunk
            attempt = 0
            while pending:
                asked = {table: {"Keys": pending, "ConsistentRead": True, **request}}
                reply = self.call("batch_get_item", RequestItems=asked)
                yield from reply.get("Responses", {}).get(table, [])
                left = reply.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
                # A reply cut at 16 MB is progress; only one that brought nothing counts as a failed attempt.
                attempt = attempt + 1 if len(left) == len(pending) else 0
                if attempt == ATTEMPTS:
                    raise TryLater("DynamoDB left keys unread", reason="throttled")
                if left:
                    self.pause(attempt)
                pending = left

    def query(self, table: str, **request: Any) -> Iterator[Item]:
        """All items of a Query, page after page."""
        for page in self.query_pages(table, **request):
            yield from page.get("Items", [])

    def query_pages(self, table: str, **request: Any) -> Iterator[Mapping[str, Any]]:
        """The replies of a Query until its end."""
        while True:
            page = self.call("query", TableName=table, **request)
            yield page
            if not page.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _ours(operation: str, exc: BotoCoreError | ClientError) -> Exception:
    if isinstance(exc, NoConnectionError | HTTPClientError):
        return Unreachable(f"DynamoDB {operation}: {type(exc).__name__}")
    if not isinstance(exc, ClientError):
        return BadSettings(f"DynamoDB {operation}: {exc}")
    code = exc.response.get("Error", {}).get("Code", "")
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = f"DynamoDB {operation}: {code}: {str(exc)[:300]}"
    extra: Mapping[str, Any] = exc.response  # members of one error's own shape
    if code == "ConditionalCheckFailedException":
        return ConditionFailed(message, extra.get("Item") or {})
    reasons = extra.get("CancellationReasons")
    if code == "TransactionCanceledException" and reasons:
        return Cancelled(message, [(reason.get("Code") or "None", reason.get("Item") or {}) for reason in reasons])
    if code in _BUSY or code == "TransactionCanceledException" or status >= 500:
        return TryLater(message, reason="throttled" if "Th" in code else "try_later")
    if code in _MISCONFIGURED:
        return BadSettings(message)
    return BadMessage(message)


# --- values -----------------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """The JSON value as it will be read back: tuples are lists, lone surrogates (JSON can smuggle them in, UTF-8 cannot
    hold them) are `?`. Raises `BadMessage` for what is no JSON or no number DynamoDB can hold.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int):
        if len(str(abs(value))) > _MAX_DIGITS:
            raise BadMessage("a number of more than 38 digits cannot be stored")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value) or (value and not _SMALLEST <= abs(value) <= _LARGEST):
            raise BadMessage(f"{value!r} cannot be stored")
        return value
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    raise BadMessage(f"a {type(value).__name__} is no JSON value")


def to_value(value: Any) -> dict[str, Any]:
    """The attribute value of a `plain` JSON value."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, list):
        return {"L": [to_value(inner) for inner in value]}
    return {"M": {key: to_value(inner) for key, inner in value.items()}}


def from_value(value: Mapping[str, Any]) -> Any:
    """The JSON value of an attribute value."""
    ((kind, held),) = value.items()
    if kind == "N":
        return number(held)
    if kind == "NULL":
        return None
    if kind == "L":
        return [from_value(inner) for inner in held]
    if kind == "M":
        return {key: from_value(inner) for key, inner in held.items()}
    if kind in {"SS", "NS"}:
        return [number(inner) if kind == "NS" else inner for inner in sorted(held)]
    return held


def number(text: str) -> int | float:
    """An int where the number has no fraction and no exponent."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def to_item(values: Mapping[str, Any]) -> Item:
    """A whole item of JSON values."""
    return {key: to_value(plain(value)) for key, value in values.items()}


def from_item(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON values of a whole item."""
    return {key: from_value(value) for key, value in item.items()}


def size_bytes(value: object) -> int:
    """About how much of DynamoDB's limits a request or an item takes."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values in lists of at most `size`, lazily."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk
