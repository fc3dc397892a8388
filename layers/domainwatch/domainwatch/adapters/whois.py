"""WHOIS (RFC 3912): one line is sent, everything is read until the far side closes, the deadline passes or the cap is
full.
"""

import time

from domainwatch.adapters import guard
from domainwatch.adapters.guard import AllowedNetworks
from domainwatch.adapters.sockets import Connection, Deadline, Resolve, connect
from domainwatch.errors import DeadlinePassed, Unreachable
from domainwatch.ports import WhoisReply

PORT = 43
MAX_REPLY_BYTES = 256 * 1024


class WhoisClient:
    """The `WhoisPort` adapter. Holds no connection and is safe to share between threads."""

    def __init__(self, *, resolve: Resolve, allowed: AllowedNetworks, max_reply_bytes: int = MAX_REPLY_BYTES) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._max_reply_bytes = max_reply_bytes

    def ask(self, server: str, query: str, *, charset: str | None, timeout_s: float) -> WhoisReply:
        """See `WhoisPort.ask`. Also `complete=False` when the connection broke after bytes had come."""
        started = time.monotonic()
        deadline = Deadline(timeout_s)
        host, port = guard.host_port(server, default_port=PORT)
        line = _query_line(query, charset)
        connection = connect(host, port, resolve=self._resolve, allowed=self._allowed, deadline=deadline)
        try:
            data, complete = self._exchange(connection, line, deadline)
        finally:
            connection.close()
        return WhoisReply(
            text=decoded(data, charset, complete=complete),
            complete=complete,
            duration_ms=round((time.monotonic() - started) * 1000),
        )

    def _exchange(self, connection: Connection, line: bytes, deadline: Deadline) -> tuple[bytes, bool]:
        connection.begin(deadline)
        data = bytearray()
        chunk = bytearray(16 * 1024)
        try:
            connection.send_all(line)
            while count := connection.readinto(chunk):
                data += chunk[:count]
                if len(data) > self._max_reply_bytes:
                    return bytes(data[: self._max_reply_bytes]), False
        except DeadlinePassed:
            if not data:
                raise
            return bytes(data), False
        except OSError as exc:
            if not data:
                raise Unreachable(
                    f"{connection.address} broke the connection: {exc}", reason="connection_closed"
                ) from exc
            return bytes(data), False
        return bytes(data), True


def decoded(data: bytes, charset: str | None, *, complete: bool = True) -> str:
    """The text of a reply: the charset it is known to use, else UTF-8, else Windows-1252, else Latin-1, which takes
    anything.
    """
    for codec in (charset, "utf-8", "cp1252"):
        if codec is None:
            continue
        try:
            return data.decode(codec)
        except UnicodeDecodeError as exc:
            if not complete and codec == "utf-8" and exc.reason == "unexpected end of data":
                return data[: exc.start].decode(codec)  # cut inside a character
        except (LookupError, UnicodeError):
            continue  # no charset of text: a typing mistake in a zones file
    return data.decode("latin-1")


def _query_line(query: str, charset: str | None) -> bytes:
    if not query or not query.isprintable():
        raise ValueError("a WHOIS query is one line of printable text")
    try:
        text = query.encode(charset or "utf-8")
    except (UnicodeEncodeError, LookupError):
        text = query.encode("utf-8")
    return text + b"\r\n"
