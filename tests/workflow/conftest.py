"""One deployed stack for the whole session: the emulator, the real template, the sandbox as its internet.

`stack` is reached as any outsider would (`tools.local.stack.Stack`: outputs, `invoke`, `call`, boto3 clients); `world`
is the sandbox (`sandbox.world.World`: `put_name`, `fault`, `state()`); `emulator_process` can be stopped and started.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.world import World, serve
from tools.local import stack as stacks
from tools.local.emulator import Emulator
from tools.local.processes import Processes, Started, port_for
from tools.local.stack import Stack

SCENARIO: Mapping[str, Any] = {
    "name": "workflow",
    "starts": "at_once",
    "services": {
        "rdap-com": {"kind": "rdap", "rate_per_s": 50},
        "whois-com": {"kind": "whois", "format": "verisign", "rate_per_s": 50},
        "rdap-dev": {"kind": "rdap", "rate_per_s": 50},
        "whois-de": {"kind": "whois", "format": "denic", "query": "-T dn,ace {name}", "rate_per_s": 50},
    },
    "zones": {
        "com": {"rdap": "rdap-com", "whois": "whois-com", "control": "registry.com"},
        "dev": {"rdap": "rdap-dev", "control": "web.dev"},
        "de": {"whois": "whois-de", "control": "denic.de"},
    },
    "names": {
        "taken.com": "registered",
        "free.com": "available",
        "held.com": "reserved",
        "paused.com": "on_hold",
        "straße.de": "registered",
        "open.dev": "available",
    },
}
PARAMETERS = {
    "CadenceSeconds": "hot=1,priority=1,normal=1,slow=1",
    "ConfirmationDelayS": "1",
    "SuspiciousConfirmationDelayS": "1",
    "Shards": "4",
}
PATIENCE_S = 45.0
POLL_S = 0.2


class EmulatorProcess:
    """The emulator, to be stopped and started again on the same port and state."""

    def __init__(self, emulator: Emulator, processes: Processes) -> None:
        self.emulator = emulator
        self._processes = processes
        self._started: Started | None = None

    def start(self) -> None:
        self._started = self.emulator.start(self._processes)

    def stop(self) -> None:
        """Politely: it keeps its state."""
        if self._started is not None:
            self._processes.stop(self._started)
            self._started = None


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    processes = Processes(tmp_path_factory.mktemp("logs"))
    yield processes
    processes.stop_all()


@pytest.fixture(scope="session")
def emulator_process(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> EmulatorProcess:
    process = EmulatorProcess(Emulator(port=port_for(0), folder=tmp_path_factory.mktemp("emulator")), processes)
    process.start()
    return process


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    with serve(SCENARIO) as world:
        yield world


@pytest.fixture(scope="session")
def built(processes: Processes, emulator_process: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what `sam build` made."""
    folder = tmp_path_factory.mktemp("build")
    processes.finish(stacks.start_build(processes, emulator_process.emulator, folder), timeout_s=stacks.BUILD_S)
    return folder


@pytest.fixture(scope="session")
def stack(processes: Processes, emulator_process: EmulatorProcess, built: Path, world: World) -> Stack:
    """The stack, its list fetched for the first time."""
    stack = stacks.deploy(processes, emulator_process.emulator, built, PARAMETERS | stacks.world_parameters(world.urls))
    stack.invoke("FetchDomainsFunction")
    return stack


@pytest.fixture
def eventually(stack: Stack) -> Callable[[Callable[[], Any]], Any]:
    """Ask until the answer is true, doing meanwhile what the schedules do each minute; returns the answer."""

    def ask(question: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (answer := question()):
            assert time.monotonic() < deadline, "it did not come true"
            stack.invoke("ScheduleChecksFunction")
            stack.invoke("NotifyFunction")
            time.sleep(POLL_S)
        return answer

    return ask
