"""The rungs that ask registries, RDAP and WHOIS: each service gets its names evenly inside a lease, or they wait.

Services are asked beside each other, so that a slow one delays no other. Names whose service has no free slot soon
are deferred: they go back on the queue with the rung to continue at, the moment and, where one was taken, the lease.
Nothing here sleeps for a registry beyond the slots of a lease that began.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from domainwatch.errors import NameRefused, TryLater
from domainwatch.findings import Check, Finding, Reading
from domainwatch.names import Name
from domainwatch.ports import Busy, Lease, Pacing, Probes
from domainwatch.wire import Message, RungReply, RungRequest, digest, epoch_ms, from_epoch_ms, pack_finding, size_bytes

CALL_TIMEOUT_S = 10.0
# A lease that begins within this time is waited for; a later one goes back on the queue.
SOON_MS = 2_000
# Names that wait for a lease come back this long before it begins, and may be this early.
DEFER_LEAD_MS = 4_000
HELD_EARLY_MS = 8_000
# Somebody else's refusal counts for the rest of a lease too; it is looked for this often.
BLOCK_CHECK_MS = 3_000
# The most that one lease may last: longer would keep a function waiting for a registry.
LEASE_MAX_MS = 30_000
# Leases start at most this far ahead, which is also the longest delay that the queue offers.
HORIZON_MS = 900_000
LOOK_HORIZON_MS = 5_000
PROOF_MAX_AGE = timedelta(hours=1)
# A slot may be used this share late, of a second or of its interval: a little less than the tenth kept in hand.
LATE_SHARE = 0.08
# A lease is asked to begin this far ahead, and twice as far as the last one took to come: on a busy day one that begins
# at once has gone by before it is here.
LEAD_MS = 20
# How often names whose slots went by get new ones before they are deferred.
MAX_ROUNDS = 3
MAX_SERVICES_AT_ONCE = 64
MAX_CALLS_AT_ONCE = 64
# The room that one name's finding is reckoned with before it is asked; what does not fit is deferred unasked.
FINDING_BYTES = 1_000
UNSERVED_BYTES = 150
# Left for replying when the function's own time runs out.
RESERVE_S = 3.0


class CheckModule(Protocol):
    """What a check module offers a paced rung."""

    def check(self, name: Name, probes: Probes, *, timeout_s: float) -> Finding: ...
    def service_of(self, name: Name, probes: Probes) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A paced rung: its check, and what it needs of the world. `remaining_s` is how long the function may still run;
    `workers` gives an executor of so many threads.
    """

    kind: Check
    module: CheckModule
    probes: Probes
    pacing: Pacing
    sleep: Callable[[float], None]
    remaining_s: Callable[[], float]
    workers: Callable[[int], Executor] = ThreadPoolExecutor

    def climb(self, request: RungRequest) -> RungReply:
        """Ask the registry's service about each open name, within the services' limits."""
        groups, found, crowded = self._groups(request)
        visits: list[_Visit] = []
        with self.workers(MAX_CALLS_AT_ONCE) as calls, self.workers(MAX_SERVICES_AT_ONCE) as services:
            for service, names in groups.items():
                visits.append(_Visit(rung=self, request=request, service=service, calls=calls))
                visits[-1].done = services.submit(visits[-1].run, names)
        for visit in visits:
            visit.recover(groups[visit.service])
            found += visit.found.values()
        if visits and all(visit.failure for visit in visits):
            raise visits[0].failure or TryLater("no service could be visited")
        deferred = [message for visit in visits for message in visit.deferred]
        left = [name for visit in visits for name in visit.left]
        if crowded:
            deferred.append(deferral(self.kind, request, crowded, until_ms=epoch_ms(self.probes.now())))
        return _reply(request, found, deferred, left)

    def _groups(self, request: RungRequest) -> tuple[dict[str, list[Name]], list[Finding], list[Name]]:
        """The open names by service; the findings of those that have none; the names that would not fit the reply. A
        name that brought this rung's answer along is not asked again.
        """
        groups: dict[str, list[Name]] = defaultdict(list)
        unserved: list[Finding] = []
        crowded: list[Name] = []
        room = request.batch.room - size_bytes([pack_finding(finding) for finding in request.findings])
        answered = {finding.name for finding in request.findings if finding.check is self.kind}
        for name in request.open:
            if name in answered:
                continue
            service = self.module.service_of(name, self.probes)
            if service is None:
                unserved.append(self.module.check(name, self.probes, timeout_s=CALL_TIMEOUT_S))
                room -= UNSERVED_BYTES
            elif room < FINDING_BYTES and not request.batch.look:
                crowded.append(name)
            else:
                groups[service].append(name)
                room -= FINDING_BYTES
        return groups, unserved, crowded


