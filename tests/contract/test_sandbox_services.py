"""The sandbox's RDAP, WHOIS and IANA services, over real sockets."""

import json
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from sandbox import World, serve

SCENARIO = {
    "starts": "at_once",
    "services": {
        "rdap": {"kind": "rdap", "rate_per_s": 4, "limit_per_s": 500},
        "tight": {"kind": "rdap", "limit_per_s": 2},
        "whois": {"kind": "whois", "format": "nominet"},
        "denic": {"kind": "whois", "format": "denic", "query": "-T dn,ace {name}", "daily": 50},
    },
    "zones": {
        "uk": {"rdap": "rdap", "whois": "whois"},
        "co.uk": {"control": "known.co.uk"},
        "de": {"whois": "denic", "publish": ["nameservers"]},
        "dev": {"rdap": "tight", "wildcard": True},
    },
    "names": {
        "taken.co.uk": "registered",
        "free.co.uk": "available",
        "kept.co.uk": "reserved",
        "dear.co.uk": "premium",
        "lost.co.uk": {"timeline": {0: "redemption", 1000: "available"}},
        "Straße.de": "registered",
    },
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with serve(SCENARIO) as made:
        yield made


@pytest.fixture(autouse=True)
def healthy(world: World) -> Iterator[None]:
    yield
    for target in ("rdap", "whois", "denic", "whois_root", "zones"):
        world.fault(target, None)


def get(address: str, path: str, *, timeout_s: float = 2) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection(address, timeout=timeout_s)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, {key.lower(): value for key, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def rdap(world: World, name: str) -> tuple[int, dict[str, Any]]:
    status, headers, body = get(world.address("rdap"), f"/domain/{name}")
    assert headers["content-type"] == "application/rdap+json"
    return status, json.loads(body)


def whois(address: str, query: str, *, timeout_s: float = 2) -> str:
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
        connection.sendall(f"{query}\r\n".encode())
        text = b""
        while chunk := connection.recv(4096):
            text += chunk
    return text.decode("utf-8", "replace")


def test_a_registered_name_has_a_full_body(world: World) -> None:
    status, body = rdap(world, "TAKEN.co.uk")
    assert status == 200
    assert body["objectClassName"] == "domain"
    assert body["ldhName"] == "taken.co.uk"
    assert {event["eventAction"] for event in body["events"]} >= {"registration", "expiration", "last changed"}
    registrar = body["entities"][0]
    assert registrar["roles"] == ["registrar"]
    assert registrar["vcardArray"][1][1][3] == "Harbour Registrar Ltd."
    assert body["secureDNS"] == {"delegationSigned": False}
    assert len(body["nameservers"]) == 2


def test_a_name_in_redemption_says_so(world: World) -> None:
    status, body = rdap(world, "lost.co.uk")
    assert (status, body["status"]) == (200, ["redemption period", "pending delete"])


def test_a_free_name_is_rdaps_own_404(world: World) -> None:
    status, body = rdap(world, "free.co.uk")
    assert (status, body["errorCode"]) == (404, 404)
    assert "notices" not in body
    assert "free.co.uk" in body["description"][0]


@pytest.mark.parametrize(("name", "title"), [("kept.co.uk", "Reserved Name"), ("dear.co.uk", "Premium Name")])
def test_a_reserved_name_is_a_404_with_a_notice(world: World, name: str, title: str) -> None:
    status, body = rdap(world, name)
    assert status == 404
    assert body["notices"][0]["title"] == title


def test_the_control_name_and_nic_are_registered(world: World) -> None:
    assert rdap(world, "known.co.uk")[0] == rdap(world, "nic.co.uk")[0] == 200


@pytest.mark.parametrize(
    ("path", "status"), [("/help", 200), ("/nameserver/ns1.a.uk", 200), ("/autnum/1", 400), ("/domain/a.com", 404)]
)
def test_other_paths(world: World, path: str, status: int) -> None:
    assert get(world.address("rdap"), path)[0] == status


def test_one_connection_serves_many_requests(world: World) -> None:
    connection = HTTPConnection(world.address("rdap"), timeout=2)
    try:
        for _ in range(3):
            connection.request("GET", "/domain/taken.co.uk")
            reply = connection.getresponse()
            assert reply.status == 200
            reply.read()
            assert connection.sock is not None
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("throttle", 429, "application/json"),
        ("unavailable", 503, "text/html"),
        ("bare_404", 404, "text/html"),
        ("deny", 404, "application/rdap+json"),
        ("reserved_404", 404, "application/rdap+json"),
        ("redirect", 302, "text/plain"),
        ("html", 200, "text/html; charset=utf-8"),
        ("error_500", 500, "text/plain"),
    ],
)
def test_faults_with_a_status(world: World, fault: str, status: int, kind: str) -> None:
    world.fault("rdap", fault, retry_after_s=7)
    found, headers, _ = get(world.address("rdap"), "/domain/known.co.uk")
    assert (found, headers["content-type"]) == (status, kind)
    if fault in ("throttle", "unavailable"):
        assert headers["retry-after"] == "7"


@pytest.mark.parametrize("fault", ["garbage", "truncated", "empty"])
def test_faults_that_spoil_the_body(world: World, fault: str) -> None:
    world.fault("rdap", fault)
    status, _, body = get(world.address("rdap"), "/domain/taken.co.uk")
    assert status == 200
    with pytest.raises(ValueError, match=r".*"):
        json.loads(body)


def test_a_cut_connection_a_drip_and_a_hang(world: World) -> None:
    world.fault("rdap", "close", count=1)
    with pytest.raises((HTTPException, ConnectionError)):
        get(world.address("rdap"), "/domain/taken.co.uk")
    for fault in ("hang", "drip"):
        world.fault("rdap", fault, count=1, delay_s=1.0)
        with pytest.raises(TimeoutError):
            get(world.address("rdap"), "/domain/taken.co.uk", timeout_s=0.05)


