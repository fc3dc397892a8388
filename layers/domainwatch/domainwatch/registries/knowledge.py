"""What is known of zones, learned and kept: the zones file, IANA's RDAP bootstrap and the WHOIS root's answers.

Each has a last good copy in the ledger, shared by all workers; a source that fails never takes away what was known.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domainwatch import wire
from domainwatch.errors import DomainwatchError, TryLater
from domainwatch.names import Name
from domainwatch.ports import Busy, Documents, HttpPort, Limit, Now, Pacing, WhoisPort, WhoisService
from domainwatch.registries import learn
from domainwatch.registries.zones import ZoneKnowledge

ZONES_MAX_AGE = timedelta(minutes=5)
BOOTSTRAP_MAX_AGE = timedelta(days=1)
# What was refused or unknown may soon be otherwise.
ROOT_DENIAL_MAX_AGE = timedelta(hours=6)
RETRY_AFTER = timedelta(minutes=1)
MEMORY = timedelta(minutes=1)
FETCH_TIMEOUT_S = 15.0
MAX_DOCUMENT_BYTES = 4_000_000
ROOT_TIMEOUT_S = 5.0
ROOT_LIMIT = Limit(per_s=5.0)
ROOT_WAIT_MS = 3_000

Fetch = Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where knowledge comes from; an empty text means that there is no such source."""

    zones_url: str
    bootstrap_url: str
    whois_root: str


