"""Leases, and what refusals teach, kept in the ledger and shared by every worker.

One item per service says when its next slot is free. A lease is one conditional UpdateItem that moves this moment
forward by k slots and takes k from the day's quota; what was gained belongs to one worker alone. While a service is
busy the update is an addition under conditions on ranges, so that a hundred workers at once all get theirs; otherwise
it depends on the very state that was read, and whoever loses reads again.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domainwatch.adapters.dynamo import ConditionFailed, Dynamo, Item, from_item, to_item, to_value
from domainwatch.ports import Busy, Lease, Limit, Now
from domainwatch.wire import epoch_ms, from_epoch_ms, instant, instant_text

# In hand for clocks that differ: slots are this much further apart than the limit asks.
IN_HAND = 1.1
# One lease covers at most this stretch of slots.
LONGEST_LEASE_MS = 30_000
# After a refusal that named no time.
REFUSED_S = 60.0
LONGEST_BLOCK_S = 86_400.0
# A rate that was halved grows back by this share of the limit, at one lease in `GROWTH_PAUSE_MS` at most.
GROWTH = 0.05
GROWTH_PAUSE_MS = 10_000
# Halved no further than to this share of the limit.
LEAST_SHARE = 1 / 32
ATTEMPTS = 12
PROOF_KEPT = timedelta(hours=2)
# The name may have been deleted since, which would make it a control question that fails; so it is renewed daily.
DELEGATED_KEPT = timedelta(days=1)
DELEGATED_TTL = timedelta(days=7)
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """One service's state. `rate_per_s` 0: never refused, so the limit itself. `day` is the UTC day that `day_used`
    counts, `taught_ms` when the rate last changed. `limit_per_s` and `per_day` are the limit as last used, for showing.
    """

    next_free_ms: int = 0
    rate_per_s: float = 0.0
    blocked_until_ms: int = 0
    blocked_reason: str = ""
    day: str = ""
    day_used: int = 0
    taught_ms: int = 0
    limit_per_s: float = 0.0
    per_day: int = 0
    version: int = 0

    def rate(self, limit: Limit) -> float:
        """Requests per second as learned, never above the limit."""
        return min(self.rate_per_s or limit.per_s, limit.per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A lease and the state it leaves. `latest_ms`: with nothing else changed the same lease could start up to then,
    which is what lets busy workers add instead of compare. None: the state itself must be the one read.
    """

    lease: Lease
    after: Pace
    latest_ms: int | None


def interval_ms_of(rate_per_s: float) -> int:
    """How far apart the slots are."""
    return max(1, math.ceil(round(1000 * IN_HAND / rate_per_s, 6)))


