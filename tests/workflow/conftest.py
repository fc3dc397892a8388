"""One deployed stack for the whole session: the emulator, the real template, the sandbox as its internet.

`stack` is reached as any outsider would (`tools.local.stack.Stack`: outputs, `invoke`, `call`, boto3 clients); `world`
is the sandbox (`sandbox.world.World`: `put_name`, `fault`, `state()`); `emulator_process` can be stopped and started.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.world import World, serve
from tests.workflow.pipeline import Pipeline
from tools.local import stack as stacks
from tools.local.emulator import Emulator
from tools.local.processes import Processes, Started, port_for
from tools.local.stack import Stack

SCENARIO: Mapping[str, Any] = {
    "name": "workflow",
    "starts": "at_once",
    "services": {
        "rdap-com": {"kind": "rdap", "rate_per_s": 20, "limit_per_s": 25},
        "whois-com": {"kind": "whois", "format": "verisign", "rate_per_s": 20, "limit_per_s": 25},
        "rdap-dev": {"kind": "rdap", "rate_per_s": 20, "limit_per_s": 25},
        "whois-de": {
            "kind": "whois",
            "format": "denic",
            "query": "-T dn,ace {name}",
            "rate_per_s": 20,
            "limit_per_s": 25,
        },
        # Serves nobody, and tells everybody to come back soon.
        "rdap-net": {"kind": "rdap", "rate_per_s": 20, "faults": [{"fault": "throttle", "retry_after_s": 1}]},
        # Knows its control name, and answers 404 in HTML to everything else.
        "rdap-io": {"kind": "rdap", "rate_per_s": 20, "faults": [{"fault": "bare_404", "spare": ["controls"]}]},
        # Denies every name in good RDAP, the control name too.
        "rdap-app": {"kind": "rdap", "rate_per_s": 20, "faults": [{"fault": "deny"}]},
    },
    "zones": {
        "com": {"rdap": "rdap-com", "whois": "whois-com", "control": "registry.com"},
        "dev": {"rdap": "rdap-dev", "control": "web.dev"},
        "de": {"whois": "whois-de", "control": "denic.de"},
        "net": {"rdap": "rdap-net"},
        "io": {"rdap": "rdap-io"},
        "app": {"rdap": "rdap-app"},
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
# Nothing is due by itself but what the owner or its phase made urgent: the tests say what is checked.
PARAMETERS = {
    "CadenceSeconds": "hot=1,priority=1,normal=3600,slow=86400",
    "ConfirmationDelayS": "1",
    "SuspiciousConfirmationDelayS": "1",
    "Shards": "4",
}


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
    """The stack, its list fetched for the first time and the names of it checked."""
    stack = stacks.deploy(processes, emulator_process.emulator, built, PARAMETERS | stacks.world_parameters(world.urls))
    stack.invoke("FetchDomainsFunction")
    Pipeline(stack=stack, world=world).await_quiet()
    return stack


@pytest.fixture
def pipeline(stack: Stack, world: World) -> Pipeline:
    """What a test does to the stack, and how it waits for what comes of it."""
    return Pipeline(stack=stack, world=world)
