"""The check `rdap`: which service it asks, and how what goes wrong reads."""

import json
from typing import Any, cast

import pytest

from domainwatch.checks import rdap
from domainwatch.errors import AddressForbidden, DeadlinePassed, DomainwatchError, Malformed, TooLarge, Unreachable
from domainwatch.findings import Check, Finding, Reading
from domainwatch.names import Name
from domainwatch.ports import Probes, Zones
from tests.builders import START, Clock
from tests.fakes_net import FakeDns, FakeHttp, FakeWhois, Request

NAME = Name(text="palmbay.test", suffix="test")
BASE = "https://rdap.test/v1/"
URL = "https://rdap.test/v1/domain/palmbay.test"
RDAP = {"content-type": "application/rdap+json"}
RECORD = json.dumps({"objectClassName": "domain", "ldhName": "palmbay.test", "status": ["active"]}).encode()


def probes(fake: FakeHttp, bases: tuple[str, ...], clock: Clock | None = None) -> Probes:
    class KnownZones:
        def rdap_bases(self, name: Name) -> tuple[str, ...]:
            return bases

    zones = cast(Zones, cast(Any, KnownZones()))
    return Probes(
        now=clock or Clock(), zones=zones, dns=FakeDns(), http=fake, whois=FakeWhois(), user_agent="Domainwatch test"
    )


def check(fake: FakeHttp, *bases: str, clock: Clock | None = None) -> Finding:
    return rdap.check(NAME, probes(fake, bases or (BASE,), clock), timeout_s=5)


def test_a_record_is_registered() -> None:
    fake = FakeHttp()
    fake.on(URL, body=RECORD, headers=RDAP)
    finding = check(fake)
    assert (finding.check, finding.reading, finding.service) == (Check.RDAP, Reading.REGISTERED, "rdap.test:443")
    assert finding.facts.statuses == ("active",)
    assert finding.excerpt.startswith("HTTP 200 {")
    assert finding.asked_at == START
    request = fake.requests[0]
    assert request.headers["accept"] == "application/rdap+json"
    assert request.headers["user-agent"] == "Domainwatch test"


def test_a_denial_is_not_found() -> None:
    fake = FakeHttp()
    fake.on(URL, status=404, body=b'{"errorCode":404}', headers=RDAP)
    assert check(fake).reading is Reading.NOT_FOUND


@pytest.mark.parametrize(
    ("place", "reading"),
    [
        ("https://rdap.test/elsewhere", Reading.NOT_FOUND),
        ("https://other.test/domain/palmbay.test", Reading.NO_ANSWER),
        ("https://rdap.test:8443/domain/palmbay.test", Reading.NO_ANSWER),
    ],
)
def test_another_hosts_denial_is_not_the_zones_own(place: str, reading: Reading) -> None:
    fake = FakeHttp()
    fake.on(URL, status=302, headers={"location": place})
    fake.on(place, status=404, body=b'{"errorCode":404}', headers=RDAP)
    finding = check(fake)
    assert finding.reading is reading
    assert finding.reason == ("not_found" if reading is Reading.NOT_FOUND else "redirected")


def test_another_hosts_record_still_says_that_the_name_is_taken() -> None:
    fake = FakeHttp()
    fake.on(URL, status=302, headers={"location": "https://other.test/domain/palmbay.test"})
    fake.on("https://other.test/domain/palmbay.test", body=RECORD, headers=RDAP)
    assert check(fake).reading is Reading.REGISTERED


def test_without_a_base_there_is_no_service() -> None:
    none = probes(FakeHttp(), ("ftp://rdap.test/",))
    finding = rdap.check(NAME, none, timeout_s=5)
    assert (finding.reading, finding.reason, finding.service) == (Reading.NO_ANSWER, "no_service", "")
    assert rdap.service_of(NAME, none) is None


@pytest.mark.parametrize(
    ("bases", "service"),
    [
        ((BASE,), "rdap.test:443"),
        (("http://rdap.test/",), "rdap.test:80"),
        (("http://127.0.0.1:8080/rdap",), "127.0.0.1:8080"),
        (("https://[2001:db8::1]/",), "[2001:db8::1]:443"),
        (("http://rdap.test/", "https://rdap.test/"), "rdap.test:443"),
    ],
)
def test_the_service_is_the_one_asked(bases: tuple[str, ...], service: str) -> None:
    assert rdap.service_of(NAME, probes(FakeHttp(), bases)) == service


def test_http_is_tried_where_https_fails_but_no_other_host() -> None:
    fake = FakeHttp()
    fake.on("http://rdap.test/v1/domain/palmbay.test", body=RECORD, headers=RDAP)
    fake.on("https://elsewhere.test/domain/palmbay.test", status=404, body=b'{"errorCode":404}', headers=RDAP)
    finding = check(fake, "http://rdap.test/v1/", BASE, "https://elsewhere.test/")
    assert (finding.reading, finding.service) == (Reading.REGISTERED, "rdap.test:443")
    assert [request.url for request in fake.requests] == [URL, "http://rdap.test/v1/domain/palmbay.test"]
    assert check(FakeHttp(), BASE, "https://elsewhere.test/").reason == "unreachable"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unreachable("no route"), "unreachable"),
        (DeadlinePassed("slow"), "timeout"),
        (TooLarge("long"), "too_large"),
        (Malformed("loop", reason="too_many_redirects"), "too_many_redirects"),
        (AddressForbidden("private"), "address_forbidden"),
    ],
)
def test_what_goes_wrong_is_no_answer(error: DomainwatchError, reason: str) -> None:
    finding = check(FakeHttp(unknown=error))
    assert (finding.reading, finding.reason, finding.service) == (Reading.NO_ANSWER, reason, "rdap.test:443")


def test_a_refusal_carries_its_retry_after() -> None:
    fake = FakeHttp()
    fake.on(URL, status=429, headers={"Retry-After": "Sun, 01 Mar 2026 12:01:30 GMT"})
    finding = check(fake)
    assert (finding.reading, finding.reason, finding.retry_after_s) == (Reading.NO_ANSWER, "rate_limited", 90.0)


def test_redirects_are_followed_and_the_service_stays_the_registrys() -> None:
    fake = FakeHttp()
    fake.on(URL, status=302, headers={"location": "https://other.test/domain/palmbay.test"})
    fake.on("https://other.test/domain/palmbay.test", body=RECORD, headers=RDAP)
    assert (check(fake).reading, check(fake).service) == (Reading.REGISTERED, "rdap.test:443")


def test_the_deadline_is_one_for_all_bases() -> None:
    clock = Clock()
    fake = FakeHttp()

    def slow(_request: Request) -> Any:
        clock.move(6)
        raise DeadlinePassed("slow")

    fake.replies[URL] = slow
    finding = check(fake, BASE, "http://rdap.test/v1/", clock=clock)
    assert (finding.reason, finding.duration_ms, len(fake.requests)) == ("timeout", 6000, 1)
