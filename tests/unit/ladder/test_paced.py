"""The paced rung: leases, slots, deferrals, refusals and control questions; scripted registries and a fake clock."""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from threading import Barrier
from typing import Any

import pytest

from domainwatch.errors import TryLater
from domainwatch.findings import Check, Finding, Reading
from domainwatch.ladder.paced import DEFER_LEAD_MS, HORIZON_MS, Rung
from domainwatch.names import Name
from domainwatch.ports import Busy, Lease, Limit, Probes
from domainwatch.wire import Batch, Message, RungReply, RungRequest, epoch_ms, size_bytes
from tests.builders import START, Clock, Inline, finding, name
from tests.fakes_ledger import MemoryPacing


@dataclass(slots=True)
class Registry:
    """A check module whose answers are scripted per name; unscripted names are registered."""

    clock: Clock
    answers: dict[str, Reading] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    without_service: set[str] = field(default_factory=set)
    retry_after_s: float | None = None
    asked: list[tuple[str, float]] = field(default_factory=list)
    stalls: list[float] = field(default_factory=list)
    together: Barrier | None = None
    refuses_after: float | None = None
    pacing: MemoryPacing | None = None

    def service_of(self, name: Name, probes: Probes) -> str | None:
        return None if name.text in self.without_service else f"rdap.{name.suffix}:443"

    def check(self, name: Name, probes: Probes, *, timeout_s: float) -> Finding:
        service = self.service_of(name, probes)
        if service is None:
            return self._answer(name, Reading.NO_ANSWER, "no_service", "")
        self.asked.append((name.text, (self.clock() - START).total_seconds()))
        if self.together is not None:
            self.together.wait()
        if self.refuses_after is not None and self.pacing is not None and self.asked[-1][1] >= self.refuses_after:
            self.refuses_after = None
            now_ms = epoch_ms(self.clock())
            self.pacing.refused("rdap", service, retry_after_s=60, limit=Limit(per_s=1), now_ms=now_ms)
        if self.stalls:
            self.clock.move(self.stalls.pop(0))
        reading = self.answers.get(name.text, Reading.REGISTERED)
        return self._answer(name, reading, self.reasons.get(name.text, reading.value), service)

    def _answer(self, name: Name, reading: Reading, reason: str, service: str) -> Finding:
        retry = self.retry_after_s if reason == "rate_limited" else None
        return Finding(
            name=name,
            check=Check.RDAP,
            reading=reading,
            reason=reason,
            service=service,
            asked_at=self.clock(),
            retry_after_s=retry,
        )


@dataclass(slots=True)
class Zones:
    per_s: float = 10.0
    controls: dict[str, str] = field(default_factory=dict)

    def control(self, suffix: str) -> str | None:
        return self.controls.get(suffix)

    def limit(self, kind: str, service: str) -> Limit:
        return Limit(per_s=self.per_s)


@dataclass(slots=True)
class World:
    clock: Clock = field(default_factory=Clock)
    zones: Zones = field(default_factory=Zones)
    remaining_s: float = 60.0
    workers: Callable[[int], Executor] = lambda _: Inline()
    registry: Registry = field(init=False)
    pacing: MemoryPacing = field(init=False)

    def __post_init__(self) -> None:
        self.registry = Registry(self.clock)
        self.pacing = MemoryPacing(now=self.clock)

    def climb(self, *names: str, findings: tuple[Finding, ...] = (), **batch: Any) -> RungReply:
        probes: Any = replace(_PROBES, now=self.clock, zones=self.zones)
        rung = Rung(
            kind=Check.RDAP,
            module=self.registry,
            probes=probes,
            pacing=self.pacing,
            sleep=self.clock.move,
            remaining_s=lambda: self.remaining_s,
            workers=self.workers,
        )
        request = RungRequest(
            batch=Batch(**{"run_id": "r", "reason": "due", "room": 200_000} | batch),
            open=tuple(name(each) for each in names),
            findings=findings,
        )
        return rung.climb(request)

    def denied(self, *names: str) -> None:
        self.registry.answers |= dict.fromkeys(names, Reading.NOT_FOUND)

    def asked(self) -> list[str]:
        return [asked for asked, _ in self.registry.asked]


_PROBES: Any = Probes(now=Clock(), zones=None, dns=None, http=None, whois=None)  # type: ignore[arg-type]


@pytest.fixture
def world() -> World:
    return World()


def texts(names: tuple[Name, ...]) -> list[str]:
    return [each.text for each in names]


