import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from domainwatch import wire
from domainwatch.errors import TryLater
from domainwatch.findings import Check, Finding, Reading
from domainwatch.names import Name
from domainwatch.ports import Change, Watched
from domainwatch.settling import Rules, Settler
from domainwatch.verdicts import Delays
from domainwatch.wire import Batch, Message, NewName, SettleRequest, known_from
from tests.builders import START, Clock, facts, finding, name
from tests.fakes_ledger import MemoryQueue
from tests.fakes_store import MemoryStore

RULES = Rules(
    delays=Delays(confirmation_s=90, suspicious_s=900),
    threshold=0.75,
    every_check=False,
    receivers=frozenset({"result", "available", "event"}),
    event_types=frozenset(),
)
BY_RDAP = finding(Check.RDAP, Reading.REGISTERED, facts=facts(expires_at=START + timedelta(days=300)))
DELEGATED = finding(Check.DNS, Reading.REGISTERED)
NXDOMAIN = finding(Check.DNS, Reading.NOT_FOUND)
RDAP_404 = finding(Check.RDAP, Reading.NOT_FOUND)
WHOIS_NONE = finding(Check.WHOIS, Reading.NOT_FOUND)
MUTE = finding(Check.RDAP, Reading.NO_ANSWER, reason="timeout")


@dataclass(slots=True)
class World:
    rules: Rules = RULES
    clock: Clock = field(default_factory=Clock)
    store: MemoryStore = field(init=False)
    queue: MemoryQueue = field(default_factory=MemoryQueue)

    def __post_init__(self) -> None:
        self.store = MemoryStore(now=self.clock)

    def watch(self, text: str = "example.com", **attributes: Any) -> Name:
        new = NewName(name=name(text), source="list")
        self.store.add([Watched(name=new.name, attributes=new.attributes(at=self.clock()) | attributes)])
        return new.name

    def request(self, *findings: Finding, reason: str = "due", **changes: Any) -> SettleRequest:
        batch = Batch(run_id="r1", reason=reason, look=changes.pop("look", False))
        names = changes.pop("names", (name(),))
        known = {
            each: replace(known_from(item.attributes), version=item.version)
            if (item := self.store.get(each))
            else known_from({})
            for each in names
        }
        return SettleRequest(**{"batch": batch, "names": names, "known": known, "findings": findings} | changes)

    def settle(self, *findings: Finding, **changes: Any) -> dict[str, Any]:
        settler = Settler(store=self.store, queue=self.queue, rules=self.rules, now=self.clock)
        asked = tuple(replace(each, asked_at=self.clock()).proven(self._proof(each)) for each in findings)
        return settler.settle(self.request(*asked, **changes))

    def _proof(self, finding: Finding) -> datetime | None:
        return self.clock() if finding.proven_at else None

    def item(self, text: str = "example.com") -> dict[str, Any]:
        watched = self.store.get(name(text))
        assert watched is not None
        return dict(watched.attributes)

    def told(self, kind: str = "domain.available") -> list[dict[str, Any]]:
        return [json.loads(each.event.body) for each in self.store.events.values() if each.event.type == kind]


@pytest.fixture
def world() -> World:
    world = World()
    world.watch()
    return world


def test_a_name_free_when_first_seen_is_announced_at_once_and_once(world: World) -> None:
    reply = world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    assert (world.item()["status"], world.item()["reason"]) == ("available", "new")
    assert reply["news"]
    for _ in range(3):
        world.clock.move(60)
        assert not world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)["news"]
    assert len(world.told()) == 1


def test_a_dropped_name_is_announced_after_a_second_look_and_never_at_the_first(world: World) -> None:
    world.settle(NXDOMAIN, BY_RDAP)
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    assert world.item()["status"] == "likely_available"
    assert world.told() == []
    world.clock.move(900)
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE, reason="confirm")
    assert world.item()["status"] == "available"
    assert len(world.told()) == 1


def test_the_second_look_is_queued_with_the_first_and_only_once(world: World) -> None:
    world.settle(NXDOMAIN, RDAP_404)
    [(message, delay_s)] = world.queue.sent
    assert (message["reason"], message["names"], delay_s) == ("confirm", ["example.com"], 90)
    world.clock.move(60)
    world.settle(NXDOMAIN, RDAP_404, reason="due")
    assert len(world.queue.sent) == 1


