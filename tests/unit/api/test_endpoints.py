"""The endpoints' bodies, and what they change."""

import copy
import json
from datetime import timedelta
from typing import Any

import pytest

from domainwatch.errors import DeadlinePassed, Malformed, TryLater
from domainwatch.findings import Check
from domainwatch.names import Name
from domainwatch.ports import OutboxEvent
from domainwatch.wire import instant_text, shard_of
from tests.builders import START
from tests.fakes_api import SHARDS, TOKENS, ApiWorld
from tests.fakes_store import DEAD, Record

DOMAIN_KEYS = {
    "domain",
    "unicode",
    "status",
    "phase",
    "confidence",
    "reason",
    "since",
    "stale_since",
    "facts",
    "drop_window",
    "checks",
    "cadence",
    "next_check_at",
    "priority",
}
REGISTERED = {
    "status": "registered",
    "phase": "active",
    "confidence": 0.99,
    "reason": "delegated",
    "facts": {"registrar": "Registrar Inc.", "expires_at": "2027-01-01T00:00:00.000Z"},
    "findings": {"dns": {"check": "dns", "reading": "registered", "reason": "delegated"}},
}
LOOKED = {
    "settled": 1,
    "results": [
        {
            "name": "example.com",
            "watched": False,
            "attributes": {
                "status": "available",
                "phase": None,
                "confidence": 0.98,
                "reason": "new",
                "since": "2026-03-01T12:00:00.000Z",
                "cadence": "normal",
                "facts": {},
                "results": {"rdap": "available"},
            },
            "verdict": {
                "status": "available",
                "confidence": 0.98,
                "reason": "two_witnesses",
                "why": ["rdap:not_found"],
            },
            "findings": [
                {"check": "rdap", "reading": "not_found", "reason": "not_found"},
                {"check": "whois", "reading": "not_found", "reason": "denied"},
            ],
        }
    ],
}


@pytest.fixture
def world() -> ApiWorld:
    return ApiWorld()


# --- one name ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/domain/xn--bcher-kva.de",
        "/v1/domain/xn--bcher-kva.de",
        "/v1/domains/xn--bcher-kva.de",
        "/domain/XN--BCHER-KVA.DE.",
        "/domain/bücher.de",
        "/domain/B%C3%BCcher.de.",
    ],
)
def test_a_watched_name_is_found_however_it_is_written(world: ApiWorld, path: str) -> None:
    world.watch("xn--bcher-kva.de", **REGISTERED)
    world.documents.write(
        "shards",
        "normal",
        {"version": 1, "next_ms": {str(shard_of(Name.parse("bücher.de"), SHARDS)): round(START.timestamp() * 1000)}},
    )
    status, body, _ = world.call("GET", path)
    assert status == 200
    assert body.keys() >= DOMAIN_KEYS
    assert (body["domain"], body["unicode"]) == ("xn--bcher-kva.de", "bücher.de")
    assert (body["status"], body["phase"], body["confidence"]) == ("registered", "active", 0.99)
    assert body["facts"] == REGISTERED["facts"]
    assert body["checks"] == REGISTERED["findings"]
    assert body["next_check_at"] == "2026-03-01T12:00:00.000Z"
    assert (body["cadence"], body["priority"], body["stale_since"], body["drop_window"]) == (
        "normal",
        False,
        None,
        None,
    )


def test_a_name_that_was_not_checked_yet_says_so(world: ApiWorld) -> None:
    world.watch("example.com")
    body = world.call("GET", "/domain/example.com")[1]
    assert (body["status"], body["reason"]) == ("unknown", "not_checked_yet")
    assert (body["confidence"], body["phase"], body["next_check_at"], body["checks"]) == (None, None, None, {})


