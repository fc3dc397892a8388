"""Builders that the tests share: a clock that stands still until it is moved, names and findings with defaults."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domainwatch.findings import NO_FACTS, Check, Facts, Finding, Reading
from domainwatch.names import Name

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Clock:
    """The injected clock: call it for the instant, `move` it for the future."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Inline(Executor):
    """Runs what is submitted at once, on the caller's thread: what depends on time then depends on the clock alone."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as exc:  # as a real executor does
            done.set_exception(exc)
        return done


def name(text: str = "example.com") -> Name:
    return Name.parse(text)


def finding(check: Check, reading: Reading, **changes: Any) -> Finding:
    """A finding asked at `START`; `proven=True` proves a not_found just before it was asked."""
    proven = changes.pop("proven", reading is Reading.NOT_FOUND and check in {Check.RDAP, Check.WHOIS})
    made = Finding(
        name=name(),
        check=check,
        reading=reading,
        reason={"registered": "found", "not_found": "denied", "reserved": "reserved", "no_answer": "timeout"}[reading],
        asked_at=START,
        service=f"{check}.test:43",
        facts=NO_FACTS,
    )
    made = replace(made, **changes)
    return made.proven(made.asked_at if proven else None)


def facts(**changes: Any) -> Facts:
    return replace(Facts(registrar="Registrar Inc."), **changes)
