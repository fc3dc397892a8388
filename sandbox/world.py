"""One running small internet: every server of a scenario on one loop, all on one address."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import os
import secrets
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from .clock import Clock
from .control import Control
from .dns import DnsServer, serve_dns
from .faults import Fault, FaultError, Faults
from .judge import expectations, judge
from .list_api import ListApi
from .meter import Asked, Meter
from .names import to_ascii
from .rdap import RdapService
from .receiver import Receiver
from .registry import Registry
from .scenario import NamePlan, Scenario, State, ZonePlan, default_expect, load, parse
from .web import Connections, Request, Response, broken, json_response, serve_http
from .whois import WhoisRoot, WhoisService

T = TypeVar("T")
START_S = 10.0


class World:
    """All servers of one scenario. `await open()` / `await close()` on a loop, or `with` in a thread of its own."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        host: str = "127.0.0.1",
        start: bool | None = None,
        state_dir: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.scenario = scenario
        self.host = host
        self.clock = clock or Clock()
        self.faults = Faults()
        self.registry = Registry(scenario, self.clock)
        self.auth_token = secrets.token_urlsafe(24)
        self.webhook_secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self.urls: dict[str, Any] = {}
        self._start_now = scenario.starts == "at_once" if start is None else start
        self._connections = Connections()
        self._transports: list[asyncio.DatagramTransport] = []
        self._addresses: dict[str, str] = {}
        journal = None
        if state_dir is not None:
            state_dir.mkdir(parents=True, exist_ok=True)
            journal = state_dir / "deliveries.jsonl"
        self.receiver = Receiver(
            self.registry, self.faults, auth_token=self.auth_token, webhook_secret=self.webhook_secret, journal=journal
        )
        self.list_api = ListApi(
            self.registry,
            self.faults,
            auth_token=self.auth_token,
            starts_clock=scenario.starts == "at_first_list_fetch",
        )
        self.dns = DnsServer(self.registry, self.faults, recursive=False)
        self.resolver = DnsServer(self.registry, self.faults, recursive=True)
        self.whois_root = WhoisRoot(self.registry, self.faults, self._addresses.__getitem__)
        self.rdap: dict[str, RdapService] = {}
        self.whois: dict[str, WhoisService] = {}
        self.files = Meter(None, self.clock.now)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # -- life ------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Listen everywhere; afterwards `urls` is complete. Raises OSError if a port is taken."""
        for target in ("list", "receiver", "zones", "bootstrap", "resolver", "whois_root"):
            kind = {"zones": "file", "bootstrap": "file", "resolver": "dns"}.get(target, target)
            self.faults.add_target(target, kind, self.scenario.faults.get(target, ()))
        for zone in self.scenario.zones:
            self.faults.add_target(f"dns.{zone.name}", "dns", zone.faults)
        ports, host = self.scenario.ports, self.host
        dns_port, transport = await serve_dns(self.dns, self._connections, host, ports.get("dns", 0))
        self._transports.append(transport)
        resolver_port, transport = await serve_dns(self.resolver, self._connections, host, ports.get("resolver", 0))
        self._transports.append(transport)
        for plan in self.scenario.services:
            self.faults.add_target(plan.id, plan.kind, plan.faults)
            if plan.kind == "rdap":
                rdap = RdapService(plan, self.registry, self.faults, self.scenario.answers)
                port = await serve_http(self._connections, rdap.handle, host, plan.port)
                rdap.url = f"http://{host}:{port}/"
                self.rdap[plan.id] = rdap
            else:
                whois = WhoisService(plan, self.registry, self.faults, self.scenario.answers)
                port = await self._connections.listen(whois.serve, host, plan.port)
                self.whois[plan.id] = whois
            self._addresses[plan.id] = f"{host}:{port}"
        root_port = await self._connections.listen(self.whois_root.serve, host, ports.get("whois_root", 0))
        list_port = await serve_http(self._connections, self.list_api.handle, host, ports.get("list", 0))
        receiver_port = await serve_http(self._connections, self.receiver.handle, host, ports.get("receiver", 0))
        files_port = await serve_http(self._connections, self._serve_file, host, ports.get("files", 0))
        control_port = await serve_http(self._connections, Control(self).handle, host, ports.get("control", 0))
        self._dns_address = f"{host}:{dns_port}"
        receiver_url, control_url = f"http://{host}:{receiver_port}/", f"http://{host}:{control_port}/"
        self.urls = {
            "scenario": self.scenario.name,
            "title": self.scenario.title,
            "domain_api_url": f"http://{host}:{list_port}/domains",
            "callback_url": f"{receiver_url}results",
            "available_callback_url": f"{receiver_url}available",
            "receiver_url": receiver_url,
            "bootstrap_url": f"http://{host}:{files_port}/dns.json",
            "zones_url": f"http://{host}:{files_port}/zones.json",
            "whois_root": f"{host}:{root_port}",
            "resolver": f"{host}:{resolver_port}",
            "dns": self._dns_address,
            "allowed_private_networks": f"{host}/{ipaddress.ip_address(host).max_prefixlen}",
            "auth_token": self.auth_token,
            "webhook_secret": self.webhook_secret,
            "control_url": control_url,
            "state_url": f"{control_url}state",
            "judge_url": f"{control_url}judge",
            "expectations_url": f"{control_url}expectations",
            "cadence_seconds": self.scenario.cadence_seconds,
            "confirmation_delay_s": self.scenario.confirmation_delay_s,
            "suspicious_confirmation_delay_s": self.scenario.suspicious_confirmation_delay_s,
            "tick_s": self.scenario.tick_s,
            "duration_s": self.scenario.duration_s,
            "parameters": dict(self.scenario.parameters),
        }
        if self._start_now:
            self.clock.start()

    async def close(self) -> None:
        for transport in self._transports:
            transport.close()
        await self._connections.close()
        # One more turn of the loop, so that closed transports let go of their sockets.
        await asyncio.sleep(0)

    def write(self, path: Path) -> None:
        """Write world.json in one step: whoever sees it sees all of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_text(json.dumps(self.urls, indent=1, ensure_ascii=False) + "\n", "utf-8")
        part.replace(path)

    def __enter__(self) -> Self:
        ready = threading.Event()
        failed: list[BaseException] = []

        def run() -> None:
            loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(self.open())
            except BaseException as exc:
                failed.append(exc)
                loop.run_until_complete(self.close())
                loop.close()
                ready.set()
                return
            self._loop = loop
            loop.call_soon(ready.set)
            loop.run_forever()
            loop.run_until_complete(self.close())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

        self._thread = threading.Thread(target=run, name="sandbox", daemon=True)
        self._thread.start()
        if not ready.wait(START_S):
            raise TimeoutError("the sandbox did not come up")
        if failed:
            raise failed[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
        if self._thread is not None:
            self._thread.join(START_S)

    # -- what is known and what can be changed -------------------------------------------------------------------

    def deliveries(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What the receiver got, oldest first; `kind` is `result`, `available` or `event`."""
        return self._call(lambda: [asdict(one) for one in self.receiver.deliveries if kind in (None, one.kind)])

    def state(self) -> dict[str, Any]:
        return self._call(self._state)

    def expectations(self) -> dict[str, Any]:
        return self._call(lambda: expectations(self.registry, self.receiver.deliveries))

    def judge(self, statuses: Mapping[str, str | None]) -> dict[str, Any]:
        return self._call(lambda: judge(self.scenario, self.registry, statuses))

    def requests(self, service: str) -> list[Asked]:
        """What a service was asked, oldest first: a service id, `dns`, `resolver`, `list`, `files` or `whois_root`."""
        return self._call(lambda: list(self._meters()[service][1].asked))

    def fault(self, target: str, fault: str | None, **options: Any) -> None:
        """Switch a fault on, or with None all of the target's off. `seconds` limits it from now. Raises FaultError."""
        self._call(lambda: self.switch(target, fault, options))

    def start(self) -> None:
        self._call(self.clock.start)

    def advance(self, seconds: float) -> None:
        """Skip scenario time."""
        self._call(lambda: self.clock.advance(seconds))

    def put_name(self, name: str, state: str, *, listed: bool = True) -> None:
        """Add a name, or let an existing one stand otherwise from now on. Raises ValueError."""
        self._call(lambda: self.set_name(name, state, listed=listed))

    def address(self, service: str) -> str:
        """`host:port` of a service."""
        return self._addresses[service]

    def switch(self, target: str, fault: str | None, options: Mapping[str, Any]) -> None:
        """On the loop: see `fault`."""
        plain = dict(options)
        seconds = plain.pop("seconds", None)
        for key in ("spare", "only"):
            if key in plain:
                plain[key] = frozenset(plain[key])
        if fault is None:
            self.faults.switch(target, None)
            return
        try:
            made = Fault(kind=fault, **plain)
        except TypeError as exc:
            raise FaultError(f"a fault knows no such option: {', '.join(sorted(plain))}") from exc
        if seconds is not None:
            # Until the clock starts it stands at 0, so a fault "for 5 seconds" then lasts until second 5.
            made = replace(made, until_s=self.clock.elapsed_s + float(seconds))
        self.faults.switch(target, made)

    def set_name(self, name: str, state: str, *, listed: bool = True) -> None:
        """On the loop: see `put_name`."""
        plain, now_is = to_ascii(name), State(state)
        if self.registry.zone_of(plain) is None:
            raise ValueError(f"no zone of this world holds {name!r}")
        known = self.registry.names.get(plain)
        if known is None:
            self.registry.names[plain] = NamePlan(
                name=plain, listed_as=name, timeline=((0.0, now_is),), expect=default_expect(now_is), listed=listed
            )
            return
        elapsed_s = self.clock.elapsed_s
        past = tuple(step for step in known.timeline if step[0] < elapsed_s) or ((0.0, now_is),)
        timeline = (*past, (elapsed_s, now_is)) if elapsed_s > 0 else ((0.0, now_is),)
        self.registry.names[plain] = replace(known, timeline=timeline, listed=listed)

    def zones_file(self) -> dict[str, Any]:
        """The zones file of interface.md: what the scenario publishes of each zone."""
        return {zone.name: self._zone_entry(zone) for zone in self.scenario.zones}

    def bootstrap(self) -> dict[str, Any]:
        """IANA's RDAP bootstrap file (RFC 9224): top-level zones by service."""
        by_service: dict[str, list[str]] = {}
        for zone in self.scenario.zones:
            if zone.rdap and "." not in zone.name:
                by_service.setdefault(zone.rdap, []).append(zone.name)
        return {
            "version": "1.0",
            "publication": "2026-01-15T12:00:00Z",
            "description": "RDAP bootstrap file of the sandbox",
            "services": [[zones, [self.rdap[service].url]] for service, zones in by_service.items()],
        }

    def _zone_entry(self, zone: ZonePlan) -> dict[str, Any]:
        entry: dict[str, Any] = {"control": zone.control}
        if "nameservers" in zone.publish:
            entry["nameservers"] = [self._dns_address]
        if zone.wildcard:
            entry["wildcard"] = True
        if zone.rdap:
            plan = self.registry.services[zone.rdap]
            if "rdap" in zone.publish:
                entry["rdap"] = [self.rdap[zone.rdap].url]
            entry |= _limits("rdap", plan.rate_per_s or plan.limit_per_s, plan.daily)
        if zone.whois:
            plan = self.registry.services[zone.whois]
            if "whois" in zone.publish:
                entry["whois"] = self._addresses[zone.whois]
            entry |= _limits("whois", plan.rate_per_s or plan.limit_per_s, plan.daily)
            if plan.query:
                entry["whois_query"] = plan.query
        return entry

    async def _serve_file(self, request: Request) -> Response:
        self.files.admit(request.path)
        name = {"/zones.json": "zones", "/dns.json": "bootstrap"}.get(request.path)
        if name is None or request.method not in ("GET", "HEAD"):
            return json_response({"error": "there is nothing here"}, 404)
        response = json_response(self.zones_file() if name == "zones" else self.bootstrap())
        fault = self.faults.strike(name, self.clock.elapsed_s)
        return response if fault is None else broken(fault, response)

    def _state(self) -> dict[str, Any]:
        elapsed_s = self.clock.elapsed_s
        return {
            "scenario": self.scenario.name,
            "title": self.scenario.title,
            "started": self.clock.started,
            "elapsed_s": round(elapsed_s, 2),
            "duration_s": self.scenario.duration_s,
            "done": self.clock.started and elapsed_s >= self.scenario.duration_s,
            "names": [self._name_view(plan) for plan in self.registry.names.values()],
            "left_out": [asdict(one) for one in self.scenario.left_out],
            "deliveries": [asdict(one) for one in self.receiver.deliveries],
            "services": [
                {
                    "name": name,
                    "kind": kind,
                    "address": self._addresses.get(name),
                    "limit_per_s": meter.limit_per_s,
                    "requests": meter.requests,
                    "violations": meter.violations,
                    "peak_per_s": meter.peak_per_s,
                }
                for name, (kind, meter) in self._meters().items()
            ],
            "faults": self.faults.view(),
            "list_fetches": self.list_api.fetches,
        }

    def _name_view(self, plan: NamePlan) -> dict[str, Any]:
        state, _, next_at_s = self.registry.state_of(plan)
        standing = self.registry.standing(plan.name)
        recorded = self.scenario.answers.get(plan.name)
        truth = "available" if state is State.AVAILABLE else "registered"
        if standing is not None:
            truth = standing.truth
        return {
            "name": plan.name,
            "truth": truth if recorded is None else recorded.truth,
            "state": None if recorded else state.value,
            "phase": None if recorded or standing is None else standing.phase,
            "freed_at": None if recorded else self.registry.freed_at(plan),
            "next_change_s": next_at_s,
            "expect": None if plan.expect is None else asdict(plan.expect),
            "note": plan.note,
        }

    def _meters(self) -> dict[str, tuple[str, Meter]]:
        return {
            **{name: ("rdap", service.meter) for name, service in self.rdap.items()},
            **{name: ("whois", service.meter) for name, service in self.whois.items()},
            "dns": ("dns", self.dns.meter),
            "resolver": ("dns", self.resolver.meter),
            "list": ("list", self.list_api.meter),
            "files": ("file", self.files),
            "whois_root": ("whois", self.whois_root.meter),
        }

    def _call(self, ask: Callable[[], T]) -> T:
        """Run on the world's loop, from any thread."""
        if self._loop is None or not self._loop.is_running() or threading.current_thread() is self._thread:
            return ask()

        async def asked() -> T:
            return ask()

        wait: Awaitable[T] = asked()
        return asyncio.run_coroutine_threadsafe(wait, self._loop).result(START_S)  # type: ignore[arg-type]


def serve(
    scenario: str | Path | Scenario | Mapping[str, Any] = "drop",
    *,
    answers: Sequence[str | Path] = (),
    names: Sequence[str] = (),
    start: bool | None = None,
    host: str = "127.0.0.1",
    state_dir: Path | None = None,
    clock: Clock | None = None,
) -> World:
    """A world to be used with `with`: by scenario name, path, mapping or object. Raises ScenarioError."""
    if isinstance(scenario, Scenario):
        plan = scenario
    elif isinstance(scenario, Mapping):
        plan = parse(scenario)
    else:
        plan = load(scenario, answers=answers, names=names)
    return World(plan, host=host, start=start, state_dir=state_dir, clock=clock)


def _limits(kind: str, rate: float | None, daily: int | None) -> dict[str, float | int]:
    return {
        **({f"{kind}_rate": rate} if rate is not None else {}),
        **({f"{kind}_daily": daily} if daily is not None else {}),
    }
