"""The ports: what the inside asks of the world. The same contract tests prove an adapter and its fake."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from domainwatch.names import Name

Now = Callable[[], datetime]


# --- DNS --------------------------------------------------------------------------------------------------------------


class Delegation(StrEnum):
    """What a zone's own servers say of a name below it."""

    DELEGATED = "delegated"
    DENIED = "nxdomain"
    NO_DELEGATION = "no_delegation"  # it exists there (NOERROR), without name servers of its own
    WILDCARD = "wildcard"  # the zone answers for names that do not exist
    SERVFAIL = "servfail"
    REFUSED = "refused"
    LAME = "lame"  # no server of the zone speaks for it
    TIMEOUT = "timeout"
    NO_SERVERS = "no_nameservers"  # the zone's servers could not be found


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsAnswer:
    """One zone server's answer: `server` is `address:port`, `nameservers` are the delegation's, `duration_ms` includes
    retries.
    """

    delegation: Delegation
    server: str = ""
    nameservers: tuple[str, ...] = ()
    duration_ms: int = 0


class DnsPort(Protocol):
    """Delegation questions to the zones' own servers, and plain address look-ups through the configured resolver."""

    def delegations(self, names: Sequence[Name], *, timeout_s: float) -> Mapping[Name, DnsAnswer]:
        """Each name's delegation, all asked at once; every name is answered within `timeout_s`. Never raises for the
        far side.
        """
        ...

    def addresses(self, host: str, *, timeout_s: float) -> tuple[str, ...]:
        """The IP addresses of a host, through the resolver; empty when it has none. Raises `TryLater` when nobody
        answers.
        """
        ...


# --- HTTP and WHOIS ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """A reply as it came: header names lower case, `body` decoded from gzip or deflate, capped."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    duration_ms: int = 0


class HttpPort(Protocol):
    """HTTP/1.1 with one deadline and a size cap for the whole exchange, to public addresses only, checked on the one
    connected to.
    """

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
        """The reply, whatever its status. Follows at most `redirects` redirects, each hop guarded anew (and never from
        https to http). With `truncate` a longer body is cut at `max_bytes`. Raises `Unreachable`, `DeadlinePassed`,
        `TooLarge`, `Malformed`, `AddressForbidden`.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoisReply:
    """Everything one WHOIS server sent. `complete` is False when a deadline or the size cap ended the reading."""

    text: str
    complete: bool
    duration_ms: int = 0


class WhoisPort(Protocol):
    """RFC 3912 over TCP."""

    def ask(self, server: str, query: str, *, charset: str | None, timeout_s: float) -> WhoisReply:
        """Send `query` + CRLF to `server` (`host:port`). `charset` None: UTF-8, else Latin-1. Raises `Unreachable`,
        `DeadlinePassed` (nothing had come), `AddressForbidden`.
        """
        ...


# --- What is known of zones -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoisService:
    """How to ask one WHOIS server: `service` is `host:port`, `query` a template with `{name}`."""

    service: str
    query: str = "{name}"
    charset: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A service's own limit: requests per second, evenly spaced, and perhaps per day (None = no daily quota)."""

    per_s: float
    per_day: int | None = None


class Zones(Protocol):
    """What is known of each zone: the zones file first, then our own facts, then what IANA says."""

    def rdap_bases(self, name: Name) -> tuple[str, ...]: ...
    def whois(self, name: Name) -> WhoisService | None: ...
    def control(self, suffix: str) -> str | None: ...
    def wildcard(self, suffix: str) -> bool | None: ...
    def nameservers(self, suffix: str) -> tuple[str, ...]: ...
    def limit(self, kind: str, service: str) -> Limit: ...
    def exists(self, tld: str) -> bool | None:
        """Whether the top-level domain is known to exist; None when nobody could be asked."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """All that a check may use: ports, knowledge and a clock."""

    now: Now
    zones: Zones
    dns: DnsPort
    http: HttpPort
    whois: WhoisPort
    user_agent: str = "Domainwatch"


# --- Pacing -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A stretch of `slots` time slots at one service that one worker alone may use: slot i opens at `start_ms + i *
    interval_ms` (epoch milliseconds).
    """

    kind: str
    service: str
    start_ms: int
    slots: int
    interval_ms: int

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.slots * self.interval_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """No lease: nothing is free before `until_ms` (epoch milliseconds)."""

    until_ms: int
    reason: str


