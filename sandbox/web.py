"""A small HTTP/1.1 server (RFC 9112) on asyncio streams: keep-alive, and able to misbehave on purpose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .faults import Fault

MAX_HEAD_BYTES = 32_768
MAX_BODY_BYTES = 4_000_000
IDLE_S = 120.0
HANG_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; header names are lower case, `path` is decoded."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    close: bool

    def json(self) -> Any:
        """The body as JSON; raises ValueError."""
        return json.loads(self.body.decode("utf-8")) if self.body else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One reply; `drip_s` sends it a byte at a time, `cut` closes after half of it, `hang` never sends it."""

    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    drip_s: float | None = None
    cut: bool = False
    hang: bool = False
    close: bool = False


Handler = Callable[[Request], Awaitable[Response]]


def json_response(data: Any, status: int = 200, content_type: str = "application/json") -> Response:
    body = json.dumps(data, ensure_ascii=False, indent=1).encode()
    return Response(status=status, content_type=content_type, body=body)


class Connections:
    """The open connections of one server, so that stopping it can end them all."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._servers: list[asyncio.AbstractServer] = []

    async def listen(
        self,
        serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        host: str,
        port: int,
    ) -> int:
        """Serve TCP connections; returns the port. Raises OSError if it is taken."""

        async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await serve(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
                pass
            finally:
                self._tasks.discard(task)
                writer.close()
                with suppress(ConnectionError, asyncio.CancelledError, TimeoutError):
                    await asyncio.wait_for(writer.wait_closed(), 1)

        server = await asyncio.start_server(tracked, host, port, limit=MAX_HEAD_BYTES, backlog=512)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def serve_http(connections: Connections, handler: Handler, host: str, port: int) -> int:
    """Serve HTTP with keep-alive; returns the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await asyncio.wait_for(_read_request(reader), IDLE_S)
            if request is None:
                return
            try:
                response = await handler(request)
            except Exception as exc:
                response = json_response({"error": f"the sandbox failed: {exc!r}"}, 500)
            if not await _send(writer, request, response):
                return

    return await connections.listen(serve, host, port)


def broken(fault: Fault, response: Response) -> Response:  # noqa: PLR0912 (one branch a fault)
    """What a faulty HTTP service sends instead of `response` (for the faults every HTTP service knows)."""
    match fault.kind:
        case "error_500":
            return Response(status=500, content_type="text/plain", body=b"Internal Server Error\n")
        case "unavailable":
            return Response(
                status=503, content_type="text/html", body=b"<h1>503 Service Unavailable</h1>",
                headers={"Retry-After": f"{fault.retry_after_s:g}"},
            )  # fmt: skip
        case "throttle":
            return Response(
                status=429, content_type="application/json", body=b'{"errorCode": 429, "title": "Too Many Requests"}',
                headers={"Retry-After": f"{fault.retry_after_s:g}"},
            )  # fmt: skip
        case "gone_410":
            return Response(status=410, content_type="text/plain", body=b"Gone\n")
        case "hang":
            return Response(hang=True)
        case "drip":
            return Response(
                status=response.status, content_type=response.content_type, body=response.body, drip_s=fault.delay_s
            )
        case "garbage":
            return Response(content_type=response.content_type, body=bytes(range(256)) * 4)
        case "truncated":
            half = response.body[: len(response.body) // 2]
            return Response(status=response.status, content_type=response.content_type, body=half)
        case "html":
            return Response(
                content_type="text/html; charset=utf-8",
                body=b"<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>",
            )
        case "close":
            return Response(body=response.body, cut=True)
        case "empty":
            return Response(content_type=response.content_type)
        case "redirect":
            return Response(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"}, content_type="text/plain")
        case _:
            return response


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    lines = head.decode("latin-1").split("\r\n")
    method, _, rest = lines[0].partition(" ")
    target, _, version = rest.partition(" ")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        if colon:
            headers[key.strip().lower()] = value.strip()
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        return None
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        if headers.get("expect", "").lower() == "100-continue":
            return None
        body = await reader.readexactly(int(length))
    parts = urlsplit(target)
    close = headers.get("connection", "").lower() == "close" or version == "HTTP/1.0"
    return Request(
        method=method, path=unquote(parts.path), query=parse_qs(parts.query), headers=headers, body=body, close=close
    )


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = int((await reader.readline()).split(b";")[0] or b"0", 16)
        chunk = await reader.readexactly(size + 2)
        if size == 0 or len(body) > MAX_BODY_BYTES:
            return body
        body += chunk[:-2]


async def _send(writer: asyncio.StreamWriter, request: Request, response: Response) -> bool:
    """Send a reply; whether the connection may be used again."""
    if response.hang:
        await asyncio.sleep(HANG_S)
        return False
    close = request.close or response.close or response.cut
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Status"
    headers = {
        "Content-Type": response.content_type,
        "Content-Length": str(len(response.body)),
        "Connection": "close" if close else "keep-alive",
        **response.headers,
    }
    if not response.content_type:
        del headers["Content-Type"]
    head = f"HTTP/1.1 {response.status} {phrase}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
    data = head.encode("latin-1") + (b"" if request.method == "HEAD" else response.body)
    if response.cut:
        writer.write(data[: len(head) + len(response.body) // 2])
    elif response.drip_s is not None:
        for index in range(len(data)):
            writer.write(data[index : index + 1])
            await writer.drain()
            await asyncio.sleep(response.drip_s)
    else:
        writer.write(data)
    await writer.drain()
    return not close
