"""Delegation questions to the zones' own servers: many in flight over a few UDP sockets, in one selector loop.

A reply counts only from the address that was asked, with the id and the question that were sent (RFC 5452). Ids and source
ports are random and both are renewed for every call. The codec is dnspython's; sockets, retries and pace are ours.
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
from domainwatch.errors import AddressForbidden, DeadlinePassed, Malformed, Unreachable
from domainwatch.names import Name
from domainwatch.ports import Delegation, DnsAnswer

RETRY_AFTER_S = (0.3, 0.4, 0.6, 1.5)  # how long each try is waited for; the length is the number of tries
TCP_WAIT_S = 2.0
UDP_PAYLOAD_BYTES = 1232  # DNS flag day 2020; RFC 9715
MAX_SERVERS = 6
MAX_NAMESERVERS = 16
_SOCKETS_PER_FAMILY = 4
_IN_FLIGHT = 1000
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


# --- What a reply says --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What one question came to: `value` is the reading of the reply that ended it, or of the last one that did not help."""

    value: Any = None
    server: Server | None = None
    duration_s: float = 0.0


@dataclass(slots=True, kw_only=True, eq=False)
class _Question:
    """One question and the servers to ask in turn. `read` gives the reading of a reply and whether it is final; when it is
    not, the next server is asked.
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


def read_delegation(question: _Question, message: dns.message.Message) -> tuple[Delegation | tuple[str, ...], bool]:
    """A zone server's reply about a name below its zone: the delegation's name servers, or a `Delegation` without any."""
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
    """A denial's SOA, if there is one, names a zone above the name, and not the root: that would deny the zone, not the name."""
    owners = [rrset.name for rrset in authority if rrset.rdtype == dns.rdatatype.SOA]
    return all(owner != dns.name.root and owner != qname and qname.is_subdomain(owner) for owner in owners)


def _targets(rrset: dns.rrset.RRset) -> tuple[str, ...]:
    texts = (str(record.target.to_text(omit_final_dot=True)).lower() for record in rrset)
    return tuple(sorted(text for text in texts if text not in {"", ".", "@"})[:MAX_NAMESERVERS])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Records:
    """A resolver's answer: the texts of the records asked for, in the order they came; `exists` False for NXDOMAIN."""

    texts: tuple[str, ...] = ()
    ttl_s: float = 0.0
    exists: bool = True


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
                    str(record.target.to_text(omit_final_dot=True) if rrset.rdtype == dns.rdatatype.NS else record.address)
                    for record in rrset
                )
                return _Records(texts=texts, ttl_s=min(ttl_s, float(rrset.ttl))), True
            if rrset.rdtype == dns.rdatatype.CNAME and question.rdtype != dns.rdatatype.NS:
                owner, ttl_s = rrset[0].target, min(ttl_s, float(rrset.ttl))
                break
        else:
            break
    return _Records(exists=message.rcode() == dns.rcode.NOERROR), True


# --- The pace -----------------------------------------------------------------------------------------------------------------


class _Pace:
    """Evenly spaced slots with a small burst (the generic cell rate algorithm), shared by all threads of the process."""

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


# --- The loop -----------------------------------------------------------------------------------------------------------------

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
    over: bool = False


