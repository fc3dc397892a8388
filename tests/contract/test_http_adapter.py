"""The HTTP port: one suite on the fake and the real adapter, and what hostile servers may do to the real one."""

import gzip
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from domainwatch.adapters.guard import AllowedNetworks
from domainwatch.adapters.http import GuardedHttp, _Decoder, _Line, _Target, retry_after_s
from domainwatch.adapters.sockets import Connection, Deadline, Resolve, system_addresses
from domainwatch.errors import (
    AddressForbidden,
    DeadlinePassed,
    DomainwatchError,
    Malformed,
    TooLarge,
    TryLater,
    Unreachable,
)
from domainwatch.ports import HttpPort, HttpReply
from tests.contract.tcp_server import Peer, Talk, TcpServer, talking
from tests.fakes_net import FakeHttp

ALLOWED = AllowedNetworks.parse("127.0.0.1/32")
HOSTS = {
    "web.test": ("127.0.0.1",),
    "inside.test": ("127.0.0.2",),
    "both.test": ("127.0.0.2", "127.0.0.1"),
    "cgnat.test": ("100.64.0.1",),
    "nat64.test": ("64:ff9b::7f00:1",),
    "liberal.test": ("127.1", "0x7f000001"),
}


def resolve(host: str, timeout_s: float) -> tuple[str, ...]:
    return HOSTS.get(host, ())


@pytest.fixture
def http() -> Iterator[GuardedHttp]:
    adapter = GuardedHttp(resolve=resolve, allowed=ALLOWED)
    yield adapter
    adapter.close()


def replying(*replies: bytes) -> Talk:
    """Answers each request on a connection with the next reply (the last one again and again) and keeps it open."""

    def talk(peer: Peer) -> None:
        number = 0
        while peer.read_until(b"\r\n\r\n"):
            peer.send(replies[min(number, len(replies) - 1)])
            number += 1

    return talk


def once(data: bytes) -> Talk:
    """Answers one request and closes."""

    def talk(peer: Peer) -> None:
        peer.read_until(b"\r\n\r\n")
        peer.send(data)

    return talk