def test_what_the_registry_knows_leaves_the_ladder_and_what_it_denies_climbs_on(world: World) -> None:
    world.denied("free.com")
    reply = world.climb("taken.com", "free.com")
    assert texts(reply.open) == ["free.com"]
    assert [each.reading for each in reply.findings] == [Reading.REGISTERED, Reading.NOT_FOUND]
    assert reply.deferred == ()


def test_questions_to_one_service_are_spaced_evenly(world: World) -> None:
    world.climb(*(f"n{number}.com" for number in range(5)))
    moments = [at for _, at in world.registry.asked]
    gaps = [round(after - before, 3) for before, after in pairwise(moments)]
    assert gaps == [pytest.approx(0.11, abs=0.002)] * 4  # ten per second, with a tenth kept in hand


def test_services_do_not_wait_for_each_other(world: World) -> None:
    world.workers = ThreadPoolExecutor
    world.registry.together = Barrier(3, timeout=10)  # nobody is answered before all three are asked
    assert len(world.climb("a.com", "a.org", "a.net").findings) == 3


def test_names_without_a_service_are_answered_at_once_and_climb_on(world: World) -> None:
    world.registry.without_service.add("lost.com")
    reply = world.climb("lost.com")
    assert texts(reply.open) == ["lost.com"]
    assert [each.reason for each in reply.findings] == ["no_service"]


def test_more_names_than_a_lease_holds_wait_with_leases_of_their_own(world: World) -> None:
    world.zones.per_s = 0.2  # five slots in the thirty seconds of a lease
    world.pacing.prove("rdap", "rdap.com:443", "com", at=START)
    reply = world.climb(*(f"n{number:02}.com" for number in range(16)))
    assert len(world.asked()) == 5
    waiting = [each.text for message in reply.deferred for each in message.names]
    assert sorted(world.asked() + waiting) == [f"n{number:02}.com" for number in range(16)]
    leases = [message.lease for message in reply.deferred]
    assert all(lease is not None for lease in leases)
    starts = [lease.start_ms for lease in leases if lease]
    assert starts == sorted(starts)
    # They come back a little before their lease begins: they have some way to go.
    assert [round(message.continue_at * 1000) + DEFER_LEAD_MS for message in reply.deferred] == starts
    assert texts(reply.open) == []


def test_a_lease_brought_along_is_used_within_its_own_slots(world: World) -> None:
    lease = Lease(kind="rdap", service="rdap.com:443", start_ms=epoch_ms(START) + 500, slots=2, interval_ms=1000)
    world.pacing.prove("rdap", "rdap.com:443", "com", at=START)
    world.climb("a.com", "b.com", lease=lease, reason="deferred")
    assert world.registry.asked == [("a.com", 0.5), ("b.com", 1.5)]


def test_slots_that_have_passed_are_lost_and_never_made_up_for(world: World) -> None:
    lease = Lease(kind="rdap", service="rdap.com:443", start_ms=epoch_ms(START) - 10_000, slots=3, interval_ms=1000)
    world.pacing.prove("rdap", "rdap.com:443", "com", at=START)
    world.climb("a.com", "b.com", lease=lease, reason="deferred")
    moments = [at for _, at in world.registry.asked]
    assert moments[1] - moments[0] == pytest.approx(0.11, abs=0.002)


def test_a_worker_that_was_held_up_never_bunches_its_questions(world: World) -> None:
    world.registry.stalls = [0.5]  # the machine stands still while the first of five slots is used
    reply = world.climb(*(f"n{number}.com" for number in range(5)))
    moments = [at for _, at in world.registry.asked]
    assert min(after - before for before, after in pairwise(moments)) >= 0.03
    assert max(sum(1 for at in moments if start <= at < start + 1) for start in moments) <= 10
    assert len(reply.findings) == 5


def test_a_worker_that_is_always_late_leaves_its_names_to_another(world: World) -> None:
    world.registry.stalls = [60.0] * 10
    reply = world.climb(*(f"n{number}.com" for number in range(5)))
    waiting = [each for message in reply.deferred for each in message.names]
    assert len(waiting) + len(world.asked()) == 5
    assert waiting


@pytest.mark.parametrize("took_s", [0.2, 0.9])
def test_a_slow_ledger_costs_a_lease_or_two_and_not_the_run(world: World, took_s: float) -> None:
    leased = world.pacing.lease
    leases: list[int] = []

    def slowly(*args: Any, **kwargs: Any) -> Lease | Busy:
        granted = leased(*args, **kwargs)
        world.clock.move(took_s)
        leases.append(kwargs["slots"])
        return granted

    world.pacing.lease = slowly  # type: ignore[method-assign]
    reply = world.climb("a.com", "b.com")
    assert sorted(world.asked()) == ["a.com", "b.com"]
    assert reply.deferred == ()
    assert len(leases) <= 3


