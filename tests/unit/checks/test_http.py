"""What the `http` check makes of replies: at most `registered`, never a denial."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from domainwatch.checks import http
from domainwatch.errors import AddressForbidden, DeadlinePassed, DomainwatchError, Malformed, TooLarge, Unreachable
from domainwatch.findings import Check, Finding, Reading
from domainwatch.names import Name
from domainwatch.ports import HttpReply, Probes, Zones
from tests.fakes_net import FakeDns, FakeHttp, FakeWhois, Request

NAME = Name(text="xn--bcher-kva.test", suffix="test")
PLAIN, SECURE = f"http://{NAME.text}/", f"https://{NAME.text}/"
ERRORS: list[DomainwatchError] = [
    Unreachable("no route"),
    Unreachable("no address", reason="no_address"),
    Unreachable("hung up", reason="connection_closed"),
    Unreachable("bad certificate", reason="tls_broken"),
    DeadlinePassed("slow"),
    Malformed("not HTTP"),
    TooLarge("long head"),
    AddressForbidden("private"),
]


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


def check(fake: FakeHttp, *, wild: bool | None = None, clock: Clock | None = None, timeout_s: float = 4) -> Finding:
    class KnownZones:
        def wildcard(self, suffix: str) -> bool | None:
            return wild

    zones = cast(Zones, cast(Any, KnownZones()))
    probes = Probes(
        now=clock or Clock(), zones=zones, dns=FakeDns(), http=fake, whois=FakeWhois(), user_agent="Domainwatch test"
    )
    return http.check(NAME, probes, timeout_s=timeout_s)


@pytest.mark.parametrize("status", [200, 204, 301, 400, 404, 405, 500, 503])
def test_any_reply_is_a_web_server(status: int) -> None:
    fake = FakeHttp()
    fake.on(PLAIN, status=status, headers={"Location": "http://elsewhere.test/", "Server": "small"})
    finding = check(fake)
    assert (finding.check, finding.reading, finding.reason) == (Check.HTTP, Reading.REGISTERED, "web_server")
    assert finding.service == f"{NAME.text}:80"
    assert finding.excerpt == f"HTTP {status} small http://elsewhere.test/"
    assert [(request.method, request.url) for request in fake.requests] == [("HEAD", PLAIN)]
    assert fake.requests[0].headers["user-agent"] == "Domainwatch test"


def test_https_is_asked_when_http_is_not_there() -> None:
    fake = FakeHttp()
    fake.on(SECURE)
    finding = check(fake)
    assert (finding.reason, finding.service) == ("web_server", f"{NAME.text}:443")
    assert [request.url for request in fake.requests] == [PLAIN, SECURE]


@pytest.mark.parametrize("refusal", [Malformed("not HTTP"), Unreachable("hung up", reason="connection_closed")])
def test_a_get_follows_a_head_that_broke_off(refusal: DomainwatchError) -> None:
    reply = HttpReply(status=200, headers={}, body=b"hello", url=PLAIN)
    fake = FakeHttp(replies={PLAIN: [refusal, reply]})
    assert check(fake).reason == "web_server"
    assert [request.method for request in fake.requests] == ["HEAD", "GET"]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{type(error).__name__}-{getattr(error, 'reason', '')}")
def test_no_reply_is_no_answer(error: DomainwatchError) -> None:
    finding = check(FakeHttp(unknown=error))
    assert finding.reading is Reading.NO_ANSWER
    assert finding.reason == getattr(error, "reason", "address_forbidden")
    assert not finding.excerpt


def test_broken_tls_is_said() -> None:
    fake = FakeHttp(replies={SECURE: Unreachable("bad certificate", reason="tls_broken")})
    assert check(fake).reason == "tls_broken"


def test_a_host_without_address_is_asked_once() -> None:
    fake = FakeHttp(unknown=Unreachable("no address", reason="no_address"))
    check(fake)
    assert len(fake.requests) == 1


def test_a_wildcard_zone_says_nothing() -> None:
    fake = FakeHttp()
    fake.on(PLAIN)
    finding = check(fake, wild=True)
    assert (finding.reading, finding.reason) == (Reading.NO_ANSWER, "wildcard")
    assert not fake.requests


def test_all_requests_share_the_time() -> None:
    clock, given = Clock(), []

    class Slow(FakeHttp):
        def fetch(self, url: str, *, timeout_s: float, **options: Any) -> HttpReply:
            given.append(timeout_s)
            clock.at += timedelta(seconds=timeout_s)
            raise DeadlinePassed("slow")

    finding = check(Slow(), clock=clock, timeout_s=4)
    assert given == [2, 2]
    assert (finding.reason, finding.duration_ms) == ("timeout", 4000)


@pytest.mark.parametrize("elapsed_s", [2.0, 9.0])
def test_no_second_request_without_time(elapsed_s: float) -> None:
    clock, asked = Clock(), []

    class Slow(FakeHttp):
        def fetch(self, url: str, *, timeout_s: float, method: str = "GET", **options: Any) -> HttpReply:
            asked.append(method)
            clock.at += timedelta(seconds=elapsed_s)
            raise Malformed("not HTTP")

    check(Slow(), clock=clock, timeout_s=4)
    assert asked == (["HEAD", "HEAD"] if elapsed_s == 2.0 else ["HEAD"])


def test_the_fake_can_compute_a_reply() -> None:
    answer: Callable[[Request], HttpReply] = lambda request: HttpReply(  # noqa: E731
        status=200, headers={}, body=b"", url=request.url
    )
    assert check(FakeHttp(replies={"http://*": answer})).reason == "web_server"