def ok(body: bytes = b"hello", *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def to(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def fetch(talk: Talk, *, timeout_s: float = 3, max_bytes: int = 100_000, **options: object) -> HttpReply:
    adapter = GuardedHttp(resolve=resolve, allowed=ALLOWED)
    with talking(talk) as server:
        try:
            return adapter.fetch(f"http://{server.text}/", timeout_s=timeout_s, max_bytes=max_bytes, **options)  # type: ignore[arg-type]
        finally:
            adapter.close()


# --- the contract, for both -------------------------------------------------------------------------------------------


@dataclass
class World:
    """A web server with a few pages, as the fake or for real, under `base`."""

    port: HttpPort
    base: str

    def fetch(self, path: str, **options: object) -> HttpReply:
        settings = {"timeout_s": 3, "max_bytes": 1000, **options}
        return self.port.fetch(self.base + path, **settings)  # type: ignore[arg-type]


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        fake, base = FakeHttp(), "http://web.test"
        fake.on(base + "/", body=b"hello", headers={"X-Word": "yes"})
        fake.on(base + "/missing", status=404, body=b"{}")
        fake.on(base + "/moved", status=301, headers={"Location": "/"})
        fake.on(base + "/round", status=302, headers={"Location": "/round2"})
        fake.on(base + "/round2", status=302, headers={"Location": "/round"})
        fake.on(base + "/long", body=b"x" * 1001)
        yield World(fake, base)
        return

    pages = {
        b"/": ok(b"hello", "X-Word: yes"),
        b"/missing": b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
        b"/moved": to("/", 301),
        b"/round": to("/round2"),
        b"/round2": to("/round"),
        b"/long": ok(b"x" * 1001),
    }

    def talk(peer: Peer) -> None:
        while request_head := peer.read_until(b"\r\n\r\n"):
            method, path, _ = request_head.split(b" ", 2)
            page = pages[path]
            peer.send(page.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == b"HEAD" else page)

    adapter = GuardedHttp(resolve=resolve, allowed=ALLOWED)
    with talking(talk) as server:
        yield World(adapter, f"http://web.test:{server.port}")
        adapter.close()


def test_a_reply_whatever_its_status(world: World) -> None:
    reply = world.fetch("/")
    assert (reply.status, reply.body, reply.headers["x-word"], reply.url) == (200, b"hello", "yes", world.base + "/")
    assert world.fetch("/missing").status == 404
    assert world.fetch("/missing").body == b"{}"


def test_head_has_no_body(world: World) -> None:
    reply = world.fetch("/", method="HEAD")
    assert (reply.status, reply.body) == (200, b"")


def test_a_redirect_is_followed_only_if_asked_for(world: World) -> None:
    assert world.fetch("/moved").status == 301
    reply = world.fetch("/moved", redirects=1)
    assert (reply.status, reply.url) == (200, world.base + "/")


def test_redirect_loops_end(world: World) -> None:
    with pytest.raises(Malformed):
        world.fetch("/round", redirects=5)


def test_a_body_too_long_is_refused_or_cut(world: World) -> None:
    with pytest.raises(TooLarge):
        world.fetch("/long")
    assert world.fetch("/long", truncate=True).body == b"x" * 1000
    assert len(world.fetch("/long", max_bytes=1001).body) == 1001


# --- requests ---------------------------------------------------------------------------------------------------------


def test_what_is_sent() -> None:
    seen: list[bytes] = []

    def talk(peer: Peer) -> None:
        seen.append(peer.read_until(b"\r\n\r\n") + peer.read(4))
        peer.send(ok())

    adapter = GuardedHttp(resolve=resolve, allowed=ALLOWED, user_agent="Domainwatch (+mailto:a@example)")
    with talking(talk) as server:
        adapter.fetch(
            f"http://WEB.test:{server.port}/a b/ü?q=1 2#part",
            method="POST",
            body=b"data",
            headers={"Content-Type": "text/plain"},
            timeout_s=2,
            max_bytes=10,
        )
        adapter.close()
    head = seen[0].decode().split("\r\n")
    assert head[0] == "POST /a%20b/%C3%BC?q=1%202 HTTP/1.1"
    assert f"host: web.test:{server.port}" in head
    assert "user-agent: Domainwatch (+mailto:a@example)" in head
    assert "content-type: text/plain" in head
    assert "content-length: 4" in head
    assert head[-1] == "data"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://web.test/",
        "file:///etc/passwd",
        "//web.test/",
        "web.test",
        "http://",
        "http://user:word@web.test/",
        "http://web.test@127.0.0.1/",
        "http://web.test:0/",
        "http://web.test:99999/",
        "http://web.test:x/",
        "http://[::1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://①②⑦.⓪.⓪.①/",
        "http://１２７．０．０．１/",
        "http://a b/",
        "http://web.test/" + "x" * 5000,
    ],
)
def test_what_is_no_url_is_refused(http: GuardedHttp, url: str) -> None:
    with pytest.raises(Malformed):
        http.fetch(url, timeout_s=1, max_bytes=10)


@pytest.mark.parametrize("headers", [{"x": "a\r\ny: b"}, {"x\r\n": "a"}, {"x y": "a"}, {"": "a"}])
def test_headers_cannot_be_smuggled(http: GuardedHttp, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        http.fetch("http://web.test/", headers=headers, timeout_s=1, max_bytes=10)


# --- the guard --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2/",
        "http://inside.test/",
        "http://cgnat.test/",
        "http://nat64.test/",
        "http://liberal.test/",
        "http://10.0.0.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://224.0.0.1/",
        "https://0.0.0.0/",
    ],
)
def test_forbidden_addresses(http: GuardedHttp, url: str) -> None:
    with pytest.raises(AddressForbidden):
        http.fetch(url, timeout_s=1, max_bytes=10)


def test_of_several_addresses_only_permitted_ones_are_used(http: GuardedHttp) -> None:
    with talking(once(ok())) as server:
        assert http.fetch(f"http://both.test:{server.port}/", timeout_s=2, max_bytes=10).body == b"hello"


def test_localhost_is_this_machine_and_guarded(http: GuardedHttp) -> None:
    """Whatever a resolver says of it, and only where the list permits it."""
    with talking(once(ok())) as server:
        assert http.fetch(f"http://localhost:{server.port}/", timeout_s=2, max_bytes=10).body == b"hello"
    closed = GuardedHttp(resolve=resolve, allowed=AllowedNetworks())
    with pytest.raises(AddressForbidden):
        closed.fetch("http://api.localhost/", timeout_s=2, max_bytes=10)


