"""The processes of a local run: what they start ends with them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tools.environments import Problem
from tools.local.processes import LOOPBACK, Processes, port_for

# Starts a child of its own, writes both process ids, and would stay for ever.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    """A process that ended but was not yet waited for by its new parent counts as gone."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(shown.strip()) and not shown.strip().startswith("Z")


def test_children_of_children_end_too(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    family = processes.start("family", [sys.executable, "-c", FAMILY], env=os.environ, cwd=tmp_path)
    processes.wait_until(family, lambda: len(family.log.read_text().split()) == 2, timeout_s=20)
    pids = [int(pid) for pid in family.log.read_text().split()]
    assert all(map(is_alive, pids))
    processes.stop_all()
    assert not any(map(is_alive, pids))


def test_a_failure_shows_the_last_lines_and_the_log(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    with pytest.raises(Problem, match=r"broken failed \(3\)(.|\n)*out of cheese"):
        processes.run(
            "broken",
            [sys.executable, "-c", "print('out of cheese'); raise SystemExit(3)"],
            env=os.environ,
            cwd=tmp_path,
            timeout_s=20,
        )


def test_what_ends_before_it_is_ready_is_not_waited_for(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    started = processes.start("brief", [sys.executable, "-c", "print('bye')"], env=os.environ, cwd=tmp_path)
    with pytest.raises(Problem, match="brief ended at once"):
        processes.wait_until(started, lambda: False, timeout_s=20)
    processes.stop_all()


def test_a_port_in_use_gets_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Problem, match=f"Port {port} of 127.0.0.1 cannot be used"):
            port_for(port)
    assert port_for(0) > 0
