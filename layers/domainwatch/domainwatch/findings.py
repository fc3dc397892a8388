"""What one check returns: a reading, facts and evidence."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from domainwatch.names import Name

MAX_EXCERPT_BYTES = 1024


class Check(StrEnum):
    """One way of asking about a name."""

    DNS = "dns"
    HTTP = "http"
    RDAP = "rdap"
    WHOIS = "whois"


class Reading(StrEnum):
    """What a check says of a name. Silence, refusal and garbage are `NO_ANSWER`, never a denial."""

    REGISTERED = "registered"
    NOT_FOUND = "not_found"
    RESERVED = "reserved"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a registry says of a registered name. Instants are aware UTC; `statuses` are EPP or RDAP status words as
    they came (RFC 8056 relates the two); `nameservers` are lower-case host names without the final dot.
    """

    registrar: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None
    statuses: tuple[str, ...] = ()
    nameservers: tuple[str, ...] = ()
    dnssec: bool | None = None

    def __bool__(self) -> bool:
        return self != NO_FACTS

    def over(self, older: "Facts") -> "Facts":
        """These facts, and where they are silent the older ones."""
        return Facts(
            registrar=self.registrar or older.registrar,
            created_at=self.created_at or older.created_at,
            updated_at=self.updated_at or older.updated_at,
            expires_at=self.expires_at or older.expires_at,
            statuses=self.statuses or older.statuses,
            nameservers=self.nameservers or older.nameservers,
            dnssec=self.dnssec if self.dnssec is not None else older.dnssec,
        )


NO_FACTS = Facts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's answer about one name.

    `reason` is a stable word (`delegated`, `nxdomain`, `rate_limited`, …). `service` is the `host:port` that was asked,
    empty when none was. `excerpt` is evidence: at most 1 KB, control characters escaped. `proven_at` is when that
    service last answered a control question of this name's suffix as registered; None makes a `NOT_FOUND` no witness.
    `retry_after_s` is a refusing service's own word for how long to stay away.
    """

    name: Name
    check: Check
    reading: Reading
    reason: str
    asked_at: datetime
    facts: Facts = field(default=NO_FACTS)
    service: str = ""
    duration_ms: int = 0
    excerpt: str = ""
    proven_at: datetime | None = None
    retry_after_s: float | None = None

    @property
    def conclusive(self) -> bool:
        """True when no further rung can change what this finding says."""
        return self.reading in {Reading.REGISTERED, Reading.RESERVED}

    def proven(self, at: datetime | None) -> "Finding":
        """This finding with the instant its service last answered a control question."""
        return replace(self, proven_at=at)


def excerpt(text: str) -> str:
    """Evidence fit to keep: control characters escaped, at most 1 KB of UTF-8."""
    escaped = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text[:2048]
    )
    return escaped.encode("utf-8")[:MAX_EXCERPT_BYTES].decode("utf-8", "ignore")
