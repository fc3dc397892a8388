"""Delegation questions to the zones' own servers: many in flight over a few UDP sockets, in one selector loop.

A reply counts only from the address that was asked, with the id and the question that were sent (RFC 5452). Ids and
source ports are random and both are renewed for every call. The codec is dnspython's; sockets, retries and pace are
ours.
"""

import contextlib
import heapq
import itertools
import secrets
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from domainwatch.adapters import guard
from domainwatch.adapters.guard import AllowedNetworks
from domainwatch.errors import AddressForbidden, BadSettings, DeadlinePassed, Malformed, Unreachable
from domainwatch.names import Name
from domainwatch.ports import Delegation, DnsAnswer

RETRY_AFTER_S = (0.3, 0.4, 0.6, 1.5)  # how long each try is waited for; the length is the number of tries
TCP_WAIT_S = 2.0
UDP_PAYLOAD_BYTES = 1232  # DNS flag day 2020; RFC 9715
MAX_SERVERS = 6
MAX_NAMESERVERS = 16
_SOCKETS_PER_FAMILY = 4
_TCP_AT_ONCE = 16
_SERVERS_TTL_S = (60.0, 21_600.0)
_NO_SERVERS_TTL_S = 30.0
_ADDRESS_TTL_S = (1.0, 300.0)
_WILDCARD_TTL_S = 3600.0
_PENALTY_S = 60.0
_REMEMBERED = 4096
_RESOLV_CONF = Path("/etc/resolv.conf")

Server = tuple[str, int]
"""An IP address literal and a port."""


# --- What a reply says ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What one question came to: `value` is the reading of the reply that ended it, or of the last one that did not
    help.
    """

    value: Any = None
    server: Server | None = None
    duration_s: float = 0.0


@dataclass(slots=True, kw_only=True, eq=False)
class _Question:
    """One question and the servers to ask in turn. `read` gives the reading of a reply and whether it is final; when
    it is not, the next server is asked.
    """

    qname: dns.name.Name
    rdtype: dns.rdatatype.RdataType
    servers: Sequence[Server]
    read: Callable[["_Question", dns.message.Message], tuple[Any, bool]]
    recursive: bool = False
    edns: bool = True
    # the state of asking
    asked_at: float = 0.0
    tries: int = 0
    turn: int = 0
    useless: set[Server] = field(default_factory=set)
    fallback: Any = None
    fallback_server: Server | None = None
    attempt: "_Attempt | None" = None
    keys: list[tuple[int, int]] = field(default_factory=list)
    task: "_Task | None" = None
    answer: _Answer | None = None
    wire: bytes = b""

    def packet(self, query_id: int) -> bytes:
        """The question as it is sent under this id."""
        if not self.wire:
            query = dns.message.make_query(
                self.qname,
                self.rdtype,
                use_edns=0 if self.edns else False,
                payload=UDP_PAYLOAD_BYTES,
                flags=dns.flags.RD if self.recursive else 0,
                id=0,
            )
            self.wire = query.to_wire()
        return query_id.to_bytes(2, "big") + self.wire[2:]


def read_delegation(question: _Question, message: dns.message.Message) -> tuple[Delegation | tuple[str, ...], bool]:
    """A zone server's reply about a name below its zone: the delegation's name servers, or a `Delegation` without."""
    qname, rcode = question.qname, message.rcode()
    authoritative = bool(message.flags & dns.flags.AA)
    if rcode == dns.rcode.SERVFAIL:
        return Delegation.SERVFAIL, False
    if rcode == dns.rcode.REFUSED:
        return Delegation.REFUSED, False
    if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return Delegation.LAME, False
    answered = [rrset for rrset in message.answer if rrset.name == qname and rrset.rdclass == dns.rdataclass.IN]
    if rcode == dns.rcode.NXDOMAIN:
        if not authoritative or not _zone_speaks(qname, message.authority):
            return Delegation.LAME, False
        # An alias whose target is missing exists itself (RFC 6604, 3).
        return (Delegation.NO_DELEGATION if message.answer else Delegation.DENIED), True
    for rrset in itertools.chain(answered, message.authority):
        if rrset.rdtype == dns.rdatatype.NS and rrset.name == qname and rrset.rdclass == dns.rdataclass.IN:
            return _targets(rrset), True
    if authoritative and not any(rrset.rdtype == dns.rdatatype.NS for rrset in message.authority):
        return Delegation.NO_DELEGATION, True
    return Delegation.LAME, False


def _zone_speaks(qname: dns.name.Name, authority: Iterable[dns.rrset.RRset]) -> bool:
    """A denial's SOA, if there is one, names a zone above the name, and not the root: that would deny the zone, not
    the name.
    """
    owners = [rrset.name for rrset in authority if rrset.rdtype == dns.rdatatype.SOA]
    return all(owner not in (dns.name.root, qname) and qname.is_subdomain(owner) for owner in owners)


def _targets(rrset: dns.rrset.RRset) -> tuple[str, ...]:
    texts = (str(record.target.to_text(omit_final_dot=True)).lower() for record in rrset)
    return tuple(sorted(text for text in texts if text not in {"", ".", "@"})[:MAX_NAMESERVERS])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Records:
    """A resolver's answer: the texts of the records asked for, in the order they came; none for NODATA and NXDOMAIN."""

    texts: tuple[str, ...] = ()
    ttl_s: float = 0.0