def test_a_ledger_slower_than_any_lease_leaves_the_names_to_another(world: World) -> None:
    leased = world.pacing.lease

    def slowly(*args: Any, **kwargs: Any) -> Lease | Busy:
        granted = leased(*args, **kwargs)
        world.clock.move(5.0)
        return granted

    world.pacing.lease = slowly  # type: ignore[method-assign]
    reply = world.climb("a.com")
    assert world.asked() == []
    assert texts(reply.deferred[0].names) == ["a.com"]


def test_names_of_a_busy_service_go_back_with_what_is_known_of_them(world: World) -> None:
    until_ms = epoch_ms(START) + HORIZON_MS + 5_000
    world.pacing.lease = lambda *_args, **_kw: Busy(until_ms=until_ms, reason="blocked")  # type: ignore[method-assign]
    nxdomain = finding(Check.DNS, Reading.NOT_FOUND, name=name("a.com"))
    reply = world.climb("a.com", findings=(nxdomain,), facts=True)
    [message] = reply.deferred
    assert (message.reason, message.rung, message.facts, texts(message.names)) == ("deferred", "rdap", True, ["a.com"])
    assert message.continue_at == until_ms / 1000
    assert len(message.findings) == 1
    assert (reply.open, reply.findings) == ((), ())


def test_a_look_cannot_wait_and_says_so(world: World) -> None:
    world.pacing.lease = lambda *_args, **_kw: Busy(until_ms=0, reason="blocked")  # type: ignore[method-assign]
    reply = world.climb("a.com", look=True)
    assert reply.deferred == ()
    assert [(each.reading, each.reason) for each in reply.findings] == [(Reading.NO_ANSWER, "blocked")]


def test_a_refusal_is_learned_from_and_the_services_other_names_wait(world: World) -> None:
    world.registry.answers["a.com"] = Reading.NO_ANSWER
    world.registry.reasons["a.com"] = "rate_limited"
    world.registry.retry_after_s = 120.0
    learned: list[float | None] = []
    refused = world.pacing.refused

    def note(kind: str, service: str, *, retry_after_s: float | None, limit: Limit, now_ms: int) -> None:
        learned.append(retry_after_s)
        refused(kind, service, retry_after_s=retry_after_s, limit=limit, now_ms=now_ms)

    world.pacing.refused = note  # type: ignore[method-assign]
    reply = world.climb("a.com", *(f"n{number}.com" for number in range(50)), "other.org")
    assert learned == [120.0]
    assert "other.org" in world.asked()
    waiting = [each for message in reply.deferred for each in message.names]
    assert len(waiting) + len(world.asked()) == 52
    assert waiting
    assert texts(reply.open) == ["a.com"]


def test_names_that_the_functions_time_no_longer_holds_wait(world: World) -> None:
    world.remaining_s = 5.0
    reply = world.climb("a.com")
    assert world.asked() == []
    assert [texts(message.names) for message in reply.deferred] == [["a.com"]]


def test_names_whose_findings_would_not_fit_the_reply_wait_unasked(world: World) -> None:
    reply = world.climb("a.com", "b.com", "c.com", room=2_500)
    assert world.asked() == ["a.com", "b.com"]
    assert [texts(message.names) for message in reply.deferred] == [["c.com"]]


# --- witnesses --------------------------------------------------------------------------------------------------------


def proofs(reply: RungReply) -> list[Any]:
    return [each.proven_at for each in reply.findings if each.reading is Reading.NOT_FOUND]


@pytest.mark.parametrize(
    ("prepare", "control"),
    [
        (lambda world: world.zones.controls.update(com="kept.com"), "kept.com"),
        (lambda world: world.pacing.remember_delegated("com", "seen.com", at=START), "seen.com"),
        (lambda world: None, "nic.com"),
    ],
    ids=["the zones file's", "one that DNS showed", "nic"],
)
def test_a_denial_is_proven_by_a_control_question(world: World, prepare: Callable[[World], Any], control: str) -> None:
    prepare(world)
    world.denied("free.com")
    reply = world.climb("free.com")
    assert world.asked() == ["free.com", control]
    assert proofs(reply)[0] is not None
    assert texts(reply.open) == ["free.com"]


def test_a_name_in_question_is_not_its_own_control(world: World) -> None:
    world.pacing.remember_delegated("com", "dropped.com", at=START)
    world.denied("dropped.com")
    reply = world.climb("dropped.com")
    assert world.asked() == ["dropped.com", "nic.com"]
    assert None not in proofs(reply)


