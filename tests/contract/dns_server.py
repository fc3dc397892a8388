"""A small DNS server on loopback whose answers a test writes: UDP and TCP on one port."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Reply = bytes | dns.message.Message | None
Answerer = Callable[[dns.message.Message], Reply | list[Reply]]


class DnsServer:
    """`answer(query)` gives the reply, several, or None to stay silent; `answer_tcp` the same over TCP. `asked` keeps
    the queries as (transport, owner, type).
    """

    def __init__(self, answer: Answerer, *, answer_tcp: Answerer | None = None, address: str = "127.0.0.1") -> None:
        self.answer = answer
        self.answer_tcp = answer_tcp or answer
        self.asked: list[tuple[str, str, str]] = []
        self.source_ports: set[int] = set()
        self.ids: list[int] = []
        self._udp, self._tcp = _both_on_one_port(address)
        self.address, self.port = self._udp.getsockname()
        self._threads = [threading.Thread(target=serve, daemon=True) for serve in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    @property
    def text(self) -> str:
        return f"{self.address}:{self.port}"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._udp.sendto(b"", (self.address, self.port))  # wakes the thread
        with contextlib.suppress(OSError):
            self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self) -> None:
        while True:
            wire, sender = self._udp.recvfrom(65_535)
            if not wire:
                return
            self.source_ports.add(sender[1])
            for reply in self._replies(wire, "udp", self.answer):
                self._udp.sendto(reply, sender)

    def _serve_tcp(self) -> None:
        while True:
            try:
                peer, _ = self._tcp.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                peer.settimeout(2)
                stream = peer.makefile("rb")
                length = int.from_bytes(stream.read(2), "big")
                for reply in self._replies(stream.read(length), "tcp", self.answer_tcp):
                    peer.sendall(len(reply).to_bytes(2, "big") + reply)
                stream.close()

    def _replies(self, wire: bytes, transport: str, answer: Answerer) -> Iterator[bytes]:
        query = dns.message.from_wire(wire)
        (question,) = query.question
        self.ids.append(query.id)
        self.asked.append(
            (transport, question.name.to_text(omit_final_dot=True), question.rdtype.name)  # type: ignore[attr-defined]
        )
        given = answer(query)
        for reply in given if isinstance(given, list) else [given]:
            if isinstance(reply, dns.message.Message):
                yield reply.to_wire()
            elif reply is not None:
                yield reply


def _both_on_one_port(address: str) -> tuple[socket.socket, socket.socket]:
    """A UDP socket on a free port and a TCP socket on the same one; the port may be taken for TCP, so try again."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        udp.bind((address, 0))
        try:
            tcp.bind(udp.getsockname())
            tcp.listen(16)
        except OSError:
            udp.close()
            tcp.close()
            continue
        return udp, tcp


@contextlib.contextmanager
def serving(answer: Answerer, *, answer_tcp: Answerer | None = None, address: str = "127.0.0.1") -> Iterator[DnsServer]:
    server = DnsServer(answer, answer_tcp=answer_tcp, address=address)
    try:
        yield server
    finally:
        server.close()


def reply(
    query: dns.message.Message,
    *,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    aa: bool = True,
    answer: tuple[str, ...] = (),
    authority: tuple[str, ...] = (),
) -> dns.message.Message:
    """A reply to the query; records are `owner ttl IN type data` as in a zone file."""
    made = dns.message.make_response(query)
    made.flags = dns.flags.QR | (dns.flags.AA if aa else 0)
    made.set_rcode(rcode)
    for section, records in ((made.answer, answer), (made.authority, authority)):
        for record in records:
            owner, ttl, _, rdtype, data = record.split(maxsplit=4)
            section.append(dns.rrset.from_text(owner, int(ttl), "IN", rdtype, data))
    return made


def name_of(query: dns.message.Message) -> str:
    """The owner a query asks about, without the final dot."""
    return query.question[0].name.to_text(omit_final_dot=True).lower()


def zone(apex: str, delegated: dict[str, tuple[str, ...]], *, exists: tuple[str, ...] = ()) -> Answerer:
    """An honest zone server: referrals for `delegated`, NODATA for `exists`, NXDOMAIN for the rest, REFUSED outside."""
    soa = f"{apex}. 900 IN SOA ns.{apex}. hostmaster.{apex}. 1 7200 900 1209600 900"

    def answer(query: dns.message.Message) -> Reply:
        name = name_of(query)
        if not name.endswith("." + apex):
            return reply(query, rcode=dns.rcode.REFUSED, aa=False)
        if name in delegated:
            return reply(query, aa=False, authority=tuple(f"{name}. 3600 IN NS {host}." for host in delegated[name]))
        if name in exists:
            return reply(query, authority=(soa,))
        return reply(query, rcode=dns.rcode.NXDOMAIN, authority=(soa,))

    return answer
