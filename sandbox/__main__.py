"""`python -m sandbox`: run a world until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from .document import ScenarioError
from .scenario import load
from .world import World


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="sandbox", description=__doc__)
    parser.add_argument("--scenario", default="drop", help="drop, recorded, or the path of a YAML file")
    parser.add_argument("--answers", action="append", default=[], metavar="FILE", help="recorded answers (JSON lines)")
    parser.add_argument("--names", nargs="+", default=[], metavar="NAME[=STATE]", help="a world of these names")
    parser.add_argument("--world", type=Path, metavar="FILE", help="write addresses here when everything listens")
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep a journal of deliveries here")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--start", action="store_true", help="start the scenario's clock at once")
    options = parser.parse_args(arguments)
    try:
        scenario = load(options.scenario, answers=options.answers, names=_names(options.names))
    except ScenarioError as exc:
        print(f"sandbox: {exc}", file=sys.stderr)
        return 2
    world = World(scenario, host=options.host, start=True if options.start else None, state_dir=options.state)
    return asyncio.run(_run(world, options.world))


async def _run(world: World, path: Path | None) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        await world.open()
    except OSError as exc:
        reason = exc.strerror or exc
        print(f"sandbox: cannot listen on {world.host}: {reason}; free the port or use port 0", file=sys.stderr)
        await world.close()
        return 1
    try:
        if path is not None:
            world.write(path)
        print(f"sandbox: {world.scenario.name} is up; receiver {world.urls['receiver_url']} "
              f"state {world.urls['state_url']}", flush=True)  # fmt: skip
        await stopped.wait()
    finally:
        await world.close()
    return 0


def _names(given: Sequence[str]) -> list[str]:
    """Names as words, with commas or spaces between them, or as files with a name on each line."""
    found: list[str] = []
    for entry in given:
        text = Path(entry).read_text("utf-8") if Path(entry).is_file() else entry
        lines = [line.partition("#")[0] for line in text.splitlines()]
        found += [word for line in lines for word in line.replace(",", " ").split()]
    return found


if __name__ == "__main__":
    sys.exit(main())