def test_where_the_name_that_dns_showed_is_gone_too_the_registrys_own_is_asked(world: World) -> None:
    world.pacing.remember_delegated("com", "seen.com", at=START)
    world.denied("free.com", "seen.com")
    reply = world.climb("free.com")
    assert world.asked() == ["free.com", "seen.com", "nic.com"]
    assert None not in proofs(reply)


def test_where_the_zones_file_names_a_control_no_other_counts(world: World) -> None:
    world.zones.controls["com"] = "kept.com"
    world.denied("free.com", "kept.com")
    assert proofs(world.climb("free.com")) == [None]
    assert world.asked() == ["free.com", "kept.com"]


def test_control_questions_leave_the_function_its_time(world: World) -> None:
    world.denied("free.com")
    world.remaining_s = 18.0
    assert proofs(world.climb("free.com")) == [None]
    assert world.asked() == ["free.com"]


def test_a_service_too_slow_for_its_control_is_not_asked_for_more(world: World) -> None:
    world.denied("free.com", "free.co.uk")
    world.pacing.remember_delegated("com", "seen.com", at=START)
    world.registry.answers["seen.com"] = Reading.NO_ANSWER
    world.registry.reasons["seen.com"] = "timeout"
    world.climb("free.com")
    assert world.asked() == ["free.com", "seen.com"]


def test_a_service_that_denies_its_control_too_is_no_witness(world: World) -> None:
    world.denied("free.com", "nic.com")
    assert proofs(world.climb("free.com")) == [None]


def test_a_proof_is_of_one_suffix_only(world: World) -> None:
    world.denied("free.uk", "free.co.uk", "nic.co.uk")
    world.registry.answers["nic.uk"] = Reading.REGISTERED
    reply = world.climb("free.uk", "free.co.uk")
    proven = {each.name.text: each.proven_at is not None for each in reply.findings}
    assert proven == {"free.uk": True, "free.co.uk": False}


def test_a_registered_name_of_the_same_suffix_is_as_good_a_control(world: World) -> None:
    world.denied("free.com")
    reply = world.climb("taken.com", "free.com")
    assert world.asked() == ["taken.com", "free.com"]
    assert None not in proofs(reply)


def test_a_proof_is_shared_for_an_hour(world: World) -> None:
    world.denied("free.com")
    world.climb("free.com")
    world.registry.asked.clear()
    world.climb("free.com")
    assert world.asked() == ["free.com"]
    world.clock.move(3601)
    world.registry.asked.clear()
    world.climb("free.com")
    assert world.asked() == ["free.com", "nic.com"]


def test_a_second_look_wants_a_proof_since_the_first(world: World) -> None:
    world.denied("free.com")
    world.climb("free.com")
    world.registry.asked.clear()
    first_look = world.clock() + timedelta(seconds=1)
    world.clock.move(30)
    reply = world.climb("free.com", prove_since=first_look)
    assert world.asked() == ["free.com", "nic.com"]
    assert proofs(reply)[0] > first_look


def test_a_name_that_dns_shows_is_done_once_its_facts_were_asked_for(world: World) -> None:
    delegated = finding(Check.DNS, Reading.REGISTERED, name=name("a.com"))
    world.registry.answers["a.com"] = Reading.NO_ANSWER
    assert world.climb("a.com", findings=(delegated,), facts=True).open == ()


def test_a_delegated_name_without_an_rdap_service_asks_whois_for_its_facts(world: World) -> None:
    delegated = finding(Check.DNS, Reading.REGISTERED, name=name("a.com"))
    world.registry.without_service.add("a.com")
    assert texts(world.climb("a.com", findings=(delegated,), facts=True).open) == ["a.com"]


def test_a_delegated_name_whose_facts_must_wait_is_settled_meanwhile(world: World) -> None:
    world.pacing.lease = lambda *_args, **_kw: Busy(until_ms=9_000, reason="blocked")  # type: ignore[method-assign]
    delegated = finding(Check.DNS, Reading.REGISTERED, name=name("a.com"))
    reply = world.climb("a.com", findings=(delegated,), facts=True)
    assert reply.findings == (delegated,)
    assert [texts(message.names) for message in reply.deferred] == [["a.com"]]


