"""Makes the two environments of this checkout, once: `.venv` with the tools, `.venv-emulator` with the emulator.

Runs on whatever Python is at hand and needs nothing but the standard library, so that even an old Python can say what
is missing. They are two because a function on the emulator must find its third-party code in the layers, as on AWS.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
NEWEST_TRIED = 14
NETWORK_SIGNS = (
    "NewConnectionError",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "Max retries exceeded",
    "Connection refused",
    "ReadTimeoutError",
    "ProxyError",
)


class Problem(Exception):
    """Something only the user can cure; its text says how."""


class Environment(NamedTuple):
    folder: str
    requirements: str


ENVIRONMENTS = (
    Environment(".venv", "requirements/dev.txt"),
    Environment(".venv-emulator", "requirements/emulator.txt"),
)


def suitable_python() -> str:
    """The path of a Python that is new enough: this one, or another on the PATH. Raises Problem."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for minor in range(NEWEST_TRIED, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    raise Problem(
        "Domainwatch needs Python 3.11 or newer, and this is {}.{}. Install one (python.org, or your system's package "
        "manager), or name it: make run PYTHON=/path/to/python3.12".format(*sys.version_info[:2])
    )


def make(environment: Environment, python: str) -> float:
    """Create or complete one environment; returns the seconds it took, 0 if it was complete. Raises Problem."""
    begun = time.monotonic()
    folder = ROOT / environment.folder
    stamp = folder / "complete"
    wanted = _wanted(environment, python)
    if stamp.is_file() and stamp.read_text() == wanted and (folder / "bin" / "python").exists():
        return 0.0
    if _version(str(folder / "bin" / "python")) != _version(python):
        shutil.rmtree(folder, ignore_errors=True)
        _run(
            [python, "-m", "venv", str(folder)],
            f"{python} could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv",
        )
    _run(
        [
            str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--no-input", "--require-hashes", "--no-deps", "-r", str(ROOT / environment.requirements),
        ],
        f"The packages of {environment.requirements} could not be installed.",
    )  # fmt: skip
    stamp.write_text(wanted)
    return time.monotonic() - begun


def make_all() -> list[str]:
    """Both environments at the same time; returns one line for each that had to be made. Raises Problem."""
    python = suitable_python()
    pending = [env for env in ENVIRONMENTS if not _is_complete(env, python)]
    if not pending:
        return []
    folders = " and ".join(environment.folder for environment in pending)
    print(f"making {folders}; the first time takes a minute or two", flush=True)
    lines = []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        made = {pool.submit(make, env, python): env for env in pending}
        for future in concurrent.futures.as_completed(made):
            lines.append(f"{made[future].folder}: {future.result():.1f} s")
            print("  " + lines[-1], flush=True)
    return lines


def _is_complete(environment: Environment, python: str) -> bool:
    folder = ROOT / environment.folder
    stamp = folder / "complete"
    return (
        stamp.is_file() and stamp.read_text() == _wanted(environment, python) and (folder / "bin" / "python").exists()
    )


def _wanted(environment: Environment, python: str) -> str:
    """What a complete environment was made from."""
    digest = hashlib.sha256((ROOT / environment.requirements).read_bytes()).hexdigest()
    return f"{_version(python)} {digest}\n"


def _version(python: str) -> str | None:
    if python == sys.executable:
        return "{}.{}".format(*sys.version_info[:2])
    try:
        return subprocess.check_output(
            [python, "-c", "import sys; print('{}.{}'.format(*sys.version_info[:2]))"],
            stderr=subprocess.DEVNULL,
            text=True,
        ).strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _run(command: list[str], problem: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean, check=False)
    if done.returncode:
        if any(sign in done.stdout for sign in NETWORK_SIGNS):
            problem += (
                " The package index could not be reached: check the network, or name a mirror in PIP_INDEX_URL. "
                "It is needed once only."
            )
        tail = "\n".join("  " + line for line in done.stdout.strip().splitlines()[-8:])
        raise Problem(problem + "\n" + tail)


def main() -> int:
    try:
        make_all()
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
