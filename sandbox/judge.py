"""Compares what came of the names with what the scenario says must come of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .names import to_ascii
from .receiver import Delivery
from .registry import Registry
from .scenario import NamePlan, Scenario

# Two clocks may differ by a little: the sandbox's and the one that timed the connection.
EARLY_S = 0.5


def expectations(registry: Registry, deliveries: Sequence[Delivery]) -> dict[str, Any]:
    """What only the sandbox can know: per name how often and when it was announced, against the moment it was freed."""
    names = [_announcements(registry, plan, deliveries) for plan in registry.names.values()]
    wrong = [one for one in names if one["ok"] is False]
    strangers = sorted(
        {one.domain or "?" for one in deliveries if one.kind == "available" and one.domain not in registry.names}
    )
    for name in strangers:
        wrong.append({"name": name, "ok": False, "why": "announced, but nobody asked for it"})
    return {
        "ok": not wrong,
        "final": all(one["ok"] is not None for one in names),
        "names": names,
        "wrong": wrong,
        "told_twice": sorted({one.webhook_id for one in deliveries if one.duplicate}),
        "bad_signatures": [one.n for one in deliveries if one.signature != "ok"],
        "bad_shapes": [{"n": one.n, "shape": one.shape} for one in deliveries if one.shape != "ok"],
    }


def _announcements(registry: Registry, plan: NamePlan, deliveries: Sequence[Delivery]) -> dict[str, Any]:
    """`ok` is None while it may still come right."""
    mine = [one for one in deliveries if one.kind == "available" and one.domain == plan.name and one.accepted]
    first_at: dict[str, float] = {}
    for one in mine:
        first_at.setdefault(one.webhook_id, one.at)
    freed_at = registry.freed_at(plan)
    first = min(first_at.values(), default=None)
    expect = plan.expect
    delay_s = None if first is None or freed_at is None else round(first - freed_at, 2)
    ok: bool | None = True
    why = ""
    if expect is not None and expect.announced is not None:
        late = expect.max_delay_s is not None and (
            freed_at is not None and registry.clock.now() > freed_at + expect.max_delay_s
        )
        if len(first_at) > expect.announced:
            ok, why = False, f"announced {len(first_at)} times instead of {expect.announced}"
        elif first is not None and freed_at is None:
            ok, why = False, "announced before it was free"
        elif delay_s is not None and delay_s < -EARLY_S:
            ok, why = False, f"announced {-delay_s:.1f} s before it was free"
        elif delay_s is not None and expect.max_delay_s is not None and delay_s > expect.max_delay_s:
            ok, why = False, f"announced after {delay_s:.1f} s, later than {expect.max_delay_s:g} s"
        elif len(first_at) < expect.announced:
            ok = False if late else None
            why = "not announced in time" if late else "not announced yet"
    return {
        "name": plan.name,
        "announced": len(first_at),
        "expected": None if expect is None else expect.announced,
        "first_announced_at": first,
        "freed_at": freed_at,
        "delay_s": delay_s,
        "max_delay_s": None if expect is None else expect.max_delay_s,
        "ok": ok,
        "why": why,
    }


def judge(scenario: Scenario, registry: Registry, statuses: Mapping[str, str | None]) -> dict[str, Any]:
    """Final statuses against the expected ones. A name that is missing was refused or is not known."""
    given = {to_ascii(name): status or "unknown" for name, status in statuses.items()}
    right: list[str] = []
    wrong: list[dict[str, Any]] = []
    pending: list[str] = []
    refused: list[str] = []
    false_available: list[str] = []
    by_truth: dict[str, dict[str, int]] = {}
    for plan in registry.names.values():
        if plan.expect is None:
            continue
        status = given.get(plan.name, "refused")
        wanted = plan.expect.statuses
        row = by_truth.setdefault(wanted[0], {"right": 0, "exact": 0, "wrong": 0, "refused": 0})
        if status == "available" and "available" not in wanted:
            false_available.append(plan.name)
        if status in wanted:
            right.append(plan.name)
            row["right"] += 1
            # `right` counts every status that is allowed, `exact` only the one hoped for.
            row["exact"] += status == wanted[0]
        elif status == "refused":
            refused.append(plan.name)
            row["refused"] += 1
        else:
            wrong.append({"name": plan.name, "expected": list(wanted), "status": status, "note": plan.note})
            row["wrong"] += 1
            if status in ("likely_available", "unknown"):
                pending.append(plan.name)
    return {
        "total": len(right) + len(wrong) + len(refused),
        "right": len(right),
        "wrong": wrong,
        "refused": refused,
        "pending": pending,
        "false_available": false_available,
        "by_truth": by_truth,
        "left_out": len(scenario.left_out),
    }