class _TcpExchange:
    """One question over TCP (RFC 7766), never blocking: connect, send, read the length, read the reply."""

    def __init__(self, attempt: _Attempt, wire: bytes) -> None:
        self.attempt = attempt
        self.sock = socket.socket(_family(attempt.server[0]), socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.events = selectors.EVENT_WRITE
        self._out = len(wire).to_bytes(2, "big") + wire
        self._in = bytearray()
        with contextlib.suppress(BlockingIOError):
            self.sock.connect(attempt.server)

    def advance(self) -> bytes | None:
        """Do what can be done without waiting; the reply once it is whole. Raises `OSError` when it ended early."""
        if self._out:
            self._out = self._out[self.sock.send(self._out) :]
            if not self._out:
                self.events = selectors.EVENT_READ
            return None
        data = self.sock.recv(65_537)
        if not data:
            raise ConnectionError("closed before the reply was whole")
        self._in += data
        if len(self._in) < 2 or len(self._in) < 2 + int.from_bytes(self._in[:2], "big"):
            return None
        return bytes(self._in[2 : 2 + int.from_bytes(self._in[:2], "big")])


class _Loop:
    """Runs tasks until all have ended or the deadline has passed; what is open then is answered with nothing."""

    def __init__(self, engine: "DnsEngine", deadline: float) -> None:
        self._engine = engine
        self._deadline = deadline
        self._selector = selectors.DefaultSelector()
        self._udp: dict[socket.AddressFamily, list[socket.socket]] = {}
        self._pending: dict[tuple[int, int], _Attempt] = {}
        self._timers: list[tuple[float, int, _Attempt]] = []
        self._waiting: dict[Server, deque[_Attempt]] = {}
        self._ready: list[tuple[float, int, Server]] = []
        self._tcp: set[_TcpExchange] = set()
        self._tcp_waiting: deque[_Attempt] = deque()
        self._order = itertools.count()
        self._tasks = 0
        self._in_flight = 0

    def run(self, tasks: Iterable[_Steps]) -> None:
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
                    self._receive(max(0.0, self._next_event(now) - time.monotonic()))
        finally:
            for sockets in self._udp.values():
                for sock in sockets:
                    sock.close()
            for exchange in self._tcp:
                exchange.sock.close()
            self._selector.close()

    # Tasks and their questions

    def _go_on(self, task: _Task, answers: list[_Answer] | None) -> None:
        """Take the task to its next questions, or to its end."""
        while True:
            try:
                asked = next(task.steps) if answers is None else task.steps.send(answers)
            except StopIteration:
                self._tasks -= 1
                return
            task.asked = asked
            now = time.monotonic()
            for question in asked:
                question.task, question.asked_at, question.answer = task, now, None
                if now >= self._deadline or not question.servers:
                    question.answer = _Answer()
            task.open = sum(question.answer is None for question in asked)
            for question in asked:
                if question.answer is None:
                    self._try_next(question, now)
            if task.open:
                return
            answers = [question.answer or _Answer() for question in asked]

    def _end(self, question: _Question, value: Any, server: Server | None) -> None:
        if question.answer is not None:
            return
        question.answer = _Answer(value=value, server=server, duration_s=time.monotonic() - question.asked_at)
        if question.attempt is not None:
            self._leave(question.attempt)
        for key in question.keys:
            self._pending.pop(key, None)
        question.keys.clear()
        task = question.task
        if task is None:
            return
        task.open -= 1
        if task.open == 0:
            self._go_on(task, [asked.answer or _Answer() for asked in task.asked])

    def _leave(self, attempt: _Attempt) -> None:
        if not attempt.over:
            attempt.over = True

    def _give_up(self) -> None:
        """Past the deadline: every open question gets what is known so far. Tasks that ask more are answered at once."""
        while True:
            attempts = {*self._pending.values(), *(attempt for _, _, attempt in self._timers)}
            attempts |= {attempt for queue in self._waiting.values() for attempt in queue}
            attempts |= {exchange.attempt for exchange in self._tcp} | set(self._tcp_waiting)
            open_questions = {attempt.question for attempt in attempts if attempt.question.answer is None}
            if not open_questions:
                return
            for question in open_questions:
                self._end(question, question.fallback, question.fallback_server)

    def _try_next(self, question: _Question, now: float) -> None:
        """Queue the question for its next server, or end it when tries or servers are used up."""
        servers = [server for server in question.servers if server not in question.useless]
        if question.tries >= len(RETRY_AFTER_S) or not servers:
            self._end(question, question.fallback, question.fallback_server)
            return
        server = servers[question.turn % len(servers)]
        question.turn += 1
        question.tries += 1
        self._queue(_Attempt(question, server), now)

    def _queue(self, attempt: _Attempt, now: float) -> None:
        attempt.question.attempt = attempt
        queue = self._waiting.get(attempt.server)
        if queue is None:
            queue = self._waiting[attempt.server] = deque()
        if not queue:
            heapq.heappush(self._ready, (now, next(self._order), attempt.server))
        queue.append(attempt)
