"""What is known of zones, as one answer per question: the zones file first, then IANA, then our own facts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from domainwatch.names import Name
from domainwatch.ports import Limit, WhoisService
from domainwatch.registries import facts

WHOIS_PORT = 43
DNS_PORT = 53
_PORTS = {"https": 443, "http": 80}
# Settings of the zones file that are a service's, by kind.
_RATES = {"rdap": ("rdap_rate", "rdap_daily"), "whois": ("whois_rate", "whois_daily")}
_RATE_FIELDS = frozenset(name for names in _RATES.values() for name in names)
_MAX_PER_S, _MAX_PER_DAY = 10_000.0, 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zone:
    """One zone's entry in the zones file; None means that it does not say."""

    nameservers: tuple[str, ...] = ()
    rdap: tuple[str, ...] | None = None
    whois: str | None = None
    control: str | None = None
    rdap_rate: float | None = None
    whois_rate: float | None = None
    rdap_daily: int | None = None
    whois_daily: int | None = None
    whois_query: str | None = None
    whois_charset: str | None = None
    wildcard: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    per_s: float | None = None
    per_day: int | None = None

    def tighter(self, other: "_Bounds") -> "_Bounds":
        return _Bounds(
            per_s=min((each for each in (self.per_s, other.per_s) if each is not None), default=None),
            per_day=min((each for each in (self.per_day, other.per_day) if each is not None), default=None),
        )


