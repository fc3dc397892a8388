"""What the HTTP API looks at and sets off beside the ladder: how full the queues are, and a list refresh now."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from domainwatch.errors import Malformed, TryLater

_ATTRIBUTES = {
    "waiting": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}


class SqsDepths:
    """The `QueueDepths` adapter. `client` is boto3's SQS client, `urls` maps what a queue is called to its URL."""

    def __init__(self, client: Any, urls: Mapping[str, str]) -> None:
        self._client = client
        self._urls = dict(urls)

    def depths(self) -> Mapping[str, Mapping[str, int]]:
        """See `QueueDepths`. SQS's numbers are approximate. Raises `TryLater`."""
        return {queue: self._depth(url) for queue, url in self._urls.items()}

    def _depth(self, url: str) -> dict[str, int]:
        try:
            reply = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=list(_ATTRIBUTES.values()))
        except (BotoCoreError, ClientError) as exc:
            raise TryLater(f"SQS did not tell a queue's depth: {type(exc).__name__}") from exc
        said = reply.get("Attributes", {})
        return {word: int(said.get(attribute, 0)) for word, attribute in _ATTRIBUTES.items()}


class FunctionRefresher:
    """The `Refresher` adapter: invokes the function that fetches the list and waits for it. `client` is boto3's Lambda
    client with a read timeout below the API's own and no retries; what lasts longer goes on without us.
    """

    def __init__(self, client: Any, function: str) -> None:
        self._client = client
        self._function = function

    def refresh(self, *, confirm_removal: bool) -> Mapping[str, Any] | None:
        """See `Refresher`."""
        event = json.dumps({"confirm_removal": True} if confirm_removal else {}).encode()
        try:
            reply = self._client.invoke(FunctionName=self._function, InvocationType="RequestResponse", Payload=event)
            payload = reply["Payload"].read()
        except ReadTimeoutError:
            return None
        except (BotoCoreError, ClientError) as exc:
            raise TryLater(f"the list refresh could not be started: {type(exc).__name__}") from exc
        if reply.get("FunctionError"):
            raise Malformed(f"the list refresh failed: {payload[:500]!r}", reason="refresh_failed")
        try:
            answer = json.loads(payload or b"{}")
        except ValueError as exc:
            raise Malformed("the list refresh answered no JSON", reason="refresh_failed") from exc
        return answer if isinstance(answer, dict) else {}
