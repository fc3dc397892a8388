"""How long one check takes: `POST /v1/checks` on a warm stack, beside the same questions asked one after another.

The stack runs on the local emulator, the registries are the sandbox's, without any distance to them; so what is
measured is what the pipeline adds: HTTP API, execution, a function per rung, leases. The peer is what a plain script
does: dnspython, then requests at the RDAP address, then python-whois at the WHOIS server, in the same run and in turn
with ours, told all addresses, with no limits, no control questions and no verdict.

    python bench/bench_check.py        # CALLS=30 calls for each name; JSON=1 prints one object instead of the table
"""

import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dns.resolver
import requests
import whois
from rich.console import Console
from rich.table import Table
from whois.exceptions import WhoisDomainNotFoundError

from sandbox.world import World, serve
from tools.local import stack as stacks
from tools.local.emulator import ROOT, Emulator
from tools.local.processes import LOOPBACK, Processes, port_for
from tools.local.stack import Stack

T = TypeVar("T")
CALLS = int(os.environ.get("CALLS", "30"))
WARM_UP_CALLS = 5
TIMEOUT_S = 10.0
# Far more than is asked here: pacing is part of the check, waiting for a slot is not what is measured.
RATE_PER_S = 200
SCENARIO: Mapping[str, Any] = {
    "name": "bench",
    "starts": "at_once",
    "services": {
        "rdap": {"kind": "rdap", "rate_per_s": RATE_PER_S},
        "whois": {"kind": "whois", "format": "verisign", "rate_per_s": RATE_PER_S},
    },
    "zones": {"com": {"rdap": "rdap", "whois": "whois", "control": "registry.com"}},
}
# Name, how it stands, and by whom that is known.
NAMES = (("taken.com", "registered", "DNS, facts by RDAP"), ("free.com", "available", "DNS, RDAP and WHOIS"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Of one name asked in one way, in milliseconds. `checks_p50_ms` is the part spent in asking the far side."""

    name: str
    known_by: str
    who: str
    calls: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    checks_p50_ms: float | None = None


class Redirected(socket.socket):
    """python-whois knows port 43 only; this takes it to the sandbox's."""

    address: tuple[str, int]

    def connect(self, address: Any) -> None:
        super().connect(self.address)


class Peer:
    """The three questions, one after another, as a plain script asks them."""

    def __init__(self, world: World) -> None:
        host, _, port = world.urls["resolver"].rpartition(":")
        self._resolver = dns.resolver.Resolver(configure=False)
        self._resolver.nameservers, self._resolver.port = [host], int(port)
        self._rdap = f"http://{world.address('rdap')}/domain/"
        host, _, port = world.address("whois").rpartition(":")
        Redirected.address = (host, int(port))
        self._whois = whois.NICClient()
        self._whois.get_socket = lambda: Redirected(socket.AF_INET, socket.SOCK_STREAM)

    def check(self, name: str) -> str:
        """`registered` or `available`, and nothing in between."""
        try:
            self._resolver.resolve(name, "NS", lifetime=TIMEOUT_S)
            delegated = True
        except dns.resolver.NXDOMAIN:
            delegated = False
        reply = requests.get(self._rdap + name, headers={"Accept": "application/rdap+json"}, timeout=TIMEOUT_S)
        if reply.status_code == 200:
            reply.json()
        text = self._whois.whois(name, "whois", 0, timeout=int(TIMEOUT_S))
        try:
            found = bool(whois.WhoisEntry.load(name, text).domain_name)
        except WhoisDomainNotFoundError:
            found = False
        return "registered" if delegated or found or reply.status_code == 200 else "available"


def ours(stack: Stack, name: str) -> tuple[str, float]:
    """The verdict's status, and the milliseconds that the checks themselves took."""
    reply = stack.call("POST", "/v1/checks", {"domain": name})
    if reply.status != 200:
        raise SystemExit(f"POST /v1/checks answered {reply.status}: {reply.body}")
    return reply.body["verdict"]["status"], sum(finding["duration_ms"] for finding in reply.body["findings"])


def measure(stack: Stack, peer: Peer, name: str, status: str, known_by: str) -> list[Times]:
    """Ours and the peer's in turn, so that what else the machine does meets both."""
    took: dict[str, list[float]] = {"domainwatch": [], "peer": []}
    checks: list[float] = []
    for call in range(-WARM_UP_CALLS, CALLS):
        (said, checks_ms), ours_ms = timed(lambda: ours(stack, name))
        peer_said, peer_ms = timed(lambda: peer.check(name))
        if (said, peer_said) != (status, status):
            raise SystemExit(f"{name} is {status}; we said {said}, the peer {peer_said}")
        if call >= 0:
            took["domainwatch"].append(ours_ms)
            took["peer"].append(peer_ms)
            checks.append(checks_ms)
    return [
        Times(
            name=name,
            known_by=known_by,
            who=who,
            calls=len(each),
            p50_ms=round(statistics.median(each), 1),
            p95_ms=round(p95(each), 1),
            max_ms=round(max(each), 1),
            checks_p50_ms=round(statistics.median(checks), 1) if who == "domainwatch" else None,
        )
        for who, each in took.items()
    ]


def timed(what: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    answer = what()
    return answer, (time.perf_counter() - begun) * 1000


def p95(values: list[float]) -> float:
    """The smallest value that at least 95 % of them do not exceed."""
    return sorted(values)[-(-len(values) * 95 // 100) - 1]


@contextmanager
def deployed(world: World) -> Iterator[Stack]:
    """A stack of its own on an emulator of its own, gone afterwards."""
    (ROOT / ".local").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".local", prefix="bench-") as folder:
        processes = Processes(Path(folder) / "logs")
        try:
            emulator = Emulator(port=port_for(0), folder=Path(folder) / "emulator")
            emulator.start(processes)
            processes.finish(stacks.start_build(processes, emulator, Path(folder)), timeout_s=stacks.BUILD_S)
            yield stacks.deploy(processes, emulator, Path(folder), stacks.world_parameters(world.urls))
        finally:
            processes.stop_all()


def main() -> None:
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = LOOPBACK
    times: list[Times] = []
    with serve(SCENARIO) as world, deployed(world) as stack:
        peer = Peer(world)
        for name, status, known_by in NAMES:
            world.put_name(name, status, listed=False)
            times += measure(stack, peer, name, status, known_by)
    rival = (
        f"dnspython {version('dnspython')} + requests {version('requests')} + python-whois {version('python-whois')}"
    )
    if os.environ.get("JSON"):
        print(json.dumps({"bench": "check", "peer": rival, "times": [asdict(each) for each in times]}))
        return
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(f"One warm check, {CALLS} calls each, milliseconds; the peer is {rival}", highlight=False)
    table = Table()
    for column in ("name", "known by", "who", "p50", "p95", "max", "p50 in checks"):
        table.add_column(column, justify="left" if column in {"name", "known by", "who"} else "right")
    for each in times:
        inside = "" if each.checks_p50_ms is None else f"{each.checks_p50_ms:.1f}"
        figures = (f"{each.p50_ms:.1f}", f"{each.p95_ms:.1f}", f"{each.max_ms:.1f}", inside)
        table.add_row(each.name, each.known_by, each.who, *figures)
    console.print(table)


if __name__ == "__main__":
    main()
