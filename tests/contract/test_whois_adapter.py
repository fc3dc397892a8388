"""The WHOIS port: one suite on the fake and the real client, and what hostile servers may do to the real one."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainwatch.adapters.guard import AllowedNetworks
from domainwatch.adapters.whois import WhoisClient, decoded
from domainwatch.errors import AddressForbidden, DeadlinePassed, Malformed, TryLater, Unreachable
from domainwatch.ports import WhoisPort, WhoisReply
from tests.contract.tcp_server import Peer, Talk, talking
from tests.fakes_net import FakeWhois

ALLOWED = AllowedNetworks.parse("127.0.0.1/32")


def client(**options: int) -> WhoisClient:
    def resolve(host: str, timeout_s: float) -> tuple[str, ...]:
        return {"whois.test": ("127.0.0.1",), "inside.test": ("127.0.0.2", "10.0.0.1")}.get(host, ())

    return WhoisClient(resolve=resolve, allowed=ALLOWED, **options)


def ask(
    talk: Talk, *, timeout_s: float = 3, charset: str | None = None, query: str = "a.test", **options: int
) -> WhoisReply:
    with talking(talk) as server:
        return client(**options).ask(server.text, query, charset=charset, timeout_s=timeout_s)


@dataclass
class World:
    port: WhoisPort
    server: str
    nobody: str


def answer(peer: Peer) -> None:
    line = peer.read_until(b"\r\n").decode().strip()
    peer.send(f"You asked: {line}\r\n".encode())


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        fake = FakeWhois(answers={("whois.test:43", "a.test"): "You asked: a.test\r\n"})
        yield World(fake, "whois.test:43", "nobody.test:43")
        return
    with talking(answer) as server:
        yield World(client(), f"whois.test:{server.port}", "nobody.test:43")


def test_the_answer_comes_whole(world: World) -> None:
    reply = world.port.ask(world.server, "a.test", charset=None, timeout_s=2)
    assert (reply.text, reply.complete) == ("You asked: a.test\r\n", True)


def test_nobody_there(world: World) -> None:
    with pytest.raises(TryLater):
        world.port.ask(world.nobody, "a.test", charset=None, timeout_s=2)


def test_the_query_is_one_line() -> None:
    seen: list[bytes] = []

    def talk(peer: Peer) -> None:
        seen.append(peer.read_until(b"\r\n"))

    assert ask(talk, query="-T dn,ace bücher.test").text == ""
    ask(talk, query="bücher.test", charset="latin-1")
    assert seen == ["-T dn,ace bücher.test\r\n".encode(), "bücher.test\r\n".encode("latin-1")]
    for query in ("a.test\r\nb.test", "", "a\x00b"):
        with pytest.raises(ValueError, match="one line"):
            client().ask("127.0.0.1:1", query, charset=None, timeout_s=1)


def test_an_empty_answer_is_an_answer() -> None:
    reply = ask(lambda peer: peer.read_until(b"\r\n") and None)  # type: ignore[func-returns-value]
    assert (reply.text, reply.complete) == ("", True)


def test_dripped_bytes_do_not_outlast_the_deadline() -> None:
    started = time.monotonic()
    reply = ask(lambda peer: peer.drip(b"Domain not found. " * 1000), timeout_s=0.4)
    assert time.monotonic() - started < 0.8
    assert not reply.complete
    assert reply.text.startswith("Domain")


def test_silence_is_a_timeout() -> None:
    started = time.monotonic()
    with pytest.raises(DeadlinePassed):
        ask(Peer.hang, timeout_s=0.3)
    assert time.monotonic() - started < 0.7


def test_an_endless_answer_is_cut() -> None:
    def talk(peer: Peer) -> None:
        while True:
            peer.send(b"x" * 65536)

    reply = ask(talk)
    assert (len(reply.text), reply.complete) == (256 * 1024, False)


@pytest.mark.parametrize(("size", "complete"), [(99, True), (100, True), (101, False)])
def test_an_answer_of_just_the_cap_is_whole(size: int, complete: bool) -> None:
    def talk(peer: Peer) -> None:
        peer.read_until(b"\r\n")
        peer.send(b"x" * size)

    reply = ask(talk, max_reply_bytes=100)
    assert (len(reply.text), reply.complete) == (min(size, 100), complete)


def test_a_reset_after_bytes_leaves_it_incomplete() -> None:
    def talk(peer: Peer) -> None:
        peer.read_until(b"\r\n")
        peer.send(b"No match for")
        time.sleep(0.05)
        peer.reset()

    reply = ask(talk)
    assert (reply.text, reply.complete) == ("No match for", False)


def test_a_reset_before_bytes_is_unreachable() -> None:
    def talk(peer: Peer) -> None:
        peer.read_until(b"\r\n")
        peer.reset()

    with pytest.raises(Unreachable):
        ask(talk)


def test_a_closed_port_is_unreachable() -> None:
    with talking(answer) as server:
        text = server.text
    with pytest.raises(Unreachable):
        client().ask(text, "a.test", charset=None, timeout_s=2)


def test_a_full_backlog_or_lost_packets_end_at_the_deadline() -> None:
    with talking(Peer.hang) as server:
        started = time.monotonic()
        with pytest.raises(DeadlinePassed):
            client().ask(server.text, "a.test", charset=None, timeout_s=0.2)
        assert time.monotonic() - started < 0.6


@pytest.mark.parametrize("server", ["127.0.0.2:43", "inside.test", "169.254.169.254:80", "[::1]:43", "100.64.0.1"])
def test_forbidden_addresses(server: str) -> None:
    with pytest.raises(AddressForbidden):
        client().ask(server, "a.test", charset=None, timeout_s=1)


@pytest.mark.parametrize("server", ["127.1:43", "2130706433", "0x7f.1", "①②⑦.⓪.⓪.①:43", "a b", "whois.test:0"])
def test_what_is_no_server(server: str) -> None:
    with pytest.raises(Malformed):
        client().ask(server, "a.test", charset=None, timeout_s=1)


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        ("Bücher".encode(), None, "Bücher"),
        ("Bücher".encode("latin-1"), None, "Bücher"),
        ("“Bücher”".encode("cp1252"), None, "“Bücher”"),
        (b"\x81\x8d", None, "\x81\x8d"),
        ("登録".encode("iso-2022-jp"), "iso-2022-jp", "登録"),
        ("Bücher".encode(), "iso-2022-jp", "Bücher"),
        ("Bücher".encode(), "no-such-charset", "Bücher"),
        ("Bücher".encode(), "base64", "Bücher"),
        (b"", None, ""),
    ],
)
def test_character_sets(data: bytes, charset: str | None, text: str) -> None:
    assert decoded(data, charset) == text


def test_a_text_cut_inside_a_character_stays_utf8() -> None:
    assert decoded("Bücher ü".encode()[:-1], None, complete=False) == "Bücher "


@given(
    st.binary(max_size=200),
    st.sampled_from([None, "utf-8", "euc-kr", "utf-7", "idna", "punycode", "utf-16"]),
    st.booleans(),
)
def test_any_bytes_become_text(data: bytes, charset: str | None, complete: bool) -> None:
    assert isinstance(decoded(data, charset, complete=complete), str)
