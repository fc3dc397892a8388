"""A TCP connection with one deadline: whatever the far side does, drip included, no call outlasts it.

A timeout of the `socket` module bounds each receive on its own, so a peer that sends a byte a second is read for ever.
Here every connect, handshake, send and receive is given only what remains of the whole exchange's time.
"""

import contextlib
import io
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from domainwatch.adapters import guard
from domainwatch.adapters.guard import AllowedNetworks
from domainwatch.errors import AddressForbidden, DeadlinePassed, TooLarge, Unreachable

Resolve = Callable[[str, float], tuple[str, ...]]
"""`resolve(host, timeout_s)`: IP address literals, empty when the host has none. Raises `TryLater`."""

ATTEMPT_DELAY_S = 0.25  # RFC 8305, section 5: connection attempt delay
MAX_ADDRESSES = 8
_NO_SUCH_HOST = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}  # not every system has both
_LOOKUPS_AT_ONCE = threading.BoundedSemaphore(16)


class Deadline:
    """The end of one exchange on the monotonic clock."""

    __slots__ = ("_end",)

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s

    def remaining_s(self) -> float:
        """Seconds left, above zero. Raises `DeadlinePassed` when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise DeadlinePassed("the deadline of the whole exchange has passed")
        return left


class Connection(io.RawIOBase):
    """A connected stream whose every call is bounded by the deadline of the exchange it is used for."""

    def __init__(self, sock: socket.socket, deadline: Deadline, *, address: str, port: int) -> None:
        self._sock = sock
        self._deadline: Deadline | None = deadline
        self._bytes_left: int | None = None
        self.ended = False
        self.address = address
        self.port = port
        self.bytes_in = 0

    def begin(self, deadline: Deadline, *, max_bytes: int | None = None) -> None:
        """Start an exchange: `bytes_in` counts anew, and more than `max_bytes` raise `TooLarge`."""
        self._deadline = deadline
        self._bytes_left = max_bytes
        self.bytes_in = 0

    def allow(self, max_bytes: int | None) -> None:
        """Change how many more bytes may come."""
        self._bytes_left = max_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there, at least a byte; 0 at the end. Raises `DeadlinePassed`, `TooLarge`, `OSError`."""
        if self._deadline is None:
            return self._probe(buffer)
        self._sock.settimeout(self._deadline.remaining_s())
        try:
            count = self._sock.recv_into(buffer)
        except TimeoutError as exc:
            raise DeadlinePassed(f"{self.address} had not sent everything by the deadline") from exc
        self.ended = count == 0
        self.bytes_in += count
        if self._bytes_left is not None:
            self._bytes_left -= count
            if self._bytes_left < 0:
                raise TooLarge(f"{self.address} sent more than we are ready to read")
        return count

    def send_all(self, data: bytes) -> None:
        """Send everything. Raises `DeadlinePassed`, `OSError`."""
        if self._deadline is None:
            raise RuntimeError("no exchange was begun on this connection")
        self._sock.settimeout(self._deadline.remaining_s())
        try:
            self._sock.sendall(data)
        except TimeoutError as exc:
            raise DeadlinePassed(f"{self.address} did not take the request by the deadline") from exc

    def is_quiet(self, reader: io.BufferedReader) -> bool:
        """True when the far side has neither closed nor sent anything since the last reply: only then the connection
        can carry another request without mistaking stray bytes for its reply.
        """
        self._deadline = None
        try:
            return reader.peek(1) == b"" and not self.ended
        except (OSError, ValueError):
            return False

    def _probe(self, buffer: Any) -> int | None:
        self._sock.settimeout(0)
        try:
            count = self._sock.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        self.ended = count == 0
        return count

    def close(self) -> None:
        if not self.closed:
            self._sock.close()
        super().close()


class ReplyReader(io.BufferedReader):
    """The one buffered reader of a connection. `http.client` closes its file after each reply; this one outlives it,
    so that bytes read ahead are noticed instead of lost.
    """

    def close(self) -> None:
        """Leave it open; the connection is closed by its owner."""


def connect(
    host: str,
    port: int,
    *,
    resolve: Resolve,
    allowed: AllowedNetworks,
    deadline: Deadline,
    tls: ssl.SSLContext | None = None,
) -> Connection:
    """Connect to a host name or an address literal, to permitted addresses only, with TLS when `tls` is given.

    Several addresses are tried a quarter of a second apart and the first to answer wins (RFC 8305). Raises
    `Unreachable`, `AddressForbidden`, `DeadlinePassed`.
    """
    canonical = guard.host(host)
    found = _known(canonical) or resolve(canonical, deadline.remaining_s())
    if not found:
        raise Unreachable(f"{canonical} has no address", reason="no_address")
    addresses = [address for address in found if allowed.permits(address, port)][:MAX_ADDRESSES]
    if not addresses:
        raise AddressForbidden(f"{canonical} has no address that may be connected to on port {port}")
    sock, address = _first_to_answer(_interleaved(addresses), port, deadline)
    try:
        if tls is not None:
            sock = _with_tls(sock, canonical, tls, deadline)
        return Connection(sock, deadline, address=address, port=port)
    except BaseException:
        sock.close()
        raise


