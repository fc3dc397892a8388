"""The domain list's way into the store: every bad answer, mass removals, crashes, over in-memory ports."""

import contextlib
import json
import time
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainwatch.cadences import DEFAULTS_S
from domainwatch.errors import AddressForbidden, DeadlinePassed, Malformed, TooLarge, TryLater, Unreachable
from domainwatch.names import Name
from domainwatch.ports import HttpReply, Watched
from domainwatch.settings import ListSettings, ScheduleSettings
from domainwatch.watchlist import MAX_LIST_BYTES, Refreshed, Watchlist, list_state, parse_list
from domainwatch.wire import NewName, message_from
from tests.fakes_ledger import MemoryDocuments, MemoryQueue
from tests.fakes_store import MemoryStore

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URL = "https://list.example/domains"
HTML = b"<!DOCTYPE html><html><body>Sign in</body></html>"


class Clock:
    """A clock that only tests move."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


class ListApi:
    """An HTTP port that answers with the next thing it was given, and then with the last for ever."""

    def __init__(self) -> None:
        self.answer: HttpReply | Exception = HttpReply(status=503, headers={}, body=b"", url=URL)
        self.requests: list[dict[str, Any]] = []

    def say(self, body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answer = HttpReply(
            status=status, headers={"content-type": "application/json"} | dict(headers or {}), body=raw, url=URL
        )

    def fetch(self, url: str, **asked: Any) -> HttpReply:
        self.requests.append({"url": url, **asked})
        if isinstance(self.answer, Exception):
            raise self.answer
        etag = self.answer.headers.get("etag")
        if etag and asked["headers"].get("if-none-match") == etag:
            return HttpReply(status=304, headers={}, body=b"", url=URL)
        return self.answer


class SomeZones:
    """What is known of top-level domains: `.invalidtld` does not exist, `.unasked` could not be asked about."""

    def __init__(self) -> None:
        self.missing = {"invalidtld"}

    def exists(self, tld: str) -> bool | None:
        return None if tld == "unasked" else tld not in self.missing

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody asks for {name} here")


class World:
    """A watch list over fakes."""

    def __init__(self, *, url: str = URL, shards: int = 8, batch_size: int = 1000, interval_s: float = 300) -> None:
        self.clock = Clock()
        self.http = ListApi()
        self.store = MemoryStore(now=self.clock, shards=shards)
        self.documents = MemoryDocuments(now=self.clock)
        self.queue = MemoryQueue()
        self.zones = SomeZones()
        self.remaining_s = 240.0
        self.token = "s3cret"
        self.watchlist = Watchlist(
            settings=ListSettings(url=url, refresh_interval_s=interval_s),
            schedule=ScheduleSettings(cadences=DEFAULTS_S, batch_size=batch_size),
            http=self.http,
            store=self.store,
            documents=self.documents,
            queue=self.queue,
            zones=self.zones,
            shards=shards,
            token=lambda: self.token,
            now=self.clock,
        )

    def refresh(self, **how: Any) -> Refreshed:
        self.clock.at += timedelta(seconds=300)
        return self.watchlist.refresh(remaining_s=lambda: self.remaining_s, **how)

    def given(self, *entries: object) -> Refreshed:
        """The list API says these, and the list is refreshed."""
        self.http.say({"domains": list(entries)})
        return self.refresh()

    @property
    def watched(self) -> list[str]:
        return sorted(name.text for name in self.store.items)

    @property
    def state(self) -> dict[str, Any]:
        return dict(self.documents.read("list", "state") or {})

    def attributes(self, text: str) -> Mapping[str, Any]:
        return self.store.items[Name.parse(text)].attributes


def many(count: int, suffix: str = "com") -> list[str]:
    return [f"name{index}.{suffix}" for index in range(count)]


KEYS = st.sampled_from(["domains", "data", "results", "domain", "name", "domainName", "priority", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
)
BODIES = st.binary(max_size=300) | VALUES.map(lambda value: json.dumps(value).encode())


class TestParse:
    @pytest.mark.parametrize("key", ["domains", "data", "results"])
    def test_the_list_has_one_of_three_names(self, key: str) -> None:
        assert parse_list(json.dumps({key: ["a.com"], "total": 1}).encode()).names == {"a.com": False}

    def test_entries_are_names_or_objects(self) -> None:
        entries = ["a.com", {"domain": "b.org", "priority": True}, {"name": "c.net"}, {"domainName": "d.de", "id": 7}]
        answer = parse_list(json.dumps({"domains": entries}).encode())
        assert answer.names == {"a.com": False, "b.org": True, "c.net": False, "d.de": False}
        assert (answer.refused, answer.duplicates) == (0, 0)

    @pytest.mark.parametrize(
        ("priority", "wanted"),
        [
            *((yes, True) for yes in (True, 1, "true", "High")),
            *((no, False) for no in (False, 0, None, "no", "", [], {})),
        ],
    )
    def test_priority_is_read_leniently(self, priority: object, wanted: bool) -> None:
        answer = parse_list(json.dumps({"domains": [{"domain": "a.com", "priority": priority}]}).encode())
        assert answer.names == {"a.com": wanted}

    def test_duplicates_are_one_name_and_the_priority_wins(self) -> None:
        entries = ["a.com", {"domain": "A.COM.", "priority": True}, " a.com ", {"name": "a.com", "priority": False}]
        answer = parse_list(json.dumps({"domains": entries}).encode())
        assert answer.names == {"a.com": True}
        assert answer.duplicates == 3

    def test_names_are_normalised(self) -> None:
        answer = parse_list(json.dumps({"domains": ["Bücher.example", "straße.de"]}, ensure_ascii=False).encode())
        assert list(answer.names) == ["xn--bcher-kva.example", "xn--strae-oqa.de"]

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (HTML, "html"),
            (b"\xef\xbb\xbf \n<html>", "html"),
            (b'{"domains": ["a.com", "b.c', "not_json"),
            (b"", "not_json"),
            (b"\x00\xff\xfe garbage", "not_json"),
            (b'["a.com"]', "root_array"),
            (b'"a.com"', "wrong_type"),
            (b"null", "wrong_type"),
            (b"42", "wrong_type"),
            (b"{}", "no_list"),
            (b'{"error": "no such token"}', "no_list"),
            (b'{"domains": {"a.com": true}}', "wrong_type"),
            (b'{"domains": "a.com,b.com"}', "wrong_type"),
            (b'{"domains": null}', "wrong_type"),
            (b'{"domains": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
            (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too_deep"),
            (b'{"domains": [' + b"9" * 5000 + b"]}", "not_json"),
        ],
    )
    def test_what_is_no_list_is_refused_with_a_reason(self, body: bytes, reason: str) -> None:
        with pytest.raises(Malformed) as refusal:
            parse_list(body, "text/plain")
        assert refusal.value.reason == reason

    def test_bad_entries_are_listed_and_good_ones_enter(self) -> None:
        entries = ["good.com", "www.shop.co.uk", "co.uk", "127.0.0.1", "", None, 7, True, ["a.com"], {}, {"domain": 3}]
        answer = parse_list(
            json.dumps({"domains": [*entries, {"domain": None, "name": "fine.org"}, "also.net"]}).encode()
        )
        assert list(answer.names) == ["good.com", "fine.org", "also.net"]
        assert answer.refused == len(answer.refused_entries) == 10
        listed = {entry.entry: (entry.reason, entry.suggestion) for entry in answer.refused_entries}
        assert listed["www.shop.co.uk"] == ("sub_domain", "shop.co.uk")
        assert listed["co.uk"] == ("public_suffix", None)
        assert listed["127.0.0.1"] == ("ip_address", None)
        assert listed[""] == ("empty", None)
        assert listed["null"] == listed["7"] == listed["true"] == listed['["a.com"]'] == ("not_text", None)
        assert listed["{}"] == ("no_name", None)
        assert listed['{"domain": 3}'] == ("not_text", None)

    def test_all_bad_entries_are_counted_and_a_hundred_listed(self) -> None:
        answer = parse_list(json.dumps({"domains": ["not a name"] * 5000}).encode())
        assert answer.refused == 5000
        assert len(answer.refused_entries) == 100

    def test_five_megabytes_as_a_name_are_refused_shortly(self) -> None:
        entries = ["x" * 5_000_000, {"domain": "y" * 5_000_000}, {"domain": ["z" * 5_000_000]}]
        answer = parse_list(json.dumps({"domains": entries}).encode())
        assert [len(entry.entry) for entry in answer.refused_entries] == [200, 200, 200]
        assert answer.refused_entries[0].reason == "too_long"

    def test_listed_entries_can_be_kept_and_shown(self) -> None:
        answer = parse_list(rb'{"domains": ["a\u0000\u001b[31m.com", "\ud800", "\u202eevil.com/x"]}')
        for entry in answer.refused_entries:
            assert entry.entry.encode()
            assert entry.entry.isprintable()
            assert len(entry.entry) <= 200

    def test_a_million_entries_would_fit_the_function(self) -> None:
        # A fiftieth of them with memory traced and a fifth against the clock: both grow with the number.
        small, large = (
            b'{"domains":[' + b",".join(b'{"domain":"watched%d.com"}' % index for index in range(count)) + b"]}"
            for count in (20_000, 200_000)
        )
        assert len(large) * 5 < MAX_LIST_BYTES
        tracemalloc.start()
        try:
            assert len(parse_list(small).names) == 20_000
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak_bytes * 50 < 640 * 1024 * 1024
        begun_s = time.process_time()
        assert len(parse_list(large).names) == 200_000
        assert (time.process_time() - begun_s) * 5 < 120

    @settings(max_examples=200)
    @given(BODIES)
    def test_nothing_breaks_it(self, body: bytes) -> None:
        try:
            names = parse_list(body).names
        except Malformed:
            return
        assert all(Name.parse(text).text == text for text in names)


class TestFetch:
    def test_without_an_address_there_is_no_list(self) -> None:
        world = World(url="")
        assert world.refresh().json() == {"outcome": "no_list", "skipped": "no DomainApiUrl is set"}
        assert world.http.requests == []

    def test_the_token_is_sent_and_the_answer_bounded(self) -> None:
        world = World()
        world.given("a.com")
        (request,) = world.http.requests
        assert request["url"] == URL
        assert request["headers"]["authorization"] == "Bearer s3cret"
        assert request["max_bytes"] == 64 * 1024 * 1024
        assert request["timeout_s"] <= 20

    def test_without_a_token_none_is_sent(self) -> None:
        world = World()
        world.token = ""
        world.given("a.com")
        assert "authorization" not in world.http.requests[0]["headers"]

    def test_scheduled_it_waits_for_the_interval(self) -> None:
        world = World()
        world.given("a.com")
        again = world.watchlist.refresh(remaining_s=lambda: 240, scheduled=True)
        assert again.json()["skipped"] == "the refresh interval has not passed"
        assert world.watchlist.refresh(remaining_s=lambda: 240).outcome == "unchanged"
        world.clock.at += timedelta(seconds=295)
        assert world.watchlist.refresh(remaining_s=lambda: 240, scheduled=True).outcome == "unchanged"

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (Unreachable("no route"), "unreachable"),
            (DeadlinePassed("slow"), "timeout"),
            (TooLarge("65 MB"), "too_large"),
            (AddressForbidden("10.0.0.1"), "unreachable"),
            (HttpReply(status=500, headers={}, body=b"{}", url=URL), "http_500"),
            (HttpReply(status=401, headers={}, body=b'{"domains": []}', url=URL), "http_401"),
            (HttpReply(status=204, headers={}, body=b"", url=URL), "http_204"),
            (HttpReply(status=304, headers={}, body=b"", url=URL), "http_304"),
            (HttpReply(status=200, headers={"content-type": "text/html"}, body=HTML, url=URL), "html"),
            (HttpReply(status=200, headers={}, body=b'{"domains": ["na', url=URL), "not_json"),
            (HttpReply(status=200, headers={}, body=b"[]", url=URL), "root_array"),
            (HttpReply(status=200, headers={}, body=b'{"domains": []}', url=URL), "empty_list"),
            (HttpReply(status=200, headers={}, body=b'{"domains": [1, null, "-"]}', url=URL), "no_valid_entry"),
        ],
    )
    def test_a_bad_answer_changes_nothing_and_shows(self, answer: HttpReply | Exception, reason: str) -> None:
        world = World()
        world.given(*many(20))
        world.http.answer = answer
        for failures in (1, 2, 3):
            refreshed = world.refresh()
            assert (refreshed.outcome, refreshed.reason) == ("refused", reason)
            assert refreshed.outcomes()["ListRefused"] == 1
            assert world.state["failures"] == failures
        assert world.watched == sorted(many(20))
        assert world.state["error"]["reason"] == reason
        assert world.state["accepted"] == 20
        assert world.state["fetched_at"] == "2026-03-01T12:05:00.000Z"
        assert world.state["tried_at"] == "2026-03-01T12:20:00.000Z"
        world.given(*many(20))
        assert world.state["error"] is None
        assert world.state["held"] is None
        assert world.state["failures"] == 0


class TestEntering:
    def test_new_names_are_watched_and_queued(self) -> None:
        world = World()
        refreshed = world.given("a.com", {"domain": "b.org", "priority": True})
        assert world.watched == ["a.com", "b.org"]
        assert world.attributes("a.com") == NewName(name=Name.parse("a.com"), source="list").attributes(
            at=world.clock.at
        )
        assert world.attributes("b.org")["cadence"] == "priority"
        (message,) = [message_from(json.dumps(message)) for message in world.queue.messages]
        assert (message.reason, message.rung, message.facts) == ("new", "fast", True)
        assert sorted(name.text for name in message.names) == ["a.com", "b.org"]
        assert refreshed.json() == {
            "outcome": "done",
            "reason": "",
            "added": 2,
            "removed": 0,
            "queued": 2,
            "reprioritised": 0,
            "accepted": 2,
            "refused": 0,
            "names_count": 2,
            "held": None,
            "pending_shards": 0,
        }

    @pytest.mark.parametrize(
        ("count", "batches", "facts"),
        [(95, [5] + [10] * 9, True), (101, [101], True), (1001, [1, 1000], False), (2500, [500, 1000, 1000], False)],
    )
    def test_few_travel_almost_alone_and_many_together(self, count: int, batches: list[int], facts: bool) -> None:
        world = World()
        world.given(*many(count))
        sizes = sorted(len(message["names"]) for message in world.queue.messages)
        assert sum(sizes) == count
        assert max(sizes) <= max(batches)
        assert len(sizes) <= len(batches) + 2
        assert {message.get("facts", False) for message in world.queue.messages} == {facts}
        assert sorted(world.queue.names) == sorted(many(count))

    def test_an_unchanged_list_costs_nothing(self) -> None:
        world = World()
        world.given(*many(200))
        sent = len(world.queue.sent)
        world.store.shard_items = None  # type: ignore[assignment]
        assert world.given(*many(200)).outcome == "unchanged"
        assert len(world.queue.sent) == sent

    def test_an_etag_saves_the_body(self) -> None:
        world = World()
        world.http.say({"domains": ["a.com"]}, headers={"etag": '"v1"'})
        world.refresh()
        assert world.refresh().outcome == "unchanged"
        assert world.http.requests[-1]["headers"]["if-none-match"] == '"v1"'
        assert world.state["fetched_at"] == "2026-03-01T12:10:00.000Z"

    def test_an_unchanged_list_is_read_anew_after_an_hour(self) -> None:
        world = World()
        world.http.say({"domains": ["a.com", "b.invalidtld"]}, headers={"etag": '"v1"'})
        world.refresh()
        assert world.watched == ["a.com"]
        world.zones.missing.clear()
        world.refresh()
        assert world.watched == ["a.com"]
        world.clock.at += timedelta(hours=1)
        world.refresh()
        assert world.watched == ["a.com", "b.invalidtld"]

    def test_only_changed_shards_are_read(self) -> None:
        world = World(shards=64)
        world.given(*many(300))
        read: list[int] = []
        shard_items = world.store.shard_items

        def reading(shard: int) -> Any:
            read.append(shard)
            return shard_items(shard)

        world.store.shard_items = reading  # type: ignore[method-assign]
        world.given(*many(300), "another.org")
        assert len(read) == 1
        assert "another.org" in world.watched

    def test_an_unknown_top_level_domain_is_refused(self) -> None:
        world = World()
        world.given("a.com", "b.invalidtld", "c.unasked")
        assert world.watched == ["a.com", "c.unasked"]
        assert world.state["refused"] == 1
        assert world.state["refused_entries"] == [
            {"entry": "b.invalidtld", "reason": "unknown_top_level_domain", "suggestion": None}
        ]

    def test_a_name_stays_when_its_top_level_domain_is_suddenly_unknown(self) -> None:
        world = World()
        world.given(*many(20), "x.org")
        world.zones.missing.add("com")
        for _ in range(3):
            world.given(*many(20), "x.org", "y.org")
        assert world.watched == sorted([*many(20), "x.org", "y.org"])
        assert world.state["refused"] == 20

    def test_priority_changes_are_written(self) -> None:
        world = World()
        world.given("a.com", {"domain": "b.com", "priority": True})
        sent = len(world.queue.sent)
        refreshed = world.given({"domain": "a.com", "priority": True}, "b.com")
        assert refreshed.reprioritised == 2
        assert (world.attributes("a.com")["priority"], world.attributes("a.com")["cadence"]) == (True, "priority")
        assert (world.attributes("b.com")["priority"], world.attributes("b.com")["cadence"]) == (False, "normal")
        assert len(world.queue.sent) == sent

    def test_names_watched_by_hand_are_left_alone(self) -> None:
        world = World()
        hand = Name.parse("mine.com")
        world.store.add(
            [Watched(name=hand, attributes=NewName(name=hand, source="hand", priority=True).attributes(at=START))]
        )
        world.given(*many(5))
        world.given(*many(5), "mine.com")
        assert world.attributes("mine.com")["priority"] is True
        world.given(*many(5))
        assert "mine.com" in world.watched


class TestRemoving:
    def test_removed_entries_leave(self) -> None:
        world = World()
        world.given(*many(20))
        refreshed = world.given(*many(12))
        assert (refreshed.outcome, refreshed.removed) == ("done", 8)
        assert world.watched == sorted(many(12))
        assert world.state["names_count"] == 12

    def test_a_list_ninety_percent_shorter_waits_for_a_second_answer(self) -> None:
        world = World()
        world.given(*many(100))
        refreshed = world.given(*many(10), "new.org")
        assert (refreshed.outcome, refreshed.removed, refreshed.added) == ("held", 0, 1)
        assert world.watched == sorted([*many(100), "new.org"])
        held = world.state["held"]
        assert (held["reason"], held["would_remove"], held["since"]) == ("mass_removal", 90, "2026-03-01T12:10:00.000Z")
        assert refreshed.outcomes()["ListHeld"] == 1
        assert world.given(*many(10), "new.org").removed == 90
        assert world.watched == sorted([*many(10), "new.org"])
        assert world.state["held"] is None
        assert world.state["names_count"] == 11

    def test_a_second_answer_that_differs_waits_again(self) -> None:
        world = World()
        world.given(*many(100))
        world.given(*many(10))
        assert world.given(*many(11)).outcome == "held"
        assert world.given(*many(10)).outcome == "held"
        assert world.watched == sorted(many(100))
        assert world.given(*many(10)).outcome == "done"

    def test_what_entered_with_a_held_answer_leaves_with_it(self) -> None:
        world = World()
        world.given(*many(100))
        world.given(*many(10), *many(3, "org"))
        assert world.given(*many(100)).outcome == "done"
        assert world.watched == sorted(many(100))

    def test_a_good_answer_between_ends_the_hold(self) -> None:
        world = World()
        world.given(*many(100))
        world.given(*many(10))
        assert world.given(*many(100)).outcome == "done"
        assert world.state["held"] is None
        assert world.given(*many(10)).outcome == "held"
        assert world.watched == sorted(many(100))

    def test_failures_between_do_not_confirm(self) -> None:
        world = World()
        world.given(*many(100))
        world.given(*many(10))
        world.http.say(HTML)
        world.refresh()
        assert world.watched == sorted(many(100))
        assert world.state["held"]["reason"] == "mass_removal"

    def test_other_names_of_the_same_number_are_a_mass_removal_too(self) -> None:
        world = World()
        world.given(*many(100))
        assert world.given(*many(100, "org")).outcome == "held"
        assert len(world.watched) == 200

    def test_an_operators_word_confirms_at_once(self) -> None:
        world = World()
        world.given(*many(100))
        world.http.say({"domains": many(3)})
        assert world.refresh(confirm_removal=True).removed == 97
        assert world.watched == sorted(many(3))

    def test_an_empty_list_never_removes_anything_by_itself(self) -> None:
        world = World()
        world.given(*many(3))
        for _ in range(5):
            assert world.given().reason == "empty_list"
        assert world.watched == sorted(many(3))
        held = world.state["held"]
        assert (held["reason"], held["would_remove"], held["since"]) == ("empty_list", 3, "2026-03-01T12:10:00.000Z")

    def test_an_operator_may_empty_the_list(self) -> None:
        world = World()
        world.given(*many(30))
        world.http.say({"domains": []})
        assert world.refresh(confirm_removal=True).removed == 30
        assert world.watched == []
        assert world.state["held"] is None

    def test_entries_that_became_malformed_are_a_mass_removal_too(self) -> None:
        world = World()
        world.given(*many(20))
        assert world.given("name0.com", *["\u0000broken"] * 19).outcome == "held"
        assert world.watched == sorted(many(20))

    @pytest.mark.parametrize(("before", "after", "outcome"), [(3, 1, "done"), (4, 2, "done"), (4, 1, "held")])
    def test_small_lists(self, before: int, after: int, outcome: str) -> None:
        world = World()
        world.given(*many(before))
        assert world.given(*many(after)).outcome == outcome


class TestCrashes:
    @pytest.mark.parametrize("count", [30, 300])
    def test_names_added_but_not_queued_are_queued_by_the_next_run(self, count: int) -> None:
        world = World(batch_size=100)
        world.queue.refuse_next = 1
        with pytest.raises(TryLater):
            world.given(*many(count))
        assert world.watched
        world.refresh()
        assert sorted(world.queue.names) == sorted(many(count))
        assert world.state["pending_shards"] == 0
        assert world.given(*many(count)).outcome == "unchanged"

    def test_a_list_that_changed_meanwhile_loses_none(self) -> None:
        world = World()
        world.given(*many(10, "net"))
        world.queue.refuse_next = 1
        with pytest.raises(TryLater):
            world.given(*many(10, "net"), *many(30))
        world.given(*many(10, "net"), *many(40))
        assert set(many(40)) <= set(world.queue.names)

    def test_names_that_wait_for_their_first_check_are_not_queued_again_without_a_crash(self) -> None:
        world = World()
        world.given(*many(50))
        sent = len(world.queue.names)
        world.given(*many(50), "more.org")
        assert world.queue.names[sent:] == ["more.org"]

    def test_with_little_time_left_it_stops_between_shards_and_goes_on_next_time(self) -> None:
        world = World(shards=16, batch_size=20)
        world.http.say({"domains": many(400)})
        budget = iter([200.0] * 22)
        first = world.watchlist.refresh(remaining_s=lambda: next(budget, 5.0))
        assert first.outcome == "unfinished"
        assert 0 < len(world.watched) < 400
        assert world.state["pending_shards"] > 0
        # Unfinished work does not wait for the interval.
        second = world.watchlist.refresh(remaining_s=lambda: 240.0, scheduled=True)
        assert second.outcome == "done"
        assert world.watched == sorted(many(400))
        assert sorted(world.queue.names) == sorted(many(400))

    def test_without_time_to_compare_everything_nothing_is_removed(self) -> None:
        world = World(shards=16)
        world.given(*many(200))
        world.http.say({"domains": many(150)})
        budget = iter([200.0] * 5)
        assert world.watchlist.refresh(remaining_s=lambda: next(budget, 5.0)).removed == 0
        assert len(world.watched) == 200
        assert world.refresh().removed == 50

    def test_a_name_somebody_changed_meanwhile_is_seen_to_next_time(self) -> None:
        world = World()
        world.given(*many(5))
        commit = world.store.commit
        world.store.commit = list  # type: ignore[method-assign]
        assert world.given({"domain": "name0.com", "priority": True}, *many(5)).outcome == "unfinished"
        world.store.commit = commit  # type: ignore[method-assign]
        assert world.refresh().reprioritised == 1
        assert world.attributes("name0.com")["priority"] is True

    @settings(max_examples=40, deadline=None)
    @given(
        lists=st.lists(st.sets(st.integers(0, 40), min_size=25), min_size=1, max_size=5),
        failures=st.lists(st.booleans(), min_size=5, max_size=5),
    )
    def test_whatever_fails_the_last_list_wins_in_the_end(self, lists: list[set[int]], failures: list[bool]) -> None:
        world = World(batch_size=10)
        ever: set[str] = set()
        for numbers, fails in zip(lists, failures, strict=False):
            names = [f"name{number}.com" for number in sorted(numbers)]
            ever |= set(names)
            world.queue.refuse_next = int(fails)
            with contextlib.suppress(TryLater):
                world.given(*names)
        world.queue.refuse_next = 0
        for _ in range(3):
            world.given(*names)
        assert world.watched == sorted(names)
        assert set(names) <= set(world.queue.names) <= ever


def test_the_state_survives_its_document() -> None:
    world = World()
    world.given(*many(3), "127.0.0.1")
    assert list_state(world.documents).json() == world.state
    assert world.documents.read("heartbeat", "fetch_domains") is not None
