"""What the sandbox says of a run: announcements against the moments names were freed, and final statuses."""

from typing import Any

import pytest

from sandbox import parse
from sandbox.clock import Clock
from sandbox.judge import expectations, judge
from sandbox.receiver import Delivery
from sandbox.registry import Registry

START = 1_800_000_000.0
SCENARIO = parse(
    {
        "services": {"r": {"kind": "rdap"}},
        "zones": {"com": {"rdap": "r"}},
        "names": {
            "drops.com": {
                "timeline": {0: "pending_delete", 10: "available"},
                "expect": {"status": "available", "announced": 1, "max_delay_s": 20},
            },
            "stays.com": "registered",
        },
    }
)


def told(at_s: float, *, webhook_id: str = "e1", name: str = "drops.com", **more: Any) -> Delivery:
    plain: dict[str, Any] = {
        "n": 1, "at": START + at_s, "kind": "available", "path": "/available", "domain": name, "webhook_id": webhook_id,
        "signature": "ok", "authorization": "ok", "shape": "ok", "status": 200, "accepted": True, "attempt": 1,
        "duplicate": False, "body": {},
    }  # fmt: skip
    return Delivery(**(plain | more))


def row(now_s: float, *deliveries: Delivery) -> dict[str, Any]:
    now = [START]
    registry = Registry(SCENARIO, Clock(lambda: now[0]))
    registry.clock.start()
    now[0] += now_s
    found: dict[str, Any] = expectations(registry, deliveries)
    return found


@pytest.mark.parametrize(
    ("now_s", "deliveries", "ok", "why"),
    [
        (5, (), None, "not announced yet"),
        (40, (), False, "not announced in time"),
        (20, (told(15),), True, ""),
        (20, (told(15), told(16, duplicate=True)), True, ""),
        (20, (told(15), told(18, webhook_id="e2")), False, "announced 2 times instead of 1"),
        (8, (told(7),), False, "announced before it was free"),
        (20, (told(7),), False, "announced 3.0 s before it was free"),
        (40, (told(35),), False, "announced after 25.0 s, later than 20 s"),
        (20, (told(15, accepted=False),), None, "not announced yet"),
    ],
)
def test_announcements(now_s: float, deliveries: tuple[Delivery, ...], ok: bool | None, why: str) -> None:
    found = row(now_s, *deliveries)["names"][0]
    assert (found["ok"], found["why"]) == (ok, why)


def test_an_announced_registered_name_and_a_stranger_are_wrong() -> None:
    found = row(20, told(15), told(15, name="stays.com", webhook_id="e2"), told(16, name="who.com", webhook_id="e3"))
    assert not found["ok"]
    assert [one["name"] for one in found["wrong"]] == ["stays.com", "who.com"]


def test_duplicates_and_bad_signatures_are_listed() -> None:
    found = row(20, told(15), told(16, duplicate=True, n=2), told(17, signature="bad", accepted=False, n=3))
    assert found["told_twice"] == ["e1"]
    assert found["bad_signatures"] == [3]


def test_final_statuses() -> None:
    registry = Registry(SCENARIO, Clock(lambda: START))
    good = judge(SCENARIO, registry, {"Drops.com": "available", "stays.com": "registered"})
    assert (good["right"], good["total"], good["wrong"], good["false_available"]) == (2, 2, [], [])
    bad = judge(SCENARIO, registry, {"drops.com": "likely_available", "stays.com": "available"})
    assert bad["pending"] == ["drops.com"]
    assert bad["false_available"] == ["stays.com"]
    assert judge(SCENARIO, registry, {"drops.com": None})["refused"] == ["stays.com"]
