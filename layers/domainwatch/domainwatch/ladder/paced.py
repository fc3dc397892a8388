"""The rungs that ask registries, RDAP and WHOIS: each service gets its names evenly inside a lease, or they wait.

Names whose service has no free slot soon are deferred: they go back on the queue with the rung to continue at, the
moment and, where one was taken, the lease. Nothing here sleeps for a registry beyond the slots of a lease that began.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from domainwatch.errors import NameRefused
from domainwatch.findings import Check, Finding, Reading
from domainwatch.names import Name
from domainwatch.ports import Busy, Lease, Pacing, Probes
from domainwatch.wire import Message, RungReply, RungRequest, epoch_ms, from_epoch_ms, pack_finding, size_bytes

CALL_TIMEOUT_S = 10.0
# A lease that begins within this time is waited for; a later one goes back on the queue.
SOON_MS = 2_000
# The most that one lease may last: longer would keep a function waiting for a registry.
LEASE_MAX_MS = 30_000
# Leases start at most this far ahead, which is also the longest delay that the queue offers.
HORIZON_MS = 900_000
LOOK_HORIZON_MS = 5_000
PROOF_MAX_AGE = timedelta(hours=1)
MAX_CALLS_IN_FLIGHT = 32
# The room that one name's finding is reckoned with before it is asked; what does not fit is deferred unasked.
FINDING_BYTES = 1_000
# A slot may be used this share late, of a second or of its interval: a little less than the tenth kept in hand.
LATE_SHARE = 0.08
# How often names whose slots went by get new ones before they are deferred.
MAX_ROUNDS = 3
# Left for replying when the function's own time runs out.
RESERVE_S = 3.0


class CheckModule(Protocol):
    """What a check module offers a paced rung."""

    def check(self, name: Name, probes: Probes, *, timeout_s: float) -> Finding: ...
    def service_of(self, name: Name, probes: Probes) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A paced rung: its check, and what it needs of the world. `remaining_s` is how long the function may still run."""

    kind: Check
    module: CheckModule
    probes: Probes
    pacing: Pacing
    sleep: Callable[[float], None]
    remaining_s: Callable[[], float]
    workers: Callable[[], Executor] = lambda: ThreadPoolExecutor(max_workers=MAX_CALLS_IN_FLIGHT)

    def climb(self, request: RungRequest) -> RungReply:
        """Ask the registry's service about each open name, within the services' limits."""
        return _Climb(rung=self, request=request).run()


@dataclass(slots=True, kw_only=True)
class _Slot:
    """One moment at which one question may go to one service, until a little later; and the name to ask about."""

    at_ms: int
    until_ms: int
    service: str
    name: Name | None = None