def test_a_host_without_address_is_unreachable(http: GuardedHttp) -> None:
    with pytest.raises(Unreachable) as caught:
        http.fetch("http://nowhere.test/", timeout_s=1, max_bytes=10)
    assert caught.value.reason == "no_address"


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.2/", "//inside.test/", "http://cgnat.test/", "http://169.254.169.254/", "http://[::1]/"],
)
def test_every_hop_is_guarded(location: str) -> None:
    with pytest.raises(AddressForbidden):
        fetch(replying(to(location)), redirects=3)


@pytest.mark.parametrize("location", ["http://127.1/", "ftp://web.test/", "http://2130706433/", "http://[", "gopher:x"])
def test_a_hop_to_nowhere_is_malformed(location: str) -> None:
    with pytest.raises(Malformed):
        fetch(replying(to(location)), redirects=3)


def test_a_chain_longer_than_allowed_ends() -> None:
    hops = iter(range(1000))

    def talk(peer: Peer) -> None:
        while peer.read_until(b"\r\n\r\n"):
            peer.send(to(f"/{next(hops)}"))

    with pytest.raises(Malformed) as caught:
        fetch(talk, redirects=5)
    assert caught.value.reason == "too_many_redirects"
    assert next(hops) == 6


def test_a_redirect_to_itself_is_a_loop() -> None:
    with pytest.raises(Malformed) as caught:
        fetch(replying(to("/")), redirects=5)
    assert caught.value.reason == "redirect_loop"


def test_another_host_never_gets_the_token(http: GuardedHttp) -> None:
    seen: list[bytes] = []

    def listen(peer: Peer) -> None:
        seen.append(peer.read_until(b"\r\n\r\n").lower())
        peer.send(ok())

    def see_other(peer: Peer) -> None:
        seen.append(peer.read_until(b"\r\n\r\n").lower())
        peer.read(2)
        peer.send(to(f"http://{other.text}/", 303))

    with talking(listen) as other, talking(see_other) as server:
        http.fetch(
            f"http://{server.text}/",
            method="POST",
            body=b"{}",
            headers={"Authorization": "Bearer secret", "X-Kept": "yes"},
            redirects=1,
            timeout_s=2,
            max_bytes=10,
        )
    assert b"bearer secret" in seen[0]
    assert b"secret" not in seen[1]
    assert b"x-kept: yes" in seen[1]
    assert seen[1].startswith(b"get ")


# --- deadline and caps ------------------------------------------------------------------------------------------------


def drip_head(peer: Peer) -> None:
    peer.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 50)