def test_a_ledger_that_fails_one_service_costs_the_others_nothing(world: World) -> None:
    lease = world.pacing.lease

    def failing(kind: str, service: str, **wanted: Any) -> Lease | Busy:
        if service == "rdap.org:443":
            raise TryLater("the ledger is away", reason="ledger")
        return lease(kind, service, **wanted)

    world.pacing.lease = failing  # type: ignore[method-assign,assignment]
    reply = world.climb("a.com", "a.org")
    assert [each.name.text for each in reply.findings] == ["a.com"]
    assert [texts(message.names) for message in reply.deferred] == [["a.org"]]
    with pytest.raises(TryLater):
        world.climb("a.org")


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_names_that_come_again_as_soon_do_not_wait_twice(world: World) -> None:
    until_ms = epoch_ms(START) + 3_600_000
    world.pacing.lease = lambda *_args, **_kw: Busy(until_ms=until_ms, reason="quota_used_up")  # type: ignore[method-assign]
    nxdomain = finding(Check.DNS, Reading.NOT_FOUND, name=name("a.com"))
    reply = world.climb("a.com", findings=(nxdomain,), patience_s=60.0)
    assert (reply.deferred, texts(reply.left), reply.open, reply.findings) == ((), ["a.com"], (), ())
    assert texts(world.climb("a.com", patience_s=86_400.0).deferred[0].names) == ["a.com"]


def test_no_lease_begins_after_the_names_come_again(world: World) -> None:
    horizons = []
    lease = world.pacing.lease

    def watched(kind: str, service: str, **wanted: Any) -> Lease | Busy:
        horizons.append(wanted["horizon_ms"])
        return lease(kind, service, **wanted)

    world.pacing.lease = watched  # type: ignore[method-assign,assignment]
    world.climb("a.com", patience_s=60.0)
    world.climb("b.com", patience_s=86_400.0)
    world.climb("c.com")
    assert set(horizons) == {60_000, HORIZON_MS}
    assert horizons[0] == 60_000


def test_where_not_all_get_slots_each_run_begins_with_others(world: World) -> None:
    world.zones.per_s = 0.2
    names = [f"n{number}.com" for number in range(20)]
    firsts = set()
    for run in range(6):
        world.registry.asked.clear()
        world.climb(*names, patience_s=30.0, run_id=f"r{run}")
        firsts.update(world.asked()[:1])
        world.clock.move(60)
    assert len(firsts) > 1


def test_a_refusal_voids_leases_given_before_it(world: World) -> None:
    lease = Lease(kind="rdap", service="rdap.com:443", start_ms=epoch_ms(START), slots=5, interval_ms=1000)
    world.pacing.refused("rdap", "rdap.com:443", retry_after_s=120, limit=Limit(per_s=10), now_ms=epoch_ms(START))
    reply = world.climb("a.com", lease=lease, reason="deferred")
    assert world.asked() == []
    [message] = reply.deferred
    assert message.lease is not None
    assert message.lease.start_ms >= epoch_ms(START) + 120_000


def test_a_refusal_of_somebody_else_ends_a_long_lease(world: World) -> None:
    world.zones.per_s = 1.0
    world.pacing.prove("rdap", "rdap.com:443", "com", at=START)
    world.registry.refuses_after = 5.0
    world.registry.pacing = world.pacing
    world.climb(*(f"n{number}.com" for number in range(20)))
    assert max(at for _, at in world.registry.asked if at < 60) < 10


def test_what_waits_never_makes_the_reply_too_large(world: World) -> None:
    world.pacing.lease = lambda *_args, **_kw: Busy(until_ms=0, reason="blocked")  # type: ignore[method-assign]
    names = [f"{'x' * 50}{number:03}.com" for number in range(100)]
    brought = tuple(finding(Check.DNS, Reading.NOT_FOUND, name=name(each), excerpt="e" * 500) for each in names)
    reply = world.climb(*names, findings=brought, room=9_000).json()
    assert sum(len(message["names"]) for message in reply["deferred"]) == 100
    assert size_bytes(reply["deferred"]) + size_bytes(reply["findings"]) <= 9_000


def test_a_name_that_brought_this_rungs_answer_is_not_asked_again(world: World) -> None:
    brought = finding(Check.RDAP, Reading.NOT_FOUND, name=name("a.com"))
    reply = world.climb("a.com", "b.com", findings=(brought,))
    assert world.asked() == ["b.com"]
    assert texts(reply.open) == ["a.com"]
    assert brought in reply.findings


def test_deferred_messages_are_queue_messages(world: World) -> None:
    world.zones.per_s = 0.2
    reply = world.climb(*(f"n{number}.com" for number in range(10)))
    for message in reply.deferred:
        assert isinstance(message, Message)
        assert message.json()["version"] == 1
