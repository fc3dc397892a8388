"""A look through the API and the real settling: the verdict is what the queue would have come to, and nothing moves."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from domainwatch import wire
from domainwatch.findings import Check, Finding, Reading
from domainwatch.ports import Execution
from domainwatch.settling import Rules, Settler
from domainwatch.verdicts import Delays
from tests.builders import facts, finding
from tests.fakes_api import ApiWorld

RULES = Rules(
    delays=Delays(confirmation_s=90, suspicious_s=900),
    threshold=0.75,
    every_check=False,
    receivers=frozenset({"result", "available"}),
    event_types=frozenset(),
)
NXDOMAIN = finding(Check.DNS, Reading.NOT_FOUND)


class Ladder:
    """The state machine in short: fixed findings, the real settling."""

    def __init__(self, world: ApiWorld, findings: list[Finding]) -> None:
        self.findings = findings
        self.settler = Settler(store=world.store, queue=world.queue, rules=RULES, now=world.clock)

    def look(self, name: str, body: Mapping[str, Any]) -> Execution:
        event = {**body, "findings": [wire.pack_finding(each) for each in self.findings], "deferred": [], "failed": []}
        return Execution(arn="arn:x", output=self.settler.settle(wire.settle_request_from(event)))


@pytest.mark.parametrize(
    ("findings", "status", "reason"),
    [
        ([finding(Check.RDAP, Reading.REGISTERED, facts=facts())], "registered", "found"),
        (
            [NXDOMAIN, finding(Check.RDAP, Reading.NOT_FOUND), finding(Check.WHOIS, Reading.NOT_FOUND)],
            "available",
            "two_witnesses",
        ),
        ([NXDOMAIN, finding(Check.RDAP, Reading.RESERVED)], "reserved", "reserved"),
        ([NXDOMAIN, finding(Check.WHOIS, Reading.NO_ANSWER, reason="rate_limited")], "unknown", "rate_limited"),
    ],
)
@pytest.mark.parametrize("watched", [False, True])
def test_a_look_says_what_a_run_would(findings: list[Finding], status: str, reason: str, watched: bool) -> None:
    world = ApiWorld()
    if watched:
        world.watch("example.com")
    world.runner = Ladder(world, findings)  # type: ignore[assignment]
    world.api = type(world.api)(world.world())
    before = copy.deepcopy(world.store.items)
    got, body, _ = world.call("POST", "/v1/checks", {"domain": "example.com"})
    assert got == 200
    assert (body["status"], body["verdict"]["status"], body["verdict"]["reason"]) == (status, status, reason)
    assert body["watched"] is watched
    assert [each["check"] for each in body["findings"]] == [each.check.value for each in findings]
    assert (world.store.items, world.store.events, world.queue.sent) == (before, {}, [])