class Pacing(Protocol):
    """Leases and what refusals teach, kept in the ledger and shared by every worker. `kind` is `rdap`, `whois` or
    `dns`.
    """

    def lease(self, kind: str, service: str, *, slots: int, limit: Limit, now_ms: int, horizon_ms: int) -> Lease | Busy:
        """Take up to `slots` slots that start by `now_ms + horizon_ms`, atomically. Quota and blocks count."""
        ...

    def refused(self, kind: str, service: str, *, retry_after_s: float | None, limit: Limit, now_ms: int) -> None:
        """The service asked to slow down: nothing before `retry_after_s` (a cautious default when it did not say), and
        half the rate.
        """
        ...

    def blocked_until_ms(self, kind: str, service: str) -> int:
        """Until when (epoch milliseconds) a refusal keeps everybody away, holders of leases too; 0: it does not."""
        ...

    def proven_at(self, kind: str, service: str, suffix: str) -> datetime | None:
        """When the service last answered a control question of this suffix as registered."""
        ...

    def prove(self, kind: str, service: str, suffix: str, *, at: datetime) -> None: ...
    def delegated_name(self, suffix: str) -> str | None:
        """A name that DNS lately showed delegated under this suffix: a control question for zones that name none."""
        ...

    def remember_delegated(self, suffix: str, name: str, *, at: datetime) -> None: ...


# --- The store and the outbox -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One watched name as stored: plain JSON values under the item's own attribute names (see `wire.py`), plus its
    version.
    """

    name: Name
    attributes: Mapping[str, Any] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEvent:
    """An event to deliver: `id` is its webhook id for ever, `body` the exact bytes that are signed and sent, `target`
    says where: `result`, `available` or `event`.
    """

    id: str
    type: str
    name: str
    target: str
    body: str
    due_at: datetime
    attempts: int = 0
    created_at: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One name's change and the events that tell it: written together or not at all."""

    before: Watched
    after: Watched
    events: tuple[OutboxEvent, ...] = ()


class Store(Protocol):
    """The watched names and the outbox. Everything conditional raises or reports conflicts; nothing scans the table."""

    def get(self, name: Name) -> Watched | None: ...
    def get_many(self, names: Sequence[Name]) -> dict[Name, Watched]:
        """Those of the names that are watched, read consistently."""
        ...

    def add(self, items: Iterable[Watched]) -> list[Name]:
        """Watch new names; returns those that were really new (present ones stay untouched)."""
        ...

    def remove(self, names: Iterable[Name], *, source: str | None = None) -> int:
        """Stop watching; with `source` only items of that source. Returns how many went."""
        ...

    def commit(self, changes: Sequence[Change]) -> list[Change]:
        """Write each change with its events and the counts in one transaction each or many together; an item whose
        version moved on (or that is no longer watched) is returned unwritten. Never writes half a change.
        """
        ...

    def due_names(self, shard: int, cadence: str | None) -> Iterable[Name]:
        """The names of one shard with that cadence; None means all of the shard. Streams pages."""
        ...

    def shard_items(self, shard: int) -> Iterable[Watched]:
        """All of one shard, streamed."""
        ...

    def page(
        self, *, status: str | None, phase: str | None, after: Mapping[str, Any] | None, limit: int
    ) -> tuple[list[Watched], Mapping[str, Any] | None]:
        """One page of watched names and the position after it (None: the end)."""
        ...

    def counts(self) -> dict[str, dict[str, int]]:
        """{"status": {…}, "phase": {…}, "priority": {"high": n}} over all watched names."""
        ...