def test_a_liar_may_spare_its_control_name(world: World) -> None:
    world.fault("rdap", "bare_404", spare=["controls"])
    assert rdap(world, "known.co.uk")[0] == 200
    assert get(world.address("rdap"), "/domain/taken.co.uk")[1]["content-type"] == "text/html"


def test_the_limit_is_kept_and_violations_are_counted(world: World) -> None:
    statuses = [get(world.address("tight"), "/domain/a.dev")[0] for _ in range(4)]
    assert statuses == [404, 404, 429, 429]
    counted = next(one for one in world.state()["services"] if one["name"] == "tight")
    assert (counted["requests"], counted["violations"], counted["peak_per_s"]) == (4, 2, 4)
    assert [one.name for one in world.requests("tight")] == ["a.dev"] * 4


def test_whois_answers_in_its_registrys_way(world: World) -> None:
    assert 'No match for "free.co.uk".' in whois(world.address("whois"), "free.co.uk")
    taken = whois(world.address("whois"), "taken.co.uk")
    assert "Domain name:\r\n        taken.co.uk" in taken
    assert "Renewal required" not in taken
    assert "reserved" in whois(world.address("whois"), "kept.co.uk")
    german = whois(world.address("denic"), "-T dn,ace xn--strae-oqa.de")
    assert "Domain: straße.de" in german
    assert "Status: free" in whois(world.address("denic"), "-T dn,ace strasse.de")
    assert "Status: connect" in whois(world.address("denic"), "nic.de")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("throttle", "has been exceeded"),
        ("unavailable", "temporarily unavailable"),
        ("deny", "No match"),
        ("empty", ""),
    ],
)
def test_whois_faults_with_a_text(world: World, fault: str, said: str) -> None:
    world.fault("whois", fault)
    text = whois(world.address("whois"), "known.co.uk")
    assert said in text
    assert "Registered on" not in text


def test_whois_faults_of_the_connection(world: World) -> None:
    world.fault("whois", "close", count=1)
    with pytest.raises(ConnectionError):
        whois(world.address("whois"), "known.co.uk")
    world.fault("whois", "hang", count=1)
    with pytest.raises(TimeoutError):
        whois(world.address("whois"), "known.co.uk", timeout_s=0.05)
    world.fault("whois", "truncated", count=1)
    assert "Registration status" not in whois(world.address("whois"), "known.co.uk")


def test_ianas_root_names_the_whois_server(world: World) -> None:
    root = world.urls["whois_root"]
    assert f"whois:        {world.address('denic')}" in whois(root, "de")
    assert f"refer:        {world.address('whois')}" in whois(root, "taken.co.uk")
    assert "whois:" not in whois(root, "dev")
    assert "returned 0 objects" in whois(root, "nowhere")


def test_ianas_bootstrap_file(world: World) -> None:
    address, _, path = world.urls["bootstrap_url"].removeprefix("http://").partition("/")
    body = json.loads(get(address, f"/{path}")[2])
    assert body["version"] == "1.0"
    assert [["uk"], [f"http://{world.address('rdap')}/"]] in body["services"]


def test_the_zones_file(world: World) -> None:
    address, _, path = world.urls["zones_url"].removeprefix("http://").partition("/")
    zones = json.loads(get(address, f"/{path}")[2])
    assert zones["uk"] == {
        "control": "nic.uk",
        "nameservers": [world.urls["dns"]],
        "rdap": [f"http://{world.address('rdap')}/"],
        "rdap_rate": 4,
        "whois": world.address("whois"),
    }
    assert zones["co.uk"] == {"control": "known.co.uk", "nameservers": [world.urls["dns"]]}
    assert "whois" not in zones["de"]
    assert (zones["de"]["whois_daily"], zones["de"]["whois_query"]) == (50, "-T dn,ace {name}")
    assert zones["dev"]["wildcard"] is True


def test_a_name_changes_while_the_world_runs() -> None:
    with serve(SCENARIO) as world:
        world.advance(1001)
        assert rdap(world, "lost.co.uk")[0] == 404
        world.put_name("lost.co.uk", "caught")
        status, body = rdap(world, "lost.co.uk")
        assert (status, body["entities"][0]["handle"]) == (200, "9002")
        with pytest.raises(ValueError, match="no zone"):
            world.put_name("a.org", "registered")


def test_a_world_starts_fast() -> None:
    began = time.perf_counter()
    with serve(SCENARIO):
        took_s = time.perf_counter() - began
    assert took_s < 0.3


def test_recorded_answers_are_sent_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    text = "Nothing\nwas found: ä\n"
    entries = [
        {"id": "1", "name": "a.fr", "tld": "fr", "truth": "available", "text": text},
        {"id": "2", "http_status": 422, "content_type": "text/plain", "headers": {"X-A": "b"}, "truth": "unknown",
         "body": "{", "name": "b.dev"},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), "utf-8")
    with serve("recorded", answers=[path], start=True) as world:
        assert whois(world.address("whois.fr"), "a.fr") == text
        assert "NIC.FR" in whois(world.address("whois.fr"), "nic.fr")
        status, headers, body = get(world.address("rdap.dev"), "/domain/b.dev")
        assert (status, headers["content-type"], headers["x-a"], body) == (422, "text/plain", "b", b"{")
        assert get(world.address("rdap.dev"), "/domain/nic.dev")[0] == 200
        assert {one["name"]: one["truth"] for one in world.state()["names"]} == {
            "a.fr": "available",
            "b.dev": "unknown",
        }