@pytest.mark.parametrize(
    ("text", "reason", "suggestion"),
    [
        ("www.example.com", "sub_domain", "example.com"),
        ("co.uk", "public_suffix", None),
        ("192.0.2.1", "ip_address", None),
        ("exa_mple.com", "malformed_label", None),
    ],
)
def test_what_is_no_name_is_refused_with_a_reason(
    world: ApiWorld, text: str, reason: str, suggestion: str | None
) -> None:
    for method, path in [
        ("GET", "/domain/"),
        ("PUT", "/v1/domains/"),
        ("GET", "/v1/rdap/"),
        ("DELETE", "/v1/domains/"),
    ]:
        status, body, _ = world.call(method, path + text)
        assert (status, body["reason"], body.get("suggestion")) == (400, reason, suggestion)


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_is_paged_to_its_end(world: ApiWorld) -> None:
    names = {f"name{number}.com" for number in range(25)}
    for number, text in enumerate(sorted(names)):
        world.watch(text, priority=number < 3)
    seen: list[str] = []
    query = "limit=10"
    while True:
        status, body, _ = world.call("GET", "/v1/domains", query=query)
        assert status == 200
        assert (body["total"], body["high_priority"]) == (25, 3)
        assert len(body["domains"]) <= 10
        assert body["domains"][0].keys() >= {"domain", "priority", "status"}
        seen += [each["domain"] for each in body["domains"]]
        if body["next"] is None:
            break
        query = f"limit=10&cursor={body['next']}"
    assert len(seen) == 25
    assert set(seen) == names


def test_the_list_is_filtered(world: ApiWorld) -> None:
    world.watch("a.com", **REGISTERED)
    world.watch("b.com", **{**REGISTERED, "phase": "redemption"})
    world.watch("c.com", status="available")
    for query, expected in [
        ("", ["a.com", "b.com", "c.com"]),
        ("status=available", ["c.com"]),
        ("phase=redemption", ["b.com"]),
        ("status=registered&phase=redemption", ["b.com"]),
        ("status=available&phase=redemption", []),
    ]:
        body = world.call("GET", "/domains", query=query)[1]
        assert sorted(each["domain"] for each in body["domains"]) == expected
        assert body["total"] == len(expected)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("limit=0", "bad_limit"),
        ("limit=1001", "bad_limit"),
        ("limit=ten", "bad_limit"),
        ("limit=-1", "bad_limit"),
        ("limit=²", "bad_limit"),
        ("status=free", "bad_status"),
        ("phase=new", "bad_phase"),
        ("cursor=", "bad_cursor"),
        ("cursor=abc", "bad_cursor"),
        ("cursor=%C3%A9", "bad_cursor"),
        ("cursor=" + "A" * 3000, "bad_cursor"),
    ],
)
def test_a_bad_query_is_refused(world: ApiWorld, query: str, reason: str) -> None:
    status, body, _ = world.call("GET", "/domains", query=query)
    assert (status, body["reason"]) == (400, reason)


def test_a_cursor_cannot_be_made_up_or_carried_over(world: ApiWorld) -> None:
    for number in range(5):
        world.watch(f"name{number}.com")
    cursor = world.call("GET", "/domains", query="limit=2")[1]["next"]
    assert world.call("GET", "/domains", query=f"limit=2&cursor={cursor}")[0] == 200
    changed = cursor[:-2] + ("AA" if not cursor.endswith("AA") else "BB")
    assert world.call("GET", "/domains", query=f"cursor={changed}")[1]["reason"] == "bad_cursor"
    assert world.call("GET", "/domains", query=f"status=registered&cursor={cursor}")[1]["reason"] == "bad_cursor"
    assert world.call("GET", "/v1/events", query=f"cursor={cursor}")[1]["reason"] == "bad_cursor"


# --- watching by hand -------------------------------------------------------------------------------------------------


