"""What the `dns` check makes of delegations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from domainwatch.checks import dns
from domainwatch.findings import Check, Reading
from domainwatch.names import Name
from domainwatch.ports import Delegation, DnsAnswer, Probes, Zones
from tests.fakes_net import FakeDns, FakeHttp, FakeWhois

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TAKEN, FREE = (Name(text=f"{label}.test", suffix="test") for label in ("taken", "free"))
WILD = Name(text="any.wild", suffix="wild")


@dataclass
class KnownZones:
    """Of the zones only what this check asks: which are wildcard zones."""

    wild: Mapping[str, bool | None] = field(default_factory=dict)

    def wildcard(self, suffix: str) -> bool | None:
        return self.wild.get(suffix)


def probes(fake: FakeDns, **wild: bool | None) -> Probes:
    zones = cast(Zones, cast(Any, KnownZones(wild)))
    return Probes(now=lambda: NOW, zones=zones, dns=fake, http=FakeHttp(), whois=FakeWhois())


def test_a_delegation_is_registered_with_its_name_servers() -> None:
    fake = FakeDns()
    fake.delegate("taken.test", "b.ns.example", "a.ns.example")
    (finding,) = dns.check([TAKEN], probes(fake), timeout_s=1)
    assert (finding.name, finding.check, finding.reading, finding.reason) == (
        TAKEN,
        Check.DNS,
        Reading.REGISTERED,
        "delegated",
    )
    assert finding.facts.nameservers == ("a.ns.example", "b.ns.example")
    assert finding.excerpt == "NS a.ns.example b.ns.example"
    assert finding.service == fake.server
    assert finding.asked_at == NOW


def test_a_denial_is_not_found_and_no_witness() -> None:
    (finding,) = dns.check([FREE], probes(FakeDns()), timeout_s=1)
    assert (finding.reading, finding.reason) == (Reading.NOT_FOUND, "nxdomain")
    assert finding.proven_at is None
    assert not finding.facts


@pytest.mark.parametrize(
    "delegation", sorted(set(Delegation) - {Delegation.DELEGATED, Delegation.DENIED}, key=lambda word: word.value)
)
def test_everything_else_is_no_answer_with_its_reason(delegation: Delegation) -> None:
    (finding,) = dns.check([FREE], probes(FakeDns(known={"free.test": delegation})), timeout_s=1)
    assert (finding.reading, finding.reason) == (Reading.NO_ANSWER, delegation.value)


def test_a_batch_is_one_question_and_keeps_its_order() -> None:
    fake = FakeDns()
    fake.delegate("taken.test", "ns.example")
    found = dns.check([FREE, TAKEN, FREE], probes(fake), timeout_s=1)
    assert [finding.name for finding in found] == [FREE, TAKEN, FREE]
    assert len(fake.batches) == 1


def test_a_known_wildcard_zone_is_not_asked() -> None:
    fake = FakeDns(otherwise=Delegation.DELEGATED)
    found = dns.check([WILD, FREE], probes(fake, wild=True, test=False), timeout_s=1)
    assert [(finding.reading, finding.reason) for finding in found] == [
        (Reading.NO_ANSWER, "wildcard"),
        (Reading.REGISTERED, "delegated"),
    ]
    assert fake.batches == [(FREE,)]
    dns.check([WILD], probes(fake, wild=True), timeout_s=1)
    assert fake.batches == [(FREE,)]


def test_no_names_ask_nothing() -> None:
    fake = FakeDns()
    assert dns.check([], probes(fake), timeout_s=1) == ()
    assert not fake.batches


def test_a_name_left_out_of_the_answers_is_a_timeout() -> None:
    class Forgetful(FakeDns):
        def delegations(self, names: object, *, timeout_s: float) -> Mapping[Name, DnsAnswer]:
            return {}

    (finding,) = dns.check([FREE], probes(Forgetful()), timeout_s=1)
    assert (finding.reading, finding.reason) == (Reading.NO_ANSWER, "timeout")
