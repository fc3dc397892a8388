"""The domain list API, the callback receiver, the control API and the command line, over real sockets."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sandbox import FaultError, World, serve
from sandbox.receiver import new_delivery_signature

ROOT = Path(__file__).parents[2]
SCENARIO = {
    "name": "little",
    "tick_s": 2,
    "cadence_seconds": "hot=5",
    "parameters": {"Shards": 4},
    "services": {"rdap": {"kind": "rdap"}},
    "zones": {"com": {"rdap": "rdap"}},
    "names": {
        **{f"name-{number}.com": "registered" for number in range(20)},
        "Über.com": {"timeline": "available", "priority": True},
        "hidden.com": {"timeline": "registered", "listed": False},
    },
}
AVAILABLE = {
    "domain": "xn--ber-goa.com",
    "status": "available",
    "confidence": 0.95,
    "timestamp": 1.5,
    "checks": {"timestamp": 1.5, "checks": {"dns": {}, "rdap": {}, "whois": {}}},
}


@pytest.fixture
def world() -> Iterator[World]:
    with serve(SCENARIO) as made:
        yield made


def send(method: str, url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=2)
    try:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        connection.request(
            method, parts.path or "/", data, {key.replace("_", "-"): value for key, value in headers.items()}
        )
        reply = connection.getresponse()
        text = reply.read().decode("utf-8", "replace")
    finally:
        connection.close()
    try:
        return reply.status, json.loads(text)
    except ValueError:
        return reply.status, text


def fetch(world: World) -> tuple[int, Any]:
    return send("GET", world.urls["domain_api_url"], Authorization=f"Bearer {world.auth_token}")


def deliver(world: World, webhook_id: str = "evt_1", *, secret: str | None = None, token: str | None = None) -> int:
    body, now = json.dumps(AVAILABLE).encode(), int(time.time())
    return send(
        "POST",
        world.urls["available_callback_url"],
        body,
        Authorization=f"Bearer {token or world.auth_token}",
        webhook_id=webhook_id,
        webhook_timestamp=str(now),
        webhook_signature=new_delivery_signature(secret or world.webhook_secret, webhook_id, now, body),
    )[0]


def test_the_list_is_given_to_whoever_has_the_token_and_starts_the_clock(world: World) -> None:
    assert send("GET", world.urls["domain_api_url"])[0] == 401
    assert world.state()["started"] is False
    status, body = fetch(world)
    assert status == 200
    assert body["domains"][0] == "name-0.com"
    assert {"domain": "Über.com", "priority": True} in body["domains"]
    assert "hidden.com" not in body["domains"]
    assert world.state()["started"] is True


@pytest.mark.parametrize("fault", ["error_500", "html", "half_json", "root_array", "empty", "shorter", "wrong_types"])
def test_the_list_may_be_bad_and_then_starts_nothing(world: World, fault: str) -> None:
    world.fault("list", fault, count=1)
    status, body = fetch(world)
    match fault:
        case "error_500":
            assert status == 500
        case "html" | "half_json":
            assert isinstance(body, str)
        case "root_array":
            assert isinstance(body, list)
        case "empty":
            assert body == {"domains": []}
        case "shorter":
            assert len(body["domains"]) == 2
        case "wrong_types":
            assert None in body["domains"]
    assert not world.state()["started"]
    assert len(fetch(world)[1]["domains"]) == 21


def test_a_good_delivery_is_taken_and_a_second_one_counted(world: World) -> None:
    fetch(world)
    assert [deliver(world), deliver(world)] == [200, 200]
    first, second = world.deliveries("available")
    assert (first["domain"], first["signature"], first["authorization"], first["shape"]) == (
        "xn--ber-goa.com", "ok", "ok", "ok",
    )  # fmt: skip
    assert (first["duplicate"], second["duplicate"], second["attempt"]) == (False, True, 2)
    view = send("GET", world.urls["receiver_url"] + "deliveries.json")[1]
    assert view["counts"]["duplicates"] == 1
    assert view["deliveries"][0]["unicode"] == "über.com"
    row = next(one for one in world.expectations()["names"] if one["name"] == "xn--ber-goa.com")
    assert (row["announced"], row["ok"]) == (1, True)


def test_a_retry_after_a_fault_is_no_duplicate(world: World) -> None:
    world.fault("receiver", "error_500", count=1)
    assert [deliver(world), deliver(world)] == [500, 200]
    assert [(one["accepted"], one["duplicate"]) for one in world.deliveries()] == [(False, False), (True, False)]


def test_a_bad_signature_or_token_is_turned_away(world: World) -> None:
    assert deliver(world, secret="whsec_AAAA") == 401
    assert deliver(world, token="other") == 401
    assert [(one["signature"], one["authorization"]) for one in world.deliveries()] == [("bad", "ok"), ("ok", "wrong")]


@pytest.mark.parametrize(("fault", "status"), [("gone_410", 410), ("throttle", 429)])
def test_the_receiver_may_refuse(world: World, fault: str, status: int) -> None:
    world.fault("receiver", fault)
    assert deliver(world) == status


def test_the_page_needs_nothing_from_elsewhere(world: World) -> None:
    status, page = send("GET", world.urls["receiver_url"])
    assert status == 200
    assert "<title>Callback receiver</title>" in page
    assert "http://" not in page.replace(world.urls["receiver_url"], "")
    assert "https://" not in page


def test_the_control_api(world: World) -> None:
    control = world.urls["control_url"]
    state = send("GET", world.urls["state_url"])[1]
    assert (state["scenario"], state["done"], state["elapsed_s"]) == ("little", False, 0)
    assert send("POST", control + "clock", {"advance_s": 1000})[1]["started"] is True
    assert send("GET", world.urls["state_url"])[1]["done"] is True
    assert send("POST", control + "fault", {"target": "rdap", "fault": "hang", "seconds": 5})[1] == {
        "faults": {"rdap": ["hang"]}
    }
    assert send("POST", control + "fault", {"target": "rdap", "fault": "none"})[1] == {"faults": {}}
    assert send("POST", control + "names", {"name": "new.com", "state": "available"})[0] == 200
    judged = send("POST", world.urls["judge_url"], {"statuses": {"new.com": "available", "name-1.com": "available"}})[1]
    assert (judged["right"], judged["false_available"]) == (1, ["name-1.com"])
    assert send("GET", world.urls["expectations_url"])[1]["ok"] is True
    assert send("GET", control + "world")[1]["scenario"] == "little"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("fault", {"target": "moon", "fault": "hang"}, 400),
        ("fault", {"target": "rdap", "fault": "flood"}, 400),
        ("fault", {"target": "rdap", "fault": "hang", "colour": "red"}, 400),
        ("fault", [], 400),
        ("judge", {}, 400),
        ("names", {"name": "a.org", "state": "available"}, 400),
        ("names", {"name": "a.com", "state": "sold"}, 400),
        ("nothing", {}, 404),
    ],
)
def test_the_control_api_answers_mistakes(world: World, path: str, body: Any, status: int) -> None:
    found, reply = send("POST", world.urls["control_url"] + path, body)
    assert found == status
    assert reply["error"]


def test_a_stack_may_tell_its_own_secret(world: World) -> None:
    assert send("POST", world.urls["control_url"] + "secret", {"webhook_secret": "whsec_AAAA"})[0] == 200
    assert deliver(world, secret="whsec_AAAA") == 200


def test_a_fault_from_python_is_checked(world: World) -> None:
    with pytest.raises(FaultError):
        world.fault("moon", "hang")


def test_the_journal_keeps_what_arrived(tmp_path: Path) -> None:
    with serve(SCENARIO, state_dir=tmp_path) as world:
        deliver(world)
    lines = (tmp_path / "deliveries.jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[0])["webhook_id"] == "evt_1"


def test_a_taken_port_is_an_error(world: World) -> None:
    port = int(world.urls["receiver_url"].rstrip("/").rpartition(":")[2])
    with pytest.raises(OSError, match="address already in use"), serve({**SCENARIO, "ports": {"receiver": port}}):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_writes_its_addresses_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "world.json"
    command = [sys.executable, "-m", "sandbox", "--names", "a.com", "b.com=available", "--world", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "names is up" in process.stdout.readline()
        urls = json.loads(path.read_text("utf-8"))
        assert [one["name"] for one in send("GET", urls["state_url"])[1]["names"]] == ["a.com", "b.com"]
        process.send_signal(number)
        _, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (0, "")
    assert {"domain_api_url", "callback_url", "available_callback_url", "receiver_url", "bootstrap_url", "zones_url",
            "whois_root", "resolver", "allowed_private_networks", "auth_token", "webhook_secret", "control_url",
            "state_url", "judge_url", "expectations_url", "cadence_seconds", "confirmation_delay_s",
            "suspicious_confirmation_delay_s", "tick_s", "duration_s", "parameters"} <= set(urls)  # fmt: skip
    assert urls["allowed_private_networks"] == "127.0.0.1/32"


def test_the_command_refuses_a_bad_scenario_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("zones:\n  com: {rdap: r}\n", "utf-8")
    command = [sys.executable, "-m", "sandbox", "--scenario", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 2
    assert done.stderr == "sandbox: bad.yaml, line 2: zones.com.rdap: there is no rdap service 'r' under services\n"
