"""Runs a scenario from start to end; the exit status is 0 only if what it says must happen did happen."""

import fcntl
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.environments import Problem
from tools.local import stack as stacks
from tools.local.emulator import ROOT, Emulator
from tools.local.ladder import Ladder
from tools.local.options import Options
from tools.local.processes import ENDINGS, Processes, port_for
from tools.local.stack import NotNow, Stack
from tools.local.view import SHOWN_NAMES, Row, Told, View
from tools.local.world import World, shortcomings, told

FOLDER = ROOT / ".local"
POLL_S = 1.0
# A look at hundreds of names keeps the emulator from working.
POLL_MANY_S = 4.0
# A slow machine may need a little longer than the scenario's clock.
PATIENCE_S = 30.0
# Names asked for singly at each look, in turn: the list does not tell when each is due.
ASKED_PER_LOOK = 2
# Looks in a row that the stack may leave unanswered.
UNANSWERED_LOOKS = 5
# Looks in a row at which nothing moved any more.
QUIET_LOOKS = 4
INTERRUPTED = 130
REFUSED = "refused"
SHOWN_FAULTS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look at everything: the sandbox's state, every name, every delivery."""

    state: Mapping[str, Any]
    rows: Sequence[Row]
    told: Sequence[Told]

    @property
    def recorded(self) -> bool:
        """Names that answer with recorded texts have no life of their own."""
        return any(name["state"] is None for name in self.state["names"])

    @property
    def statuses(self) -> dict[str, str]:
        return {row.name: row.status for row in self.rows if row.status not in ("", REFUSED)}


class Interrupted(Exception):
    """Ctrl-C, or a polite request to end."""


def main() -> int:
    for number in ENDINGS:
        signal.signal(number, _interrupt)
    # A user's real account must be out of reach of everything started here.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    view = View()
    try:
        options = Options.from_env()
        with _alone(), _processes() as processes:
            return _run(view, options, processes)
    except Problem as problem:
        view.console.print(f"[red]✗[/] {problem}", markup=True)
        return 1
    except Interrupted:
        view.say("stopped; nothing is left running")
        return INTERRUPTED


def _run(view: View, options: Options, processes: Processes) -> int:
    emulator = Emulator(port=port_for(options.port), folder=FOLDER / "emulator")
    build = stacks.start_build(processes, emulator, FOLDER)
    with view.step("emulator"):
        emulator.start(processes)
    with view.step("sandbox"):
        world = World.start(processes, emulator, options, FOLDER)
    with view.step("sam build"):
        processes.finish(build, timeout_s=stacks.BUILD_S)
    with view.step("sam deploy"):
        stack = stacks.deploy(processes, emulator, FOLDER, world.parameters())
    with view.step("registries learned"):
        stack.invoke("RefreshRegistriesFunction")
    with view.step("domain list fetched"):
        stack.invoke("FetchDomainsFunction")
    with _ticking(stack, world.tick_s) as ticker, view.moving():
        seen = _watch(view, stack, world, processes)
    faults = _verdict(view, world, seen, ticker)
    if options.keep:
        _say_addresses(view, stack, world)
        _keep(view, stack, world, processes)
    return 1 if faults else 0