def test_put_watches_a_name_and_queues_it(world: ApiWorld) -> None:
    status, body, _ = world.call("PUT", "/v1/domains/B%C3%BCcher.de", {"priority": True, "tags": ["books", "books"]})
    assert status == 201
    assert (body["domain"], body["priority"], body["tags"]) == ("xn--bcher-kva.de", True, ["books"])
    assert (body["source"], body["cadence"]) == ("hand", "priority")
    ((message, delay_s),) = world.queue.sent
    assert (message["reason"], message["names"], delay_s) == ("new", ["xn--bcher-kva.de"], 0)


def test_put_again_changes_only_what_it_says(world: ApiWorld) -> None:
    world.watch("example.com", tags=["old"], **REGISTERED)
    status, body, _ = world.call("PUT", "/v1/domains/example.com", {"priority": True})
    assert status == 200
    assert (body["priority"], body["tags"], body["cadence"]) == (True, ["old"], "priority")
    assert (body["status"], body["source"]) == ("registered", "hand")
    assert world.queue.sent == []
    version = world.store.items[Name.parse("example.com")].version
    assert world.call("PUT", "/v1/domains/example.com")[0] == 200
    assert world.store.items[Name.parse("example.com")].version == version


def test_put_needs_no_body(world: ApiWorld) -> None:
    status, body, _ = world.call("PUT", "/v1/domains/example.com")
    assert (status, body["priority"], body["tags"]) == (201, False, [])


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"priority": 1}, "bad_priority"),
        ({"priority": None}, "bad_priority"),
        ({"tags": "books"}, "bad_tags"),
        ({"tags": [""]}, "bad_tags"),
        ({"tags": ["x" * 65]}, "bad_tags"),
        ({"tags": ["a\nb"]}, "bad_tags"),
        ({"tags": ["x"] * 21}, "bad_tags"),
        (["priority"], "not_an_object"),
    ],
)
def test_a_bad_wish_is_refused(world: ApiWorld, wanted: Any, reason: str) -> None:
    status, body, _ = world.call("PUT", "/v1/domains/example.com", wanted)
    assert (status, body["reason"]) == (400, reason)
    assert world.store.items == {}


def test_a_top_level_domain_that_does_not_exist_is_refused_when_a_name_enters(world: ApiWorld) -> None:
    for method, path, sent in [
        ("PUT", "/v1/domains/example.nonsense", None),
        ("POST", "/v1/checks", {"domain": "example.nonsense"}),
        ("GET", "/v1/rdap/example.nonsense", None),
        ("GET", "/v1/whois/example.nonsense", None),
    ]:
        status, body, _ = world.call(method, path, sent)
        assert (status, body["reason"]) == (400, "unknown_top_level_domain")
    assert world.call("PUT", "/v1/domains/example.org")[0] == 201  # nobody could be asked: that is no refusal


def test_delete_unwatches(world: ApiWorld) -> None:
    world.watch("example.com")
    assert world.call("DELETE", "/v1/domains/example.com")[:2] == (204, None)
    status, body, _ = world.call("DELETE", "/v1/domains/example.com")
    assert (status, body["reason"]) == (404, "not_watched")


def test_somebody_who_keeps_changing_a_name_is_a_conflict(world: ApiWorld) -> None:
    world.watch("example.com")
    world.store.commit = list  # type: ignore[assignment,method-assign]  # everything comes back unwritten
    status, body, _ = world.call("PUT", "/v1/domains/example.com", {"priority": True})
    assert (status, body["reason"]) == (409, "conflict")


# --- asking now -------------------------------------------------------------------------------------------------------


def test_a_check_answers_with_everything(world: ApiWorld) -> None:
    world.runner.output = LOOKED
    status, body, _ = world.call("POST", "/v1/checks", {"domain": "Example.COM"})
    assert status == 200
    assert body.keys() >= DOMAIN_KEYS
    assert (body["status"], body["confidence"], body["watched"]) == ("available", 0.98, False)
    assert body["verdict"]["status"] == "available"
    assert body["why"] == ["rdap:not_found"]
    assert [finding["check"] for finding in body["findings"]] == ["rdap", "whois"]
    assert set(body["checks"]) == {"rdap", "whois"}
    assert body["execution"]["arn"].startswith("arn:aws:states:")
    assert body["execution"]["link"].startswith("https://")


