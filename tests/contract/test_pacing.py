"""The contract of `ports.Pacing`: the fake and the ledger's, against the same cases, and a hundred workers at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from domainwatch.adapters.dynamo import Dynamo
from domainwatch.adapters.pacing import DynamoPacing, Grant, Pace, grant, refuse
from domainwatch.ports import Busy, Lease, Limit, Pacing
from domainwatch.wire import epoch_ms
from tests.contract.tables import create_table
from tests.fakes_ledger import MemoryPacing

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOON_MS = epoch_ms(NOON)
MIDNIGHT_MS = epoch_ms(datetime(2026, 3, 2, tzinfo=UTC))
HORIZON_MS = 900_000
SERVICE = "rdap.example:443"
FIVE_A_SECOND = Limit(per_s=5.0)


class Clock:
    """A clock that only tests move."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-central-1")
        create_table(client, "LedgerTable", "ledger")
        yield client


def over(client: Any, clock: Clock) -> DynamoPacing:
    return DynamoPacing(
        client,
        ledger_table="ledger",
        now=clock,
        chance=lambda: 0.5,
        dynamo=lambda raw: Dynamo(raw, sleep=lambda _: None, chance=lambda: 0.5),
    )


@pytest.fixture(params=["memory", "dynamo"])
def pacing(request: pytest.FixtureRequest, clock: Clock) -> MemoryPacing | DynamoPacing:
    if request.param == "memory":
        return MemoryPacing(now=clock)
    return over(request.getfixturevalue("ledger"), clock)


def lease(
    pacing: Pacing,
    *,
    slots: int = 10,
    limit: Limit = FIVE_A_SECOND,
    now_ms: int = NOON_MS,
    horizon_ms: int = HORIZON_MS,
    service: str = SERVICE,
) -> Lease | Busy:
    return pacing.lease("rdap", service, slots=slots, limit=limit, now_ms=now_ms, horizon_ms=horizon_ms)


def taken(granted: Lease | Busy) -> Lease:
    assert isinstance(granted, Lease), granted
    return granted


def refused(granted: Lease | Busy) -> Busy:
    assert isinstance(granted, Busy), granted
    return granted


class TestLeases:
    def test_the_first_lease_begins_now_with_a_tenth_in_hand(self, pacing: Pacing) -> None:
        granted = taken(lease(pacing))
        assert granted == Lease(kind="rdap", service=SERVICE, start_ms=NOON_MS, slots=10, interval_ms=220)

    def test_the_next_one_begins_where_the_last_ended(self, pacing: Pacing) -> None:
        leases = [taken(lease(pacing, slots=3)) for _ in range(5)]
        assert [granted.start_ms - NOON_MS for granted in leases] == [0, 660, 1320, 1980, 2640]

    def test_time_that_passed_unused_is_lost(self, pacing: Pacing) -> None:
        lease(pacing)
        granted = taken(lease(pacing, now_ms=NOON_MS + 60_000))
        assert granted.start_ms == NOON_MS + 60_000

    def test_services_and_kinds_do_not_wait_for_each_other(self, pacing: Pacing) -> None:
        lease(pacing)
        other = pacing.lease("whois", SERVICE, slots=1, limit=FIVE_A_SECOND, now_ms=NOON_MS, horizon_ms=0)
        assert taken(other).start_ms == NOON_MS
        assert taken(lease(pacing, service="rdap.other:443")).start_ms == NOON_MS

    def test_a_lease_covers_half_a_minute_at_most(self, pacing: Pacing) -> None:
        assert taken(lease(pacing, slots=1000)).slots == 30_000 // 220
        assert taken(lease(pacing, slots=1000, limit=Limit(per_s=0.01), service="slow:43")).slots == 1

    def test_no_slot_opens_after_the_horizon(self, pacing: Pacing) -> None:
        granted = taken(lease(pacing, slots=100, horizon_ms=1000))
        assert granted.slots == 5
        assert granted.start_ms + 4 * granted.interval_ms <= NOON_MS + 1000
        assert refused(lease(pacing, horizon_ms=1000)) == Busy(until_ms=NOON_MS + 1100, reason="no_free_slot")

    def test_busy_up_to_the_horizon(self, pacing: Pacing) -> None:
        limit = Limit(per_s=1.0)
        starts = []
        while isinstance(granted := lease(pacing, slots=27, limit=limit), Lease):
            starts.append(granted.start_ms)
        assert granted.reason == "no_free_slot"
        assert granted.until_ms > NOON_MS + HORIZON_MS >= starts[-1]
        assert len(starts) == len(set(starts)) == 31
        later = granted.until_ms - HORIZON_MS
        assert taken(lease(pacing, limit=limit, now_ms=later)).start_ms == granted.until_ms

    def test_a_limit_that_was_lowered_counts_at_once(self, pacing: Pacing) -> None:
        lease(pacing)
        assert taken(lease(pacing, limit=Limit(per_s=2.0))).interval_ms == 550