def _watch(view: View, stack: Stack, world: World, processes: Processes) -> Seen:
    """Until everything that must happen has happened, or its time is over."""
    ladder = Ladder(workflows=stack.client("stepfunctions"), state_machine_arn=stack.outputs["StateMachineArn"])
    queue = stack.client("sqs")
    due = Due(stack)
    quiet = unanswered = 0
    while True:
        begun = time.monotonic()
        processes.check()
        try:
            seen = _look(stack, world, ladder, due)
            unanswered = 0
        except NotNow:
            unanswered += 1
            if unanswered > UNANSWERED_LOOKS:
                raise
            time.sleep(POLL_S)
            continue
        waiting = _waiting(queue, stack.outputs["CheckQueueUrl"])
        elapsed_s = float(seen.state["elapsed_s"])
        over_s = elapsed_s - world.duration_s
        traffic = f"{waiting} batches queued, {ladder.running} running"
        title = f"{elapsed_s:.0f} s of {world.duration_s:.0f} s: {seen.state['title']} ({traffic})"
        view.show(title, seen.rows, seen.told, now=datetime.now(UTC))
        moving = waiting or ladder.running or any(row.status in ("", "likely_available") for row in seen.rows)
        quiet = 0 if moving else quiet + 1
        # A world that changes by itself is watched to its end.
        still = world.live or seen.recorded or over_s >= 0
        # Hundreds of recorded names are read as fast as the machine can, to the last one.
        patience_s = world.duration_s if seen.recorded and moving else PATIENCE_S
        if (still and quiet >= QUIET_LOOKS) or over_s >= patience_s:
            return seen
        if over_s >= 0 and not seen.recorded and _all_right(world, seen):
            return seen
        every_s = POLL_S if len(seen.rows) <= SHOWN_NAMES else POLL_MANY_S
        time.sleep(max(0.0, every_s - (time.monotonic() - begun)))


def _look(stack: Stack, world: World, ladder: Ladder, due: "Due") -> Seen:
    state = world.state()
    small = len(state["names"]) <= SHOWN_NAMES
    ladder.look(follow=small)
    known = {domain["domain"]: domain for domain in stack.domains()}
    due.look(list(known) if small else [])
    rows = [
        _row(
            name["name"],
            known.get(name["name"]),
            ladder.rungs.get(name["name"], ""),
            due.at.get(name["name"]),
            None if world.live else name["expect"],
        )
        for name in state["names"]
    ]
    epoch = time.time() - float(state["elapsed_s"])
    return Seen(state=state, rows=rows, told=told(state, epoch))


def _row(
    name: str,
    domain: Mapping[str, Any] | None,
    rung: str,
    due_at: datetime | None,
    expect: Mapping[str, Any] | None,
) -> Row:
    expected = " or ".join(expect["statuses"]) if expect else ""
    if domain is None:
        # The list is fetched before the first look, so what is not watched was not let in.
        return Row(name=name, status=REFUSED, expected=expected)
    return Row(
        name=name,
        shown=domain["unicode"],
        rung=rung,
        # A name that is watched but was not read yet has no verdict to show.
        status="" if domain["reason"] == "not_checked_yet" else domain["status"],
        confidence=domain.get("confidence"),
        phase=domain.get("phase") or "",
        next_check_at=due_at,
        expected=expected,
    )


class Due:
    """When names are due next, asked a few at a time. `at` holds what was answered last."""

    def __init__(self, stack: Stack) -> None:
        self.at: dict[str, datetime] = {}
        self._stack = stack
        self._turn = 0

    def look(self, names: Sequence[str]) -> None:
        for _ in range(min(ASKED_PER_LOOK, len(names))):
            name = names[self._turn % len(names)]
            self._turn += 1
            reply = self._stack.call("GET", f"/v1/domains/{name}")
            if reply.status == 200 and reply.body.get("next_check_at"):
                self.at[name] = datetime.fromisoformat(reply.body["next_check_at"])


def _all_right(world: World, seen: Seen) -> bool:
    return not world.live and not _faults(world, seen)


def _faults(world: World, seen: Seen) -> Sequence[str]:
    if world.live:
        return [f"{row.name} was not read" for row in seen.rows if not row.status]
    judged = world.judge(seen.statuses)
    return [
        *shortcomings(judged, world.expectations(), seen.state, recorded=seen.recorded),
        *(
            f"{row.name} was never settled"
            for row in seen.rows
            if seen.recorded and row.status in ("", "likely_available")
        ),
    ]