def grant(
    pace: Pace, kind: str, service: str, *, slots: int, limit: Limit, now_ms: int, horizon_ms: int
) -> Grant | Busy:
    """What a service in this state gives for `slots` slots. Pure."""
    rate = _grown(pace, limit, now_ms)
    interval_ms = interval_ms_of(rate)
    start_ms = max(now_ms, pace.next_free_ms, pace.blocked_until_ms)
    if limit.per_day is not None and limit.per_day - _used(pace, start_ms) < 1:
        start_ms = _next_midnight_ms(start_ms)
        if limit.per_day < 1 or start_ms > now_ms + horizon_ms:
            return Busy(until_ms=start_ms, reason="quota_used_up")
    horizon_end_ms = now_ms + horizon_ms
    if start_ms > horizon_end_ms:
        blocked = start_ms == pace.blocked_until_ms
        return Busy(until_ms=start_ms, reason=pace.blocked_reason or "blocked" if blocked else "no_free_slot")
    used = _used(pace, start_ms)
    # All slots of a lease are of one day: its quota is what they are taken from.
    end_ms = min(horizon_end_ms, _next_midnight_ms(start_ms) - 1)
    taken = min(
        max(1, slots),
        max(1, LONGEST_LEASE_MS // interval_ms),
        (end_ms - start_ms) // interval_ms + 1,
        limit.per_day - used if limit.per_day is not None else slots,
    )
    taken = max(1, taken)
    lease = Lease(kind=kind, service=service, start_ms=start_ms, slots=taken, interval_ms=interval_ms)
    after = replace(
        pace,
        next_free_ms=lease.end_ms,
        rate_per_s=0.0 if rate >= limit.per_s else rate,
        taught_ms=now_ms if pace.rate_per_s and rate != pace.rate(limit) else pace.taught_ms,
        day=_day(start_ms),
        day_used=used + taken,
        limit_per_s=limit.per_s,
        per_day=limit.per_day or 0,
        version=pace.version + 1,
    )
    additive = (
        start_ms == pace.next_free_ms
        and after.day == pace.day
        and (after.rate_per_s, after.limit_per_s, after.per_day) == (pace.rate_per_s, pace.limit_per_s, pace.per_day)
    )
    return Grant(lease=lease, after=after, latest_ms=end_ms - (taken - 1) * interval_ms if additive else None)


def refuse(pace: Pace, *, retry_after_s: float | None, limit: Limit, now_ms: int) -> Pace:
    """The state after a refusal. Refusals of what was under way when the service was blocked do not halve again."""
    wait_s = REFUSED_S if retry_after_s is None else min(max(retry_after_s, 1.0), LONGEST_BLOCK_S)
    under_way = now_ms < pace.blocked_until_ms
    rate = pace.rate(limit)
    return replace(
        pace,
        rate_per_s=rate if under_way else max(rate / 2, limit.per_s * LEAST_SHARE),
        blocked_until_ms=max(pace.blocked_until_ms, now_ms + round(wait_s * 1000)),
        blocked_reason="rate_limited",
        taught_ms=now_ms,
        limit_per_s=limit.per_s,
        per_day=limit.per_day or 0,
        version=pace.version + 1,
    )


def service_shown(pace: Pace, *, now: datetime) -> dict[str, Any]:
    """The state as people see it. `waiting` is how many slots are given away and not open yet."""
    now_ms = epoch_ms(now)
    limit = Limit(per_s=pace.limit_per_s or 1.0, per_day=pace.per_day or None)
    return {
        "rate": pace.rate(limit),
        "next_free_at": instant_text(from_epoch_ms(max(now_ms, pace.next_free_ms, pace.blocked_until_ms))),
        "quota_left": None if limit.per_day is None else max(0, limit.per_day - _used(pace, now_ms)),
        "blocked_until": instant_text(from_epoch_ms(pace.blocked_until_ms)) if pace.blocked_until_ms > now_ms else None,
        "waiting": max(0, pace.next_free_ms - now_ms) // interval_ms_of(pace.rate(limit)),
    }


def _grown(pace: Pace, limit: Limit, now_ms: int) -> float:
    rate = pace.rate(limit)
    rested = now_ms >= max(pace.blocked_until_ms, pace.taught_ms + GROWTH_PAUSE_MS)
    return min(limit.per_s, rate + GROWTH * limit.per_s) if pace.rate_per_s and rested else rate


def _used(pace: Pace, at_ms: int) -> int:
    """How much of the quota of that moment's day is gone. Leases may already reach into the next day; then an earlier
    moment's day is over as far as leases go.
    """
    return pace.day_used if pace.day == _day(at_ms) else 0


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d")


def _next_midnight_ms(at_ms: int) -> int:
    return (at_ms // DAY_MS + 1) * DAY_MS


class DynamoPacing:
    """`ports.Pacing` in the ledger table."""

    def __init__(
        self,
        client: Any,
        *,
        ledger_table: str,
        now: Now,
        chance: Callable[[], float] = random.random,
        dynamo: Callable[[Any], Dynamo] = Dynamo,
    ) -> None:
        self._dynamo = dynamo(client)
        self._table = ledger_table
        self._now = now
        self._chance = chance

    def lease(self, kind: str, service: str, *, slots: int, limit: Limit, now_ms: int, horizon_ms: int) -> Lease | Busy:
        """Up to `slots` slots, the last of which opens by `now_ms + horizon_ms`."""
        pace, known = self._pace(kind, service)
        if not known:
            self._list(kind, service)
        for attempt in range(ATTEMPTS):
            granted = grant(pace, kind, service, slots=slots, limit=limit, now_ms=now_ms, horizon_ms=horizon_ms)
            if isinstance(granted, Busy):
                return granted
            try:
                if granted.latest_ms is None:
                    self._put(kind, service, pace, granted.after)
                    return granted.lease
                return self._add(pace, granted, limit, now_ms)
            except ConditionFailed as exc:
                pace = _pace_from(exc.item) if exc.item else self._pace(kind, service)[0]
                self._dynamo.pause(min(attempt, 2))
        return Busy(until_ms=now_ms + round(1000 + 4000 * self._chance()), reason="contended")

    def refused(self, kind: str, service: str, *, retry_after_s: float | None, limit: Limit, now_ms: int) -> None:
        """Half the rate, and nothing before the moment the service named."""
        pace, known = self._pace(kind, service)
        if not known:
            self._list(kind, service)
        for attempt in range(ATTEMPTS):
            try:
                self._put(kind, service, pace, refuse(pace, retry_after_s=retry_after_s, limit=limit, now_ms=now_ms))
                return
            except ConditionFailed as exc:
                pace = _pace_from(exc.item) if exc.item else self._pace(kind, service)[0]
                self._dynamo.pause(min(attempt, 2))
        # Everybody is being refused at once, and one of them was heard.

    def blocked_until_ms(self, kind: str, service: str) -> int:
        """Until when a refusal keeps everybody away; 0 when none did."""
        return self._pace(kind, service)[0].blocked_until_ms

    def services(self, *, now: datetime) -> dict[str, dict[str, Any]]:
        """`ports.Services`: every service that was ever leased, in order."""
        listed = self._dynamo.query(
            self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "services"}},
        )
        names = sorted(item["sk"]["S"] for item in listed)
        keys = [{"pk": {"S": f"service#{name}"}, "sk": {"S": "pace"}} for name in names]
        paces = {item["pk"]["S"]: _pace_from(item) for item in self._dynamo.get_all(self._table, keys)}
        return {
            name.replace("#", " ", 1): service_shown(paces.get(f"service#{name}", Pace()), now=now) for name in names
        }

    def proven_at(self, kind: str, service: str, suffix: str) -> datetime | None:
        """When the service last answered a control question of this suffix as registered, if that is no longer ago than
        `PROOF_KEPT`.
        """
        item = self._get(_service_key(kind, service, f"proof#{suffix}"))
        at = instant(str(item["at"])) if item else None
        return at if at is not None and self._now() - at <= PROOF_KEPT else None

    def prove(self, kind: str, service: str, suffix: str, *, at: datetime) -> None:
        """Keep the proof, unless a later one is there."""
        self._put_dated(_service_key(kind, service, f"proof#{suffix}"), {}, at=at, ttl=PROOF_KEPT)

    def delegated_name(self, suffix: str) -> str | None:
        """A name that DNS showed delegated under this suffix within the last day."""
        item = self._get({"pk": {"S": "delegated"}, "sk": {"S": suffix}})
        at = instant(str(item["at"])) if item else None
        return str(item["name"]) if at is not None and self._now() - at <= DELEGATED_KEPT else None

    def remember_delegated(self, suffix: str, name: str, *, at: datetime) -> None:
        """Keep the name, unless one seen later is there."""
        self._put_dated({"pk": {"S": "delegated"}, "sk": {"S": suffix}}, {"name": name}, at=at, ttl=DELEGATED_TTL)

    # --- items --------------------------------------------------------------------------------------------------------

    def _pace(self, kind: str, service: str) -> tuple[Pace, bool]:
        reply = self._dynamo.call(
            "get_item", TableName=self._table, Key=_service_key(kind, service, "pace"), ConsistentRead=True
        )
        return _pace_from(reply.get("Item") or {}), bool(reply.get("Item"))

    def _put(self, kind: str, service: str, before: Pace, after: Pace) -> None:
        """Write the state that follows the one read."""
        values = {
            "next_free_ms": after.next_free_ms,
            "rate_per_s": after.rate_per_s,
            "blocked_until_ms": after.blocked_until_ms,
            "blocked_reason": after.blocked_reason,
            "day": after.day,
            "day_used": after.day_used,
            "taught_ms": after.taught_ms,
            "limit_per_s": after.limit_per_s,
            "per_day": after.per_day,
            "version": after.version,
        }
        condition = "attribute_not_exists(version)" if not before.version else "version = :before"
        fields = to_item(values)
        self._dynamo.call(
            "update_item",
            TableName=self._table,
            Key=_service_key(kind, service, "pace"),
            UpdateExpression="SET " + ", ".join(f"#{field} = :{field}" for field in fields),
            ConditionExpression=condition.replace("version", "#version"),
            ExpressionAttributeNames={f"#{field}": field for field in fields},
            ExpressionAttributeValues={f":{field}": value for field, value in fields.items()}
            | ({":before": {"N": str(before.version)}} if before.version else {}),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    def _add(self, before: Pace, granted: Grant, limit: Limit, now_ms: int) -> Lease:
        """Move the next free slot on from wherever it is by now, as long as that is within the lease's own bounds."""
        lease = granted.lease
        values: dict[str, Any] = {
            "gain": lease.slots * lease.interval_ms,
            "slots": lease.slots,
            "one": 1,
            "earliest": max(now_ms, before.blocked_until_ms),
            "latest": granted.latest_ms,
            "rate_per_s": before.rate_per_s,
            "blocked_until_ms": before.blocked_until_ms,
            "day": before.day,
            "limit_per_s": before.limit_per_s,
            "per_day": before.per_day,
        }
        same = ("rate_per_s", "blocked_until_ms", "day", "limit_per_s", "per_day")
        conditions = [f"#{field} = :{field}" for field in same]
        conditions.append("#next_free_ms BETWEEN :earliest AND :latest")
        if limit.per_day is not None:
            values["room"] = limit.per_day - lease.slots
            conditions.append("#day_used <= :room")
        reply = self._dynamo.call(
            "update_item",
            TableName=self._table,
            Key=_service_key(lease.kind, lease.service, "pace"),
            UpdateExpression=(
                "SET #next_free_ms = #next_free_ms + :gain, #day_used = #day_used + :slots, #version = #version + :one"
            ),
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames={f"#{field}": field for field in (*same, "next_free_ms", "day_used", "version")},
            ExpressionAttributeValues={f":{field}": to_value(value) for field, value in values.items()},
            ReturnValues="UPDATED_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        end_ms = int(reply["Attributes"]["next_free_ms"]["N"])
        return replace(lease, start_ms=end_ms - lease.slots * lease.interval_ms)

    def _list(self, kind: str, service: str) -> None:
        """Name the service in the list that `services` reads; before its first state is written, so none is missing."""
        item = {"pk": {"S": "services"}, "sk": {"S": f"{kind}#{service}"}}
        self._dynamo.call("put_item", TableName=self._table, Item=item)

    def _get(self, key: Item) -> dict[str, Any]:
        reply = self._dynamo.call("get_item", TableName=self._table, Key=key, ConsistentRead=True)
        return from_item(reply.get("Item") or {})

    def _put_dated(self, key: Item, fields: Mapping[str, Any], *, at: datetime, ttl: timedelta) -> None:
        expires_s = epoch_ms(at + ttl) // 1000
        item = key | to_item({**fields, "at": instant_text(at), "ttl": expires_s})
        try:
            self._dynamo.call(
                "put_item",
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(#at) OR #at < :at",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":at": item["at"]},
            )
        except ConditionFailed:
            return  # a later one is there


def _service_key(kind: str, service: str, sk: str) -> Item:
    return {"pk": {"S": f"service#{kind}#{service}"}, "sk": {"S": sk}}


def _pace_from(item: Item) -> Pace:
    stored = from_item(item)
    return Pace(
        next_free_ms=int(stored.get("next_free_ms", 0)),
        rate_per_s=float(stored.get("rate_per_s", 0)),
        blocked_until_ms=int(stored.get("blocked_until_ms", 0)),
        blocked_reason=str(stored.get("blocked_reason", "")),
        day=str(stored.get("day", "")),
        day_used=int(stored.get("day_used", 0)),
        taught_ms=int(stored.get("taught_ms", 0)),
        limit_per_s=float(stored.get("limit_per_s", 0)),
        per_day=int(stored.get("per_day", 0)),
        version=int(stored.get("version", 0)),
    )