def test_a_second_look_that_settles_nothing_asks_for_another(world: World) -> None:
    world.settle(NXDOMAIN, RDAP_404)
    world.clock.move(91)
    unproven = replace(NXDOMAIN)
    world.settle(unproven, reason="confirm")
    world.settle(NXDOMAIN, RDAP_404.proven(None), reason="confirm")
    assert world.item()["status"] == "likely_available"
    settler = Settler(store=world.store, queue=world.queue, rules=RULES, now=world.clock)
    stale = replace(RDAP_404, asked_at=world.clock()).proven(START)
    settler.settle(world.request(replace(NXDOMAIN, asked_at=world.clock()), stale, reason="confirm"))
    assert [delay for _, delay in world.queue.sent] == [90, 90]


def test_a_name_that_is_registered_again_begins_another_episode(world: World) -> None:
    episode = world.item()["episode"]
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    world.settle(DELEGATED)
    item = world.item()
    assert (item["status"], item["episode"], item["announced"]) == ("registered", episode + 1, False)
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    world.clock.move(91)
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    ids = {event_id for event_id, each in world.store.events.items() if each.event.type == "domain.available"}
    assert len(ids) == 2


def test_findings_that_waited_long_do_not_take_an_announced_name_back(world: World) -> None:
    seen_long_ago = replace(DELEGATED, asked_at=world.clock())
    world.clock.move(600)
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    settler = Settler(store=world.store, queue=world.queue, rules=RULES, now=world.clock)
    before = world.item()
    settler.settle(world.request(seen_long_ago, reason="deferred"))
    assert world.item() == before
    world.clock.move(100)
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    assert len(world.told()) == 1


def test_a_name_watched_anew_is_told_anew(world: World) -> None:
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    world.store.remove([name()])
    world.clock.move(3600)
    world.watch()
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    assert len(world.told()) == 2


def test_a_name_below_the_threshold_is_not_announced(world: World) -> None:
    world.rules = replace(RULES, threshold=0.99)
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    assert world.item()["status"] == "available"
    assert world.told() == []


def test_silence_erases_nothing_and_says_since_when_it_lasts(world: World) -> None:
    world.settle(BY_RDAP)
    before = world.item()
    world.clock.move(60)
    world.settle(MUTE)
    world.clock.move(60)
    world.settle(MUTE)
    after = world.item()
    assert (after["status"], after["facts"], after["reason"]) == ("registered", before["facts"], "timeout")
    assert after["stale_since"] == wire.instant_text(START + timedelta(seconds=60))
    world.settle(BY_RDAP)
    assert world.item()["stale_since"] is None


def test_a_name_nobody_could_read_is_unknown_with_its_reason(world: World) -> None:
    world.settle(NXDOMAIN, MUTE)
    assert (world.item()["status"], world.item()["reason"]) == ("unknown", "timeout")
    assert world.item()["findings"]["rdap"]["reason"] == "timeout"


def test_a_name_whose_rungs_all_failed_says_so(world: World) -> None:
    world.settle(failed=("fast", "rdap", "whois"))
    assert (world.item()["status"], world.item()["reason"]) == ("unknown", "failed_whois")


def test_a_name_that_only_the_failed_rung_could_read_says_so(world: World) -> None:
    unserved = finding(Check.WHOIS, Reading.NO_ANSWER, reason="no_service")
    world.settle(NXDOMAIN, unserved)
    assert world.item()["reason"] == "no_service"
    world.settle(NXDOMAIN, unserved, failed=("rdap",))
    assert world.item()["reason"] == "failed_rdap"
    world.settle(NXDOMAIN, MUTE, failed=("whois",))
    assert world.item()["reason"] == "timeout"


def test_an_unchanged_name_is_neither_read_nor_written(world: World) -> None:
    world.settle(DELEGATED)
    version = world.store.items[name()].version
    world.store.get_many = lambda names: {} if not names else pytest.fail("read")  # type: ignore[method-assign]
    world.clock.move(60)
    reply = world.settle(DELEGATED)
    assert (reply["settled"], reply["statuses"], reply["news"]) == (1, {"registered": 1}, False)
    assert world.store.items[name()].version == version


def test_a_phase_that_time_alone_changed_is_written(world: World) -> None:
    world.settle(BY_RDAP)
    world.clock.move(280 * 86_400)
    world.settle(DELEGATED)
    assert world.item()["phase"] == "expiring"


def test_each_checks_result_is_told_first_and_when_it_changes(world: World) -> None:
    for _ in range(2):
        world.settle(DELEGATED)
        world.clock.move(60)
    world.settle(finding(Check.DNS, Reading.NO_ANSWER, reason="servfail"))
    bodies = world.told("check.result")
    assert [(body["check_type"], body["result"]) for body in bodies] == [("dns", "unavailable"), ("dns", "error")]
    assert set(bodies[0]) == {"domain", "check_type", "result", "timestamp", "details", "duration_ms"}