def _known(host: str) -> tuple[str, ...]:
    """The addresses of a host that needs no look-up: a literal's own, and localhost's (RFC 6761, 6.3)."""
    if guard.literal(host):
        return (host,)
    return ("127.0.0.1", "::1") if host == "localhost" or host.endswith(".localhost") else ()


def system_addresses(host: str, timeout_s: float) -> tuple[str, ...]:
    """The host's addresses by the system's own resolver. `getaddrinfo` knows no timeout, so a thread is left behind on
    one.
    """
    answer: list[tuple[str, ...] | OSError] = []
    done = threading.Event()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answer.append(tuple(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as exc:
            answer.append(exc if isinstance(exc, OSError) else OSError(str(exc)))
        finally:
            _LOOKUPS_AT_ONCE.release()
            done.set()

    deadline = Deadline(timeout_s)
    if not _LOOKUPS_AT_ONCE.acquire(timeout=deadline.remaining_s()):
        raise DeadlinePassed(f"too many look-ups under way to ask for {host}")
    threading.Thread(target=ask, daemon=True, name="getaddrinfo").start()
    if not done.wait(deadline.remaining_s()):
        raise DeadlinePassed(f"the system's resolver did not answer for {host}")
    (result,) = answer
    if isinstance(result, tuple):
        return result
    if isinstance(result, socket.gaierror) and result.errno in _NO_SUCH_HOST:
        return ()
    raise Unreachable(f"the system's resolver failed for {host}", reason="no_resolver") from result


def _interleaved(addresses: Sequence[str]) -> list[str]:
    """The two families in turn, so that one broken family costs a quarter of a second only (RFC 8305, section 4)."""
    v6 = [address for address in addresses if ":" in address]
    v4 = [address for address in addresses if ":" not in address]
    first, second = (v6, v4) if ":" in addresses[0] else (v4, v6)
    mixed: list[str] = []
    for index in range(max(len(first), len(second))):
        mixed += first[index : index + 1] + second[index : index + 1]
    return mixed


def _first_to_answer(addresses: list[str], port: int, deadline: Deadline) -> tuple[socket.socket, str]:
    waiting = list(reversed(addresses))
    last_error: OSError | None = None
    with selectors.DefaultSelector() as selector:
        try:
            while True:
                left_s = deadline.remaining_s()
                if waiting:
                    address = waiting.pop()
                    try:
                        _start(selector, address, port)
                    except OSError as exc:  # no route of that family, for one
                        last_error = exc
                        continue
                elif not selector.get_map():
                    raise Unreachable(f"no connection to {addresses[0]} port {port}: {last_error}") from last_error
                for key, _ in selector.select(min(left_s, ATTEMPT_DELAY_S) if waiting else left_s):
                    sock: Any = key.fileobj
                    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    selector.unregister(sock)
                    if not error:
                        return sock, str(key.data)
                    sock.close()
                    last_error = OSError(error, f"connecting to {key.data} failed")
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]  # only sockets are registered


def _start(selector: selectors.BaseSelector, address: str, port: int) -> None:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(BlockingIOError):
            sock.connect((address, port))
        selector.register(sock, selectors.EVENT_WRITE, address)
    except BaseException:
        sock.close()
        raise


def _with_tls(sock: socket.socket, host: str, context: ssl.SSLContext, deadline: Deadline) -> ssl.SSLSocket:
    wrapped: ssl.SSLSocket | None = None
    done = False
    try:
        sock.settimeout(deadline.remaining_s())
        wrapped = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        wrapped.do_handshake()  # its timeout bounds the whole handshake, not each receive
        done = True
        return wrapped
    except TimeoutError as exc:
        raise DeadlinePassed(f"{host} had not finished the TLS handshake by the deadline") from exc
    except (ssl.SSLError, ssl.CertificateError) as exc:
        raise Unreachable(f"TLS with {host} failed: {exc}", reason="tls_broken") from exc
    except OSError as exc:
        raise Unreachable(f"{host} closed during the TLS handshake: {exc}", reason="tls_broken") from exc
    finally:
        # wrap_socket detaches the plain socket, so on failure the wrapped one is what must be closed.
        if wrapped is not None and not done:
            wrapped.close()
