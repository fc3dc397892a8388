"""The sandbox's clock: epoch seconds, and the scenario's own seconds since it started."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Scenario time stands at 0 until `start`; `advance` moves it forward without waiting."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._made_at = now()
        self._started_at: float | None = None
        self._skipped_s = 0.0

    def now(self) -> float:
        """Epoch seconds."""
        return self._now()

    @property
    def started(self) -> bool:
        return self._started_at is not None

    @property
    def epoch(self) -> float:
        """The instant of scenario second 0, in epoch seconds; before the start, when the sandbox came up."""
        return (self._made_at if self._started_at is None else self._started_at) - self._skipped_s

    @property
    def elapsed_s(self) -> float:
        return 0.0 if self._started_at is None else self._now() - self.epoch

    def start(self) -> None:
        if self._started_at is None:
            self._started_at = self._now()

    def advance(self, seconds: float) -> None:
        """Skip scenario time; starts the clock if it stood."""
        self.start()
        self._skipped_s += seconds

    def at(self, elapsed_s: float) -> float:
        """Epoch seconds of a scenario second."""
        return self.epoch + elapsed_s
