"""Counts a service's requests, and knows when a guest goes too fast."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

KEPT_REQUESTS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request a service received."""

    at: float
    name: str
    refused: bool


class Meter:
    """A sliding window of one second. A request over the limit is refused and counted as a violation."""

    def __init__(self, limit_per_s: float | None, now: Callable[[], float]) -> None:
        self.limit_per_s = limit_per_s
        self.requests = 0
        self.violations = 0
        self.peak_per_s = 0
        self.asked: deque[Asked] = deque(maxlen=KEPT_REQUESTS)
        self._now = now
        self._window: deque[float] = deque()

    def admit(self, name: str) -> bool:
        """Count one request; whether it is within the limit."""
        now = self._now()
        # A limit below one per second widens the window instead: 0.5/s is one in two seconds.
        window_s = 1.0 if self.limit_per_s is None or self.limit_per_s >= 1 else 1 / self.limit_per_s
        while self._window and self._window[0] <= now - window_s:
            self._window.popleft()
        self._window.append(now)
        self.requests += 1
        self.peak_per_s = max(self.peak_per_s, len(self._window))
        refused = self.limit_per_s is not None and len(self._window) > max(1.0, self.limit_per_s)
        self.violations += refused
        self.asked.append(Asked(at=now, name=name, refused=refused))
        return not refused