class Knowledge:
    """The zones as known now; implements `ports.Zones`. Learns a top-level domain's WHOIS server on first need, within
    the root's limit. `fetch_object` reads an `s3://` address.
    """

    def __init__(
        self,
        *,
        sources: Sources,
        documents: Documents,
        http: HttpPort,
        whois: WhoisPort,
        pacing: Pacing,
        now: Now,
        sleep: Callable[[float], None],
        fetch_object: Fetch,
    ) -> None:
        self._sources = sources
        self._documents = documents
        self._http = http
        self._whois = whois
        self._pacing = pacing
        self._now = now
        self._sleep = sleep
        self._fetch_object = fetch_object
        self._zones: ZoneKnowledge | None = None
        self._read_at: datetime | None = None
        self._learned: dict[str, str | None] = {}
        # The rungs ask from many threads.
        self._lock = threading.RLock()

    # --- ports.Zones --------------------------------------------------------------------------------------------------

    def rdap_bases(self, name: Name) -> tuple[str, ...]:
        return self._current().rdap_bases(name)

    def whois(self, name: Name) -> WhoisService | None:
        known = self._current().whois(name)
        if known is None and self._learn(name.tld):
            known = self._current().whois(name)
        return known

    def control(self, suffix: str) -> str | None:
        return self._current().control(suffix)

    def wildcard(self, suffix: str) -> bool | None:
        return self._current().wildcard(suffix)

    def nameservers(self, suffix: str) -> tuple[str, ...]:
        return self._current().nameservers(suffix)

    def limit(self, kind: str, service: str) -> Limit:
        return self._current().limit(kind, service)

    def exists(self, tld: str) -> bool | None:
        known = self._current().exists(tld)
        if known is None and self._learn(tld):
            known = self._current().exists(tld)
        return known

    # --- learning -----------------------------------------------------------------------------------------------------

    def refresh(self) -> dict[str, str]:
        """Fetch what is older than its age and keep it. Returns a word per source: `fresh`, `kept`, `none` or the
        error.
        """
        said = {
            "zones": self._refresh("zones", self._sources.zones_url, ZONES_MAX_AGE, learn.parse_zones_file),
            "bootstrap": self._refresh(
                "bootstrap", self._sources.bootstrap_url, BOOTSTRAP_MAX_AGE, learn.parse_bootstrap
            ),
        }
        with self._lock:
            self._zones = None
        return said

    def _current(self) -> ZoneKnowledge:
        with self._lock:
            now = self._now()
            if self._zones is not None and self._read_at is not None and now - self._read_at <= MEMORY:
                return self._zones
            zones = self._kept("zones", self._sources.zones_url, ZONES_MAX_AGE, learn.parse_zones_file)
            bootstrap = self._kept(
                "bootstrap", self._sources.bootstrap_url, BOOTSTRAP_MAX_AGE * 2, learn.parse_bootstrap
            )
            self._learned = {
                tld: body.get("server")
                for tld, body in self._documents.read_all("whois_root").items()
                if body.get("server") or self._is_recent_denial(body, now)
            } | self._learned
            self._zones = ZoneKnowledge(zones_file=zones, bootstrap=bootstrap, learned_whois=dict(self._learned))
            self._read_at = now
            return self._zones

    def _is_recent_denial(self, body: Mapping[str, Any], now: datetime) -> bool:
        """A server learned once is kept; that there is none, or no such domain, is asked again after some hours."""
        return now - (wire.instant(body.get("at")) or now) < ROOT_DENIAL_MAX_AGE

    def _kept(
        self, kind: str, url: str, max_age: timedelta, parse: Callable[[bytes], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """The kept copy, fetched first where there is none or it is too old for the schedule to have seen to it."""
        if not url:
            return {}
        self._refresh(kind, url, max_age, parse)
        kept = self._documents.read("registry", kind)
        return kept["body"] if kept is not None and kept.get("url") == url and kept.get("body") is not None else {}

    def _refresh(self, kind: str, url: str, max_age: timedelta, parse: Callable[[bytes], Mapping[str, Any]]) -> str:
        if not url:
            return "none"
        now = self._now()
        kept = self._documents.read("registry", kind) or {}
        mine = kept if kept.get("url") == url else {}
        fetched_at, tried_at = wire.instant(mine.get("fetched_at")), wire.instant(mine.get("tried_at"))
        if fetched_at is not None and now - fetched_at < max_age:
            return "kept"
        if tried_at is not None and now - tried_at < RETRY_AFTER:
            return str(mine.get("error"))
        stamp = {"url": url, "tried_at": wire.instant_text(now)}
        try:
            body = parse(self._fetch(url))
        except DomainwatchError as exc:
            error = f"{type(exc).__name__}: {exc}"[:300]
            self._documents.write("registry", kind, {**mine, **stamp, "error": error})
            return error
        self._documents.write(
            "registry", kind, {**stamp, "fetched_at": wire.instant_text(now), "error": None, "body": dict(body)}
        )
        return "fresh"

    def _fetch(self, url: str) -> bytes:
        if url.startswith("s3://"):
            return self._fetch_object(url)
        reply = self._http.fetch(url, timeout_s=FETCH_TIMEOUT_S, max_bytes=MAX_DOCUMENT_BYTES, redirects=2)
        if reply.status != 200:
            raise TryLater(f"{url} answered {reply.status}", reason="http_error")
        return reply.body

    def _learn(self, tld: str) -> bool:
        """Ask the WHOIS root about a top-level domain not asked about lately; True when there is something new."""
        if not self._sources.whois_root or tld in self._learned:
            return False
        now = self._now()
        kept = self._documents.read("whois_root", tld)
        if kept is not None and (kept.get("server") or self._is_recent_denial(kept, now)):
            return self._note(tld, kept.get("server"))
        if not self._root_is_free():
            return False
        try:
            server = learn.learn_whois(tld, self._whois, self._sources.whois_root, timeout_s=ROOT_TIMEOUT_S)
        except DomainwatchError:
            # The root is away: what was known stays, and the name is let in rather than refused without proof.
            return kept is not None and self._note(tld, kept.get("server"))
        self._documents.write("whois_root", tld, {"server": server, "at": wire.instant_text(now)})
        return self._note(tld, server)

    def _note(self, tld: str, server: str | None) -> bool:
        with self._lock:
            self._learned[tld] = server
            self._zones = None
        return True

    def _root_is_free(self) -> bool:
        now_ms = wire.epoch_ms(self._now())
        lease = self._pacing.lease(
            "whois", self._sources.whois_root, slots=1, limit=ROOT_LIMIT, now_ms=now_ms, horizon_ms=ROOT_WAIT_MS
        )
        if isinstance(lease, Busy):
            return False
        self._sleep(max(0.0, (lease.start_ms - now_ms) / 1000))
        return True
