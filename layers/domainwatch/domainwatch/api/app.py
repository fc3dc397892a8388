"""The endpoints. Those that only read change nothing; every error is a problem."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domainwatch import __version__, wire
from domainwatch.api import bodies
from domainwatch.api.cursors import Cursors
from domainwatch.api.gateway import Reply, Request, request_from, response_from
from domainwatch.api.problems import CONTENT_TYPE, Problem, bad_request, not_watched, refused_name, unavailable
from domainwatch.api.routing import Route, find
from domainwatch.api.tokens import Scope, Tokens
from domainwatch.cadences import cadence_of, next_check_at
from domainwatch.errors import Conflict, DeadlinePassed, DomainwatchError, Malformed, NameRefused, TryLater
from domainwatch.findings import Check, Finding
from domainwatch.names import Name
from domainwatch.phases import Phase
from domainwatch.ports import (
    Change,
    Documents,
    Now,
    Outbox,
    QueueDepths,
    QueuePort,
    Refresher,
    Runner,
    Services,
    Store,
    Watched,
    Zones,
)
from domainwatch.verdicts import NOTHING_KNOWN, Known, Status
from domainwatch.wire import Message, NewName

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
MAX_BULK = 1000
# A check by hand travels in small batches, so that the console shows its names almost alone.
BULK_BATCH = 100
MAX_TAGS = 20
MAX_TAG_CHARS = 64
# Schedules run once a minute, the registries' once an hour; a heartbeat older than this is trouble.
HEARTBEAT_LIMITS_S: Mapping[str, float] = {
    "fetch_domains": 900.0,
    "schedule_checks": 900.0,
    "notify": 900.0,
    "refresh_registries": 3 * 3600.0,
}
_MAX_ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the API works with. `look_up` asks one registry directly, within its limits; `new_id` makes a fresh id of
    letters and digits; `cursor_secret` is asked at first use; `report` gets what went unexpectedly wrong.
    """

    now: Now
    store: Store
    outbox: Outbox
    documents: Documents
    queue: QueuePort
    zones: Zones
    services: Services
    depths: QueueDepths
    runner: Runner
    refresher: Refresher
    look_up: Callable[[Check, Name], Finding]
    new_id: Callable[[], str]
    cursor_secret: Callable[[], str]
    report: Callable[[str, Exception], None]
    shards: int