class TestQuota:
    LIMIT = Limit(per_s=5.0, per_day=12)

    def test_no_more_than_the_quota_until_midnight(self, pacing: Pacing) -> None:
        assert taken(lease(pacing, limit=self.LIMIT)).slots == 10
        assert taken(lease(pacing, limit=self.LIMIT)).slots == 2
        assert refused(lease(pacing, limit=self.LIMIT)) == Busy(until_ms=MIDNIGHT_MS, reason="quota_used_up")
        assert taken(lease(pacing, limit=self.LIMIT, now_ms=MIDNIGHT_MS)).slots == 10

    def test_near_midnight_the_next_days_quota_is_within_reach(self, pacing: Pacing) -> None:
        now_ms = MIDNIGHT_MS - 60_000
        assert taken(lease(pacing, slots=12, limit=self.LIMIT, now_ms=now_ms)).slots == 12
        assert taken(lease(pacing, limit=self.LIMIT, now_ms=now_ms)).start_ms == MIDNIGHT_MS
        assert taken(lease(pacing, limit=self.LIMIT, now_ms=now_ms)).slots == 2

    def test_a_lease_ends_with_its_day(self, pacing: Pacing) -> None:
        now_ms = MIDNIGHT_MS - 1000
        first = taken(lease(pacing, limit=self.LIMIT, now_ms=now_ms))
        assert first.start_ms + (first.slots - 1) * first.interval_ms < MIDNIGHT_MS
        second = taken(lease(pacing, limit=self.LIMIT, now_ms=now_ms))
        assert second.start_ms >= MIDNIGHT_MS

    def test_a_quota_of_nothing_is_never_used(self, pacing: Pacing) -> None:
        assert refused(lease(pacing, limit=Limit(per_s=1.0, per_day=0))).reason == "quota_used_up"


class TestRefusals:
    def refuse(self, pacing: Pacing, *, retry_after_s: float | None = None, now_ms: int = NOON_MS) -> None:
        pacing.refused("rdap", SERVICE, retry_after_s=retry_after_s, limit=FIVE_A_SECOND, now_ms=now_ms)

    def test_nothing_before_the_moment_the_service_named(self, pacing: Pacing) -> None:
        self.refuse(pacing, retry_after_s=300)
        assert taken(lease(pacing)).start_ms == NOON_MS + 300_000

    def test_a_minute_when_it_named_none(self, pacing: Pacing) -> None:
        self.refuse(pacing)
        assert taken(lease(pacing)).start_ms == NOON_MS + 60_000

    def test_blocked_beyond_the_horizon_says_so(self, pacing: Pacing) -> None:
        self.refuse(pacing, retry_after_s=7200)
        assert refused(lease(pacing)) == Busy(until_ms=NOON_MS + 7_200_000, reason="rate_limited")

    def test_the_rate_is_halved_and_grows_back(self, pacing: Pacing) -> None:
        self.refuse(pacing)
        now_ms, intervals = NOON_MS + 60_000, []
        for _ in range(14):
            intervals.append(taken(lease(pacing, slots=1, now_ms=now_ms)).interval_ms)
            now_ms += 60_000
        assert intervals[0] == 400  # half of five, and a twentieth of five already grown back
        assert intervals == sorted(intervals, reverse=True)
        assert intervals[-1] == 220

    def test_many_leases_at_once_do_not_make_it_grow_faster(self, pacing: Pacing) -> None:
        self.refuse(pacing)
        now_ms = NOON_MS + 60_000
        assert {taken(lease(pacing, slots=1, now_ms=now_ms)).interval_ms for _ in range(20)} == {400}

    def test_refusals_of_one_block_halve_once(self, pacing: Pacing) -> None:
        for offset_ms in range(0, 30_000, 1000):
            self.refuse(pacing, now_ms=NOON_MS + offset_ms)
        assert taken(lease(pacing, now_ms=NOON_MS + 89_000)).interval_ms == 400

    def test_until_when_it_keeps_everybody_away_can_be_asked(self, pacing: Pacing) -> None:
        assert pacing.blocked_until_ms("rdap", SERVICE) == 0
        pacing.refused("rdap", SERVICE, retry_after_s=30, limit=FIVE_A_SECOND, now_ms=NOON_MS)
        assert pacing.blocked_until_ms("rdap", SERVICE) == NOON_MS + 30_000
        assert pacing.blocked_until_ms("whois", SERVICE) == 0

    def test_however_often_refused_it_never_stops(self, pacing: Pacing) -> None:
        for hour in range(24):
            self.refuse(pacing, now_ms=NOON_MS + hour * 3_600_000)
        assert taken(lease(pacing, now_ms=NOON_MS + 24 * 3_600_000)).interval_ms <= 220 * 32

    def test_a_strange_retry_after_is_bounded(self, pacing: Pacing) -> None:
        self.refuse(pacing, retry_after_s=1e12)
        assert refused(lease(pacing)).until_ms == NOON_MS + 86_400_000