@dataclass(slots=True, kw_only=True)
class _Climb:
    """One batch's stay on a rung."""

    rung: Rung
    request: RungRequest
    found: dict[Name, Finding] = field(default_factory=dict)
    deferred: list[Message] = field(default_factory=list)
    waiting: set[Name] = field(default_factory=set)
    refused: dict[str, Finding] = field(default_factory=dict)
    spare: dict[str, deque[_Slot]] = field(default_factory=lambda: defaultdict(deque))
    proofs: dict[tuple[str, str], datetime | None] = field(default_factory=dict)

    def run(self) -> RungReply:
        left = self._groups()
        for _ in range(MAX_ROUNDS):
            plan: list[_Slot] = []
            for service, names in left.items():
                plan += self._lease(service, names)
            left = self._ask(sorted(plan, key=lambda slot: slot.at_ms))
            if not left:
                break
        for service, names in left.items():
            self._wait(service, names, Busy(until_ms=self._now_ms(), reason="late"))
        self._prove()
        return self._reply()

    # --- who is asked, and when ---------------------------------------------------------------------------------------

    def _groups(self) -> dict[str, list[Name]]:
        """The open names by service. Those without one are answered at once; what would not fit waits."""
        groups: dict[str, list[Name]] = defaultdict(list)
        room = self.request.batch.room - size_bytes([pack_finding(finding) for finding in self.request.findings])
        for name in self.request.open:
            service = self.rung.module.service_of(name, self.rung.probes)
            if service is None:
                self.found[name] = self.rung.module.check(name, self.rung.probes, timeout_s=CALL_TIMEOUT_S)
                room -= 150
            elif room < FINDING_BYTES and not self.request.batch.look:
                self._defer([name], until_ms=self._now_ms(), lease=None)
            else:
                room -= FINDING_BYTES
                groups[service].append(name)
        return groups

    def _lease(self, service: str, names: Sequence[Name]) -> list[_Slot]:
        """Slots for as many names as this run may ask. Some more are kept for control questions: each suffix that lacks
        a proof can need one.
        """
        left = deque(names)
        plan: list[_Slot] = []
        unproven = len({name.suffix for name in names if not self._is_proven(service, name.suffix)})
        lease = self._held(service)
        while left:
            granted = lease or self._new_lease(service, len(left) + unproven)
            lease = None
            if isinstance(granted, Busy):
                self._wait(service, left, granted)
                break
            if granted.start_ms - self._now_ms() > self._patience_ms():
                held = [left.popleft() for _ in range(min(granted.slots, len(left)))]
                self._defer(held, until_ms=granted.start_ms, lease=granted)
                continue
            slots = deque(self._slots(granted))
            while left and slots and (len(slots) > unproven or not plan):
                slot = slots.popleft()
                slot.name = left.popleft()
                plan.append(slot)
            self.spare[service] += slots
        return plan

    def _held(self, service: str) -> Lease | None:
        lease = self.request.batch.lease
        if lease is None or (lease.kind, lease.service) != (self.rung.kind.value, service):
            return None
        return lease if self._slots(lease) else None

    def _slots(self, lease: Lease) -> list[_Slot]:
        """The lease's slots that have not passed: a slot missed is lost, never made up for."""
        late_ms = round(LATE_SHARE * max(1000, lease.interval_ms))
        opens = (lease.start_ms + index * lease.interval_ms for index in range(lease.slots))
        slots = (_Slot(at_ms=at_ms, until_ms=at_ms + late_ms, service=lease.service) for at_ms in opens)
        return [slot for slot in slots if slot.until_ms >= self._now_ms()]

    def _new_lease(self, service: str, wanted: int) -> Lease | Busy:
        limit = self.rung.probes.zones.limit(self.rung.kind.value, service)
        most = max(1, int(LEASE_MAX_MS / 1000 * limit.per_s))
        horizon_ms = LOOK_HORIZON_MS if self.request.batch.look else HORIZON_MS
        return self.rung.pacing.lease(
            self.rung.kind.value,
            service,
            slots=min(wanted, most),
            limit=limit,
            now_ms=self._now_ms(),
            horizon_ms=horizon_ms,
        )

    def _patience_ms(self) -> int:
        return LOOK_HORIZON_MS if self.request.batch.look else SOON_MS

    def _wait(self, service: str, names: Iterable[Name], busy: Busy) -> None:
        """No slot is free soon. A look cannot wait and says so; a batch's names go back on the queue."""
        if self.request.batch.look:
            for name in names:
                self.found[name] = self._not_asked(name, service, busy.reason)
        else:
            self._defer(names, until_ms=busy.until_ms, lease=None)

    def _defer(self, names: Iterable[Name], *, until_ms: int, lease: Lease | None) -> None:
        names = tuple(names)
        if not names:
            return
        self.waiting.update(names)
        self.deferred.append(
            Message(
                run_id=self.request.batch.run_id,
                reason="deferred",
                rung=self.rung.kind.value,
                names=names,
                facts=self.request.batch.facts,
                continue_at=until_ms / 1000,
                findings=tuple(
                    tuple(pack_finding(finding)) for finding in self.request.findings if finding.name in set(names)
                ),
                lease=lease,
            )
        )

    # --- asking -------------------------------------------------------------------------------------------------------

    def _ask(self, plan: Sequence[_Slot]) -> dict[str, list[Name]]:
        """Send each question at its slot's time. Returns the names whose slots went by unused, by service: a question
        sent late would follow too closely on another. A service that refused is left alone: its other names wait.
        """
        calls: list[tuple[_Slot, Future[Finding]]] = []
        unasked: dict[str, list[Name]] = defaultdict(list)
        late: dict[str, list[Name]] = defaultdict(list)
        with self.rung.workers() as pool:
            for slot in plan:
                self._sleep_until(slot.at_ms)
                self._note_refusals(calls)
                if slot.name is None:
                    continue
                if slot.service in self.refused or self.rung.remaining_s() < CALL_TIMEOUT_S + RESERVE_S:
                    unasked[slot.service].append(slot.name)
                elif self._now_ms() > slot.until_ms:
                    late[slot.service].append(slot.name)
                else:
                    calls.append((slot, pool.submit(self._call, slot.name)))
        for _, call in calls:
            self.found[call.result().name] = call.result()
        self._note_refusals(calls)
        for service, names in unasked.items():
            self._wait(service, names, self._busy_after_refusal(service))
        return late

    def _call(self, name: Name) -> Finding:
        return self.rung.module.check(name, self.rung.probes, timeout_s=CALL_TIMEOUT_S)

    def _note_refusals(self, calls: Iterable[tuple[_Slot, Future[Finding]]]) -> None:
        for slot, call in calls:
            if slot.service not in self.refused and call.done() and call.result().reason == "rate_limited":
                self.refused[slot.service] = call.result()
                self.rung.pacing.refused(
                    self.rung.kind.value,
                    slot.service,
                    retry_after_s=call.result().retry_after_s,
                    limit=self.rung.probes.zones.limit(self.rung.kind.value, slot.service),
                    now_ms=self._now_ms(),
                )

    def _busy_after_refusal(self, service: str) -> Busy:
        refusal = self.refused.get(service)
        wait_s = (refusal.retry_after_s if refusal else None) or 60.0
        return Busy(until_ms=self._now_ms() + round(wait_s * 1000), reason="rate_limited" if refusal else "out_of_time")

    # --- witnesses ----------------------------------------------------------------------------------------------------

    def _prove(self) -> None:
        """A `not_found` is a witness only from a service that lately answered a control question of the same suffix as
        registered. Another name of that suffix, answered as registered in this very batch, is as good a control.
        """
        for finding in self.found.values():
            if finding.reading is Reading.REGISTERED and not self._is_proven(finding.service, finding.name.suffix):
                self._note_proof(finding.service, finding.name.suffix, finding.asked_at)
        doubtful = {
            (finding.service, finding.name.suffix)
            for finding in self.found.values()
            if finding.reading is Reading.NOT_FOUND and not self._is_proven(finding.service, finding.name.suffix)
        }
        self._ask_controls(sorted(doubtful))
        for name, finding in self.found.items():
            if finding.reading is Reading.NOT_FOUND:
                proof = self._proof(finding.service, finding.name.suffix)
                self.found[name] = finding.proven(proof if self._is_recent(proof) else None)

    def _ask_controls(self, doubtful: Iterable[tuple[str, str]]) -> None:
        """Ask each service about the control name of each suffix. One that gets no slot stays unproven this time."""
        plan = []
        for service, suffix in doubtful:
            control = self._control(suffix)
            slot = self._spare_slot(service) if control is not None and service not in self.refused else None
            if slot is not None:
                slot.name = control
                plan.append((slot, suffix))
        asked: list[tuple[_Slot, str, Future[Finding]]] = []
        with self.rung.workers() as pool:
            for slot, suffix in sorted(plan, key=lambda entry: entry[0].at_ms):
                self._sleep_until(slot.at_ms)
                if slot.name is not None and self._now_ms() <= slot.until_ms:
                    asked.append((slot, suffix, pool.submit(self._call, slot.name)))
        self._note_refusals([(slot, call) for slot, _, call in asked])
        for slot, suffix, call in asked:
            if call.result().reading is Reading.REGISTERED:
                self._note_proof(slot.service, suffix, call.result().asked_at)

    def _spare_slot(self, service: str) -> _Slot | None:
        """A slot kept for a control question, or a new one if it comes soon."""
        spare = self.spare[service]
        if not any(slot.until_ms >= self._now_ms() for slot in spare):
            granted = self._new_lease(service, 1)
            if isinstance(granted, Busy) or granted.start_ms - self._now_ms() > LEASE_MAX_MS:
                return None
            spare += self._slots(granted)
        while spare:
            slot = spare.popleft()
            if slot.until_ms >= self._now_ms():
                return slot
        return None

    def _control(self, suffix: str) -> Name | None:
        """The zone's own control name, else one that DNS lately showed delegated, else `nic.<suffix>`."""
        chosen = self.rung.probes.zones.control(suffix) or self.rung.pacing.delegated_name(suffix) or f"nic.{suffix}"
        try:
            return Name.parse(chosen)
        except NameRefused:
            return None  # a zones file named something that cannot be asked; the witness stays unproven

    def _note_proof(self, service: str, suffix: str, at: datetime) -> None:
        self.rung.pacing.prove(self.rung.kind.value, service, suffix, at=at)
        self.proofs[service, suffix] = at

    def _proof(self, service: str, suffix: str) -> datetime | None:
        if (service, suffix) not in self.proofs:
            self.proofs[service, suffix] = self.rung.pacing.proven_at(self.rung.kind.value, service, suffix)
        return self.proofs[service, suffix]

    def _is_proven(self, service: str, suffix: str) -> bool:
        return self._is_recent(self._proof(service, suffix))

    def _is_recent(self, proof: datetime | None) -> bool:
        if proof is None or self.rung.probes.now() - proof > PROOF_MAX_AGE:
            return False
        since = self.request.batch.prove_since
        return since is None or proof > since

    # --- replying -----------------------------------------------------------------------------------------------------

    def _reply(self) -> RungReply:
        found = tuple(self.found.values())
        closed = {finding.name for finding in (*self.request.findings, *found) if self._closes(finding)}
        # What is known of a waiting name waits with it, unless it settles the name already.
        brought = [each for each in self.request.findings if each.name not in self.waiting or each.conclusive]
        return RungReply(
            open=tuple(name for name in self.request.open if name not in closed and name not in self.waiting),
            findings=self._fitting((*brought, *found)),
            deferred=tuple(self.deferred),
        )

    def _closes(self, finding: Finding) -> bool:
        """A conclusive finding of a registry ends the climb; a delegation does so once its facts were asked for."""
        if finding.conclusive and finding.check in {Check.RDAP, Check.WHOIS}:
            return True
        if finding.conclusive:
            mine = self.found.get(finding.name)
            return mine is not None and mine.reason != "no_service"
        return False

    def _fitting(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """All findings, without their excerpts where these would not fit."""
        if size_bytes([pack_finding(finding) for finding in findings]) <= self.request.batch.room:
            return tuple(findings)
        return tuple(replace(finding, excerpt="") for finding in findings)

    def _not_asked(self, name: Name, service: str, reason: str) -> Finding:
        return Finding(
            name=name,
            check=self.rung.kind,
            reading=Reading.NO_ANSWER,
            reason=reason,
            service=service,
            asked_at=self.rung.probes.now(),
        )

    def _now_ms(self) -> int:
        return epoch_ms(self.rung.probes.now())

    def _sleep_until(self, at_ms: int) -> None:
        wait_s = (from_epoch_ms(at_ms) - self.rung.probes.now()).total_seconds()
        if wait_s > 0:
            self.rung.sleep(wait_s)