def _verdict(view: View, world: World, seen: Seen, ticker: "Ticker") -> Sequence[str]:
    """Say how it ended; returns what was wrong."""
    view.say("")
    faults = _faults(world, seen)
    if world.live:
        for row in seen.rows:
            sure = "" if row.confidence is None else f" ({row.confidence:.2f})"
            view.say(f"{row.name}: {row.status or 'not read'}{sure} {row.phase}")
    else:
        judged = world.judge(seen.statuses)
        false = len(judged["false_available"])
        view.say(f"{judged['right']} of {judged['total']} names got the right verdict; false available: {false}")
        if judged["refused"]:
            view.say(f"  {len(judged['refused'])} of the others are no registrable names and were refused at the door")
        for truth, count in judged["by_truth"].items() if seen.recorded else ():
            whole = count["right"] + count["wrong"] + count["refused"]
            view.say(f"  {truth}: {count['right']} of {whole} ({count['right'] / whole:.1%})")
    announced = len({one.text for one in seen.told if one.text.endswith("AVAILABLE")})
    twice = sum(one.duplicate for one in seen.told)
    view.say(f"{len(seen.told)} events delivered, {announced} names announced as available, {twice} told twice")
    if ticker.failures:
        view.say(f"[yellow]![/] {len(ticker.failures)} schedule calls failed, the last: {ticker.failures[-1]}")
    for fault in faults[:SHOWN_FAULTS]:
        view.say(f"[red]✗[/] {fault}")
    if len(faults) > SHOWN_FAULTS:
        view.say(f"[red]✗[/] and {len(faults) - SHOWN_FAULTS} more")
    outcome = "[bold red]not as it should be[/]" if faults else "[bold green]all as it should be[/]"
    view.say(f"{outcome} in {time.monotonic() - view.begun:.0f} s")
    return faults


def _say_addresses(view: View, stack: Stack, world: World) -> None:
    view.say(f"API        {stack.api_url}/v1/domains")
    view.say(f"           curl -H 'Authorization: Bearer {stack.token}' '{stack.api_url}/v1/domains'")
    view.say(f"receiver   {world.urls['receiver_url']}")
    view.say(f"sandbox    {world.urls['state_url']}")
    view.say(f"emulator   export AWS_ENDPOINT_URL={stack.emulator.url} AWS_DEFAULT_REGION=us-east-1")
    view.say("           export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test")


def _keep(view: View, stack: Stack, world: World, processes: Processes) -> None:
    """Stay up, schedules ticking, until Ctrl-C."""
    view.say("staying up; Ctrl-C ends it")
    with _ticking(stack, world.tick_s):
        while True:
            processes.check()
            time.sleep(POLL_S)


def _waiting(queue: Any, url: str) -> int:
    counts = (
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
    )
    found = queue.get_queue_attributes(QueueUrl=url, AttributeNames=list(counts))["Attributes"]
    return sum(int(found.get(count, 0)) for count in counts)


class Ticker:
    """Does what the minute's schedules do, as often as the scenario's clock needs."""

    def __init__(self, stack: Stack, every_s: float) -> None:
        self.failures: list[str] = []
        self._stack = stack
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go, name="ticker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(self._every_s + 1.0)

    def _go(self) -> None:
        while not self._ended.is_set():
            begun = time.monotonic()
            for function in ("ScheduleChecksFunction", "NotifyFunction"):
                try:
                    self._stack.invoke(function)
                except Exception as exc:  # a schedule, too, would just come again
                    self.failures.append(f"{function}: {exc}")
            self._ended.wait(max(0.0, self._every_s - (time.monotonic() - begun)))


@contextmanager
def _ticking(stack: Stack, every_s: float) -> Iterator[Ticker]:
    ticker = Ticker(stack, every_s)
    ticker.start()
    try:
        yield ticker
    finally:
        ticker.stop()


@contextmanager
def _processes() -> Iterator[Processes]:
    for leftover in ("emulator", "sandbox", "logs"):
        shutil.rmtree(FOLDER / leftover, ignore_errors=True)
    processes = Processes(FOLDER / "logs")
    try:
        yield processes
    finally:
        processes.stop_all()


@contextmanager
def _alone(folder: Path = FOLDER) -> Iterator[None]:
    """One run at a time in a checkout. Raises Problem."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem("Another `make run` is at work in this folder; end it first (Ctrl-C there).") from None
        yield


def _interrupt(number: int, frame: object) -> None:
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
