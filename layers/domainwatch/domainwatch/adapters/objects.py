"""Objects in S3, for a zones file kept there."""

from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from domainwatch.errors import TooLarge, Unreachable

MAX_BYTES = 4_000_000


def read_object(client: Any, url: str) -> bytes:
    """The object at `s3://bucket/key`, at most 4 MB. Raises `Unreachable` and `TooLarge`."""
    parts = urlsplit(url)
    try:
        body: bytes = client.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"].read(MAX_BYTES + 1)
    except (BotoCoreError, ClientError) as exc:
        raise Unreachable(f"{url} could not be read: {exc}") from exc
    if len(body) > MAX_BYTES:
        raise TooLarge(f"{url} is larger than {MAX_BYTES} bytes")
    return body