def test_a_check_only_looks(world: ApiWorld) -> None:
    world.watch("example.com", **REGISTERED)
    world.runner.output = LOOKED
    before = (copy.deepcopy(world.store.items), dict(world.store.events))
    assert world.call("POST", "/v1/checks", {"domain": "example.com"})[0] == 200
    assert (world.store.items, world.store.events) == before
    assert world.queue.sent == []
    ((name, sent),) = world.runner.inputs
    assert name == "look-id1"
    assert (sent["batch"]["look"], sent["names"], sent["rung"]) == (True, ["example.com"], "fast")
    assert "registered" in str(sent["known"]["example.com"])


def test_a_check_that_learned_nothing_is_unknown(world: ApiWorld) -> None:
    world.runner.output = {"settled": 0, "results": []}
    body = world.call("POST", "/v1/checks", {"domain": "example.com"})[1]
    assert (body["status"], body["verdict"]["status"], body["findings"]) == ("unknown", "unknown", [])


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (DeadlinePassed("took too long"), 504, "timeout"),
        (Malformed("arn:… ended as FAILED", reason="execution_failed"), 502, "execution_failed"),
        (TryLater("throttled", reason="throttled"), 503, "throttled"),
    ],
)
def test_an_execution_that_fails_is_a_problem(world: ApiWorld, error: Any, status: int, reason: str) -> None:
    world.runner.output = error
    got, body, _ = world.call("POST", "/v1/checks", {"domain": "example.com"})
    assert (got, body["reason"]) == (status, reason)


def test_many_checks_go_to_the_queue(world: ApiWorld) -> None:
    entries: list[Any] = [f"name{number}.com" for number in range(250)]
    entries += ["name1.com", {"domain": "bücher.de"}, "www.example.com", "x.nonsense", 7, None, {"domain": []}, [[]]]
    status, body, _ = world.call("POST", "/v1/checks:bulk", {"domains": entries})
    assert status == 202
    assert body["accepted"] == 251
    assert [refused["reason"] for refused in body["refused"]] == [
        "sub_domain",
        "unknown_top_level_domain",
        *["not_text"] * 4,
    ]
    assert body["refused"][0] == {"entry": "www.example.com", "reason": "sub_domain", "suggestion": "example.com"}
    assert [len(message["names"]) for message in world.queue.messages] == [100, 100, 51]
    assert {message["reason"] for message in world.queue.messages} == {"manual"}
    assert {message["run_id"] for message in world.queue.messages} == {body["run_id"]}
    assert world.store.items == {}


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        ({}, 400, "missing_domains"),
        ([], 400, "missing_domains"),
        ({"domains": []}, 400, "missing_domains"),
        ({"domains": "example.com"}, 400, "missing_domains"),
        ({"domains": ["x"]}, 400, "no_valid_name"),
        ({"domains": ["example.com"] * 1001}, 413, "too_many"),
    ],
)
def test_bad_many_checks_are_refused(world: ApiWorld, sent: Any, status: int, reason: str) -> None:
    got, body, _ = world.call("POST", "/v1/checks:bulk", sent)
    assert (got, body["reason"]) == (status, reason)
    assert world.queue.sent == []


@pytest.mark.parametrize("check", [Check.RDAP, Check.WHOIS])
def test_one_registry_is_asked_directly(world: ApiWorld, check: Check) -> None:
    status, body, _ = world.call("GET", f"/v1/{check}/Example.com")
    assert status == 200
    assert (body["domain"], body["check"], body["reading"]) == ("example.com", check.value, "registered")
    assert body["excerpt"].startswith("Domain Name")
    assert world.looked_up == [(check, Name.parse("example.com"))]


# --- how it goes ------------------------------------------------------------------------------------------------------