class Api:
    """The HTTP API as one function: an event of API Gateway in, its response out. Never raises."""

    def __init__(self, world: World, *, heartbeat_limits_s: Mapping[str, float] = HEARTBEAT_LIMITS_S) -> None:
        self._world = world
        self._started_at = world.now()
        self._tokens = Tokens(documents=world.documents, now=world.now)
        self._cursors = Cursors(world.cursor_secret)
        self._heartbeat_limits_s = heartbeat_limits_s
        self._routes = (
            Route("GET", "/health", self._health, None),
            Route("GET", "/status", self._status, Scope.READ),
            Route("GET", "/domains", self._domains, Scope.READ),
            Route("GET", "/domain/{name}", self._domain, Scope.READ),
            Route("POST", "/refresh", self._refresh, Scope.WRITE),
            Route("GET", "/metrics", self._metrics, Scope.READ),
            Route("POST", "/metrics/reset", self._reset_metrics, Scope.WRITE),
            Route("GET", "/domains/{name}", self._domain, Scope.READ, v1_only=True),
            Route("PUT", "/domains/{name}", self._watch, Scope.WRITE, v1_only=True),
            Route("DELETE", "/domains/{name}", self._unwatch, Scope.WRITE, v1_only=True),
            Route("POST", "/checks", self._check, Scope.READ, v1_only=True),
            Route("POST", "/checks:bulk", self._check_many, Scope.WRITE, v1_only=True),
            Route("GET", "/rdap/{name}", self._rdap, Scope.READ, v1_only=True),
            Route("GET", "/whois/{name}", self._whois, Scope.READ, v1_only=True),
            Route("GET", "/events", self._events, Scope.READ, v1_only=True),
            Route("POST", "/events/{id}/redrive", self._redrive, Scope.WRITE, v1_only=True),
        )

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one event (payload format 2.0)."""
        try:
            request = request_from(event)
            reply = self._answer(request)
            if request.method == "HEAD":
                reply = replace(reply, body=None)
        except Problem as problem:
            reply = _problem_reply(problem)
        except Exception as exc:
            # Whoever asks learns that it failed, the log learns why.
            self._world.report("request_failed", exc)
            reply = _problem_reply(Problem(500, "internal", "something went wrong on our side; it was logged"))
        return response_from(reply)

    def _answer(self, request: Request) -> Reply:
        try:
            route, variables = self._permitted(request)
            return route.answer(request, variables)
        except NameRefused as exc:
            raise refused_name(exc) from exc
        except DeadlinePassed as exc:
            raise Problem(504, exc.reason, str(exc)) from exc
        except TryLater as exc:
            self._world.report("dependency_unavailable", exc)
            raise unavailable("something this needs is busy or away, try again", reason=exc.reason) from exc
        except Conflict as exc:
            raise Problem(409, "conflict", "somebody else changed this at the same moment, try again") from exc

    def _permitted(self, request: Request) -> tuple[Route, dict[str, str]]:
        """The route, once the token allows it. Without a token nobody learns which paths there are."""
        try:
            route, variables = find(self._routes, request.method, request.segments)
        except Problem:
            self._tokens.require(request.headers.get("authorization", ""), Scope.READ)
            raise
        if route.scope is not None:
            self._tokens.require(request.headers.get("authorization", ""), route.scope)
        return route, variables

    # --- how it goes --------------------------------------------------------------------------------------------------

    def _health(self, request: Request, variables: Mapping[str, str]) -> Reply:
        now = self._world.now()
        body: dict[str, Any] = {
            "status": "ok",
            "version": __version__,
            "domains_count": None,
            "uptime_s": self._uptime_s(now),
            "heartbeats": {},
        }
        try:
            body["domains_count"] = sum(self._world.store.counts().get("status", {}).values())
            beats = self._world.documents.read_all("heartbeat")
        except DomainwatchError as exc:
            self._world.report("health_unreadable", exc)
            return Reply(status=503, body={**body, "status": "store_unreadable"})
        for function, limit_s in self._heartbeat_limits_s.items():
            age_s = bodies.age_s(beats.get(function, {}).get("at"), now)
            body["heartbeats"][function] = {
                "at": bodies.moment_text(beats.get(function, {}).get("at")),
                "age_s": age_s,
                # One that never came is not late: a stack begins that way.
                "late": age_s is not None and age_s > limit_s,
            }
        if any(beat["late"] for beat in body["heartbeats"].values()):
            return Reply(status=503, body={**body, "status": "heartbeat_late"})
        return Reply(body=body)

    def _status(self, request: Request, variables: Mapping[str, str]) -> Reply:
        world = self._world
        now = world.now()
        counts = world.store.counts()
        return Reply(
            body={
                "counts": {"status": counts.get("status", {}), "phase": counts.get("phase", {})},
                "total": sum(counts.get("status", {}).values()),
                "high_priority": counts.get("priority", {}).get("high", 0),
                "list": bodies.list_body(world.documents.read("list", "state")),
                "services": world.services.services(now=now),
                "queues": world.depths.depths(),
                "events": {
                    "undelivered": world.outbox.pending_count(),
                    "dead": len(world.outbox.dead(limit=MAX_LIMIT)),
                },
            }
        )

    def _metrics(self, request: Request, variables: Mapping[str, str]) -> Reply:
        now = self._world.now()
        baseline = self._world.documents.read("metrics", "baseline") or {}
        before = baseline.get("counters") or {}
        counters = {name: value - before.get(name, 0) for name, value in self._counters().items()}
        counts = self._world.store.counts()
        return Reply(
            body={
                "uptime_s": self._uptime_s(now),
                "since": bodies.moment_text(baseline.get("at")),
                "counters": counters,
                "domains": {"total": sum(counts.get("status", {}).values()), **counts},
                "events": {"undelivered": self._world.outbox.pending_count()},
            }
        )

    def _reset_metrics(self, request: Request, variables: Mapping[str, str]) -> Reply:
        at = wire.instant_text(self._world.now())
        self._world.documents.write("metrics", "baseline", {"at": at, "counters": self._counters()})
        return Reply(body={"status": "reset", "at": at})

    def _counters(self) -> dict[str, int]:
        """Everything that was counted since the stack began: {"callbacks_delivered": n, …}."""
        totals = self._world.documents.read_all("totals")
        return {
            f"{kind}_{name}": value
            for kind, document in totals.items()
            for name, value in document.items()
            if isinstance(value, int) and name != "version"
        }

    def _uptime_s(self, now: datetime) -> float:
        return round((now - self._started_at).total_seconds(), 1)

    # --- watched names ------------------------------------------------------------------------------------------------

    def _domains(self, request: Request, variables: Mapping[str, str]) -> Reply:
        status = _choice(request, "status", Status)
        phase = _choice(request, "phase", Phase)
        of = f"domains?{status}&{phase}"
        after = self._cursors.position(request.query.get("cursor"), of=of)
        items, position = self._world.store.page(status=status, phase=phase, after=after, limit=_limit(request))
        counts = self._world.store.counts()
        return Reply(
            body={
                "total": _total(counts, status, phase),
                "high_priority": counts.get("priority", {}).get("high", 0),
                "domains": [bodies.summary_body(watched) for watched in items],
                "next": self._cursors.text(position, of=of),
            }
        )

    def _domain(self, request: Request, variables: Mapping[str, str]) -> Reply:
        name = Name.parse(variables["name"])
        watched = self._world.store.get(name)
        if watched is None:
            raise not_watched(name.text)
        return Reply(body=bodies.domain_body(watched, self._next_check_at(watched)))

    def _watch(self, request: Request, variables: Mapping[str, str]) -> Reply:
        name = self._entering(variables["name"])
        wanted = _wanted(request.json())
        for _ in range(_MAX_ROUNDS):
            before = self._world.store.get(name)
            if before is None:
                if self._added(name, wanted):
                    return self._watched_reply(name, status=201)
            elif self._changed(before, wanted):
                return self._watched_reply(name, status=200)
        raise Conflict(f"{name} kept changing")

    def _added(self, name: Name, wanted: Mapping[str, Any]) -> bool:
        new = NewName(
            name=name,
            source="hand",
            priority=wanted.get("priority", False),
            tags=tuple(wanted.get("tags", ())),
        )
        attributes = new.attributes(at=self._world.now())
        if not self._world.store.add([Watched(name=name, attributes=attributes)]):
            return False
        self._send([Message(run_id=self._world.new_id(), reason="new", names=(name,), facts=True)])
        return True

    def _changed(self, before: Watched, wanted: Mapping[str, Any]) -> bool:
        attributes = {**before.attributes, **wanted, "source": "hand"}
        known = wire.known_from(attributes)
        attributes["cadence"] = cadence_of(known.status, known.phase, priority=bool(attributes.get("priority")))
        if attributes == before.attributes:
            return True
        return not self._world.store.commit([Change(before=before, after=replace(before, attributes=attributes))])

    def _watched_reply(self, name: Name, *, status: int) -> Reply:
        watched = self._world.store.get(name)
        if watched is None:
            raise Conflict(f"{name} was removed meanwhile")
        return Reply(status=status, body=bodies.domain_body(watched, self._next_check_at(watched)))

    def _unwatch(self, request: Request, variables: Mapping[str, str]) -> Reply:
        name = Name.parse(variables["name"])
        if not self._world.store.remove([name]):
            raise not_watched(name.text)
        return Reply(status=204)

    def _next_check_at(self, watched: Watched) -> str | None:
        cadence = watched.attributes.get("cadence")
        if not cadence:
            return None
        shard = wire.shard_of(watched.name, self._world.shards)
        return wire.instant_text(next_check_at(self._world.documents, shard, cadence))

    def _refresh(self, request: Request, variables: Mapping[str, str]) -> Reply:
        body = request.json()
        confirm = isinstance(body, dict) and body.get("confirm_removal") is True
        try:
            result = self._world.refresher.refresh(confirm_removal=confirm)
        except Malformed as exc:
            self._world.report("refresh_failed", exc)
            raise Problem(502, "refresh_failed", "the list refresh failed; GET /status and its log say why") from exc
        if result is None:
            return Reply(status=202, body={"status": "running"})
        return Reply(body={"status": "done", "result": result})

    # --- asking now ---------------------------------------------------------------------------------------------------

    def _check(self, request: Request, variables: Mapping[str, str]) -> Reply:
        body = request.json()
        if not isinstance(body, dict) or "domain" not in body:
            raise bad_request("missing_domain", 'send {"domain": "example.com"}')
        name = self._entering(body["domain"])
        watched = self._world.store.get(name)
        known = _known(watched)
        run_id = self._world.new_id()
        message = Message(run_id=run_id, reason="manual", names=(name,), facts=True)
        try:
            execution = self._world.runner.look(
                f"look-{run_id}", wire.execution_input(message, {name: known}, look=True)
            )
        except Malformed as exc:
            self._world.report("look_failed", exc)
            raise Problem(502, "execution_failed", "the check's execution failed", execution=str(exc)[:500]) from exc
        next_at = self._next_check_at(watched) if watched else None
        return Reply(body=bodies.look_body(name, execution, next_at))

    def _check_many(self, request: Request, variables: Mapping[str, str]) -> Reply:
        body = request.json()
        entries = body.get("domains") if isinstance(body, dict) else None
        if not isinstance(entries, list) or not entries:
            raise bad_request("missing_domains", 'send {"domains": ["example.com", …]}')
        if len(entries) > MAX_BULK:
            raise Problem(413, "too_many", f"at most {MAX_BULK} names at once, these are {len(entries)}")
        names: dict[Name, None] = {}
        refused = []
        for entry in entries:
            text = entry.get("domain") if isinstance(entry, dict) else entry
            try:
                names[self._entering(text)] = None
            except NameRefused as exc:
                refused.append({"entry": str(text)[:253], "reason": exc.reason, "suggestion": exc.suggestion})
        if not names:
            raise bad_request("no_valid_name", "none of these is a registrable name", refused=refused)
        run_id = self._world.new_id()
        self._send(
            [
                Message(run_id=run_id, reason="manual", names=tuple(some), facts=True)
                for some in _chunks(list(names), BULK_BATCH)
            ]
        )
        return Reply(status=202, body={"run_id": run_id, "accepted": len(names), "refused": refused})

    def _rdap(self, request: Request, variables: Mapping[str, str]) -> Reply:
        return self._looked_up(Check.RDAP, variables)

    def _whois(self, request: Request, variables: Mapping[str, str]) -> Reply:
        return self._looked_up(Check.WHOIS, variables)

    def _looked_up(self, check: Check, variables: Mapping[str, str]) -> Reply:
        return Reply(body=bodies.finding_body(self._world.look_up(check, self._entering(variables["name"]))))

    def _entering(self, raw: object) -> Name:
        """A name that is about to be asked about: its top-level domain must exist as far as anybody could tell."""
        name = Name.parse(raw)
        if self._world.zones.exists(name.tld) is False:
            raise NameRefused("unknown_top_level_domain", f"there is no top-level domain {name.tld}")
        return name

    def _send(self, messages: Sequence[Message]) -> None:
        self._world.queue.send([(message.json(), 0) for message in messages])

    # --- events -------------------------------------------------------------------------------------------------------

    def _events(self, request: Request, variables: Mapping[str, str]) -> Reply:
        state = request.query.get("state") or "dead"
        if state not in {"dead", "pending"}:
            raise bad_request("bad_state", "state must be dead or pending")
        of = f"events?{state}"
        after = self._cursors.position(request.query.get("cursor"), of=of)
        events, position = self._world.outbox.page(state=state, after=after, limit=_limit(request))
        return Reply(
            body={
                "state": state,
                "events": [bodies.event_body(event) for event in events],
                "next": self._cursors.text(position, of=of),
            }
        )

    def _redrive(self, request: Request, variables: Mapping[str, str]) -> Reply:
        event_id = variables["id"]
        if not self._world.outbox.redrive(event_id, now=self._world.now()):
            raise Problem(404, "no_such_event", "there is no dead event of this id")
        return Reply(status=202, body={"id": event_id, "state": "pending"})


def _problem_reply(problem: Problem) -> Reply:
    return Reply(status=problem.status, body=problem.body(), headers=problem.headers, content_type=CONTENT_TYPE)


def _known(watched: Watched | None) -> Known:
    if watched is None:
        return NOTHING_KNOWN
    return replace(wire.known_from(watched.attributes), version=watched.version)


def _wanted(body: object) -> dict[str, Any]:
    """What a PUT asks for: {"priority": bool, "tags": [text]}, both optional."""
    if not isinstance(body, dict):
        raise bad_request("not_an_object", 'send {"priority": true, "tags": ["…"]}, both optional')
    wanted: dict[str, Any] = {}
    if "priority" in body:
        if not isinstance(body["priority"], bool):
            raise bad_request("bad_priority", "priority must be true or false")
        wanted["priority"] = body["priority"]
    if "tags" in body:
        tags = body["tags"]
        if not isinstance(tags, list) or len(tags) > MAX_TAGS or not all(_is_tag(tag) for tag in tags):
            raise bad_request("bad_tags", f"tags must be at most {MAX_TAGS} texts of 1 to {MAX_TAG_CHARS} characters")
        wanted["tags"] = list(dict.fromkeys(tags))
    return wanted


def _is_tag(tag: object) -> bool:
    return isinstance(tag, str) and 1 <= len(tag) <= MAX_TAG_CHARS and tag.isprintable()


def _limit(request: Request) -> int:
    text = request.query.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise bad_request("bad_limit", f"limit must be 1 to {MAX_LIMIT}")
    return int(text)


def _choice(request: Request, field: str, words: Iterable[Status | Phase]) -> str | None:
    """A filter's value; absent or empty is none."""
    text = request.query.get(field)
    known = [word.value for word in words]
    if not text:
        return None
    if text not in known:
        raise bad_request(f"bad_{field}", f"{field} must be one of {', '.join(known)}")
    return text


def _total(counts: Mapping[str, Mapping[str, int]], status: str | None, phase: str | None) -> int:
    """How many names the filters leave. Only registered names have a phase."""
    statuses, phases = counts.get("status", {}), counts.get("phase", {})
    if phase is not None:
        return phases.get(phase, 0) if status in {None, Status.REGISTERED.value} else 0
    return statuses.get(status, 0) if status is not None else sum(statuses.values())


def _chunks(names: Sequence[Name], size: int) -> Iterator[Sequence[Name]]:
    return (names[start : start + size] for start in range(0, len(names), size))