def drip_body(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    peer.drip(b"x" * 1000)


def drip_chunks(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    peer.drip(b"1\r\nx\r\n" * 500)


def endless_continue(peer: Peer) -> None:
    while True:
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.001)


@pytest.mark.parametrize("talk", [drip_head, drip_body, drip_chunks, Peer.hang, endless_continue])
@pytest.mark.parametrize("truncate", [False, True])
def test_nothing_outlasts_the_deadline(talk: Talk, truncate: bool) -> None:
    started = time.monotonic()
    with pytest.raises((DeadlinePassed, TooLarge)):
        fetch(talk, timeout_s=0.3, truncate=truncate)
    assert time.monotonic() - started < 0.7


def test_redirects_share_the_deadline() -> None:
    def talk(peer: Peer) -> None:
        number = 0
        while peer.read_until(b"\r\n\r\n"):
            time.sleep(0.1)
            number += 1
            peer.send(to(f"/{number}"))

    started = time.monotonic()
    with pytest.raises(DeadlinePassed):
        fetch(talk, timeout_s=0.35, redirects=100)
    assert time.monotonic() - started < 0.7


def test_an_endless_body_is_refused_or_cut() -> None:
    def talk(peer: Peer) -> None:
        peer.read_until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.send(b"x" * 65536)

    with pytest.raises(TooLarge):
        fetch(talk)
    assert fetch(talk, truncate=True).body == b"x" * 100_000


def test_an_endless_head_is_refused() -> None:
    def talk(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            peer.send(b"X-More: yes\r\n" * 1000)

    with pytest.raises((TooLarge, Malformed)):
        fetch(talk)


def test_an_endless_header_line_is_refused() -> None:
    def talk(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            peer.send(b"x" * 65536)

    with pytest.raises((TooLarge, Malformed)):
        fetch(talk)


def gzipped(body: bytes, **options: str) -> bytes:
    return ok(gzip.compress(body), "Content-Encoding: gzip")


def test_coded_bodies_are_decoded() -> None:
    text = b"hello " * 100
    raw = zlib.compressobj(wbits=-15)
    bare = raw.compress(text) + raw.flush()
    assert fetch(once(gzipped(text))).body == text
    assert fetch(once(ok(gzip.compress(b"a") + gzip.compress(b"b"), "Content-Encoding: x-gzip"))).body == b"ab"
    assert fetch(once(ok(gzip.compress(b"a") + b"\x00\x00", "Content-Encoding: gzip"))).body == b"a"
    assert fetch(once(ok(zlib.compress(text), "Content-Encoding: deflate"))).body == text
    assert fetch(once(ok(bare, "Content-Encoding: deflate"))).body == text
    assert fetch(once(ok(text, "Content-Encoding: identity"))).body == text
    assert fetch(once(ok(b"", "Content-Encoding: gzip"))).body == b""


def test_a_gzip_bomb_is_refused_or_cut() -> None:
    bomb = gzipped(bytes(50_000_000))
    with pytest.raises(TooLarge):
        fetch(once(bomb))
    assert fetch(once(bomb), truncate=True).body == bytes(100_000)


def test_a_decoder_never_gives_more_than_asked_for() -> None:
    """Not even for a moment: what a bomb would unfold to is never in memory."""
    for coding, bomb in (("gzip", gzip.compress(bytes(10_000_000))), ("deflate", zlib.compress(bytes(10_000_000)))):
        assert len(_Decoder(coding).decoded(bomb, 100)) == 100


@pytest.mark.parametrize(
    "data",
    [
        ok(gzip.compress(b"hello" * 100)[:-9], "Content-Encoding: gzip"),
        ok(b"not gzip", "Content-Encoding: gzip"),
        ok(b"hello", "Content-Encoding: br"),
        ok(b"hello", "Content-Encoding: gzip, gzip"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 2OO OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\x00\xff\x16\x03",
        b"220 mail ready\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_no_http_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        fetch(once(data))


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise_another_error(data: bytes) -> None:
    adapter = GuardedHttp(resolve=resolve, allowed=ALLOWED)
    near, far = socket.socketpair()
    with near, far:
        far.sendall(b"HTTP/1.1 200 OK\r\n" + data)
        far.shutdown(socket.SHUT_WR)
        line = _Line(Connection(near, Deadline(1), address="127.0.0.1", port=1))
        try:
            adapter._converse(
                line,
                target=_Target.parse("http://web.test/"),
                method="GET",
                request=b"GET / HTTP/1.1\r\n\r\n",
                deadline=Deadline(1),
                max_bytes=100,
                truncate=False,
            )
        except DomainwatchError:
            pass
        finally:
            adapter.close()
            line.close()


def test_plain_forms() -> None:
    assert fetch(once(b"HTTP/1.0 200 OK\r\n\r\nhello")).body == b"hello"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX: y\r\n\r\n"
    assert fetch(once(chunked)).body == b"hello"
    assert fetch(once(b"HTTP/1.1 204 No Content\r\n\r\n")).status == 204
    assert fetch(once(b"HTTP/1.1 100 Continue\r\n\r\n" + ok())).body == b"hello"
    assert fetch(once(ok(b"", "X: a", "x: b"))).headers["x"] == "a, b"


# --- kept connections -------------------------------------------------------------------------------------------------


def get(http: GuardedHttp, server: TcpServer, method: str = "GET") -> HttpReply:
    return http.fetch(f"http://{server.text}/", method=method, timeout_s=2, max_bytes=1000)


def test_a_connection_is_kept(http: GuardedHttp) -> None:
    with talking(replying(ok())) as server:
        for _ in range(5):
            assert get(http, server).body == b"hello"
        assert server.connections == 1
        http.close()


@pytest.mark.parametrize(
    "data", [ok(b"hello", "Connection: close"), b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"]
)
def test_a_connection_that_is_to_be_closed_is_not_kept(http: GuardedHttp, data: bytes) -> None:
    with talking(replying(data)) as server:
        get(http, server)
        get(http, server)
        assert server.connections == 2


def test_a_stale_connection_is_replaced(http: GuardedHttp) -> None:
    with talking(once(ok())) as server:
        for _ in range(3):
            assert get(http, server).body == b"hello"
            time.sleep(0.02)
        assert server.connections == 3


def test_a_connection_closed_as_the_request_is_sent_is_tried_once_more(http: GuardedHttp) -> None:
    requests: list[int] = []

    def talk(peer: Peer) -> None:
        while peer.read_until(b"\r\n\r\n"):
            requests.append(peer.number)
            if len(requests) == 2:
                return
            peer.send(ok())

    with talking(talk) as server:
        assert get(http, server).body == b"hello"
        assert get(http, server).body == b"hello"
        assert requests == [1, 1, 2]
        http.close()


def test_a_post_is_never_sent_twice(http: GuardedHttp) -> None:
    requests: list[int] = []

    def talk(peer: Peer) -> None:
        while peer.read_until(b"\r\n\r\n"):
            requests.append(peer.number)
            if len(requests) == 2:
                return
            peer.send(ok())

    with talking(talk) as server:
        get(http, server)
        with pytest.raises(Unreachable):
            get(http, server, "POST")
        assert requests == [1, 1]


@pytest.mark.parametrize("end", [Peer.reset, lambda peer: None], ids=["reset", "closed"])
def test_a_reply_that_broke_off_is_not_asked_for_again(http: GuardedHttp, end: Talk) -> None:
    def talk(peer: Peer) -> None:
        peer.read_until(b"\r\n\r\n")
        peer.send(ok())
        peer.read_until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 404 Not Found\r\nContent-Ty")
        time.sleep(0.02)
        end(peer)

    with talking(talk) as server:
        get(http, server)
        with pytest.raises(TryLater):
            get(http, server)
        assert server.connections == 1


def test_stray_bytes_never_become_the_next_reply(http: GuardedHttp) -> None:
    """A second reply nobody asked for, sent with the first or after it, must not answer the next request."""
    for late in (False, True):

        def talk(peer: Peer, late: bool = late) -> None:
            number = 0
            while peer.read_until(b"\r\n\r\n"):
                number += 1
                forged = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
                peer.send(ok() if late else ok() + forged)
                if late:
                    time.sleep(0.02)
                    peer.send(forged)

        with talking(talk) as server:
            for _ in range(3):
                assert get(http, server).status == 200
                time.sleep(0.05)
            assert server.connections == 3
            http.close()


@pytest.mark.parametrize("sent_bytes", [5000, 200], ids=["all there", "the rest later"])
def test_a_truncated_body_does_not_leave_its_rest_to_the_next(http: GuardedHttp, sent_bytes: int) -> None:
    with talking(replying(ok(b"x" * 5000)[:sent_bytes])) as server:
        for _ in range(2):
            reply = http.fetch(f"http://{server.text}/", timeout_s=2, max_bytes=10, truncate=True)
            assert reply.body == b"x" * 10
        assert server.connections == 2


def test_threads_share_the_adapter(http: GuardedHttp) -> None:
    def talk(peer: Peer) -> None:
        while head := peer.read_until(b"\r\n\r\n"):
            peer.send(ok(head.split(b" ")[1]))

    wrong: list[object] = []

    def work(number: int) -> None:
        for i in range(30):
            path = f"/{number}-{i}"
            body = http.fetch(f"http://{server.text}{path}", timeout_s=5, max_bytes=100).body
            if body != path.encode():
                wrong.append((path, body))

    with talking(talk) as server:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert server.connections <= 6
        http.close()


# --- TLS --------------------------------------------------------------------------------------------------------------


@dataclass
class Tls:
    server: Callable[[str], ssl.SSLContext]
    client: ssl.SSLContext


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A certificate authority of our own, and server contexts for a host of a choice."""
    folder = tmp_path_factory.mktemp("tls")
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    now = datetime.now(UTC)

    def certificate(subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType) -> bytes:
        identifiers = (
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )
        for extension in (*identifiers, *extensions):
            builder = builder.add_extension(
                extension, critical=isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
            )
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def server(host: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        pem = Path(folder / f"{host}.pem")
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate(subject, key, x509.SubjectAlternativeName([x509.DNSName(host)]))
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return context

    signs = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    authority = certificate(ca_name, ca_key, x509.BasicConstraints(ca=True, path_length=None), signs)
    return Tls(server=server, client=ssl.create_default_context(cadata=authority.decode()))


@pytest.fixture
def https(tls: Tls) -> Iterator[GuardedHttp]:
    adapter = GuardedHttp(resolve=resolve, allowed=ALLOWED, tls=tls.client)
    yield adapter
    adapter.close()


def test_https_and_its_kept_connection(tls: Tls, https: GuardedHttp) -> None:
    with talking(replying(ok()), tls=tls.server("web.test")) as server:
        for _ in range(3):
            reply = https.fetch(f"https://web.test:{server.port}/", timeout_s=3, max_bytes=10)
            assert reply.body == b"hello"
        assert server.connections == 1
        https.close()


def test_a_certificate_of_another_host_is_broken_tls(tls: Tls, https: GuardedHttp) -> None:
    with (
        talking(replying(ok()), tls=tls.server("other.test")) as server,
        pytest.raises(Unreachable) as caught,
    ):
        https.fetch(f"https://web.test:{server.port}/", timeout_s=3, max_bytes=10)
    assert caught.value.reason == "tls_broken"


def test_an_unknown_authority_is_broken_tls(tls: Tls, http: GuardedHttp) -> None:
    with talking(replying(ok()), tls=tls.server("web.test")) as server, pytest.raises(Unreachable) as caught:
        http.fetch(f"https://web.test:{server.port}/", timeout_s=3, max_bytes=10)
    assert caught.value.reason == "tls_broken"


@pytest.mark.parametrize("talk", [lambda peer: peer.send(b"HTTP/1.1 400 Bad\r\n\r\n"), Peer.reset])
def test_no_tls_at_all_is_broken_tls(https: GuardedHttp, talk: Talk) -> None:
    with talking(talk) as server, pytest.raises(Unreachable) as caught:
        https.fetch(f"https://web.test:{server.port}/", timeout_s=3, max_bytes=10)
    assert caught.value.reason in {"tls_broken", "unreachable"}


@pytest.mark.parametrize("talk", [Peer.hang, lambda peer: peer.drip(b"\x16\x03\x03\x40\x00" + b"\x00" * 500)])
def test_a_handshake_does_not_outlast_the_deadline(https: GuardedHttp, talk: Talk) -> None:
    started = time.monotonic()
    with talking(talk) as server, pytest.raises(TryLater):
        https.fetch(f"https://web.test:{server.port}/", timeout_s=0.3, max_bytes=10)
    assert time.monotonic() - started < 0.8


def test_no_way_from_https_to_http(tls: Tls, https: GuardedHttp) -> None:
    with (
        talking(replying(ok())) as plain,
        talking(replying(to(f"http://{plain.text}/")), tls=tls.server("web.test")) as server,
        pytest.raises(Malformed) as caught,
    ):
        https.fetch(f"https://web.test:{server.port}/", redirects=3, timeout_s=3, max_bytes=10)
    assert caught.value.reason == "insecure_redirect"
    assert plain.connections == 0


# --- connecting and resolving -----------------------------------------------------------------------------------------


def test_a_closed_port_is_unreachable(http: GuardedHttp) -> None:
    with talking(replying(ok())) as server:
        url = f"http://{server.text}/"
    with pytest.raises(Unreachable):
        http.fetch(url, timeout_s=2, max_bytes=10)


def test_a_dead_address_does_not_keep_the_living_one_waiting() -> None:
    def found(host: str, timeout_s: float) -> tuple[str, ...]:
        return ("127.0.0.3", "127.0.0.1")

    allowed = AllowedNetworks.parse("127.0.0.0/8")
    with talking(replying(ok())) as server:  # nobody listens at 127.0.0.3
        adapter = GuardedHttp(resolve=found, allowed=allowed)
        assert adapter.fetch(f"http://web.test:{server.port}/", timeout_s=2, max_bytes=10).body == b"hello"
        adapter.close()


def test_a_resolver_that_fails_is_said() -> None:
    def failing(host: str, timeout_s: float) -> tuple[str, ...]:
        raise Unreachable("away", reason="no_resolver")

    with pytest.raises(Unreachable) as caught:
        GuardedHttp(resolve=failing, allowed=ALLOWED).fetch("http://web.test/", timeout_s=1, max_bytes=1)
    assert caught.value.reason == "no_resolver"


def test_the_systems_resolver() -> None:
    system: Resolve = system_addresses
    assert "127.0.0.1" in system("localhost", 5)


def test_the_systems_resolver_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: release.wait(5) and [])
    started = time.monotonic()
    with pytest.raises(DeadlinePassed):
        system_addresses("a.test", 0.1)
    assert time.monotonic() - started < 0.5
    release.set()


# --- Retry-After ------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("999999999999", 86_400.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("١٢", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": value}, NOW) == seconds


def test_no_retry_after() -> None:
    assert retry_after_s({}, NOW) is None


@given(st.text(max_size=40))
def test_any_retry_after_is_read(value: str) -> None:
    found = retry_after_s({"retry-after": value}, NOW)
    assert found is None or 0 <= found <= 86_400
