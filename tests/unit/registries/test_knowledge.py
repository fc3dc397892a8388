"""Knowledge of zones is fetched when it is needed, kept for everybody, and outlives its sources' failures."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from domainwatch.errors import TryLater, Unreachable
from domainwatch.ports import Busy, HttpReply, WhoisReply
from domainwatch.registries.knowledge import Knowledge, Sources
from tests.builders import Clock, name
from tests.fakes_ledger import MemoryDocuments, MemoryPacing

ZONES_URL, BOOTSTRAP_URL, ROOT = "http://files.test/zones.json", "http://files.test/dns.json", "root.test:43"
ZONES = {"com": {"whois": "whois.com.test:4343", "control": "registry.com"}}
BOOTSTRAP = {"services": [[["org"], ["https://rdap.org.test/"]]]}


@dataclass(slots=True)
class World:
    clock: Clock = field(default_factory=Clock)
    documents: MemoryDocuments = field(init=False)
    pacing: MemoryPacing = field(init=False)
    bodies: dict[str, Any] = field(default_factory=lambda: {ZONES_URL: ZONES, BOOTSTRAP_URL: BOOTSTRAP})
    root: dict[str, str] = field(default_factory=lambda: {"net": "domain: NET\nwhois: whois.net.test\n"})
    away: bool = False
    fetched: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.documents = MemoryDocuments(now=self.clock)
        self.pacing = MemoryPacing(now=self.clock)

    def fetch(self, url: str, **_: Any) -> HttpReply:
        self.fetched.append(url)
        if self.away:
            raise Unreachable("nobody there")
        return HttpReply(status=200, headers={}, body=json.dumps(self.bodies[url]).encode(), url=url)

    def ask(self, server: str, query: str, **_: Any) -> WhoisReply:
        self.asked.append(query)
        if self.away:
            raise Unreachable("nobody there")
        text = self.root.get(query, "% This query returned 0 objects.\n")
        return WhoisReply(text=text, complete=True)

    def knowledge(self, **sources: str) -> Knowledge:
        """What a new process knows: nothing but what the ledger keeps."""
        world: Any = self
        return Knowledge(
            sources=Sources(**{"zones_url": ZONES_URL, "bootstrap_url": BOOTSTRAP_URL, "whois_root": ROOT} | sources),
            documents=self.documents,
            http=world,
            whois=world,
            pacing=self.pacing,
            now=self.clock,
            sleep=self.clock.move,
            fetch_object=lambda url: self.fetch(url).body,
        )


@pytest.fixture
def world() -> World:
    return World()


def whois_of(knowledge: Knowledge, text: str) -> str | None:
    service = knowledge.whois(name(text))
    return None if service is None else service.service


def test_each_source_is_fetched_on_first_need_and_then_kept_for_every_process(world: World) -> None:
    for _ in range(3):
        knowledge = world.knowledge()
        assert whois_of(knowledge, "a.com") == "whois.com.test:4343"
        assert knowledge.rdap_bases(name("a.org")) == ("https://rdap.org.test/",)
    assert sorted(world.fetched) == sorted([ZONES_URL, BOOTSTRAP_URL])


def test_a_changed_zones_file_shows_within_minutes(world: World) -> None:
    knowledge = world.knowledge()
    assert whois_of(knowledge, "a.com") == "whois.com.test:4343"
    world.bodies[ZONES_URL] = {"com": {"whois": "other.test:43"}}
    world.clock.move(361)
    assert whois_of(knowledge, "a.com") == "other.test:43"


def test_the_last_good_copy_outlives_its_source(world: World) -> None:
    world.knowledge().refresh()
    world.away = True
    world.clock.move(3 * 86_400)
    said = world.knowledge().refresh()
    assert "Unreachable" in said["zones"]
    assert whois_of(world.knowledge(), "a.com") == "whois.com.test:4343"
    assert world.knowledge().rdap_bases(name("a.org")) == ("https://rdap.org.test/",)


def test_a_source_that_turns_to_garbage_changes_nothing(world: World) -> None:
    world.knowledge().refresh()
    world.bodies |= {ZONES_URL: ["no", "object"], BOOTSTRAP_URL: {"services": "none"}}
    world.clock.move(3 * 86_400)
    assert "Malformed" in world.knowledge().refresh()["bootstrap"]
    assert whois_of(world.knowledge(), "a.com") == "whois.com.test:4343"


def test_a_source_that_fails_is_not_asked_again_at_once(world: World) -> None:
    world.away = True
    for _ in range(5):
        world.knowledge().control("com")
    assert world.fetched.count(ZONES_URL) == 1
    world.clock.move(61)
    world.knowledge().control("com")
    assert world.fetched.count(ZONES_URL) == 2


def test_another_address_forgets_the_old_ones_copy(world: World) -> None:
    world.knowledge().refresh()
    other = "s3://bucket/zones.json"
    world.bodies[other] = {"com": {"control": "other.com"}}
    assert world.knowledge(zones_url=other).control("com") == "other.com"


def test_a_refresh_says_what_it_did(world: World) -> None:
    knowledge = world.knowledge(bootstrap_url="")
    assert knowledge.refresh() == {"zones": "fresh", "bootstrap": "none"}
    assert knowledge.refresh() == {"zones": "kept", "bootstrap": "none"}


def test_a_whois_server_is_learned_from_the_root_once_for_everybody(world: World) -> None:
    for _ in range(3):
        assert whois_of(world.knowledge(), "a.net") == "whois.net.test:43"
    world.clock.move(30 * 86_400)
    assert whois_of(world.knowledge(), "a.net") == "whois.net.test:43"
    assert world.asked == ["net"]


def test_a_top_level_domain_that_nobody_knows_does_not_exist_for_some_hours(world: World) -> None:
    assert world.knowledge().exists("nosuch") is False
    assert world.knowledge().exists("nosuch") is False
    assert world.asked == ["nosuch"]
    world.root["nosuch"] = "domain: NOSUCH\n"
    world.clock.move(7 * 3600)
    assert world.knowledge().exists("nosuch") is True
    assert whois_of(world.knowledge(), "a.nosuch") is None


def test_without_the_root_nothing_is_known_to_be_missing(world: World) -> None:
    knowledge = world.knowledge()
    knowledge.refresh()
    world.away = True
    assert knowledge.exists("nosuch") is None
    assert world.knowledge(whois_root="").exists("nosuch") is None
    assert knowledge.exists("com") is True


def test_the_root_is_asked_within_its_limit(world: World) -> None:
    world.pacing.lease = lambda *_args, **_kw: Busy(until_ms=0, reason="no_free_slot")  # type: ignore[method-assign]
    assert world.knowledge().exists("nosuch") is None
    assert world.asked == []


def test_errors_of_the_ledger_are_not_swallowed(world: World) -> None:
    def failing(pk: str, sk: str) -> None:
        raise TryLater("the ledger is away")

    world.documents.read = failing  # type: ignore[method-assign,assignment]
    with pytest.raises(TryLater):
        world.knowledge().control("com")
