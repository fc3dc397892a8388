"""A TCP server on loopback whose conversation a test writes; each connection has a thread of its own."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

Talk = Callable[["Peer"], None]


class Peer:
    """One accepted connection. `number` counts connections from 1; the client may cut everything off at any time."""

    def __init__(self, sock: socket.socket, number: int, stop: threading.Event) -> None:
        self.sock = sock
        self.number = number
        self._stop = stop
        self._rest = b""

    def read_until(self, end: bytes) -> bytes:
        """What came up to and with `end`; empty when the client closed."""
        while end not in self._rest:
            data = self.sock.recv(4096)
            if not data:
                return b""
            self._rest += data
        found, _, self._rest = self._rest.partition(end)
        return found + end

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            data = self.sock.recv(4096)
            if not data:
                break
            self._rest += data
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes, *, every_s: float = 0.02) -> None:
        """A byte at a time, until the client leaves or the test ends."""
        for i in range(len(data)):
            if self._stop.wait(every_s):
                return
            self.sock.sendall(data[i : i + 1])

    def hang(self) -> None:
        """Say nothing more until the test ends."""
        self._stop.wait(10)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class TcpServer:
    def __init__(self, talk: Talk, *, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self._talk = talk
        self._tls = tls
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.connections = 0
        self._sock = socket.create_server((address, 0))
        self.address, self.port = self._sock.getsockname()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def text(self) -> str:
        return f"{self.address}:{self.port}"

    def close(self) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._accepting.join(5)
        self._sock.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(10)
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            self._talk(Peer(sock, number, self._stop))
        except OSError:
            pass  # the client left, as many of these tests want it to
        finally:
            sock.close()


@contextlib.contextmanager
def talking(talk: Talk, *, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[TcpServer]:
    server = TcpServer(talk, address=address, tls=tls)
    try:
        yield server
    finally:
        server.close()