class TestServices:
    def test_none_at_first(self, pacing: MemoryPacing | DynamoPacing) -> None:
        assert pacing.services(now=NOON) == {}

    def test_each_service_shows_its_state(self, pacing: MemoryPacing | DynamoPacing) -> None:
        lease(pacing, limit=Limit(per_s=5.0, per_day=100))
        pacing.refused("whois", "whois.example:43", retry_after_s=120, limit=Limit(per_s=1.0), now_ms=NOON_MS)
        assert pacing.services(now=NOON) == {
            "rdap rdap.example:443": {
                "rate": 5.0,
                "next_free_at": "2026-03-01T12:00:02.200Z",
                "quota_left": 90,
                "blocked_until": None,
                "waiting": 10,
            },
            "whois whois.example:43": {
                "rate": 0.5,
                "next_free_at": "2026-03-01T12:02:00.000Z",
                "quota_left": None,
                "blocked_until": "2026-03-01T12:02:00.000Z",
                "waiting": 0,
            },
        }


class TestWitnesses:
    def test_a_proof_is_kept_for_its_suffix_only(self, pacing: Pacing) -> None:
        assert pacing.proven_at("rdap", SERVICE, "example") is None
        pacing.prove("rdap", SERVICE, "example", at=NOON)
        assert pacing.proven_at("rdap", SERVICE, "example") == NOON
        assert pacing.proven_at("rdap", SERVICE, "co.example") is None
        assert pacing.proven_at("whois", SERVICE, "example") is None

    def test_an_older_proof_replaces_no_newer_one(self, pacing: Pacing) -> None:
        pacing.prove("rdap", SERVICE, "example", at=NOON)
        pacing.prove("rdap", SERVICE, "example", at=NOON - timedelta(minutes=5))
        assert pacing.proven_at("rdap", SERVICE, "example") == NOON
        pacing.prove("rdap", SERVICE, "example", at=NOON + timedelta(minutes=5))
        assert pacing.proven_at("rdap", SERVICE, "example") == NOON + timedelta(minutes=5)

    def test_a_proof_ages(self, pacing: Pacing, clock: Clock) -> None:
        pacing.prove("rdap", SERVICE, "example", at=NOON)
        clock.at += timedelta(hours=2, seconds=1)
        assert pacing.proven_at("rdap", SERVICE, "example") is None

    def test_a_delegated_name_is_remembered_for_a_day(self, pacing: Pacing, clock: Clock) -> None:
        assert pacing.delegated_name("example") is None
        pacing.remember_delegated("example", "one.example", at=NOON)
        pacing.remember_delegated("example", "old.example", at=NOON - timedelta(hours=1))
        assert pacing.delegated_name("example") == "one.example"
        clock.at += timedelta(days=1, seconds=1)
        assert pacing.delegated_name("example") is None
        pacing.remember_delegated("example", "two.example", at=clock.at)
        assert pacing.delegated_name("example") == "two.example"


# --- never more than the limit ----------------------------------------------------------------------------------------


def openings(leases: list[Lease]) -> list[int]:
    return sorted(
        granted.start_ms + index * granted.interval_ms for granted in leases for index in range(granted.slots)
    )


