"""HTTP/1.1 (RFC 9110, 9112) with one deadline and one size cap for the whole exchange, to permitted addresses only."""

import functools
import http.client
import re
import ssl
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urljoin, urlsplit

from domainwatch.adapters import guard
from domainwatch.adapters.guard import AllowedNetworks
from domainwatch.adapters.sockets import Connection, Deadline, ReplyReader, Resolve, connect
from domainwatch.errors import DomainwatchError, Malformed, TooLarge, Unreachable
from domainwatch.ports import HttpReply

MAX_HEAD_BYTES = 64 * 1024
MAX_RETRY_AFTER_S = 86_400.0
_MAX_URL_CHARS = 4096
_SLACK_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A parsed URL: an absolute http or https one without user information."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> "_Target":
        if len(url) > _MAX_URL_CHARS:
            raise Malformed(f"a URL of {len(url)} characters", reason="bad_url")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as exc:
            raise Malformed(f"not a URL: {url[:200]!r}", reason="bad_url") from exc
        scheme = parts.scheme.lower()
        if scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc or port == 0:
            raise Malformed(f"not a plain http or https URL: {url[:200]!r}", reason="bad_url")
        path = quote(parts.path or "/", safe="/%:=&?~+!$,;'@()*[]")
        if parts.query:
            path += "?" + quote(parts.query, safe="/%:=&?~+!$,;'@()*[]")
        return cls(scheme=scheme, host=guard.host(parts.hostname), port=port or _DEFAULT_PORTS[scheme], path=path)

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.path}"

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)


class _Line:
    """One kept connection and its reader."""

    __slots__ = ("connection", "idle_since", "reader")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.reader = ReplyReader(connection, 16 * 1024)
        self.idle_since = 0.0

    # What http.client.HTTPResponse asks of a socket.
    def makefile(self, mode: str) -> ReplyReader:
        return self.reader

    def close(self) -> None:
        self.connection.close()


class _Pool:
    """Kept connections by scheme, host and port, each lent to one thread at a time."""

    def __init__(self, *, per_key: int, in_all: int, idle_s: float) -> None:
        self._per_key = per_key
        self._in_all = in_all
        self._idle_s = idle_s
        self._lines: dict[tuple[str, str, int], list[_Line]] = {}
        self._count = 0
        self._lock = threading.Lock()

    def take(self, key: tuple[str, str, int]) -> _Line | None:
        """A kept connection that is still open and quiet."""
        while True:
            with self._lock:
                kept = self._lines.get(key)
                if not kept:
                    return None
                line = kept.pop()
                self._count -= 1
            if time.monotonic() - line.idle_since < self._idle_s and line.connection.is_quiet(line.reader):
                return line
            line.close()

    def give(self, key: tuple[str, str, int], line: _Line) -> None:
        line.idle_since = time.monotonic()
        with self._lock:
            kept = self._lines.setdefault(key, [])
            if len(kept) < self._per_key and self._count < self._in_all:
                kept.append(line)
                self._count += 1
                return
        line.close()

    def close(self) -> None:
        with self._lock:
            lines = [line for kept in self._lines.values() for line in kept]
            self._lines.clear()
            self._count = 0
        for line in lines:
            line.close()


