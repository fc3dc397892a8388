"""Scenarios: which zones, services and names there are, how they change, and what must come of it. See README.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from .document import Field, ScenarioError, from_data, read_yaml
from .faults import FAULTS_OF, Fault
from .names import is_host, parent, suffixes, to_ascii

SCENARIOS = Path(__file__).with_name("scenarios")
WHOIS_FORMATS = ("verisign", "denic", "nominet", "afnic", "generic")
STATUSES = ("registered", "available", "likely_available", "reserved", "unknown", "refused")
PORTS = ("dns", "resolver", "list", "receiver", "files", "whois_root", "control")


class State(StrEnum):
    """Where a name stands; `caught` is registered again, by someone else."""

    REGISTERED = "registered"
    EXPIRING = "expiring"
    GRACE = "grace"
    REDEMPTION = "redemption"
    PENDING_DELETE = "pending_delete"
    ON_HOLD = "on_hold"
    CAUGHT = "caught"
    AVAILABLE = "available"
    RESERVED = "reserved"
    PREMIUM = "premium"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """One RDAP or WHOIS host. `limit_per_s` is enforced; `rate_per_s` is what the zones file publishes."""

    id: str
    kind: str
    format: str = "generic"
    port: int = 0
    limit_per_s: float | None = None
    rate_per_s: float | None = None
    daily: int | None = None
    query: str | None = None
    delay_s: float = 0.0
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonePlan:
    """A suffix under which names are registered, and the services that answer for it."""

    name: str
    control: str
    rdap: str | None = None
    whois: str | None = None
    wildcard: bool = False
    publish: frozenset[str] = frozenset({"nameservers", "rdap", "whois"})
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What must come of a name: its final status (any of these), how often announced, how soon."""

    statuses: tuple[str, ...]
    announced: int | None = None
    max_delay_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePlan:
    """A watched name; `listed_as` is how the domain list writes it."""

    name: str
    listed_as: str
    timeline: tuple[tuple[float, State], ...]
    expect: Expect | None = None
    priority: bool = False
    truncated: bool = False
    listed: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A recorded answer of a registry: the very bytes a service sends for one name."""

    id: str
    kind: str
    name: str
    truth: str
    body: bytes
    http_status: int = 200
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An entry of an answers file that could not become a watched name, and why."""

    id: str
    name: str | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A whole small internet, as data."""

    name: str
    zones: tuple[ZonePlan, ...]
    services: tuple[ServicePlan, ...]
    names: tuple[NamePlan, ...]
    title: str = ""
    starts: str = "at_first_list_fetch"
    cadence_seconds: str = "hot=20,priority=20,normal=20,slow=60"
    confirmation_delay_s: int = 10
    suspicious_confirmation_delay_s: int = 20
    tick_s: float = 4.0
    duration_s: float = 100.0
    parameters: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()


def load(
    scenario: str | Path,
    *,
    answers: Sequence[str | Path] = (),
    names: Sequence[str] = (),
) -> Scenario:
    """A scenario by name (`drop`, `recorded`) or path, with answers files or names. Raises ScenarioError."""
    path = Path(scenario)
    if path.suffix not in (".yaml", ".yml"):
        path = SCENARIOS / f"{scenario}.yaml"
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        shipped = ", ".join(sorted(found.stem for found in SCENARIOS.glob("*.yaml")))
        raise ScenarioError(f"{path}: cannot be read ({exc}); scenarios that come with the sandbox: {shipped}") from exc
    root = read_yaml(text, path.name)
    plan = _scenario(root, path.stem)
    if root.get("answers") is not None or answers:
        from .recorded import with_answers

        own = [path.parent / entry for entry in root.need("answers").texts()] if root.get("answers") else []
        plan = with_answers(plan, [Path(entry) for entry in answers] or own)
    return with_names(plan, names) if names else plan


def parse(data: Mapping[str, Any], source: str = "scenario") -> Scenario:
    """A scenario from a mapping in the shape of the YAML file. Raises ScenarioError."""
    return _scenario(from_data(data, source), str(data.get("name", source)))


def with_names(plan: Scenario, names: Iterable[str]) -> Scenario:
    """A world where just these names exist: registered, or in the state written behind `=`. Raises ScenarioError."""
    found: dict[str, NamePlan] = {}
    for entry in names:
        written, _, state_text = entry.partition("=")
        name = to_ascii(written)
        if not is_host(name):
            raise ScenarioError(f"--names: {entry!r} is not a domain name")
        try:
            state = State(state_text or "registered")
        except ValueError as exc:
            raise ScenarioError(f"--names: {entry!r}: the state should be one of {', '.join(State)}") from exc
        found[name] = NamePlan(
            name=name, listed_as=written.strip(), timeline=((0.0, state),), expect=default_expect(state)
        )
    zones = sorted({suffix for name in found for suffix in suffixes(parent(name))})
    services: list[ServicePlan] = []
    plans: list[ZonePlan] = []
    for zone in zones:
        plans.append(ZonePlan(name=zone, control=f"nic.{zone}", rdap=f"rdap.{zone}", whois=f"whois.{zone}"))
        services.append(ServicePlan(id=f"rdap.{zone}", kind="rdap", rate_per_s=20))
        services.append(ServicePlan(id=f"whois.{zone}", kind="whois", format="verisign", rate_per_s=20))
    return replace(
        plan, name="names", title="Names of your own", duration_s=60.0, faults={},
        zones=tuple(plans), services=tuple(services), names=tuple(found.values()),
    )  # fmt: skip


def default_expect(state: State) -> Expect:
    """What must come of a name that stays in one state."""
    if state is State.AVAILABLE:
        return Expect(statuses=("available",), announced=1)
    if state in (State.RESERVED, State.PREMIUM):
        return Expect(statuses=("reserved",), announced=0)
    return Expect(statuses=("registered",), announced=0)


def _scenario(root: Field, name: str) -> Scenario:  # noqa: PLR0912 (one branch a field)
    root.allow("name", "title", "starts", "cadence_seconds", "confirmation_delay_s", "suspicious_confirmation_delay_s",
               "tick_s", "duration_s", "parameters", "ports", "zones", "services", "names", "faults",
               "answers")  # fmt: skip
    plain: dict[str, Any] = {"name": name}
    for key in ("name", "title", "cadence_seconds"):
        if found := root.get(key):
            plain[key] = found.text()
    for key in ("confirmation_delay_s", "suspicious_confirmation_delay_s"):
        if found := root.get(key):
            plain[key] = found.whole()
    for key in ("tick_s", "duration_s"):
        if found := root.get(key):
            plain[key] = found.number(least=0.1)
    if found := root.get("starts"):
        plain["starts"] = found.one_of("at_first_list_fetch", "at_once")
    if found := root.get("parameters"):
        plain["parameters"] = {key: str(entry.value) for key, entry in found.items()}
    if found := root.get("ports"):
        found.allow(*PORTS)
        plain["ports"] = {key: entry.whole() for key, entry in found.items()}
    services = {key: _service(key, entry) for key, entry in _items(root.get("services"))}
    zones = {zone.name: zone for zone in (_zone(key, entry, services) for key, entry in _items(root.get("zones")))}
    names: dict[str, NamePlan] = {}
    for key, entry in _items(root.get("names")):
        plan = _name(key, entry, zones)
        if plan.name in names:
            raise entry.wrong(f"is {plan.name}, which is already there")
        names[plan.name] = plan
    faults: dict[str, tuple[Fault, ...]] = {}
    for key, entry in _items(root.get("faults")):
        kind = {"list": "list", "receiver": "receiver", "resolver": "dns", "whois_root": "whois_root",
                "zones": "file", "bootstrap": "file"}.get(key)  # fmt: skip
        if kind is None:
            raise entry.wrong("is no target here; there are list, receiver, resolver, whois_root, zones, bootstrap")
        faults[key] = _faults(entry, kind)
    return Scenario(
        zones=tuple(zones.values()),
        services=tuple(services.values()),
        names=tuple(names.values()),
        faults=faults,
        **plain,
    )


def _items(found: Field | None) -> Iterable[tuple[str, Field]]:
    return () if found is None else found.items()


def _service(key: str, entry: Field) -> ServicePlan:
    entry.allow("kind", "format", "port", "limit_per_s", "rate_per_s", "daily", "query", "delay_s", "faults")
    kind = entry.need("kind").one_of("rdap", "whois")
    plain: dict[str, Any] = {}
    if found := entry.get("format"):
        if kind == "rdap":
            raise found.wrong("is for WHOIS services only")
        plain["format"] = found.one_of(*WHOIS_FORMATS)
    for name in ("limit_per_s", "rate_per_s"):
        if found := entry.get(name):
            plain[name] = found.number(least=0.01)
    for name in ("daily", "port"):
        if found := entry.get(name):
            plain[name] = found.whole()
    if found := entry.get("delay_s"):
        plain["delay_s"] = found.number()
    if found := entry.get("query"):
        if "{name}" not in found.text():
            raise found.wrong("should contain {name}")
        plain["query"] = found.text()
    if found := entry.get("faults"):
        plain["faults"] = _faults(found, kind)
    return ServicePlan(id=key, kind=kind, **plain)


def _zone(key: str, entry: Field, services: Mapping[str, ServicePlan]) -> ZonePlan:
    if entry.value == {}:
        return ZonePlan(name=to_ascii(key), control=f"nic.{to_ascii(key)}")
    entry.allow("rdap", "whois", "control", "wildcard", "publish", "faults")
    name = to_ascii(key)
    plain: dict[str, Any] = {"control": f"nic.{name}"}
    for kind in ("rdap", "whois"):
        if found := entry.get(kind):
            plain[kind] = found.text()
            if plain[kind] not in services or services[plain[kind]].kind != kind:
                raise found.wrong(f"there is no {kind} service {plain[kind]!r} under services")
    if found := entry.get("control"):
        plain["control"] = to_ascii(found.text())
        if parent(plain["control"]) != name:
            raise found.wrong(f"should be a name directly under {name}")
    if found := entry.get("wildcard"):
        plain["wildcard"] = found.truth()
    if found := entry.get("publish"):
        plain["publish"] = frozenset(one.one_of("nameservers", "rdap", "whois") for one in found.entries())
    if found := entry.get("faults"):
        plain["faults"] = _faults(found, "dns")
    return ZonePlan(name=name, **plain)


def _name(key: str, entry: Field, zones: Mapping[str, ZonePlan]) -> NamePlan:
    name = to_ascii(key)
    if not is_host(name):
        raise entry.wrong("is not a domain name")
    if parent(name) not in zones:
        raise entry.wrong(f"there is no zone {parent(name)!r} under zones")
    plain: dict[str, Any] = {}
    if isinstance(entry.value, str):
        timeline: tuple[tuple[float, State], ...] = ((0.0, State(entry.one_of(*State))),)
    else:
        entry.allow("timeline", "expect", "priority", "truncated", "listed_as", "listed", "note")
        timeline = _timeline(entry.need("timeline"))
        for flag in ("priority", "truncated", "listed"):
            if found := entry.get(flag):
                plain[flag] = found.truth()
        if found := entry.get("note"):
            plain["note"] = found.text()
        if found := entry.get("expect"):
            plain["expect"] = _expect(found)
    if "expect" not in plain and len({state for _, state in timeline}) == 1:
        plain["expect"] = default_expect(timeline[0][1])
    listed_as = entry.get("listed_as") if isinstance(entry.value, dict) else None
    return NamePlan(name=name, listed_as=listed_as.text() if listed_as else key, timeline=timeline, **plain)


def _timeline(entry: Field) -> tuple[tuple[float, State], ...]:
    if isinstance(entry.value, str):
        return ((0.0, State(entry.one_of(*State))),)
    steps: list[tuple[float, State]] = []
    for key, found in entry.items():
        try:
            at_s = float(key)
        except ValueError:
            raise found.wrong("the key should be seconds since the start") from None
        steps.append((at_s, State(found.one_of(*State))))
    steps.sort()
    if not steps or steps[0][0] != 0:
        raise entry.wrong("should begin at second 0")
    return tuple(steps)


def _expect(entry: Field) -> Expect:
    entry.allow("status", "announced", "max_delay_s")
    status = entry.need("status")
    statuses = status.texts()
    for text in statuses:
        if text not in STATUSES:
            raise status.wrong(f"should be of {', '.join(STATUSES)}, is {text!r}")
    announced = entry.get("announced")
    delay = entry.get("max_delay_s")
    return Expect(
        statuses=statuses,
        announced=announced.whole() if announced else None,
        max_delay_s=delay.number() if delay else None,
    )


def _faults(entry: Field, kind: str) -> tuple[Fault, ...]:
    return tuple(fault_from(found, kind) for found in entry.entries())


def fault_from(entry: Field, kind: str) -> Fault:
    """A fault as scenarios and the control API write it. Raises ScenarioError."""
    entry.allow("fault", "from_s", "until_s", "count", "retry_after_s", "delay_s", "spare", "only")
    plain: dict[str, Any] = {}
    for name in ("from_s", "until_s", "retry_after_s", "delay_s"):
        if found := entry.get(name):
            plain[name] = found.number()
    if found := entry.get("count"):
        plain["count"] = found.whole(least=1)
    for name in ("spare", "only"):
        if found := entry.get(name):
            plain[name] = frozenset(
                text if text in ("controls", "delegated") else to_ascii(text) for text in found.texts()
            )
    return Fault(kind=entry.need("fault").one_of(*sorted(FAULTS_OF[kind])), **plain)
