"""The first rung: what DNS shows leaves the ladder, HTTP speaks only where DNS is silent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from domainwatch.errors import Unreachable
from domainwatch.findings import Check, Reading
from domainwatch.ladder import fast
from domainwatch.names import Name
from domainwatch.ports import Delegation, DnsAnswer, HttpReply, Probes
from domainwatch.wire import Batch, RungReply, RungRequest
from tests.builders import START, Clock, name
from tests.fakes_ledger import MemoryPacing

DELEGATED = DnsAnswer(delegation=Delegation.DELEGATED, server="192.0.2.53:53", nameservers=("ns1.example.net",))


@dataclass(slots=True)
class World:
    answers: dict[str, DnsAnswer] = field(default_factory=dict)
    web_servers: set[str] = field(default_factory=set)
    visited: list[str] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    pacing: MemoryPacing = field(init=False)

    def __post_init__(self) -> None:
        self.pacing = MemoryPacing(now=self.clock)

    # the ports
    def delegations(self, names: Sequence[Name], *, timeout_s: float) -> Mapping[Name, DnsAnswer]:
        denied = DnsAnswer(delegation=Delegation.DENIED, server="192.0.2.53:53")
        return {each: self.answers.get(each.text, denied) for each in names}

    def fetch(self, url: str, **_: Any) -> HttpReply:
        host = url.split("/")[2]
        self.visited.append(host)
        if host not in self.web_servers:
            raise Unreachable("nobody there")
        return HttpReply(status=200, headers={}, body=b"", url=url)

    def wildcard(self, suffix: str) -> bool | None:
        return None

    def climb(self, *names: str, facts: bool = False) -> RungReply:
        world: Any = self
        probes = Probes(now=self.clock, zones=world, dns=world, http=world, whois=world)
        request = RungRequest(
            batch=Batch(run_id="r", reason="due", facts=facts), open=tuple(name(each) for each in names)
        )
        return fast.climb(request, probes, self.pacing)


@pytest.fixture
def world() -> World:
    return World()


def test_a_delegated_name_leaves_the_ladder_and_a_denied_one_climbs(world: World) -> None:
    world.answers["taken.com"] = DELEGATED
    reply = world.climb("taken.com", "free.com")
    assert reply.open == (name("free.com"),)
    assert [each.reading for each in reply.findings] == [Reading.REGISTERED, Reading.NOT_FOUND]
    assert world.visited == []


def test_names_whose_facts_are_wanted_climb_on_although_delegated(world: World) -> None:
    world.answers["taken.com"] = DELEGATED
    assert world.climb("taken.com", facts=True).open == (name("taken.com"),)


@pytest.mark.parametrize("silence", [Delegation.SERVFAIL, Delegation.TIMEOUT, Delegation.NO_SERVERS])
def test_a_web_server_speaks_for_a_name_about_which_dns_is_silent(world: World, silence: Delegation) -> None:
    world.answers = {text: DnsAnswer(delegation=silence) for text in ("web.com", "mute.com")}
    world.web_servers.add("web.com")
    reply = world.climb("web.com", "mute.com")
    assert reply.open == (name("mute.com"),)
    said = {(each.name.text, each.check): each.reading for each in reply.findings}
    assert said["web.com", Check.HTTP] is Reading.REGISTERED
    assert said["mute.com", Check.HTTP] is Reading.NO_ANSWER


def test_a_web_server_in_a_wildcard_zone_says_nothing(world: World) -> None:
    world.answers["free.com"] = DnsAnswer(delegation=Delegation.WILDCARD)
    world.web_servers.add("free.com")
    assert world.climb("free.com").open == (name("free.com"),)
    assert world.visited == []


def test_a_mute_zone_is_not_worth_a_thousand_connections(world: World) -> None:
    texts = [f"n{number}.com" for number in range(100)]
    world.answers = {text: DnsAnswer(delegation=Delegation.TIMEOUT) for text in texts}
    world.climb(*texts)
    assert len(set(world.visited)) == fast.MAX_HTTP_NAMES


def test_one_delegated_name_per_suffix_is_kept_as_a_control_question(world: World) -> None:
    world.answers = dict.fromkeys(["a.com", "b.com", "c.org"], DELEGATED)
    world.climb("a.com", "b.com", "c.org", "free.net")
    assert world.pacing.delegated_name("com") in {"a.com", "b.com"}
    assert world.pacing.delegated_name("org") == "c.org"
    assert world.pacing.delegated_name("net") is None


def test_a_kept_control_name_that_is_gone_makes_way_for_another(world: World) -> None:
    world.pacing.remember_delegated("com", "dropped.com", at=START)
    world.answers = {"b.com": DELEGATED}
    world.clock.move(1)
    world.climb("dropped.com", "b.com")
    assert world.pacing.delegated_name("com") == "b.com"


def test_a_large_batch_leaves_out_what_would_crowd_out_other_findings(world: World) -> None:
    texts = [f"n{number}.com" for number in range(fast.MAX_NAMES_WITH_FACTS + 1)]
    world.answers = dict.fromkeys(texts, DELEGATED)
    assert not any(each.facts for each in world.climb(*texts).findings)
    assert all(each.facts for each in world.climb(*texts[1:]).findings)


def test_findings_brought_along_stay(world: World) -> None:
    brought = world.climb("free.com").findings
    probes: Any = Probes(now=world.clock, zones=world, dns=world, http=world, whois=world)  # type: ignore[arg-type]
    request = RungRequest(batch=Batch(run_id="r", reason="due"), open=(name("b.com"),), findings=brought)
    assert fast.climb(request, probes, world.pacing).findings[0] == replace(brought[0], asked_at=START)
