"""Every process a run starts, each in a group of its own, so that all of them end with it."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.environments import Problem

LOOPBACK = "127.0.0.1"
POLL_S = 0.05
# At the end nothing is worth waiting for; before it, the emulator is given time to write down its state.
LAST_GRACE_S = 3.0
GRACE_S = 30.0
TAIL_LINES = 12
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    what: str
    process: subprocess.Popen[bytes]
    log: Path

    def tail(self) -> str:
        """The last lines it wrote."""
        lines = self.log.read_text("utf-8", errors="replace").strip().splitlines()
        return "\n".join(lines[-TAIL_LINES:])


class Processes:
    """Starts processes and, at the end, stops what is left: last come, first gone."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started: list[Started] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, what: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> Started:
        log = self._logs / f"{what.replace(' ', '-')}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started = Started(what=what, process=process, log=log)
        self._started.append(started)
        return started

    def run(self, what: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> str:
        """To the end; returns what it wrote. Raises Problem if it failed."""
        started = self.start(what, command, env=env, cwd=cwd)
        self.finish(started, timeout_s=timeout_s)
        return started.log.read_text("utf-8", errors="replace")

    def finish(self, started: Started, *, timeout_s: float) -> None:
        try:
            status = started.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._stop(started, grace_s=LAST_GRACE_S)
            raise Problem(f"{started.what} took longer than {timeout_s:.0f} s. Its log: {started.log}") from None
        if status:
            raise Problem(f"{started.what} failed ({status}). Its log: {started.log}\n{started.tail()}")

    def wait_until(self, started: Started, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Until it is ready. Raises Problem if it ends or does not get there."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if started.process.poll() is not None:
                raise Problem(f"{started.what} ended at once. Its log: {started.log}\n{started.tail()}")
            if time.monotonic() > deadline:
                raise Problem(f"{started.what} was not ready after {timeout_s:.0f} s. Its log: {started.log}")
            time.sleep(POLL_S)

    def check(self) -> None:
        """Raises Problem if one that should go on has ended."""
        for started in self._started:
            if started.process.poll() not in (None, 0):
                raise Problem(f"{started.what} ended unexpectedly. Its log: {started.log}\n{started.tail()}")

    def stop(self, started: Started) -> None:
        """One of them, before the end."""
        self._started.remove(started)
        self._stop(started, grace_s=GRACE_S)

    def stop_all(self) -> None:
        """Politely, then not. A second Ctrl-C must not leave anything behind, so signals are held off meanwhile."""
        held = {number: signal.signal(number, signal.SIG_IGN) for number in ENDINGS}
        try:
            while self._started:
                self._stop(self._started.pop(), grace_s=LAST_GRACE_S)
        finally:
            for number, handler in held.items():
                signal.signal(number, handler)

    def _stop(self, started: Started, *, grace_s: float) -> None:
        """The whole group, also when its leader is already gone: workers may have outlived it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.process.wait(grace_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait()


def port_for(wanted: int) -> int:
    """The wanted port, or any free one for 0. Raises Problem if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError as exc:
            raise Problem(
                f"Port {wanted} of {LOOPBACK} cannot be used ({exc.strerror}). "
                "Name another with PORT=, or none for any free one."
            ) from exc
        return int(probe.getsockname()[1])
