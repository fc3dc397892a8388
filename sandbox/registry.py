"""The registries' own truth: how a name stands at an instant. DNS, RDAP and WHOIS all speak from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .clock import Clock
from .names import parent, suffixes
from .scenario import NamePlan, Scenario, ServicePlan, State, ZonePlan

REGISTRAR = ("Harbour Registrar Ltd.", "9001")
CATCHER = ("Nightcatch Domains Inc.", "9002")
FREE = (State.AVAILABLE, State.RESERVED, State.PREMIUM)
NOT_DELEGATED = (State.REDEMPTION, State.PENDING_DELETE, State.ON_HOLD, *FREE)
STATUSES: Mapping[State, tuple[str, ...]] = {
    State.REGISTERED: ("clientTransferProhibited",),
    State.CAUGHT: ("addPeriod", "clientTransferProhibited"),
    State.EXPIRING: ("clientTransferProhibited",),
    State.GRACE: ("autoRenewPeriod",),
    State.REDEMPTION: ("redemptionPeriod", "pendingDelete"),
    State.PENDING_DELETE: ("pendingDelete",),
    State.ON_HOLD: ("clientHold", "clientTransferProhibited"),
}
"""EPP statuses (RFC 5731, RFC 3915) by state."""
PHASES: Mapping[State, str] = {
    State.REGISTERED: "active",
    State.CAUGHT: "active",
    State.EXPIRING: "expiring",
    State.GRACE: "grace",
    State.REDEMPTION: "redemption",
    State.PENDING_DELETE: "pending_delete",
    State.ON_HOLD: "on_hold",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One name at one instant, as its registry knows it."""

    name: str
    zone: str
    state: State
    created: datetime
    updated: datetime
    expires: datetime
    control: bool = False
    nameservers: tuple[str, ...] = ()

    @property
    def truth(self) -> str:
        if self.state in (State.RESERVED, State.PREMIUM):
            return "reserved"
        return "available" if self.state is State.AVAILABLE else "registered"

    @property
    def phase(self) -> str | None:
        return PHASES.get(self.state)

    @property
    def delegated(self) -> bool:
        return self.state not in NOT_DELEGATED

    @property
    def statuses(self) -> tuple[str, ...]:
        return STATUSES.get(self.state, ())

    @property
    def registrar(self) -> tuple[str, str]:
        """Name and IANA id."""
        return CATCHER if self.state is State.CAUGHT else REGISTRAR

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of names a fault may spare or strike."""
        return (*(("controls",) if self.control else ()), *(("delegated",) if self.delegated else ()))


class Registry:
    """Every zone, service and name of the scenario, and what is true of each now."""

    def __init__(self, scenario: Scenario, clock: Clock) -> None:
        self.clock = clock
        self.zones: dict[str, ZonePlan] = {zone.name: zone for zone in scenario.zones}
        self.services: dict[str, ServicePlan] = {service.id: service for service in scenario.services}
        self.names: dict[str, NamePlan] = {plan.name: plan for plan in scenario.names}
        self.recorded = frozenset(scenario.answers)

    def zone_of(self, name: str) -> ZonePlan | None:
        """The deepest zone that holds the name (or is the name)."""
        return next((self.zones[suffix] for suffix in suffixes(name) if suffix in self.zones), None)

    def service_of(self, zone: str, kind: str) -> ServicePlan | None:
        """The service of a zone; a suffix without one uses its parent's."""
        for suffix in suffixes(zone):
            plan = self.zones.get(suffix)
            service = None if plan is None else (plan.rdap if kind == "rdap" else plan.whois)
            if service is not None:
                return self.services[service]
        return None

    def standing(self, name: str) -> Standing | None:
        """How a name stands now; None for what cannot be registered in this world (no zone, a zone, a sub-domain)."""
        zone = self.zone_of(name)
        if zone is None or zone.name == name or parent(name) != zone.name:
            return None
        plan = self.names.get(name)
        control = name in (zone.control, f"nic.{zone.name}") and name not in self.names
        if plan is None:
            state, since_s, next_at_s = (State.REGISTERED if control else State.AVAILABLE), 0.0, None
        else:
            state, since_s, next_at_s = self.state_of(plan)
        return self._dated(name, zone.name, state=state, since_s=since_s, next_at_s=next_at_s, control=control)

    def state_of(self, plan: NamePlan) -> tuple[State, float, float | None]:
        """The state now, the scenario second it began at, and the one of the next change."""
        elapsed_s = self.clock.elapsed_s
        since_s, state = plan.timeline[0]
        for at_s, later in plan.timeline:
            if at_s > elapsed_s:
                return state, since_s, at_s
            since_s, state = at_s, later
        return state, since_s, None

    def freed_at(self, plan: NamePlan) -> float | None:
        """Epoch seconds at which the name last became free; None if it has not been free so far."""
        elapsed_s = self.clock.elapsed_s
        if not self.clock.started:
            return None
        freed = [at_s for at_s, state in plan.timeline if state is State.AVAILABLE and at_s <= elapsed_s]
        return self.clock.at(freed[-1]) if freed else None

    def delegation(self, name: str) -> Standing | None:
        """The delegated name at or above `name`, if there is one."""
        zone = self.zone_of(name)
        if zone is None or zone.name == name:
            return None
        below = name[: -len(zone.name) - 1]
        owner = f"{below.rpartition('.')[2]}.{zone.name}"
        if owner in self.recorded:
            return None
        standing = self.standing(owner)
        return standing if standing is not None and standing.delegated else None

    def _dated(
        self, name: str, zone: str, *, state: State, since_s: float, next_at_s: float | None, control: bool
    ) -> Standing:
        start = datetime.fromtimestamp(int(self.clock.epoch), UTC)
        change = start + timedelta(seconds=3600 if next_at_s is None else next_at_s)
        created = start - timedelta(days=365 * 4 + 100)
        updated = start - timedelta(days=200)
        expires = start + timedelta(days=265)
        if state is State.EXPIRING:
            expires = start + timedelta(days=10)
        elif state is State.GRACE:
            # An expiry in the past, as the registries show it that do not renew by themselves.
            updated = expires = start - timedelta(days=5)
        elif state is State.REDEMPTION:
            # 30 days after the deletion, by the gTLD rules, is the moment of the next change.
            updated, expires = change - timedelta(days=30), change - timedelta(days=65)
        elif state is State.PENDING_DELETE:
            updated, expires = change - timedelta(days=5), change - timedelta(days=80)
        elif state is State.CAUGHT:
            created = updated = start + timedelta(seconds=since_s)
            expires = created + timedelta(days=365)
        # Name servers live under the top-level zone, as hosting companies' do.
        host = f"{'nightcatch' if state is State.CAUGHT else 'harbour-dns'}.{zone.rpartition('.')[2]}"
        hosts = () if state in FREE else (f"ns1.{host}", f"ns2.{host}")
        return Standing(
            name=name, zone=zone, state=state, created=created, updated=updated, expires=expires,
            control=control, nameservers=hosts,
        )  # fmt: skip
