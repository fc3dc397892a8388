"""Reading the bootstrap file, the zones file and the WHOIS root's answers."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainwatch.errors import Malformed, Unreachable
from domainwatch.ports import WhoisReply
from domainwatch.registries import learn
from domainwatch.registries.zones import ZoneKnowledge
from tests.fakes_net import FakeWhois

ROOT_ANSWER = """% The root's WHOIS server
% for more information visit its site

refer:        whois.registry.test

domain:       TEST

organisation: Testing Ltd
whois:        whois.registry.test

status:       ACTIVE
source:       ROOT
"""
NO_OBJECT = "% The root's WHOIS server\n% This query returned 0 objects.\n"


def test_the_bootstrap_keeps_what_is_usable() -> None:
    document = {
        "version": "1.0",
        "services": [
            [["COM", "net."], ["https://a.test/", "ftp://a.test/"]],
            [["x"], []],
            "odd",
            [[3], ["https://b.test/"]],
        ],
    }
    assert learn.parse_bootstrap(json.dumps(document).encode()) == {"services": [[["com", "net"], ["https://a.test/"]]]}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"services":{}}',
        b'{"services":[]}',
        b'{"services":[[["x"],["ftp://a/"]]]}',
        b"[" * 9999,
        b'{"services": "' + b"x" * learn.MAX_DOCUMENT_BYTES + b'"}',
    ],
)
def test_a_bootstrap_that_is_none_is_malformed(document: bytes) -> None:
    with pytest.raises(Malformed):
        learn.parse_bootstrap(document)


def test_the_zones_file_keeps_known_fields_of_zones() -> None:
    document = {"CO.uk.": {"rdap": [], "owner": "me"}, "भारत": {"wildcard": False}, "": {}, "odd": 3, "a..b": {}}
    assert learn.parse_zones_file(json.dumps(document).encode()) == {
        "co.uk": {"rdap": []},
        "xn--h2brj9c": {"wildcard": False},
    }
    assert learn.parse_zones_file(b"{}") == {}


@pytest.mark.parametrize("document", [b"", b"<html>", b"[]", b'{"a": 1}', b"{", b"\xff\xfe\x00"])
def test_a_zones_file_that_is_none_is_malformed(document: bytes) -> None:
    with pytest.raises(Malformed):
        learn.parse_zones_file(document)


@pytest.mark.parametrize(
    ("text", "tld", "server"),
    [
        (ROOT_ANSWER, "test", "whois.registry.test"),
        ("domain: TEST\nrefer: 127.0.0.1:4343\n", "test", "127.0.0.1:4343"),
        ("refer: whois.registry.test\n", "test", "whois.registry.test"),
        ("domain:       TEST\norganisation: Testing Ltd\nwhois:\n", "test", ""),
        ("domain:       भारत\nwhois: whois.bharat.test\n", "xn--h2brj9c", "whois.bharat.test"),
        (
            "domain:       BHARAT\ndomain-ace:   XN--H2BRJ9C\nwhois: whois.bharat.test\n",
            "xn--h2brj9c",
            "whois.bharat.test",
        ),
        (NO_OBJECT, "nowhere", None),
    ],
)
def test_the_roots_answer(text: str, tld: str, server: str | None) -> None:
    assert learn.parse_root_answer(text, tld) == server


@pytest.mark.parametrize(
    "text", ["", "Too many requests", "% refer: commented.test", ROOT_ANSWER.replace("TEST", "OTHER")]
)
def test_an_answer_of_the_root_that_says_nothing_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        learn.parse_root_answer(text, "test")


def test_learning_asks_the_root_once() -> None:
    fake = FakeWhois(answers={("root.test:43", "test"): ROOT_ANSWER, ("127.0.0.1:4343", "test"): NO_OBJECT})
    assert learn.learn_whois("test", fake, "root.test", timeout_s=1) == "whois.registry.test"
    assert learn.learn_whois("test", fake, "127.0.0.1:4343", timeout_s=1) is None
    assert [asked[:2] for asked in fake.asked] == [("root.test:43", "test"), ("127.0.0.1:4343", "test")]


def test_a_root_that_is_away_or_breaks_off_teaches_nothing() -> None:
    with pytest.raises(Unreachable):
        learn.learn_whois("test", FakeWhois(unknown=Unreachable("gone")), "root.test", timeout_s=1)
    cut = FakeWhois(answers={("root.test:43", "test"): WhoisReply(text=ROOT_ANSWER, complete=False)})
    with pytest.raises(Malformed):
        learn.learn_whois("test", cut, "root.test", timeout_s=1)


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.text(max_size=200))
def test_nothing_but_malformed_is_raised_and_what_is_read_is_usable(value: Any, text: str) -> None:
    for document in (value, {"services": value}, {"services": [[value, value]]}, {"aa": value}):
        for parse in (learn.parse_bootstrap, learn.parse_zones_file):
            try:
                parsed = parse(json.dumps(document).encode())
            except Malformed:
                continue
            ZoneKnowledge(bootstrap=parsed) if parse is learn.parse_bootstrap else ZoneKnowledge(zones_file=parsed)
    with contextlib.suppress(Malformed):
        learn.parse_root_answer(text, "test")
