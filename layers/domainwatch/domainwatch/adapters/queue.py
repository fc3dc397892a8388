"""The check queue: SQS SendMessageBatch, within its limits, each entry taken or reported."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from domainwatch.errors import BadMessage, TryLater
from domainwatch.wire import dumps

MAX_ENTRIES = 10
MAX_BATCH_BYTES = 262_144
MAX_DELAY_S = 900
ATTEMPTS = 4
FIRST_PAUSE_S = 0.1
MAX_REASON_CHARS = 500

Entry = dict[str, Any]


class SqsQueue:
    """`ports.QueuePort` over one SQS queue. What SQS refused is sent again a few times, with jittered pauses."""

    def __init__(
        self,
        client: Any,
        queue_url: str,
        *,
        sleep: Callable[[float], object] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._queue_url = queue_url
        self._sleep = sleep
        self._chance = chance

    def send(self, messages: Sequence[tuple[Mapping[str, Any], int]]) -> None:
        """Send every (message, delay in seconds) pair. Raises `TryLater` with how many were not taken after all
        attempts, and `BadMessage`, before anything is sent, for one that no queue takes.
        """
        pending = [_entry(message, delay_s) for message, delay_s in messages]
        why = ""
        for attempt in range(ATTEMPTS):
            if attempt and pending:
                self._sleep(FIRST_PAUSE_S * 2**attempt * (0.5 + self._chance() / 2))
            left: list[Entry] = []
            for batch in _batches(pending):
                refused, why_refused = self._send(batch)
                left += refused
                why = why_refused or why
            pending = left
            if not pending:
                return
        raise TryLater(f"{len(pending)} of {len(messages)} messages were not taken by the queue: {why}", reason="queue")

    def _send(self, batch: list[Entry]) -> tuple[list[Entry], str]:
        """The entries that were not taken, and why."""
        entries = [{**entry, "Id": str(index)} for index, entry in enumerate(batch)]
        try:
            reply = self._client.send_message_batch(QueueUrl=self._queue_url, Entries=entries)
        except ClientError as exc:
            return batch, str(exc.response.get("Error", {}).get("Code", "ClientError"))
        except BotoCoreError as exc:
            return batch, type(exc).__name__
        failed = reply.get("Failed") or []
        return [batch[int(each["Id"])] for each in failed], str(failed[0].get("Code", "")) if failed else ""


def _entry(message: Mapping[str, Any], delay_s: int) -> Entry:
    body = dumps(message)
    if len(body.encode()) > MAX_BATCH_BYTES:
        raise BadMessage(f"a message of {len(body.encode())} bytes; the queue takes {MAX_BATCH_BYTES}")
    return {"MessageBody": body, "DelaySeconds": max(0, min(MAX_DELAY_S, int(delay_s)))}


def _batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Runs of at most ten entries and 256 KB in all, in order."""
    batch: list[Entry] = []
    size_bytes = 0
    for entry in entries:
        entry_bytes = len(entry["MessageBody"].encode())
        if batch and (len(batch) == MAX_ENTRIES or size_bytes + entry_bytes > MAX_BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(entry)
        size_bytes += entry_bytes
    if batch:
        yield batch


class SqsDeadLetters:
    """Puts a message that no retry can cure straight into the dead-letter queue, with its reason as an attribute."""

    def __init__(self, client: Any, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def bury(self, body: str, reason: str) -> None:
        """Bury the message as it came. Raises `TryLater`."""
        attributes = {
            "reason": {
                "DataType": "String",
                "StringValue": reason.encode("ascii", "replace")[:MAX_REASON_CHARS].decode(),
            }
        }
        try:
            self._client.send_message(QueueUrl=self._queue_url, MessageBody=body, MessageAttributes=attributes)
        except (BotoCoreError, ClientError) as exc:
            raise TryLater(f"a malformed message could not be buried: {exc}", reason="queue") from exc