@dataclass(slots=True)
class ZoneKnowledge:
    """Implements `ports.Zones`. `zones_file` is what `learn.parse_zones_file` gives, `bootstrap` what
    `learn.parse_bootstrap` gives; `learned_whois` maps a top-level domain to its server, to an empty text when it has
    none, and to None when the root does not know the domain.
    """

    zones_file: Mapping[str, Any] = field(default_factory=dict)
    bootstrap: Mapping[str, Any] = field(default_factory=dict)
    learned_whois: Mapping[str, str | None] = field(default_factory=dict)
    _zones: dict[str, _Zone | None] = field(default_factory=dict, init=False)
    _top_levels: set[str] = field(default_factory=set, init=False)
    _bases: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)
    _bounds: dict[tuple[str, str], _Bounds] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for zones, bases in self.bootstrap.get("services", ()):
            for zone in zones:
                self._bases[zone] = tuple(bases)
        self._top_levels = {zone.rpartition(".")[2] for zone in (*self.zones_file, *self._bases)}
        self._bound()

    @property
    def problems(self) -> list[str]:
        """What of the zones file makes no sense and is left out."""
        found: list[str] = []
        for zone, entry in self.zones_file.items():
            if isinstance(entry, Mapping):
                _Fields(zone, entry, found).zone()
            else:
                found.append(f"{zone}: not an object")
        return found

    def _zone(self, zone: str) -> _Zone | None:
        """The zones file's entry, read when it is first needed: a process asks about few of thousands."""
        if zone not in self._zones:
            entry = self.zones_file.get(zone)
            self._zones[zone] = _Fields(zone, entry, []).zone() if isinstance(entry, Mapping) else None
        return self._zones[zone]

    # --- ports.Zones ------------------------------------------------------------------------------------------------

    def rdap_bases(self, name: Name) -> tuple[str, ...]:
        """The RDAP bases of the longest match (RFC 9224, 5.1): in the zones file, else at IANA, else in our own
        table.
        """
        return self._rdap_of(name.suffix)

    def whois(self, name: Name) -> WhoisService | None:
        return self._whois_of(name.suffix)

    def control(self, suffix: str) -> str | None:
        zone = self._zone(suffix)
        return zone.control if zone else None

    def wildcard(self, suffix: str) -> bool | None:
        zone = self._zone(suffix)
        if zone is not None and zone.wildcard is not None:
            return zone.wildcard
        return True if zone is None and suffix in facts.WILDCARDS else None

    def nameservers(self, suffix: str) -> tuple[str, ...]:
        zone = self._zone(suffix)
        return zone.nameservers if zone else ()

    def limit(self, kind: str, service: str) -> Limit:
        """The tightest limit that the zones file sets for any zone of the service; else its published one; else a
        cautious one.
        """
        known = facts.LIMITS.get((kind, _usual_host(kind, service)))
        default = known.limit if known else facts.DEFAULT_LIMITS.get(kind, Limit(per_s=1.0))
        bounds = self._bounds.get((kind, service))
        if bounds is None:
            return default
        per_s = bounds.per_s if bounds.per_s is not None else default.per_s
        per_day = bounds.per_day if bounds.per_day is not None else default.per_day if bounds.per_s is None else None
        return Limit(per_s=per_s, per_day=per_day)

    def exists(self, tld: str) -> bool | None:
        if tld in self._top_levels:
            return True
        return self.learned_whois[tld] is not None if tld in self.learned_whois else None

    # --- matching ---------------------------------------------------------------------------------------------------

    def _rdap_of(self, suffix: str) -> tuple[str, ...]:
        silent = True
        for zone in _upwards(suffix):
            entry = self._zone(zone)
            if entry is not None and entry.rdap is not None:
                return entry.rdap
            silent = silent and entry is None
        for zone in _upwards(suffix):
            if zone in self._bases:
                return self._bases[zone]
        own = next((facts.RDAP_BASES[zone] for zone in _upwards(suffix) if zone in facts.RDAP_BASES), None)
        return (own.at,) if own is not None and silent else ()

    def _whois_of(self, suffix: str) -> WhoisService | None:
        service = self._whois_server(suffix)
        if not service:
            return None
        fact = facts.WHOIS_HOSTS.get(_usual_host("whois", service))
        query = self._said(suffix, "whois_query") or (fact.query if fact else "{name}")
        charset = self._said(suffix, "whois_charset") or (fact.charset if fact else None)
        return WhoisService(service=service, query=query, charset=charset)

    def _whois_server(self, suffix: str) -> str | None:
        silent = True
        for zone in _upwards(suffix):
            entry = self._zone(zone)
            if entry is not None and entry.whois is not None:
                return entry.whois
            silent = silent and entry is None
        for zone in _upwards(suffix):
            if silent and zone in facts.WHOIS_SERVERS:
                return host_port(facts.WHOIS_SERVERS[zone].at, WHOIS_PORT)
        learned = self.learned_whois.get(suffix.rpartition(".")[2])
        return host_port(learned, WHOIS_PORT) if learned else None

    def _said(self, suffix: str, setting: str) -> str | None:
        """A text setting of the longest match in the zones file."""
        for zone in _upwards(suffix):
            entry = self._zone(zone)
            value = getattr(entry, setting) if entry is not None else None
            if isinstance(value, str):
                return value
        return None

    def _bound(self) -> None:
        """Collect the zones file's limits by service: they belong to the services that the zones are asked at."""
        for suffix, raw in self.zones_file.items():
            entry = self._zone(suffix) if isinstance(raw, Mapping) and not _RATE_FIELDS.isdisjoint(raw) else None
            for kind, (rate, daily) in _RATES.items() if entry is not None else ():
                bounds = _Bounds(per_s=getattr(entry, rate), per_day=getattr(entry, daily))
                if bounds == _Bounds():
                    continue
                for service in self._services(kind, suffix):
                    known = self._bounds.get((kind, service))
                    self._bounds[kind, service] = known.tighter(bounds) if known else bounds

    def _services(self, kind: str, suffix: str) -> Iterator[str]:
        if kind == "whois":
            service = self._whois_server(suffix)
            if service:
                yield service
            return
        for base in self._rdap_of(suffix):
            service = base_service(base)
            if service:
                yield service


def _upwards(suffix: str) -> Iterator[str]:
    """The suffix and its parents, longest first."""
    while suffix:
        yield suffix
        suffix = suffix.partition(".")[2]


def host_port(text: str, default_port: int) -> str | None:
    """`host[:port]` as `host:port`, lower case; None for what is neither a host nor an address."""
    host, colon, port = text.strip().lower().rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):  # no port, or a bare IPv6 address
        host, port = text.strip().lower(), str(default_port)
    host = host.strip("[]").rstrip(".")
    if not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        return None
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    if not host or len(host) > 253 or not all(char.isalnum() or char in ".-_:" for char in host):
        return None
    return f"[{host}]:{int(port)}" if ":" in host else f"{host}:{int(port)}"