def test_every_result_is_told_where_that_is_asked_for(world: World) -> None:
    world.rules = replace(RULES, every_check=True)
    for _ in range(3):
        world.clock.move(60)
        world.settle(DELEGATED)
    assert len(world.told("check.result")) == 3


def test_the_same_findings_settled_twice_tell_nothing_twice(world: World) -> None:
    world.rules = replace(RULES, every_check=True)
    for _ in range(2):
        world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    assert len(world.told()) == 1
    assert len(world.told("check.result")) == 3


def test_nothing_is_written_to_tell_where_nobody_listens(world: World) -> None:
    world.rules = replace(RULES, receivers=frozenset())
    reply = world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    assert (world.store.events, reply["news"], world.item()["status"]) == ({}, False, "available")


def test_opted_in_events_tell_phases_and_what_became_of_a_name(world: World) -> None:
    world.rules = replace(RULES, event_types=frozenset({"domain.redemption", "domain.available", "domain.registered"}))
    world.settle(BY_RDAP)
    world.settle(finding(Check.RDAP, Reading.REGISTERED, facts=facts(statuses=("redemption period",))))
    [redemption] = world.told("domain.redemption")
    assert set(redemption) == {"type", "timestamp", "data"}
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    world.clock.move(91)
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    world.settle(DELEGATED)
    assert len(world.told("domain.registered")) == 1
    assert sorted("data" in body for body in world.told("domain.available")) == [False, True]


def test_what_is_deferred_goes_back_on_the_queue_unsettled(world: World) -> None:
    message = Message(
        run_id="r1", reason="deferred", rung="rdap", names=(name(),), continue_at=START.timestamp() + 120.2
    )
    reply = world.settle(deferred=(message,))
    assert world.queue.sent == [(message.json(), 121)]
    assert (reply["deferred"], reply["settled"], world.item()["reason"]) == (1, 0, "not_checked_yet")


def test_a_name_left_to_its_next_run_is_not_settled(world: World) -> None:
    reply = world.settle(left=(name(),))
    assert (reply["left"], reply["settled"], world.item()["reason"]) == (1, 0, "not_checked_yet")


def test_a_deferred_name_that_dns_settles_is_settled_meanwhile(world: World) -> None:
    message = Message(run_id="r1", reason="deferred", rung="rdap", names=(name(),), facts=True)
    world.settle(DELEGATED, deferred=(message,))
    assert world.item()["status"] == "registered"


def test_a_look_changes_nothing_and_says_everything(world: World) -> None:
    before = world.item()
    reply = world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE, look=True)
    [result] = reply["results"]
    assert (result["verdict"]["status"], result["attributes"]["status"]) == ("available", "available")
    assert [each["check"] for each in result["findings"]] == ["dns", "rdap", "whois"]
    assert (world.item(), world.store.events, world.queue.sent) == (before, {}, [])


def test_a_look_at_a_name_that_is_not_watched_does_not_watch_it() -> None:
    world = World()
    [result] = world.settle(DELEGATED, look=True)["results"]
    assert (result["verdict"]["status"], result["watched"]) == ("registered", False)
    assert world.store.items == {}


def test_a_name_that_is_no_longer_watched_stays_gone() -> None:
    world = World()
    assert world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)["settled"] == 0
    assert (world.store.items, world.store.events) == ({}, {})


def test_a_name_changed_meanwhile_is_decided_anew(world: World) -> None:
    commit = world.store.commit
    meddled = []

    def meddle(changes: list[Change]) -> list[Change]:
        if not meddled:
            meddled.append(True)
            commit([replace(changes[0], after=replace(changes[0].before, attributes=world.item() | {"tags": ["mine"]}),
                            events=())])  # fmt: skip
        return commit(changes)

    world.store.commit = meddle  # type: ignore[method-assign,assignment]
    world.settle(NXDOMAIN, RDAP_404, WHOIS_NONE)
    assert (world.item()["status"], world.item()["tags"]) == ("available", ["mine"])
    assert len(world.told()) == 1


def test_a_name_that_keeps_changing_is_left_to_a_retry(world: World) -> None:
    world.store.commit = list  # type: ignore[method-assign,assignment]
    with pytest.raises(TryLater):
        world.settle(DELEGATED)


def test_the_queue_being_away_leaves_everything_as_it_was(world: World) -> None:
    world.queue.refuse_next = 1
    before = world.item()
    with pytest.raises(TryLater):
        world.settle(NXDOMAIN, RDAP_404)
    assert world.item() == before
    world.settle(NXDOMAIN, RDAP_404)
    assert world.item()["status"] == "likely_available"
    assert len(world.queue.sent) == 1
