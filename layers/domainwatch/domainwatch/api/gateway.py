"""Between API Gateway's HTTP API (payload format 2.0) and our requests and replies."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from domainwatch import wire
from domainwatch.api.problems import Problem, bad_request

MAX_BODY_BYTES = 1_000_000
_MAX_FIELDS = 32
# What curl and Python's urllib say of a body when nobody told them, and saying nothing, are taken for JSON too.
_TAKEN_FOR_JSON = frozenset({"application/json", "", "application/x-www-form-urlencoded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: decoded path segments, the query's last value of each field, header names in lower case."""

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body's JSON value; an empty body is an empty object. Raises `Problem` 400, 413 or 415."""
        if not self.body:
            return {}
        if len(self.body) > MAX_BODY_BYTES:
            raise Problem(413, "too_large", f"a body has at most {MAX_BODY_BYTES} bytes")
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in _TAKEN_FOR_JSON and not media_type.endswith("+json"):
            raise Problem(415, "not_json", "send the body as application/json")
        try:
            return json.loads(self.body, parse_constant=_no_constant)
        except (ValueError, RecursionError) as exc:  # a few thousand open brackets are enough for the latter
            raise bad_request("malformed_json", f"the body is no JSON: {str(exc)[:200]}") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply: `body` is a JSON value, None for no content."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


def request_from(event: Mapping[str, Any]) -> Request:
    """Parse a payload 2.0 event. Raises `Problem` 400 for what cannot be decoded."""
    context = event["requestContext"]
    path = event.get("rawPath") or context["http"].get("path") or "/"
    return Request(
        method=str(context["http"]["method"]).upper(),
        segments=_segments(path, str(context.get("stage", ""))),
        query=_query(event),
        headers={str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()},
        body=_body(event),
    )


def response_from(reply: Reply) -> dict[str, Any]:
    """The reply as API Gateway takes it."""
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff", **reply.headers}
    body = ""
    if reply.body is not None:
        headers["content-type"] = reply.content_type
        # JSON's escapes let lone surrogates in, UTF-8 does not let them out.
        body = wire.dumps(reply.body).encode("utf-8", "replace").decode("utf-8")
    return {"statusCode": reply.status, "headers": headers, "body": body, "isBase64Encoded": False}


def _segments(path: str, stage: str) -> tuple[str, ...]:
    try:
        segments = tuple(unquote(segment, errors="strict") for segment in path.split("/") if segment)
    except UnicodeDecodeError as exc:
        raise bad_request("malformed_path", "the path is not percent-encoded UTF-8") from exc
    return segments[1:] if stage and segments[:1] == (stage,) else segments


def _query(event: Mapping[str, Any]) -> dict[str, str]:
    raw = event.get("rawQueryString")
    if not raw:
        return {str(key): str(value) for key, value in (event.get("queryStringParameters") or {}).items()}
    try:
        return dict(parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS))
    except ValueError as exc:  # UnicodeDecodeError is one
        raise bad_request("malformed_query", "the query cannot be decoded") from exc


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise bad_request("malformed_body", "the body is not base64") from exc


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON number")