def _read_records(question: _Question, message: dns.message.Message) -> tuple[_Records | None, bool]:
    """A resolver's reply, aliases followed inside its answer section."""
    if message.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return None, False
    owner, ttl_s = question.qname, 86_400.0
    for _ in range(16):
        for rrset in message.answer:
            if rrset.name != owner or rrset.rdclass != dns.rdataclass.IN:
                continue
            if rrset.rdtype == question.rdtype:
                texts = tuple(
                    str(
                        record.target.to_text(omit_final_dot=True)
                        if rrset.rdtype == dns.rdatatype.NS
                        else record.address
                    )
                    for record in rrset
                )
                return _Records(texts=texts, ttl_s=min(ttl_s, float(rrset.ttl))), True
            if rrset.rdtype == dns.rdatatype.CNAME and question.rdtype != dns.rdatatype.NS:
                owner, ttl_s = rrset[0].target, min(ttl_s, float(rrset.ttl))
                break
        else:
            break
    return _Records(), True


# --- The pace ---------------------------------------------------------------------------------------------------------


class _Pace:
    """Evenly spaced slots with a small burst (generic cell rate algorithm), shared by all threads of the process."""

    __slots__ = ("_ahead_s", "_interval_s", "_lock", "_next")

    def __init__(self, per_s: float, burst: int) -> None:
        self._interval_s = 1.0 / per_s
        self._ahead_s = max(burst - 1, 0) * self._interval_s
        self._next = 0.0
        self._lock = threading.Lock()

    def wait_s(self, now: float) -> float:
        """Seconds until a slot is free; 0 when one is."""
        return max(0.0, self._next - self._ahead_s - now)

    def take(self, now: float) -> bool:
        with self._lock:
            if self._next - self._ahead_s > now:
                return False
            self._next = max(now, self._next) + self._interval_s
            return True