def assert_within(opened: list[int], limit: Limit) -> None:
    """In no window of n / rate seconds do more than n slots open, and in no UTC day more than the quota."""
    for count in (1, 2, 5, 30):
        window_ms = count * 1000 / limit.per_s
        for first, after in zip(opened, opened[count:], strict=False):
            assert after - first >= window_ms
    if limit.per_day is not None and opened:
        days = [opened_ms // 86_400_000 for opened_ms in opened]
        assert max(days.count(day) for day in set(days)) <= limit.per_day


LIMITS = st.builds(Limit, per_s=st.floats(0.05, 50, allow_nan=False), per_day=st.none() | st.integers(1, 300))


@settings(max_examples=60, deadline=None)
@given(
    limit=LIMITS,
    start_ms=st.sampled_from([NOON_MS, MIDNIGHT_MS - 45_000]),
    asks=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20_000), st.integers(0, 900_000)), max_size=60),
    refusals=st.sets(st.integers(0, 59), max_size=4),
)
def test_a_hundred_workers_never_exceed_the_rate(
    limit: Limit, start_ms: int, asks: list[tuple[int, int, int]], refusals: set[int]
) -> None:
    pacing = MemoryPacing(now=Clock())
    leases, now_ms = [], start_ms
    for index, (slots, pause_ms, horizon_ms) in enumerate(asks):
        # Workers' clocks differ by up to half a second.
        skewed_ms = now_ms + (index * 37 % 100 - 50) * 10
        granted = lease(pacing, slots=slots, limit=limit, now_ms=skewed_ms, horizon_ms=horizon_ms)
        if isinstance(granted, Lease):
            assert 1 <= granted.slots <= slots
            assert granted.start_ms + (granted.slots - 1) * granted.interval_ms <= skewed_ms + horizon_ms
            leases.append(granted)
        else:
            assert granted.until_ms > skewed_ms
        if index in refusals:
            pacing.refused("rdap", SERVICE, retry_after_s=None, limit=limit, now_ms=now_ms)
        now_ms += pause_ms
    assert_within(openings(leases), limit)


class Atomic:
    """A client whose calls exclude each other, as DynamoDB's do for one item and the simulation's do not."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            with self._lock:
                return getattr(self._client, operation)(**request)

        return call


def test_workers_at_once_each_get_their_own_slots(ledger: Any, clock: Clock) -> None:
    limit = Limit(per_s=20.0, per_day=350)
    atomic = Atomic(ledger)
    pacings = [over(atomic, clock) for _ in range(4)]

    def work(index: int) -> list[Lease]:
        asked = [lease(pacings[index % 4], slots=4, limit=limit) for _ in range(5)]
        return [granted for granted in asked if isinstance(granted, Lease)]

    with ThreadPoolExecutor(max_workers=4) as pool:
        leases = [granted for batch in pool.map(work, range(20)) for granted in batch]
    opened = openings(leases)
    assert len(opened) == len(set(opened)) == 350
    assert_within(opened, limit)


class Contended:
    """A client before whose updates somebody else's happen."""

    def __init__(self, client: Any, intruder: DynamoPacing, *, times: int) -> None:
        self._client = client
        self._intruder = intruder
        self.times = times
        self.updates = 0

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)

    def update_item(self, **request: Any) -> Any:
        self.updates += 1
        if self.times:
            self.times -= 1
            lease(self._intruder, slots=2)
        return self._client.update_item(**request)


def test_whoever_loses_at_an_idle_service_reads_again(ledger: Any, clock: Clock) -> None:
    contended = Contended(ledger, over(ledger, clock), times=1)
    granted = taken(lease(over(contended, clock), slots=3))
    assert granted.start_ms == NOON_MS + 440
    assert contended.updates == 2


def test_at_a_busy_service_nobody_loses(ledger: Any, clock: Clock) -> None:
    lease(over(ledger, clock), slots=2)
    contended = Contended(ledger, over(ledger, clock), times=1)
    granted = taken(lease(over(contended, clock), slots=3))
    assert granted.start_ms == NOON_MS + 880
    assert contended.updates == 1


def test_who_always_loses_is_told_to_come_back(ledger: Any, clock: Clock) -> None:
    class Hopeless(Contended):
        def update_item(self, **request: Any) -> Any:
            names = {"#v": "version"}
            key = {"pk": {"S": f"service#rdap#{SERVICE}"}, "sk": {"S": "pace"}}
            self._client.update_item(
                TableName="ledger",
                Key=key,
                UpdateExpression="ADD #v :one SET rate_per_s = :rate",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={":one": {"N": "1"}, ":rate": {"N": str(2 + self.updates % 2)}},
            )
            self.updates += 1
            return self._client.update_item(**request)

    granted = refused(lease(over(Hopeless(ledger, over(ledger, clock), times=0), clock)))
    assert granted.reason == "contended"
    assert NOON_MS < granted.until_ms <= NOON_MS + 5000


@given(state_ms=st.integers(0, 10**6), refused_at=st.integers(0, 10**6), limit=LIMITS)
def test_a_refusal_never_raises_the_rate(state_ms: int, refused_at: int, limit: Limit) -> None:
    before = Pace(next_free_ms=state_ms)
    after = refuse(before, retry_after_s=None, limit=limit, now_ms=refused_at)
    assert after.rate(limit) <= before.rate(limit)
    granted = grant(after, "rdap", SERVICE, slots=5, limit=limit, now_ms=refused_at, horizon_ms=10**8)
    assert isinstance(granted, Grant)
    assert granted.lease.start_ms >= refused_at + 60_000
