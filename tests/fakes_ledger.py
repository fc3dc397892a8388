"""In-memory documents, pacing and queue, held to the same contract as the real ones by `tests/contract`."""

import copy
import json
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from domainwatch.adapters.pacing import DELEGATED_KEPT, PROOF_KEPT, Grant, Pace, grant, refuse, service_shown
from domainwatch.errors import BadMessage, TryLater
from domainwatch.ports import Busy, Lease, Limit, Now


class MemoryDocuments:
    """`ports.Documents` in a dictionary. `calls` counts what was asked, by method name."""

    def __init__(self, *, now: Now) -> None:
        self._now = now
        self._held: dict[tuple[str, str], tuple[dict[str, Any], datetime | None]] = {}
        self.calls: dict[str, int] = {}

    def read(self, pk: str, sk: str) -> Mapping[str, Any] | None:
        self._count("read")
        return self._body(pk, sk)

    def read_all(self, pk: str) -> dict[str, Mapping[str, Any]]:
        self._count("read_all")
        bodies = {sk: self._body(held, sk) for held, sk in sorted(self._held) if held == pk}
        return {sk: body for sk, body in bodies.items() if body is not None}

    def write(self, pk: str, sk: str, body: Mapping[str, Any], *, ttl_s: int | None = None) -> None:
        self._count("write")
        gone_at = None if ttl_s is None else self._now() + timedelta(seconds=ttl_s)
        self._held[pk, sk] = (self._checked(body), gone_at)

    def swap(self, pk: str, sk: str, *, field_name: str, expected: Any, body: Mapping[str, Any]) -> bool:
        self._count("swap")
        if isinstance(expected, dict | list) or isinstance(body.get(field_name), dict | list):
            raise BadMessage("a condition sees short values only")
        stored = self._held.get((pk, sk), ({}, None))[0]
        if stored.get(field_name) != expected:
            return False
        self._held[pk, sk] = (self._checked(body), None)
        return True

    def _body(self, pk: str, sk: str) -> dict[str, Any] | None:
        body, gone_at = self._held.get((pk, sk), (None, None))
        if body is None or (gone_at is not None and gone_at <= self._now()):
            return None
        return copy.deepcopy(body)

    def _checked(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if {"pk", "sk", "ttl", "packed"} & body.keys():
            raise BadMessage("a document cannot have such a field")
        kept: dict[str, Any] = json.loads(json.dumps(body))
        return kept

    def _count(self, method: str) -> None:
        self.calls[method] = self.calls.get(method, 0) + 1


class MemoryQueue:
    """`ports.QueuePort` in a list of (message, delay). `refuse_next` makes so many sends fail as a whole."""

    def __init__(self) -> None:
        self.sent: list[tuple[dict[str, Any], int]] = []
        self.refuse_next = 0

    def send(self, messages: Sequence[tuple[Mapping[str, Any], int]]) -> None:
        if self.refuse_next:
            self.refuse_next -= 1
            raise TryLater(f"{len(messages)} of {len(messages)} messages were not taken", reason="queue")
        self.sent += [
            (json.loads(json.dumps(message)), max(0, min(900, int(delay_s)))) for message, delay_s in messages
        ]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The bodies, in order."""
        return [message for message, _ in self.sent]

    @property
    def names(self) -> list[str]:
        """All names of all messages, in order."""
        return [name for message in self.messages for name in message["names"]]


class MemoryPacing:
    """`ports.Pacing` over the same pure rules, with a lock in place of conditions."""

    def __init__(self, *, now: Now) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._paces: dict[tuple[str, str], Pace] = {}
        self._proofs: dict[tuple[str, str, str], datetime] = {}
        self._delegated: dict[str, tuple[datetime, str]] = {}

    def lease(self, kind: str, service: str, *, slots: int, limit: Limit, now_ms: int, horizon_ms: int) -> Lease | Busy:
        with self._lock:
            pace = self._paces.setdefault((kind, service), Pace())
            granted = grant(pace, kind, service, slots=slots, limit=limit, now_ms=now_ms, horizon_ms=horizon_ms)
            if not isinstance(granted, Grant):
                return granted
            self._paces[kind, service] = granted.after
            return granted.lease

    def refused(self, kind: str, service: str, *, retry_after_s: float | None, limit: Limit, now_ms: int) -> None:
        with self._lock:
            pace = self._paces.get((kind, service), Pace())
            self._paces[kind, service] = refuse(pace, retry_after_s=retry_after_s, limit=limit, now_ms=now_ms)

    def services(self, *, now: datetime) -> dict[str, dict[str, Any]]:
        return {
            f"{kind} {service}": service_shown(pace, now=now) for (kind, service), pace in sorted(self._paces.items())
        }

    def blocked_until_ms(self, kind: str, service: str) -> int:
        return self._paces.get((kind, service), Pace()).blocked_until_ms

    def proven_at(self, kind: str, service: str, suffix: str) -> datetime | None:
        at = self._proofs.get((kind, service, suffix))
        return at if at is not None and self._now() - at <= PROOF_KEPT else None

    def prove(self, kind: str, service: str, suffix: str, *, at: datetime) -> None:
        self._proofs[kind, service, suffix] = max(at, self._proofs.get((kind, service, suffix), at))

    def delegated_name(self, suffix: str) -> str | None:
        at, name = self._delegated.get(suffix, (None, ""))
        return name if at is not None and self._now() - at <= DELEGATED_KEPT else None

    def remember_delegated(self, suffix: str, name: str, *, at: datetime) -> None:
        if suffix not in self._delegated or self._delegated[suffix][0] < at:
            self._delegated[suffix] = (at, name)