def base_service(base: str) -> str | None:
    """The `host:port` of an RDAP base URL; None for what is no http(s) URL."""
    try:
        parts = urlsplit(base)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return host_port(f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname, port or _PORTS[parts.scheme])


def _usual_host(kind: str, service: str) -> str:
    """The host of a service at its kind's usual port; empty at any other, where another server listens."""
    host, _, port = service.rpartition(":")
    usual = {"whois": {"43"}, "rdap": {"443", "80"}}.get(kind, set())
    return host if port in usual else ""


class _Fields:
    """Reads one zone's entry, leaving out and reporting what makes no sense."""

    def __init__(self, zone: str, entry: Mapping[str, Any], problems: list[str]) -> None:
        self._name = zone
        self._entry = entry
        self._problems = problems

    def zone(self) -> _Zone:
        return _Zone(
            nameservers=self._nameservers(),
            rdap=self._rdap(),
            whois=self._whois(),
            control=self._control(),
            rdap_rate=self._rate("rdap_rate"),
            whois_rate=self._rate("whois_rate"),
            rdap_daily=self._daily("rdap_daily"),
            whois_daily=self._daily("whois_daily"),
            whois_query=self._query(),
            whois_charset=self._charset(),
            wildcard=self._wildcard(),
        )

    def _drop(self, setting: str, why: str) -> None:
        if len(self._problems) < 1000:
            self._problems.append(f"{self._name}: {setting}: {why}")

    def _texts(self, setting: str) -> list[str] | None:
        """A list of texts, one text counting as a list of it; None when the entry does not say or says nonsense."""
        value = self._entry.get(setting)
        if value is None:
            return None
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
            self._drop(setting, "not a list of texts")
            return None
        return [each.strip() for each in values if each.strip()]

    def _nameservers(self) -> tuple[str, ...]:
        kept = []
        for server in self._texts("nameservers") or []:
            if host_port(server, DNS_PORT) is None:
                self._drop("nameservers", f"no address or host: {server[:80]!r}")
            else:
                kept.append(server.lower())
        return tuple(kept)

    def _rdap(self) -> tuple[str, ...] | None:
        bases = self._texts("rdap")
        if bases is None:
            return None
        kept = []
        for base in bases:
            if base_service(base) is None:
                self._drop("rdap", f"no http or https URL: {base[:80]!r}")
            else:
                kept.append(base)
        return tuple(kept) if kept or not bases else None

    def _whois(self) -> str | None:
        value = self._entry.get("whois")
        if value is None:
            return None
        if value == "":
            return ""  # none, whatever the root says
        service = host_port(value, WHOIS_PORT) if isinstance(value, str) else None
        if service is None:
            self._drop("whois", "not host[:port]")
        return service

    def _control(self) -> str | None:
        value = self._entry.get("control")
        if value is None:
            return None
        text = value.strip().rstrip(".").lower() if isinstance(value, str) else ""
        if not text.isascii():
            try:
                text = text.encode("idna").decode("ascii")
            except UnicodeError:
                text = ""
        if not text.endswith(f".{self._name}"):
            self._drop("control", "no name below the zone")
            return None
        return text

    def _rate(self, setting: str) -> float | None:
        value = self._entry.get(setting)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _MAX_PER_S:
            self._drop(setting, "not a number of requests per second")
            return None
        return float(value)

    def _daily(self, setting: str) -> int | None:
        value = self._entry.get(setting)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= _MAX_PER_DAY:
            self._drop(setting, "not a number of requests per day")
            return None
        return int(value)

    def _query(self) -> str | None:
        value = self._entry.get("whois_query")
        if value is None:
            return None
        if not isinstance(value, str) or "{name}" not in value or not value.isprintable() or len(value) > 200:
            self._drop("whois_query", "not a line with {name}")
            return None
        return value

    def _charset(self) -> str | None:
        value = self._entry.get("whois_charset")
        if value is None:
            return None
        try:
            known = isinstance(value, str) and bool("a".encode(value))
        except (LookupError, ValueError):
            known = False
        if not known:
            self._drop("whois_charset", "no known character set")
            return None
        return str(value)

    def _wildcard(self) -> bool | None:
        value = self._entry.get("wildcard")
        if value is None or isinstance(value, bool):
            return value
        self._drop("wildcard", "neither true nor false")
        return None