def test_health_counts_and_beats(world: ApiWorld) -> None:
    world.watch("example.com")
    world.documents.write("heartbeat", "notify", {"at": instant_text(world.clock())})
    world.clock.move(60)
    status, body, _ = world.call("GET", "/health", token=None)
    assert status == 200
    assert list(body) == ["status", "version", "domains_count", "uptime_s", "heartbeats"]
    assert (body["status"], body["domains_count"], body["uptime_s"]) == ("ok", 1, 60.0)
    assert body["heartbeats"]["notify"] == {"at": "2026-03-01T12:00:00.000Z", "age_s": 60.0, "late": False}
    assert body["heartbeats"]["fetch_domains"] == {"at": None, "age_s": None, "late": False}


def test_health_is_bad_when_a_heartbeat_is_late(world: ApiWorld) -> None:
    world.documents.write("heartbeat", "schedule_checks", {"at": instant_text(world.clock())})
    world.clock.move(901)
    status, body, _ = world.call("GET", "/health", token=None)
    assert (status, body["status"]) == (503, "heartbeat_late")
    assert body["heartbeats"]["schedule_checks"]["late"]


def test_health_is_bad_when_the_store_cannot_be_read(world: ApiWorld) -> None:
    def away() -> None:
        raise TryLater("throttled")

    world.store.counts = away  # type: ignore[assignment,method-assign]
    status, body, _ = world.call("GET", "/health", token=None)
    assert (status, body["status"], body["domains_count"]) == (503, "store_unreadable", None)


def test_status_tells_counts_list_services_and_queues(world: ApiWorld) -> None:
    world.watch("a.com", **REGISTERED)
    world.watch("b.com", priority=True)
    refused = [{"entry": "co.uk", "reason": "public_suffix", "suggestion": None}]
    world.documents.write(
        "list",
        "state",
        {
            "fetched_at": "2026-03-01T11:59:00.000Z",
            "accepted": 2,
            "refused": 1,
            "refused_entries": refused,
            "held": None,
        },
    )
    body = world.call("GET", "/status")[1]
    assert body["counts"] == {"status": {"registered": 1, "unknown": 1}, "phase": {"active": 1}}
    assert (body["total"], body["high_priority"]) == (2, 1)
    assert (
        body["list"].items()
        >= {
            "fetched_at": "2026-03-01T11:59:00.000Z",
            "accepted": 2,
            "refused": 1,
            "held": None,
        }.items()
    )
    assert body["list"]["refused_entries"] == refused
    assert body["services"] == {}
    assert body["queues"] == {"checks": {"waiting": 2, "in_flight": 1, "delayed": 0}}
    assert body["events"] == {"undelivered": 0, "dead": 0}


def test_status_before_anything_happened(world: ApiWorld) -> None:
    body = world.call("GET", "/status")[1]
    assert body["list"]["fetched_at"] is None
    assert body["total"] == 0


def test_metrics_count_from_their_last_reset(world: ApiWorld) -> None:
    world.documents.write("totals", "callbacks", {"version": 3, "delivered": 5, "failed": 1})
    body = world.call("GET", "/metrics")[1]
    assert body["counters"] == {"callbacks_delivered": 5, "callbacks_failed": 1}
    assert body["since"] is None
    assert world.call("POST", "/metrics/reset")[0] == 200
    world.documents.write("totals", "callbacks", {"version": 4, "delivered": 7, "failed": 1})
    body = world.call("GET", "/metrics")[1]
    assert body["counters"] == {"callbacks_delivered": 2, "callbacks_failed": 0}
    assert body["since"] == "2026-03-01T12:00:00.000Z"


def test_refresh_answers_with_its_result(world: ApiWorld) -> None:
    assert world.call("POST", "/refresh")[:2] == (200, {"status": "done", "result": {"outcome": "unchanged"}})
    assert world.call("POST", "/refresh", {"confirm_removal": True})[0] == 200
    assert world.refresher.asked == [False, True]


