"""What can go wrong at a service: planned by the scenario, or switched on while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

HTTP_FAULTS = frozenset({"error_500", "unavailable", "throttle", "gone_410", "hang", "drip", "garbage", "truncated",
                         "html", "close", "empty", "redirect"})  # fmt: skip
FAULTS_OF: Mapping[str, frozenset[str]] = {
    "rdap": HTTP_FAULTS | {"bare_404", "deny", "reserved_404", "no_service_404"},
    "whois": frozenset({"throttle", "unavailable", "deny", "hang", "drip", "garbage", "truncated", "empty", "close"}),
    "dns": frozenset({"servfail", "refused", "drop", "wrong_id", "wrong_question", "lame", "truncate"}),
    "list": HTTP_FAULTS | {"half_json", "root_array", "shorter", "wrong_types"},
    "receiver": HTTP_FAULTS,
    "file": HTTP_FAULTS,
    "whois_root": frozenset({"throttle", "hang", "drip", "garbage", "truncated", "empty", "close", "deny"}),
}
"""Kind of target → faults it knows."""


class FaultError(ValueError):
    """A fault that its target does not know, or a target that does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault at one target, between two scenario seconds or for a number of requests."""

    kind: str
    from_s: float = 0.0
    until_s: float | None = None
    count: int | None = None
    retry_after_s: float = 5.0
    delay_s: float = 0.2
    spare: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()

    def holds(self, elapsed_s: float, name: str | None, groups: Iterable[str]) -> bool:
        """Whether it strikes a request about this name (which may belong to `controls` or `delegated`)."""
        if elapsed_s < self.from_s or (self.until_s is not None and elapsed_s >= self.until_s):
            return False
        known = {*groups, *([name] if name else [])}
        if self.count == 0 or known & self.spare:
            return False
        return not self.only or bool(known & self.only)


class Faults:
    """The faults of the whole world, by target. The last one set at run time wins over the planned ones."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._active: dict[str, list[Fault]] = {}

    def add_target(self, target: str, kind: str, planned: Iterable[Fault] = ()) -> None:
        self._kinds[target] = kind
        self._active[target] = list(planned)
        for fault in self._active[target]:
            self._verify(target, fault.kind)

    def switch(self, target: str, fault: Fault | None) -> None:
        """Set a fault, or clear all of the target's with None. Raises FaultError."""
        self._verify(target, None if fault is None else fault.kind)
        if fault is None:
            self._active[target] = []
        else:
            self._active[target].insert(0, fault)

    def strike(
        self, target: str, elapsed_s: float, name: str | None = None, groups: Iterable[str] = ()
    ) -> Fault | None:
        """The fault this request meets, if any; uses up one of its `count`."""
        active = self._active.get(target, [])
        for index, fault in enumerate(active):
            if fault.holds(elapsed_s, name, groups):
                if fault.count is not None:
                    active[index] = replace(fault, count=fault.count - 1)
                return fault
        return None

    def view(self) -> dict[str, list[str]]:
        """Target → its faults that are not used up."""
        left = {target: [fault.kind for fault in faults if fault.count != 0] for target, faults in self._active.items()}
        return {target: kinds for target, kinds in left.items() if kinds}

    def _verify(self, target: str, kind: str | None) -> None:
        if target not in self._kinds:
            raise FaultError(f"there is no target {target!r}; there are: {', '.join(sorted(self._kinds))}")
        known = FAULTS_OF[self._kinds[target]]
        if kind is not None and kind not in known:
            raise FaultError(f"{target!r} knows no fault {kind!r}; it knows: {', '.join(sorted(known))}")