class _Memory:
    """Values with an end, at most a few thousand; safe between threads."""

    def __init__(self) -> None:
        self._values: dict[Any, tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def get(self, key: Any) -> Any:
        with self._lock:
            until, value = self._values.get(key, (0.0, None))
            return value if time.monotonic() < until else None

    def put(self, key: Any, value: Any, ttl_s: float) -> None:
        with self._lock:
            if len(self._values) >= _REMEMBERED:
                now = time.monotonic()
                kept = {k: v for k, v in self._values.items() if v[0] > now}
                self._values = kept if len(kept) < _REMEMBERED else {}
            self._values[key] = (time.monotonic() + ttl_s, value)


# --- The loop ---------------------------------------------------------------------------------------------------------

_Steps = Generator[list[_Question], list[_Answer], None]


@dataclass(slots=True, eq=False)
class _Task:
    """A course of questions: `steps` yields the questions of one step and is sent their answers."""

    steps: _Steps
    asked: list[_Question] = field(default_factory=list)
    open: int = 0


@dataclass(slots=True, eq=False)
class _Attempt:
    """One sending of a question to one server; `tcp` after a truncated reply."""

    question: _Question
    server: Server
    tcp: bool = False

    @property
    def current(self) -> bool:
        """True while nothing has come of it and no later attempt has taken its place."""
        return self.question.answer is None and self.question.attempt is self


class _TcpExchange:
    """One question over TCP (RFC 7766), never blocking: connect, send, read the length, read the reply."""

    def __init__(self, attempt: _Attempt) -> None:
        self.attempt = attempt
        self.query_id = secrets.randbelow(65_536)
        wire = attempt.question.packet(self.query_id)
        self._out = len(wire).to_bytes(2, "big") + wire
        self._in = bytearray()
        self.sock = socket.socket(_family(attempt.server[0]), socket.SOCK_STREAM)
        self.sock.setblocking(False)
        try:
            with contextlib.suppress(BlockingIOError):
                self.sock.connect(attempt.server)
        except OSError:
            self.sock.close()
            raise

    @property
    def events(self) -> int:
        return selectors.EVENT_WRITE if self._out else selectors.EVENT_READ

    def advance(self) -> bytes | None:
        """Do what can be done without waiting; the reply once it is whole. Raises `OSError` when it ended early."""
        if self._out:
            self._out = self._out[self.sock.send(self._out) :]
            return None
        data = self.sock.recv(65_537)
        if not data:
            raise ConnectionError("closed before the reply was whole")
        self._in += data
        length = int.from_bytes(self._in[:2], "big")
        return bytes(self._in[2 : 2 + length]) if len(self._in) >= 2 + length and len(self._in) >= 2 else None


class _Loop:
    """Runs tasks until all have ended or the deadline has passed; what is open then is answered with what is known."""

    def __init__(self, doors: "_Doors", deadline: float) -> None:
        self._doors = doors
        self._deadline = deadline
        self._selector = selectors.DefaultSelector()
        self._udp: dict[socket.AddressFamily, list[socket.socket]] = {}
        self._pending: dict[tuple[int, int], _Attempt] = {}
        self._timers: list[tuple[float, int, _Attempt]] = []
        self._waiting: dict[Server, deque[_Attempt]] = {}
        self._ready: list[tuple[float, int, Server]] = []
        self._tcp: dict[_Attempt, _TcpExchange] = {}
        self._tcp_waiting: deque[_Attempt] = deque()
        self._order = itertools.count()
        self._open: dict[_Question, None] = {}
        self._tasks = 0

    def run(self, tasks: Iterable[_Steps]) -> None:
        """Run to the end. Never longer than the deadline, apart from the work of one turn."""
        try:
            for steps in tasks:
                self._tasks += 1
                self._go_on(_Task(steps), None)
            while self._tasks:
                now = time.monotonic()
                if now >= self._deadline:
                    self._give_up()
                    return
                self._fire(now)
                self._send_due(now)
                if self._tasks:
                    self._receive(self._idle_s())
        finally:
            for sock in itertools.chain(*self._udp.values()):
                sock.close()
            for exchange in self._tcp.values():
                exchange.sock.close()
            self._selector.close()

    # --- tasks and their questions

    def _go_on(self, task: _Task, answers: list[_Answer] | None) -> None:
        """Take the task to its next questions that need asking, or to its end."""
        while True:
            try:
                task.asked = next(task.steps) if answers is None else task.steps.send(answers)
            except StopIteration:
                self._tasks -= 1
                return
            now = time.monotonic()
            for question in task.asked:
                question.task, question.asked_at = task, now
                if not question.servers:
                    question.answer = _Answer()
                else:
                    task.open += 1
                    self._open[question] = None
                    self._try_next(question, now)
            if task.open:
                return
            answers = [question.answer or _Answer() for question in task.asked]

    def _end(self, question: _Question, value: Any, server: Server | None) -> None:
        if question.answer is not None:
            return
        question.answer = _Answer(value=value, server=server, duration_s=time.monotonic() - question.asked_at)
        self._open.pop(question, None)
        for key in question.keys:
            self._pending.pop(key, None)
        task = question.task
        if task is not None:
            task.open -= 1
            if task.open == 0:
                self._go_on(task, [asked.answer or _Answer() for asked in task.asked])

    def _give_up(self) -> None:
        """Past the deadline: open questions get what is known, and so do those their tasks still come up with."""
        while self._open:
            question = next(iter(self._open))
            self._end(question, question.fallback, question.fallback_server)

    def _try_next(self, question: _Question, now: float) -> None:
        """Queue the question for its next server, or end it when tries or servers are used up."""
        servers = [server for server in question.servers if server not in question.useless]
        if question.tries >= len(RETRY_AFTER_S) or not servers:
            self._end(question, question.fallback, question.fallback_server)
            return
        server = servers[question.turn % len(servers)]
        question.turn += 1
        self._queue(_Attempt(question, server), now)

    def _queue(self, attempt: _Attempt, now: float) -> None:
        attempt.question.attempt = attempt
        queue = self._waiting.setdefault(attempt.server, deque())
        if not queue:
            heapq.heappush(self._ready, (now, next(self._order), attempt.server))
        queue.append(attempt)

    def _failed(self, attempt: _Attempt, now: float) -> None:
        """This server is of no use for this question: ask the next one."""
        attempt.question.useless.add(attempt.server)
        if attempt.current:
            self._try_next(attempt.question, now)

    # --- time

    def _idle_s(self) -> float:
        now = time.monotonic()
        at = self._deadline
        if self._timers:
            at = min(at, self._timers[0][0])
        if self._ready:
            at = min(at, max(self._ready[0][0], now + self._doors.all.wait_s(now)))
        return max(0.0, at - now)

    def _fire(self, now: float) -> None:
        while self._timers and self._timers[0][0] <= now:
            attempt = heapq.heappop(self._timers)[2]
            self._close_tcp(attempt)
            if attempt.current:
                self._doors.slow(attempt.server)
                self._try_next(attempt.question, now)

    def _set_timer(self, attempt: _Attempt, at: float) -> None:
        heapq.heappush(self._timers, (at, next(self._order), attempt))

    # --- sending

    def _send_due(self, now: float) -> None:
        """Send what its server's pace and the pace of all servers together allow now; servers take turns."""
        while self._ready and self._ready[0][0] <= now and self._doors.all.wait_s(now) == 0:
            server = heapq.heappop(self._ready)[2]
            queue = self._waiting[server]
            while queue and not queue[0].current:
                queue.popleft()
            if not queue:
                continue
            pace = self._doors.pace(server)
            if pace is None:
                forbidden = [*queue]
                queue.clear()
                for attempt in forbidden:
                    self._failed(attempt, now)
                continue
            if pace.take(now) and self._doors.all.take(now):
                self._send(queue.popleft(), now)
            if queue:
                heapq.heappush(self._ready, (now + pace.wait_s(now), next(self._order), server))

    def _send(self, attempt: _Attempt, now: float) -> None:
        question = attempt.question
        if attempt.tcp:
            self._tcp_waiting.append(attempt)
            self._start_tcp(now)
            return
        try:
            sock = secrets.choice(self._sockets(_family(attempt.server[0])))
            key = self._free_id(sock)
            sock.sendto(question.packet(key[1]), attempt.server)
        except BlockingIOError:
            pass  # a full send buffer is a lost packet: the timer asks again
        except OSError:  # no route of that family: no try of the few is spent on it
            self._failed(attempt, now)
            return
        else:
            self._pending[key] = attempt
            question.keys.append(key)
        question.tries += 1
        self._set_timer(attempt, now + RETRY_AFTER_S[min(question.tries, len(RETRY_AFTER_S)) - 1])

    def _sockets(self, family: socket.AddressFamily) -> list[socket.socket]:
        """This call's own sockets of the family, each on a port the system picked at random."""
        sockets = self._udp.setdefault(family, [])
        while len(sockets) < _SOCKETS_PER_FAMILY:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sockets.append(sock)
            sock.setblocking(False)
            sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self._selector.register(sock, selectors.EVENT_READ)
        return sockets

    def _free_id(self, sock: socket.socket) -> tuple[int, int]:
        while (key := (sock.fileno(), secrets.randbelow(65_536))) in self._pending:
            pass  # far fewer questions are in flight than there are ids
        return key

    def _start_tcp(self, now: float) -> None:
        while self._tcp_waiting and len(self._tcp) < _TCP_AT_ONCE:
            attempt = self._tcp_waiting.popleft()
            if not attempt.current:
                continue
            try:
                exchange = _TcpExchange(attempt)
            except OSError:
                self._failed(attempt, now)
                continue
            self._tcp[attempt] = exchange
            self._selector.register(exchange.sock, exchange.events, exchange)
            self._set_timer(attempt, now + TCP_WAIT_S)

    def _close_tcp(self, attempt: _Attempt) -> None:
        exchange = self._tcp.pop(attempt, None)
        if exchange is not None:
            self._selector.unregister(exchange.sock)
            exchange.sock.close()
            self._start_tcp(time.monotonic())

    # --- receiving

    def _receive(self, wait_s: float) -> None:
        for key, _ in self._selector.select(wait_s):
            if key.data is None:
                self._receive_udp(key.fileobj)  # type: ignore[arg-type]  # only sockets are registered
            else:
                self._receive_tcp(key.data)

    def _receive_udp(self, sock: socket.socket) -> None:
        for _ in range(64):  # then look at the clock again, however much there is
            try:
                wire, sender = sock.recvfrom(65_535)
            except OSError:
                return
            attempt = self._pending.get((sock.fileno(), int.from_bytes(wire[:2], "big")))
            if attempt is not None and sender[:2] == attempt.server:
                self._take(attempt, wire)

    def _receive_tcp(self, exchange: _TcpExchange) -> None:
        attempt = exchange.attempt
        if self._tcp.get(attempt) is not exchange:
            return  # closed earlier in this turn
        now = time.monotonic()
        try:
            wire = exchange.advance()
        except BlockingIOError:
            return
        except OSError:
            self._close_tcp(attempt)
            self._failed(attempt, now)
            return
        if wire is None:
            self._selector.modify(exchange.sock, exchange.events, exchange)
            return
        self._close_tcp(attempt)
        if int.from_bytes(wire[:2], "big") == exchange.query_id:
            self._take(attempt, wire, tcp=True)
        if attempt.current:
            self._failed(attempt, now)

    def _take(self, attempt: _Attempt, wire: bytes, *, tcp: bool = False) -> None:
        """Use a reply that came from the right address under the right id; what does not parse or does not repeat the
        question is ignored, as if it had not come.
        """
        question, now = attempt.question, time.monotonic()
        try:
            message = _parsed(question, wire, tcp=tcp)
            value, final = question.read(question, message) if message is not None else (None, False)
        except Exception:  # hostile bytes: whatever dnspython or the reading makes of them, they are no answer
            return
        if message is None:
            if attempt.current and not attempt.tcp:
                self._queue(_Attempt(question, attempt.server, tcp=True), now)
        elif message.rcode() in {dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS} and question.edns and not tcp:
            question.edns, question.wire = False, b""  # a server older than EDNS (RFC 6891, 7)
            if attempt.current:
                self._queue(_Attempt(question, attempt.server), now)
        elif final:
            self._doors.well(attempt.server)
            self._end(question, value, attempt.server)
        else:
            question.fallback, question.fallback_server = value, attempt.server
            self._failed(attempt, now)


def _parsed(question: _Question, wire: bytes, *, tcp: bool) -> dns.message.Message | None:
    """The reply to this very question; None when it was truncated and is to be asked for over TCP. Raises whatever
    dnspython raises, and `ValueError` for a reply to something else.
    """
    truncated = len(wire) > 2 and bool(wire[2] & 0x02) and not tcp
    message = dns.message.from_wire(wire, ignore_trailing=True, question_only=truncated)
    if not message.flags & dns.flags.QR or message.opcode() != dns.opcode.QUERY:
        raise ValueError("not a reply")
    if not message.question and message.rcode() in {dns.rcode.FORMERR, dns.rcode.NOTIMP}:
        return message  # it did not understand the question, so it cannot repeat it
    if len(message.question) != 1:
        raise ValueError("not one question")
    (asked,) = message.question
    if asked.name != question.qname or asked.rdtype != question.rdtype or asked.rdclass != dns.rdataclass.IN:
        raise ValueError("another question")
    return None if truncated else message


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class _Doors:
    """The servers we may speak to: each vetted once, with its pace, and whether it was slow lately."""

    def __init__(
        self, allowed: AllowedNetworks, trusted: frozenset[Server], *, per_server_per_s: float, burst: int, per_s: float
    ) -> None:
        self.all = _Pace(per_s, 4 * burst)
        self._allowed = allowed
        self._trusted = trusted
        self._per_server_per_s = per_server_per_s
        self._burst = burst
        self._paces: dict[Server, _Pace] = {}
        self._slow_until: dict[Server, float] = {}
        self._lock = threading.Lock()

    def permits(self, server: Server) -> bool:
        return server in self._trusted or self._allowed.permits(*server)

    def pace(self, server: Server) -> _Pace | None:
        """The server's pace; None when no packet may go there."""
        with self._lock:
            pace = self._paces.get(server)
            if pace is None and self.permits(server):
                if len(self._paces) >= _REMEMBERED:
                    self._paces.clear()
                pace = self._paces[server] = _Pace(self._per_server_per_s, self._burst)
            return pace

    def slow(self, server: Server) -> None:
        if len(self._slow_until) >= _REMEMBERED:
            self._slow_until.clear()
        self._slow_until[server] = time.monotonic() + _PENALTY_S

    def well(self, server: Server) -> None:
        self._slow_until.pop(server, None)

    def in_order(self, servers: Sequence[Server], turn: int) -> list[Server]:
        """The servers from a different start each time, those that were slow lately last."""
        if not servers:
            return []
        start = turn % len(servers)
        now = time.monotonic()
        return sorted([*servers[start:], *servers[:start]], key=lambda server: self._slow_until.get(server, 0.0) > now)


# --- The engine -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    servers: tuple[Server, ...] = ()
    ttl_s: float = _NO_SERVERS_TTL_S


_Discovery = Generator[list[_Question], list[_Answer], _Found]


class DnsEngine:
    """The `DnsPort` adapter; one per process, safe to share between threads.

    `resolvers` are `address[:port]`, empty for the system's own (which need no permission: the machine's owner set
    them). `nameservers(suffix)` gives the zone's servers as the zones file names them, empty to find them through the
    resolver. No server is asked more than `per_server_per_s` questions a second, and all together no more than
    `per_s`, each with a burst of up to `burst` and four times `burst`. `server_port` is where servers named without a
    port listen.
    """

    def __init__(
        self,
        *,
        allowed: AllowedNetworks,
        resolvers: Sequence[str] = (),
        nameservers: Callable[[str], Sequence[str]] | None = None,
        per_server_per_s: float = 500.0,
        per_s: float = 2000.0,
        burst: int = 100,
        server_port: int = 53,
    ) -> None:
        self._resolvers = tuple(_server(text, 53) for text in (resolvers or system_resolvers()))
        trusted = frozenset() if resolvers else frozenset(self._resolvers)
        self._doors = _Doors(allowed, trusted, per_server_per_s=per_server_per_s, burst=burst, per_s=per_s)
        self._nameservers = nameservers or (lambda suffix: ())
        self._server_port = server_port
        self._servers_memory = _Memory()
        self._wildcard_memory = _Memory()
        self._address_memory = _Memory()
        self._turn = itertools.count(secrets.randbelow(1000))

    def delegations(self, names: Sequence[Name], *, timeout_s: float) -> Mapping[Name, DnsAnswer]:
        """See `DnsPort.delegations`."""
        deadline = time.monotonic() + timeout_s
        by_suffix: dict[str, list[Name]] = {}
        for name in dict.fromkeys(names):
            by_suffix.setdefault(name.suffix, []).append(name)
        found: dict[Name, DnsAnswer] = {}
        _Loop(self._doors, deadline).run([self._zone(suffix, group, found) for suffix, group in by_suffix.items()])
        missing = DnsAnswer(delegation=Delegation.TIMEOUT, duration_ms=round(timeout_s * 1000))
        return {name: found.get(name, missing) for name in names}

    def addresses(self, host: str, *, timeout_s: float) -> tuple[str, ...]:
        """See `DnsPort.addresses`."""
        canonical = guard.host(host)
        if guard.literal(canonical):
            return (canonical,)
        remembered: tuple[str, ...] | None = self._address_memory.get(canonical)
        if remembered is not None:
            return remembered
        if not any(self._doors.permits(server) for server in self._resolvers):
            raise AddressForbidden("no resolver may be asked: allow its address or name another")
        answers: list[_Answer] = []
        started = time.monotonic()
        _Loop(self._doors, started + timeout_s).run([self._host_addresses(canonical, answers)])
        records = [answer.value for answer in answers if answer.value is not None]
        if not records:
            if time.monotonic() - started >= timeout_s or not any(answer.server for answer in answers):
                raise DeadlinePassed(f"no resolver answered for {canonical}")
            raise Unreachable(f"no resolver could answer for {canonical}", reason="no_resolver")
        texts = tuple(dict.fromkeys(text for record in records for text in record.texts))
        if len(records) == len(answers):
            ttl_s = min((record.ttl_s for record in records if record.texts), default=_NO_SERVERS_TTL_S)
            self._address_memory.put(canonical, texts, _bounded(ttl_s, _ADDRESS_TTL_S))
        return texts

    def resolve(self, host: str, timeout_s: float) -> tuple[str, ...]:
        """`addresses` in the shape the HTTP and WHOIS adapters ask for."""
        return self.addresses(host, timeout_s=timeout_s)

    # --- courses of questions

    def _zone(self, suffix: str, names: list[Name], found: dict[Name, DnsAnswer]) -> _Steps:
        """All names of one zone, and once an hour a name that does not exist: a zone that does not deny it says
        nothing.
        """
        servers = yield from self._zone_servers(suffix)
        if not servers:
            found.update({name: DnsAnswer(delegation=Delegation.NO_SERVERS) for name in names})
            return
        wildcard: bool | None = self._wildcard_memory.get(suffix)
        asked = [name.text for name in names] + ([] if wildcard is not None else [f"{_random_label()}.{suffix}"])
        # The random name goes first: its answer decides about all the others.
        answers = list(reversed((yield [self._delegation_question(text, servers) for text in reversed(asked)])))
        if wildcard is None:
            reading = answers.pop().value
            wildcard = isinstance(reading, tuple) or reading is Delegation.NO_DELEGATION
            # Without an answer about the random name each answer stands for itself: a wildcard zone denies nothing.
            if wildcard or reading is Delegation.DENIED:
                self._wildcard_memory.put(suffix, wildcard, _WILDCARD_TTL_S)
        verdict = Delegation.WILDCARD if wildcard else None
        for name, answer in zip(names, answers, strict=True):
            found[name] = _dns_answer(answer, verdict)

    def _zone_servers(self, suffix: str) -> Generator[list[_Question], list[_Answer], tuple[Server, ...]]:
        remembered: tuple[Server, ...] | None = self._servers_memory.get(suffix)
        if remembered is not None:
            return remembered
        configured = self._nameservers(suffix)
        found = yield from self._named(configured) if configured else self._discovered(suffix)
        servers = tuple(dict.fromkeys(server for server in found.servers if self._doors.permits(server)))
        self._servers_memory.put(
            suffix, servers, _bounded(found.ttl_s, _SERVERS_TTL_S) if servers else _NO_SERVERS_TTL_S
        )
        return servers

    def _named(self, configured: Sequence[str]) -> _Discovery:
        """The servers of a zones file: addresses as they are, host names through the resolver."""
        servers: list[Server] = []
        hosts: list[tuple[str, int]] = []
        for text in configured:
            try:
                host, port = guard.host_port(text, default_port=self._server_port)
            except Malformed:
                continue  # the registry file's reader reports it
            (servers if guard.literal(host) else hosts).append((host, port))
        looked_up = yield from self._hosts(hosts[:MAX_SERVERS])
        return _Found(servers=(*servers, *looked_up.servers), ttl_s=looked_up.ttl_s if hosts else _SERVERS_TTL_S[1])

    def _discovered(self, suffix: str) -> _Discovery:
        """NS of the zone that holds the suffix: of the suffix itself, or where that is no zone cut, of the next one
        above.
        """
        cut = dns.name.from_text(suffix)
        while cut != dns.name.root:
            (answer,) = yield [self._resolver_question(cut, dns.rdatatype.NS)]
            records: _Records | None = answer.value
            if records is None:
                return _Found()
            if records.texts:
                hosts = [(text, self._server_port) for text in records.texts if text not in {"", "@", "."}]
                secrets.SystemRandom().shuffle(hosts)
                looked_up = yield from self._hosts(hosts[:MAX_SERVERS])
                return _Found(servers=looked_up.servers, ttl_s=min(looked_up.ttl_s, records.ttl_s))
            cut = cut.parent()
        return _Found()

    def _hosts(self, hosts: Sequence[tuple[str, int]]) -> _Discovery:
        if not hosts:
            return _Found()
        types = [dns.rdatatype.A] + ([dns.rdatatype.AAAA] if _has_ipv6() else [])
        questions, ports = [], []
        for rdtype in types:
            for host, port in hosts:
                try:
                    questions.append(self._resolver_question(dns.name.from_text(host), rdtype))
                except (dns.exception.DNSException, UnicodeError):
                    continue
                ports.append(port)
        answers = yield questions
        known = [(answer.value, port) for answer, port in zip(answers, ports, strict=True) if answer.value]
        servers = [(text, port) for records, port in known for text in records.texts]
        ttl_s = min((records.ttl_s for records, _ in known if records.texts), default=_NO_SERVERS_TTL_S)
        return _Found(servers=tuple(dict.fromkeys(servers))[: 2 * MAX_SERVERS], ttl_s=ttl_s)

    def _host_addresses(self, host: str, answers: list[_Answer]) -> _Steps:
        types = [dns.rdatatype.A] + ([dns.rdatatype.AAAA] if _has_ipv6() else [])
        answers += yield [self._resolver_question(dns.name.from_text(host), rdtype) for rdtype in types]

    # --- questions

    def _delegation_question(self, text: str, servers: Sequence[Server]) -> _Question:
        return _Question(
            qname=dns.name.from_text(text),
            rdtype=dns.rdatatype.NS,
            servers=self._doors.in_order(servers, next(self._turn)),
            read=read_delegation,
        )

    def _resolver_question(self, qname: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> _Question:
        return _Question(
            qname=qname,
            rdtype=rdtype,
            servers=self._doors.in_order(self._resolvers, 0),
            read=_read_records,
            recursive=True,
        )


def system_resolvers(path: Path = _RESOLV_CONF) -> tuple[str, ...]:
    """The resolvers that resolv.conf(5) names, the local machine when it names none."""
    found: list[str] = []
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and guard.literal(words[1]):
            found.append(words[1])
    return tuple(found) or ("127.0.0.1",)


def _server(text: str, default_port: int) -> Server:
    try:
        host, port = guard.host_port(text.strip(), default_port=default_port)
    except Malformed as exc:
        raise BadSettings(f"resolver addresses: {exc}") from exc
    if not guard.literal(host):
        raise BadSettings(f"resolver addresses: {text[:80]!r} is a name; a resolver is given by its address")
    return (host, port)


def _dns_answer(answer: _Answer, verdict: Delegation | None) -> DnsAnswer:
    server = guard.joined(*answer.server) if answer.server else ""
    duration_ms = round(answer.duration_s * 1000)
    if verdict is not None:
        return DnsAnswer(delegation=verdict, server=server, duration_ms=duration_ms)
    if isinstance(answer.value, tuple):
        return DnsAnswer(
            delegation=Delegation.DELEGATED, server=server, nameservers=answer.value, duration_ms=duration_ms
        )
    return DnsAnswer(delegation=answer.value or Delegation.TIMEOUT, server=server, duration_ms=duration_ms)


def _random_label() -> str:
    return "dw-" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(20))


def _bounded(ttl_s: float, bounds: tuple[float, float]) -> float:
    return min(max(ttl_s, bounds[0]), bounds[1])


_ipv6: bool | None = None


def _has_ipv6() -> bool:
    """Whether this machine has an IPv6 route to the world; found out once, without sending a packet."""
    global _ipv6  # noqa: PLW0603  # a fact of the machine, the same for every engine
    if _ipv6 is None:
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
                sock.connect(("2001:500:2f::f", 53))
            _ipv6 = True
        except OSError:
            _ipv6 = False
    return _ipv6