class Outbox(Protocol):
    """Events not yet delivered."""

    def due(self, *, now: datetime, limit: int) -> list[OutboxEvent]: ...
    def get_events(self, ids: Sequence[str]) -> list[OutboxEvent]: ...
    def claim(self, event: OutboxEvent, *, until: datetime) -> bool:
        """Take an event for one delivery attempt: moves its due time to `until` unless somebody else just did."""
        ...

    def delivered(self, event: OutboxEvent, *, at: datetime, status: int) -> None: ...
    def failed(self, event: OutboxEvent, *, next_at: datetime | None, error: str) -> None:
        """Count a failed attempt; `next_at` None: dead, kept visible and redrivable."""
        ...

    def dead(self, *, limit: int) -> list[OutboxEvent]: ...
    def page(
        self, *, state: str, after: Mapping[str, Any] | None, limit: int
    ) -> tuple[list[OutboxEvent], Mapping[str, Any] | None]:
        """One page of the events that are `pending` or `dead` and the position after it (None: the end)."""
        ...

    def redrive(self, event_id: str, *, now: datetime) -> bool: ...
    def pending_count(self) -> int: ...


class Documents(Protocol):
    """Small shared documents in the ledger: list state, registry copies, shard runs. Bodies are JSON values."""

    def read(self, pk: str, sk: str) -> Mapping[str, Any] | None: ...
    def read_all(self, pk: str) -> dict[str, Mapping[str, Any]]: ...
    def write(self, pk: str, sk: str, body: Mapping[str, Any], *, ttl_s: int | None = None) -> None: ...
    def swap(self, pk: str, sk: str, *, field_name: str, expected: Any, body: Mapping[str, Any]) -> bool:
        """Write `body` only if the stored `field_name` equals `expected` (None: absent). False when it does not."""
        ...


class QueuePort(Protocol):
    """The check queue."""

    def send(self, messages: Sequence[tuple[Mapping[str, Any], int]]) -> None:
        """Send (message, delay in seconds, at most 900) pairs; raises `TryLater` naming how many were not taken."""
        ...


# --- The callback receiver --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one delivery attempt ended. `status` 0: no reply came, `error` says why. `gone`: the receiver wants no more
    of it (410). `retry_after_s` is the receiver's own word for when to come back.
    """

    status: int = 0
    error: str = ""
    gone: bool = False
    retry_after_s: float | None = None

    @property
    def delivered(self) -> bool:
        return 200 <= self.status < 300


class CallbackPort(Protocol):
    """Where events go."""

    def has_receiver(self, target: str) -> bool:
        """Whether a URL is configured for this target."""
        ...

    def deliver(self, event: OutboxEvent) -> Outcome:
        """One attempt, over within the attempt's whole deadline. Never raises for the far side. May run in threads."""
        ...


# --- What the HTTP API starts -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One finished execution of the ladder: its output and where people find it."""

    arn: str
    output: Mapping[str, Any]
    link: str = ""


class Runner(Protocol):
    """The ladder as a workflow that answers."""

    def look(self, name: str, body: Mapping[str, Any]) -> Execution:
        """Run one execution under that name to its end. Raises `DeadlinePassed` (it took too long), `Malformed` (it
        failed), `TryLater` (it could not be started).
        """
        ...


class Refresher(Protocol):
    """Runs a list refresh now."""

    def refresh(self, *, confirm_removal: bool) -> Mapping[str, Any] | None:
        """What the refresh answered; None when it goes on longer than we wait. `confirm_removal` is an operator's word
        that a list which shrank much is right. Raises `TryLater`, and `Malformed` when it failed.
        """
        ...


class QueueDepths(Protocol):
    """How full the queues are."""

    def depths(self) -> Mapping[str, Mapping[str, int]]:
        """{queue: {"waiting", "in_flight", "delayed"}}."""
        ...


class Services(Protocol):
    """What the ledger knows of the services we ask."""

    def services(self, *, now: datetime) -> Mapping[str, Mapping[str, Any]]:
        """{"<kind> <host:port>": {"rate" per second, "next_free_at", "quota_left", "blocked_until", "waiting"}};
        instants are RFC 3339 text or None, and so is a quota nobody set.
        """
        ...
