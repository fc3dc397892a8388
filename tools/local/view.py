"""What the user sees: steps with their times, then names on the ladder and what reached the receiver.

On a terminal the table lives; elsewhere (CI, a pipe) each change is one plain line.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

SHOWN_EVENTS = 8
# Beyond this a table no longer fits a screen, and counts say more.
SHOWN_NAMES = 40
STYLES = {
    "registered": "cyan",
    "available": "bold green",
    "likely_available": "yellow",
    "reserved": "magenta",
    "unknown": "dim",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One name as it stands; empty where nothing is known yet. `name` is the A-label, `shown` the U-label."""

    name: str
    shown: str = ""
    rung: str = ""
    status: str = ""
    confidence: float | None = None
    phase: str = ""
    next_check_at: datetime | None = None
    expected: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One delivery at the receiver."""

    at_s: float
    text: str
    signed: bool
    duplicate: bool


class View:
    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.begun = time.monotonic()
        self._live: Live | None = None
        self._rows: dict[str, Row] = {}
        self._told = 0
        self._counts = ""

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """One step, with its time when it is done."""
        begun = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(what):
                yield
        else:
            yield
        self.say(f"[green]✓[/] {what} [dim]{time.monotonic() - begun:5.1f} s[/]")

    def say(self, text: str) -> None:
        self.console.print(text)

    @contextmanager
    def moving(self) -> Iterator[None]:
        """While names move."""
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, refresh_per_second=4, transient=False) as self._live:
            yield
        self._live = None

    def show(self, title: str, rows: Sequence[Row], told: Sequence[Told], *, now: datetime) -> None:
        if self._live is not None:
            self._live.update(Group(Text(title, style="bold"), names_table(rows, now=now), events_text(told)))
            return
        at = f"{title.split(' ')[0]:>6}"
        if len(rows) > SHOWN_NAMES:
            counts = Counter(row.status or "not checked yet" for row in rows)
            said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
            if said != self._counts:
                self.say(f"{at}  {said}; {len(told)} events delivered")
            self._counts = said
            return
        for row in rows:
            before = self._rows.get(row.name, Row(name=row.name))
            if (row.status, row.phase) != (before.status, before.phase):
                parts = [row.status, row.phase, f"on {row.rung}" if row.rung else ""]
                self.say(f"{at}  {row.shown or row.name:<28} {'  '.join(part for part in parts if part)}")
            self._rows[row.name] = row
        for one in told[self._told :]:
            self.say(f"{at}  {one.text}{_marks(one)}")
        self._told = len(told)


def names_table(rows: Sequence[Row], *, now: datetime) -> Table:
    if len(rows) > SHOWN_NAMES:
        return _counts(rows)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("name", "rung", "verdict", "sure", "phase", "next check", "expected"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(
            row.shown or row.name,
            row.rung,
            Text(row.status, style=STYLES.get(row.status, "")),
            "" if row.confidence is None else f"{row.confidence:.2f}",
            row.phase,
            "" if row.next_check_at is None else _until((row.next_check_at - now).total_seconds()),
            Text(row.expected, style="dim"),
        )
    return table


def events_text(told: Sequence[Told]) -> Text:
    lines = [f"{len(told)} events delivered", *(f"  {_told_line(one)}" for one in told[-SHOWN_EVENTS:])]
    return Text("\n".join(lines))


def _counts(rows: Sequence[Row]) -> Table:
    """Many names: how many stand where."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("verdict", "names", "as expected"):
        table.add_column(heading, justify="left" if heading == "verdict" else "right")
    for status in sorted({row.status for row in rows}):
        these = [row for row in rows if row.status == status]
        expected = sum(status in row.expected.split(" or ") for row in these)
        table.add_row(Text(status or "not checked yet", style=STYLES.get(status, "")), str(len(these)), str(expected))
    return table


def _told_line(one: Told) -> str:
    return f"{one.at_s:6.1f} s  {one.text}{_marks(one)}"


def _marks(one: Told) -> str:
    return f"  {'signed' if one.signed else 'SIGNATURE WRONG'}{'  DUPLICATE' if one.duplicate else ''}"


def _until(seconds: float) -> str:
    if seconds <= 0:
        return "now"
    return f"in {seconds:.0f} s" if seconds < 120 else f"in {seconds / 60:.0f} min"