@dataclass(slots=True)
class _Slot:
    """One moment at which one question may go out, until a little later; and the name to ask about."""

    at_ms: int
    until_ms: int
    name: Name | None = None


@dataclass(slots=True, kw_only=True)
class _Visit:
    """One batch's visit to one service."""

    rung: Rung
    request: RungRequest
    service: str
    calls: Executor
    done: Future[None] = field(default_factory=Future)
    found: dict[Name, Finding] = field(default_factory=dict)
    deferred: list[Message] = field(default_factory=list)
    left: list[Name] = field(default_factory=list)
    spare: deque[_Slot] = field(default_factory=deque)
    refusal: Finding | None = None
    proofs: dict[str, datetime | None] = field(default_factory=dict)
    failure: TryLater | None = None
    lead_ms: int = LEAD_MS
    block_checked_ms: int = 0

    def recover(self, names: Iterable[Name]) -> None:
        """Wait for the visit's end. If the ledger failed it, what it had not come to waits; other answers stand."""
        try:
            self.done.result()
        except TryLater as exc:
            self.failure = exc
            settled = {*self.found, *self.left, *(name for message in self.deferred for name in message.names)}
            self._wait(
                [name for name in names if name not in settled], Busy(until_ms=self._now_ms(), reason=exc.reason)
            )

    def run(self, names: Sequence[Name]) -> None:
        left = list(names)
        if self.request.batch.patience_s:
            # Where there are more names than slots, each run begins with others.
            left.sort(key=lambda name: digest(self.request.batch.run_id, name.text))
        for _ in range(MAX_ROUNDS):
            left = self._ask(self._lease(left))
            if not left:
                break
        self._wait(left, Busy(until_ms=self._now_ms(), reason="late"))
        self._prove()

    # --- slots --------------------------------------------------------------------------------------------------------

    def _lease(self, names: Sequence[Name]) -> list[_Slot]:
        """Slots for as many names as this run may ask. Some more are kept for control questions: each suffix that lacks
        a proof can need one.
        """
        left = deque(names)
        plan: list[_Slot] = []
        unproven = len({name.suffix for name in names if not self._is_proven(name.suffix)})
        lease = self._held()
        lost = 0
        while left and lost < MAX_ROUNDS:
            granted = lease or self._new_lease(len(left) + unproven)
            lease = None
            if isinstance(granted, Busy):
                self._wait(left, granted)
                break
            early_ms = HELD_EARLY_MS if granted == self.request.batch.lease else self._patience_ms()
            if granted.start_ms - self._now_ms() > early_ms:
                held = [left.popleft() for _ in range(min(granted.slots, len(left)))]
                self._defer(held, until_ms=granted.start_ms, lease=granted)
                continue
            slots = deque(self._slots(granted))
            lost += not slots
            while left and slots and (len(slots) > unproven or not plan):
                slot = slots.popleft()
                slot.name = left.popleft()
                plan.append(slot)
            self.spare += slots
        else:
            self._wait(left, Busy(until_ms=self._now_ms(), reason="late"))
        return plan

    def _held(self) -> Lease | None:
        """The lease that the batch brought along, while any of its slots is left."""
        lease = self.request.batch.lease
        if lease is None or (lease.kind, lease.service) != (self.rung.kind.value, self.service):
            return None
        return lease if self._slots(lease) and not self._is_blocked() else None

    def _block_is_news(self) -> bool:
        return self._now_ms() - self.block_checked_ms > BLOCK_CHECK_MS and self._is_blocked()

    def _is_blocked(self) -> bool:
        """Whether somebody was refused since the lease was given: then it is void, for whoever holds it."""
        self.block_checked_ms = self._now_ms()
        return self.rung.pacing.blocked_until_ms(self.rung.kind.value, self.service) > self.block_checked_ms

    def _slots(self, lease: Lease) -> list[_Slot]:
        """The lease's slots that have not passed: a slot missed is lost, never made up for."""
        late_ms = round(LATE_SHARE * max(1000, lease.interval_ms))
        opens = (lease.start_ms + index * lease.interval_ms for index in range(lease.slots))
        return [_Slot(at_ms, at_ms + late_ms) for at_ms in opens if at_ms + late_ms >= self._now_ms()]

    def _new_lease(self, wanted: int) -> Lease | Busy:
        limit = self.rung.probes.zones.limit(self.rung.kind.value, self.service)
        asked_ms = self._now_ms()
        granted = self.rung.pacing.lease(
            self.rung.kind.value,
            self.service,
            slots=min(wanted, max(1, int(LEASE_MAX_MS / 1000 * limit.per_s))),
            limit=limit,
            now_ms=asked_ms + self.lead_ms,
            horizon_ms=self._horizon_ms(),
        )
        self.lead_ms = min(SOON_MS // 2, max(LEAD_MS, 2 * (self._now_ms() - asked_ms)))
        return granted

    def _horizon_ms(self) -> int:
        """How far ahead a lease may begin: not beyond the moment at which the names come again anyway."""
        if self.request.batch.look:
            return LOOK_HORIZON_MS
        patience_s = self.request.batch.patience_s
        return min(HORIZON_MS, round(patience_s * 1000)) if patience_s else HORIZON_MS

    def _patience_ms(self) -> int:
        return LOOK_HORIZON_MS if self.request.batch.look else SOON_MS

    # --- waiting ------------------------------------------------------------------------------------------------------

    def _wait(self, names: Iterable[Name], busy: Busy) -> None:
        """No slot is free soon. A look cannot wait and says so; a batch's names go back on the queue, unless they come
        again about as soon: waiting twice, they would crowd out the others.
        """
        patience_s = self.request.batch.patience_s
        if not self.request.batch.look:
            if patience_s and busy.until_ms - self._now_ms() >= patience_s * 1000 / 2:
                self.left += names
            else:
                self._defer(names, until_ms=busy.until_ms, lease=None)
            return
        for name in names:
            self.found[name] = Finding(
                name=name,
                check=self.rung.kind,
                reading=Reading.NO_ANSWER,
                reason=busy.reason,
                service=self.service,
                asked_at=self.rung.probes.now(),
            )

    def _defer(self, names: Iterable[Name], *, until_ms: int, lease: Lease | None) -> None:
        waiting = tuple(names)
        if waiting:
            self.deferred.append(deferral(self.rung.kind, self.request, waiting, until_ms=until_ms, lease=lease))

    # --- asking -------------------------------------------------------------------------------------------------------

    def _ask(self, plan: Sequence[_Slot]) -> list[Name]:
        """Send each question at its slot's time. Returns the names whose slots went by unused: a question sent late
        would follow too closely on another. After a refusal the service is left alone, and the other names wait.
        """
        calls: list[tuple[Name, Future[Finding | None]]] = []
        unasked: list[Name] = []
        late: list[Name] = []
        blocked = False
        for slot in plan:
            if slot.name is None:
                continue
            self._sleep_until(slot.at_ms)
            self._note_refusal(call for _, call in calls)
            if self.refusal is not None or self.rung.remaining_s() < CALL_TIMEOUT_S + RESERVE_S:
                unasked.append(slot.name)
            elif blocked := blocked or (bool(calls) and self._block_is_news()):
                late.append(slot.name)  # the next lease, if there is one, begins after the block
            else:
                calls.append((slot.name, self.calls.submit(self._call, slot.name, slot.until_ms)))
        for name, call in calls:
            answer = call.result()
            if answer is None:
                late.append(name)
            else:
                self.found[name] = answer
        self._note_refusal(call for _, call in calls)
        self._wait(unasked, self._busy_after_refusal())
        return late

    def _call(self, name: Name, until_ms: int) -> Finding | None:
        """The answer; None when the slot had gone by before this was sent."""
        if self._now_ms() > until_ms:
            return None
        return self.rung.module.check(name, self.rung.probes, timeout_s=CALL_TIMEOUT_S)

    def _note_refusal(self, calls: Iterable[Future[Finding | None]]) -> None:
        for call in calls:
            answer = call.result() if call.done() else None
            if self.refusal is None and answer is not None and answer.reason == "rate_limited":
                self.refusal = answer
                self.rung.pacing.refused(
                    self.rung.kind.value,
                    self.service,
                    retry_after_s=self.refusal.retry_after_s,
                    limit=self.rung.probes.zones.limit(self.rung.kind.value, self.service),
                    now_ms=self._now_ms(),
                )

    def _busy_after_refusal(self) -> Busy:
        if self.refusal is None:
            return Busy(until_ms=self._now_ms(), reason="out_of_time")
        wait_s = self.refusal.retry_after_s or 60.0
        return Busy(until_ms=self._now_ms() + round(wait_s * 1000), reason="rate_limited")

    # --- witnesses ----------------------------------------------------------------------------------------------------

    def _prove(self) -> None:
        """A `not_found` is a witness only from a service that lately answered a control question of the same suffix as
        registered. Another name of that suffix, answered as registered in this very batch, is as good a control.
        """
        for finding in self.found.values():
            if finding.reading is Reading.REGISTERED and not self._is_proven(finding.name.suffix):
                self._note_proof(finding.name.suffix, finding.asked_at)
        denied = [finding for finding in self.found.values() if finding.reading is Reading.NOT_FOUND]
        self._ask_controls(sorted({each.name.suffix for each in denied if not self._is_proven(each.name.suffix)}))
        for finding in denied:
            proof = self._proof(finding.name.suffix)
            self.found[finding.name] = finding.proven(proof if self._is_recent(proof) else None)

    def _ask_controls(self, suffixes: Iterable[str]) -> None:
        """Ask about the control names of each suffix until one is answered as registered. A suffix that gets no slot
        stays unproven this time.
        """
        for suffix in suffixes:
            for control in self._controls(suffix):
                if self.refusal is not None or self.rung.remaining_s() < 2 * CALL_TIMEOUT_S + RESERVE_S:
                    return
                slot = self._spare_slot()
                if slot is None:
                    return
                self._sleep_until(slot.at_ms)
                call = self.calls.submit(self._call, control, slot.until_ms)
                answer = call.result()
                self._note_refusal([call])
                if answer is not None and answer.reason == "timeout":
                    return  # a service this slow is not asked for more
                if answer is not None and answer.reading is Reading.REGISTERED:
                    self._note_proof(suffix, answer.asked_at)
                    break

    def _spare_slot(self) -> _Slot | None:
        """A slot kept for a control question, or a new one if it comes soon."""
        while self.spare:
            slot = self.spare.popleft()
            if slot.until_ms >= self._now_ms():
                return slot
        granted = self._new_lease(1)
        if isinstance(granted, Busy) or granted.start_ms - self._now_ms() > self._patience_ms():
            return None
        return next(iter(self._slots(granted)), None)

    def _controls(self, suffix: str) -> Iterator[Name]:
        """The zone's own control name. For a zone that names none: one that DNS lately showed delegated, unless it is
        itself what this is about, and `nic.<suffix>`.
        """
        own = self.rung.probes.zones.control(suffix)
        seen = self.rung.pacing.delegated_name(suffix) if own is None else None
        in_question = {name.text for name in self.found}
        for chosen in (own,) if own is not None else (seen, f"nic.{suffix}"):
            if chosen is None or chosen in in_question:
                continue
            try:
                yield Name.control(chosen, suffix)
            except NameRefused:
                continue  # a zones file named something that cannot be asked; the witness stays unproven

    def _note_proof(self, suffix: str, at: datetime) -> None:
        self.rung.pacing.prove(self.rung.kind.value, self.service, suffix, at=at)
        self.proofs[suffix] = at

    def _proof(self, suffix: str) -> datetime | None:
        if suffix not in self.proofs:
            self.proofs[suffix] = self.rung.pacing.proven_at(self.rung.kind.value, self.service, suffix)
        return self.proofs[suffix]

    def _is_proven(self, suffix: str) -> bool:
        return self._is_recent(self._proof(suffix))

    def _is_recent(self, proof: datetime | None) -> bool:
        if proof is None or self.rung.probes.now() - proof > PROOF_MAX_AGE:
            return False
        since = self.request.batch.prove_since
        return since is None or proof > since

    # --- the clock ----------------------------------------------------------------------------------------------------

    def _now_ms(self) -> int:
        return epoch_ms(self.rung.probes.now())

    def _sleep_until(self, at_ms: int) -> None:
        wait_s = (from_epoch_ms(at_ms) - self.rung.probes.now()).total_seconds()
        if wait_s > 0:
            self.rung.sleep(wait_s)


def deferral(
    kind: Check, request: RungRequest, names: Sequence[Name], *, until_ms: int, lease: Lease | None = None
) -> Message:
    """The message that brings these names back to this rung, not before `until_ms`, with what is known of them."""
    waiting = set(names)
    return Message(
        run_id=request.batch.run_id,
        reason="deferred",
        rung=kind.value,
        names=tuple(names),
        facts=request.batch.facts,
        # The batch has some way to go before it is here again.
        continue_at=(until_ms - DEFER_LEAD_MS if lease else until_ms) / 1000,
        patience_s=request.batch.patience_s,
        findings=tuple(tuple(pack_finding(finding)) for finding in request.findings if finding.name in waiting),
        lease=lease,
    )


def _reply(
    request: RungRequest, found: Sequence[Finding], deferred: Sequence[Message], left: Sequence[Name]
) -> RungReply:
    waiting = {name for message in deferred for name in message.names}.union(left)
    asked = {finding.name for finding in found if finding.reason != "no_service"}
    # What is known of a waiting name waits with it, unless it settles the name already.
    brought = [finding for finding in request.findings if finding.name not in waiting or finding.conclusive]
    closed = {finding.name for finding in (*brought, *found) if _closes(finding, asked)}
    findings, messages = _fitting((*brought, *found), tuple(deferred), request.batch.room)
    return RungReply(
        open=tuple(name for name in request.open if name not in closed | waiting),
        findings=findings,
        deferred=messages,
        left=tuple(left),
    )


def _closes(finding: Finding, asked: set[Name]) -> bool:
    """A conclusive finding of a registry ends the climb; a delegation does so once its facts were asked for."""
    return finding.conclusive and (finding.check in {Check.RDAP, Check.WHOIS} or finding.name in asked)


def _fitting(
    findings: tuple[Finding, ...], deferred: tuple[Message, ...], room: int
) -> tuple[tuple[Finding, ...], tuple[Message, ...]]:
    """All findings and what waits, within the room: where it is short, without excerpts, and then without what waiting
    names bring along, which is asked anew.
    """

    def fits() -> bool:
        waiting = sum(size_bytes(message.json()) for message in deferred)
        return size_bytes([pack_finding(finding) for finding in findings]) + waiting <= room

    if not fits():
        findings = tuple(replace(finding, excerpt="") for finding in findings)
    if not fits():
        deferred = tuple(replace(message, findings=()) for message in deferred)
    return findings, deferred