def test_a_refresh_that_takes_long_goes_on(world: ApiWorld) -> None:
    world.refresher.result = None
    assert world.call("POST", "/refresh")[:2] == (202, {"status": "running"})


def test_a_refresh_that_fails_is_a_problem(world: ApiWorld) -> None:
    world.refresher.result = Malformed("it raised")
    status, body, _ = world.call("POST", "/refresh")
    assert (status, body["reason"]) == (502, "refresh_failed")


def test_requests_that_only_read_change_nothing(world: ApiWorld) -> None:
    world.watch("example.com", **REGISTERED)
    before = copy.deepcopy(world.store.items)
    for path in (
        "/status",
        "/domains",
        "/domain/example.com",
        "/metrics",
        "/v1/events",
        "/v1/rdap/example.com",
        "/health",
    ):
        assert world.call("GET", path, token=TOKENS["read"])[0] == 200
    assert world.store.items == before
    assert world.queue.sent == []
    assert "swap" not in world.documents.calls
    assert world.documents.calls["write"] == len(TOKENS)


# --- events -----------------------------------------------------------------------------------------------------------


def _event(world: ApiWorld, event_id: str, *, dead: bool) -> None:
    event = OutboxEvent(
        id=event_id,
        type="domain.available",
        name="xn--bcher-kva.de",
        target="available",
        body="{}",
        due_at=START + timedelta(seconds=5),
        attempts=10,
        created_at=START,
        last_error="HTTP 500: sorry",
    )
    world.store.events[event_id] = Record(event, DEAD) if dead else Record(event)


def test_dead_events_are_seen_and_revived(world: ApiWorld) -> None:
    _event(world, "evt_dead", dead=True)
    _event(world, "evt_waiting", dead=False)
    body = world.call("GET", "/v1/events")[1]
    assert body["state"] == "dead"
    assert body["events"] == [
        {
            "id": "evt_dead",
            "type": "domain.available",
            "domain": "xn--bcher-kva.de",
            "unicode": "bücher.de",
            "target": "available",
            "attempts": 10,
            "created_at": "2026-03-01T12:00:00.000Z",
            "due_at": "2026-03-01T12:00:05.000Z",
            "last_error": "HTTP 500: sorry",
        }
    ]
    status, body, _ = world.call("POST", "/v1/events/evt_dead/redrive")
    assert (status, body) == (202, {"id": "evt_dead", "state": "pending"})
    pending = world.call("GET", "/v1/events", query="state=pending")[1]["events"]
    assert {event["id"] for event in pending} == {"evt_dead", "evt_waiting"}


def test_only_a_dead_event_is_revived(world: ApiWorld) -> None:
    _event(world, "evt_waiting", dead=False)
    for event_id in ("evt_waiting", "evt_nobody", "%2e%2e"):
        status, body, _ = world.call("POST", f"/v1/events/{event_id}/redrive")
        assert (status, body["reason"]) == (404, "no_such_event")


def test_events_are_paged(world: ApiWorld) -> None:
    for number in range(5):
        _event(world, f"evt_{number}", dead=True)
    first = world.call("GET", "/v1/events", query="limit=3")[1]
    second = world.call("GET", "/v1/events", query=f"limit=3&cursor={first['next']}")[1]
    assert len({event["id"] for event in first["events"] + second["events"]}) == 5
    assert second["next"] is None


def test_an_unknown_state_is_refused(world: ApiWorld) -> None:
    assert world.call("GET", "/v1/events", query="state=lost")[1]["reason"] == "bad_state"


def test_bodies_are_json_in_utf8(world: ApiWorld) -> None:
    world.watch("xn--bcher-kva.de", facts={"registrar": "A\ud800B"})
    event = json.dumps(world.call("GET", "/domain/xn--bcher-kva.de")[1])
    assert "A?B" in event
