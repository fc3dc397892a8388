"""The sandbox as the run sees it: where its parts are, what it says must happen, and what its receiver got."""

import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.environments import Problem
from tools.local.emulator import ROOT, Emulator
from tools.local.options import Options
from tools.local.processes import Processes
from tools.local.stack import world_parameters
from tools.local.view import Told

START_S = 30.0
ASK_S = 20.0
# What stands for the internet.
INTERNET = {"ResolverAddresses", "ZonesUrl", "RdapBootstrapUrl", "WhoisRootServer"}
# With NETWORK=live and no NAMES: reserved for documentation, so that asking for them bothers nobody.
LIVE_NAMES = "example.com example.net example.org"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`urls` is the sandbox's world.json."""

    urls: Mapping[str, Any]
    live: bool
    contact: str

    @classmethod
    def start(cls, processes: Processes, emulator: Emulator, options: Options, folder: Path) -> "World":
        """Raises Problem with the sandbox's own words if the scenario or the answers cannot be used."""
        path = folder / "world.json"
        path.unlink(missing_ok=True)
        command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "sandbox"]
        command += ["--scenario", options.scenario, "--world", str(path), "--state", str(folder / "sandbox")]
        for answers in options.answers:
            command += ["--answers", str(answers)]
        names = options.names or (LIVE_NAMES if options.live else "")
        if names:
            command += ["--names", names]
        started = processes.start("sandbox", command, env=emulator.environment(), cwd=ROOT)
        processes.wait_until(started, path.is_file, timeout_s=START_S)
        return cls(urls=json.loads(path.read_text("utf-8")), live=options.live, contact=options.contact)

    def parameters(self) -> dict[str, str]:
        """The stack's parameters for this world. Live, only the list and the receiver are the sandbox's."""
        urls = self.urls
        given = world_parameters(urls) | {"ContactAddress": self.contact}
        if self.live:
            return {name: value for name, value in given.items() if name not in INTERNET}
        return given | {
            "CadenceSeconds": urls["cadence_seconds"],
            "ConfirmationDelayS": str(urls["confirmation_delay_s"]),
            "SuspiciousConfirmationDelayS": str(urls["suspicious_confirmation_delay_s"]),
            **urls["parameters"],
        }

    @property
    def tick_s(self) -> float:
        return float(self.urls["tick_s"])

    @property
    def duration_s(self) -> float:
        return float(self.urls["duration_s"])

    def state(self) -> dict[str, Any]:
        return self._ask(self.urls["state_url"])

    def expectations(self) -> dict[str, Any]:
        return self._ask(self.urls["expectations_url"])

    def judge(self, statuses: Mapping[str, str]) -> dict[str, Any]:
        return self._ask(self.urls["judge_url"], {"statuses": dict(statuses)})

    def _ask(self, url: str, body: Any = None) -> dict[str, Any]:
        request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=ASK_S) as response:
                answer: dict[str, Any] = json.loads(response.read())
        except OSError as exc:
            raise Problem(f"The sandbox does not answer at {url} ({exc}).") from exc
        return answer


def told(state: Mapping[str, Any], epoch: float) -> list[Told]:
    """The deliveries of a state, timed from the moment the scenario began."""
    return [
        Told(
            at_s=delivery["at"] - epoch,
            text=f"{delivery['domain'] or '?'} {_what(delivery)}",
            signed=delivery["signature"] == "ok",
            duplicate=delivery["duplicate"],
        )
        for delivery in state["deliveries"]
    ]


def shortcomings(
    judged: Mapping[str, Any], expected: Mapping[str, Any], state: Mapping[str, Any], *, recorded: bool
) -> Sequence[str]:
    """What should have happened and did not, or the other way round; none means the scenario came true."""
    found = [f"{name} was called available" for name in judged["false_available"]]
    if not recorded:
        found += [
            f"{one['name']} is {one['status']}, not {' or '.join(one['expected'])}"
            for one in judged["wrong"]
            if one["name"] not in judged["false_available"]
        ]
        found += [f"{name} was refused" for name in judged["refused"]]
    found += [f"{one['name']}: {one['why']}" for one in expected["wrong"]]
    if not recorded:
        found += [f"{one['name']}: {one['why']}" for one in expected["names"] if one["ok"] is None]
    found += [f"event {webhook_id} was delivered twice" for webhook_id in expected["told_twice"]]
    found += [f"delivery {number}: its signature is wrong" for number in expected["bad_signatures"]]
    found += [f"delivery {one['n']}: {one['shape']}" for one in expected["bad_shapes"]]
    found += [
        f"{service['name']} was asked faster than its limit, {service['violations']} times"
        for service in state["services"]
        if service["violations"]
    ]
    return found


def _what(delivery: Mapping[str, Any]) -> str:
    body = delivery["body"] if isinstance(delivery["body"], dict) else {}
    if delivery["kind"] == "result":
        return f"{body.get('check_type', '?')}: {body.get('result', '?')}"
    if delivery["kind"] == "available":
        return "AVAILABLE"
    return str(body.get("type", delivery["kind"]))