class GuardedHttp:
    """The `HttpPort` adapter. Safe to share between threads; `close` ends the kept connections.

    `resolve` turns a host name into addresses. `tls` None verifies against the system's certificate authorities.
    """

    def __init__(
        self,
        *,
        resolve: Resolve,
        allowed: AllowedNetworks,
        user_agent: str = "Domainwatch",
        tls: ssl.SSLContext | None = None,
        kept_per_host: int = 8,
        kept_in_all: int = 64,
        kept_idle_s: float = 30.0,
    ) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._user_agent = user_agent
        self._tls = tls
        self._tls_lock = threading.Lock()
        self._pool = _Pool(per_key=kept_per_host, in_all=kept_in_all, idle_s=kept_idle_s)

    def close(self) -> None:
        """Close what is kept; the adapter stays usable."""
        self._pool.close()

    def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float,
        max_bytes: int,
        redirects: int = 0,
        truncate: bool = False,
    ) -> HttpReply:
        """See `HttpPort.fetch`. `max_bytes` counts the decoded body. A chain longer than `redirects` raises
        `Malformed`; with `redirects` 0 the redirect itself is the reply.
        """
        started = time.monotonic()
        deadline = Deadline(timeout_s)
        target = _Target.parse(url)
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        seen = {target.url}
        hops = 0
        while True:
            status, got, content = self._exchange(
                target, method, sent, body, deadline=deadline, max_bytes=max_bytes, truncate=truncate
            )
            location = got.get("location")
            if status not in _REDIRECTS or not location or redirects == 0:
                duration_ms = round((time.monotonic() - started) * 1000)
                return HttpReply(status=status, headers=got, body=content, url=target.url, duration_ms=duration_ms)
            hops += 1
            if hops > redirects:
                raise Malformed(f"more than {redirects} redirects from {url[:200]}", reason="too_many_redirects")
            previous, target = target, _next_hop(target, location)
            if target.url in seen:
                raise Malformed(f"a redirect loop at {target.url[:200]}", reason="redirect_loop")
            seen.add(target.url)
            if status == 303 or (status in {301, 302} and method == "POST"):
                method, body = ("HEAD" if method == "HEAD" else "GET"), None
                sent.pop("content-type", None)
            if target.key != previous.key:
                sent = {name: value for name, value in sent.items() if name not in _CREDENTIALS}

    def _exchange(
        self,
        target: _Target,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        deadline: Deadline,
        max_bytes: int,
        truncate: bool,
    ) -> tuple[int, dict[str, str], bytes]:
        request = self._request(target, method, headers, body)
        converse = functools.partial(
            self._converse,
            target=target,
            method=method,
            request=request,
            deadline=deadline,
            max_bytes=max_bytes,
            truncate=truncate,
        )
        line = self._pool.take(target.key)
        if line is not None:
            try:
                return converse(line)
            except Unreachable:
                # The far side closed a kept connection as we used it. Nothing of a reply came: ask once more, anew.
                if line.connection.bytes_in or method not in _IDEMPOTENT:
                    raise
        line = _Line(
            connect(
                target.host,
                target.port,
                resolve=self._resolve,
                allowed=self._allowed,
                deadline=deadline,
                tls=self._context() if target.scheme == "https" else None,
            )
        )
        return converse(line)

    def _converse(
        self,
        line: _Line,
        *,
        target: _Target,
        method: str,
        request: bytes,
        deadline: Deadline,
        max_bytes: int,
        truncate: bool,
    ) -> tuple[int, dict[str, str], bytes]:
        keep = False
        reply = http.client.HTTPResponse(line, method=method)  # type: ignore[arg-type]  # it asks for makefile only
        try:
            line.connection.begin(deadline, max_bytes=MAX_HEAD_BYTES)
            line.connection.send_all(request)
            reply.begin()
            if line.connection.ended:  # http.client takes the end of the stream for the end of the head
                raise Malformed(f"{target.host} closed inside the reply's head", reason="truncated")
            # Room for the framing of small chunks too; what they carry is counted where it is decoded.
            line.connection.allow(8 * max_bytes + _SLACK_BYTES)
            got = _headers(reply)
            content, whole = _body(reply, got.get("content-encoding", ""), max_bytes=max_bytes, truncate=truncate)
            keep = whole and not reply.will_close and reply.status >= 200
            return reply.status, got, content
        except DomainwatchError:
            raise
        except ssl.SSLError as exc:
            raise Unreachable(f"TLS with {target.host} broke: {exc}", reason="tls_broken") from exc
        except OSError as exc:  # http.client.RemoteDisconnected is one
            raise Unreachable(f"{target.host} closed the connection: {exc}", reason="connection_closed") from exc
        except (http.client.HTTPException, ValueError, zlib.error) as exc:
            raise Malformed(f"{target.host} does not speak HTTP: {type(exc).__name__} {str(exc)[:200]}") from exc
        finally:
            reply.close()  # before the connection: closing it would look at its file once more
            if keep:
                self._pool.give(target.key, line)
            else:
                line.close()

    def _request(self, target: _Target, method: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        if not _TOKEN.fullmatch(method):
            raise ValueError(f"not an HTTP method: {method!r}")
        lines = {
            "host": target.host_header,
            "user-agent": self._user_agent,
            "accept": "*/*",
            "accept-encoding": "gzip",
            **headers,
        }
        if body is not None or method in {"POST", "PUT", "PATCH"}:
            lines["content-length"] = str(len(body or b""))
        head = [f"{method} {target.path} HTTP/1.1"]
        for name, value in lines.items():
            if not _TOKEN.fullmatch(name) or not value.isprintable():
                raise ValueError(f"not an HTTP header field: {name!r}")
            head.append(f"{name}: {value}")
        return "\r\n".join([*head, "", ""]).encode("utf-8") + (body or b"")

    def _context(self) -> ssl.SSLContext:
        with self._tls_lock:
            if self._tls is None:
                self._tls = ssl.create_default_context()
            return self._tls


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """`Retry-After` in seconds from `now` (RFC 9110, 10.2.3: seconds or a date), at most a day; None without a
    readable one.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,18}", value):
        return min(float(value), MAX_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(value)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        return min(max((at - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _next_hop(target: _Target, location: str) -> _Target:
    try:
        hop = _Target.parse(urljoin(target.url, location))
    except ValueError as exc:
        raise Malformed(f"a redirect to nowhere: {location[:200]!r}", reason="bad_redirect") from exc
    if target.scheme == "https" and hop.scheme != "https":
        raise Malformed(f"a redirect from https to {hop.url[:200]}", reason="insecure_redirect")
    return hop


def _headers(reply: http.client.HTTPResponse) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in reply.getheaders():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def _body(reply: http.client.HTTPResponse, encoding: str, *, max_bytes: int, truncate: bool) -> tuple[bytes, bool]:
    """The decoded body and whether it was read to its end."""
    decoder = _Decoder(encoding)
    body = bytearray()
    while True:
        # One byte of room more than allowed tells a body that fits exactly from a longer one.
        room = max_bytes + 1 - len(body)
        raw = reply.read(min(room, _CHUNK_BYTES))
        if not raw:
            break
        body += decoder.decoded(raw, room)
        if len(body) > max_bytes:
            if truncate:
                return bytes(body[:max_bytes]), False
            raise TooLarge(f"a body of more than {max_bytes} bytes")
    if reply.length:  # http.client reports a body cut short only to those who read it without a size
        raise Malformed("the connection closed before the body's end", reason="truncated")
    if not decoder.finished:
        raise Malformed("the compressed body ended early", reason="truncated")
    return bytes(body), True


class _Decoder:
    """Undoes one content coding, never giving more than it is asked for (RFC 9110, 8.4.1)."""

    def __init__(self, encoding: str) -> None:
        codings = [coding for part in encoding.lower().split(",") if (coding := part.strip()) not in {"", "identity"}]
        if len(codings) > 1 or (codings and codings[0] not in {"gzip", "x-gzip", "deflate"}):
            raise Malformed(f"a content coding we did not ask for: {encoding[:80]!r}", reason="unsupported_encoding")
        self._deflate = codings == ["deflate"]
        self._inflate = zlib.decompressobj(15 if self._deflate else 31) if codings else None
        self._started = False

    @property
    def finished(self) -> bool:
        return self._inflate is None or not self._started or self._inflate.eof

    def decoded(self, raw: bytes, max_out: int) -> bytes:
        """The next decoded bytes, at most `max_out` unless nothing is coded. Raises `zlib.error`."""
        if self._inflate is None:
            return raw
        out = bytearray()
        while raw and len(out) < max_out:
            if self._inflate.eof:
                if self._deflate or not raw.startswith(b"\x1f\x8b"):
                    break  # padding after the end
                self._inflate = zlib.decompressobj(31)
            out += self._inflated(raw, max_out - len(out))
            raw = self._inflate.unconsumed_tail or self._inflate.unused_data
        return bytes(out)

    def _inflated(self, raw: bytes, max_out: int) -> bytes:
        assert self._inflate is not None
        first, self._started = not self._started, True
        try:
            return self._inflate.decompress(raw, max_out)
        except zlib.error:
            if not (first and self._deflate):
                raise
            self._inflate = zlib.decompressobj(-15)  # "deflate" without zlib's wrapper, as some servers send it
            return self._inflate.decompress(raw, max_out)
