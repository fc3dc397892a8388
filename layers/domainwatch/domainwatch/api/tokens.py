"""Who may do what: bearer tokens `dw_<id>_<secret>`, of which the ledger keeps only SHA-256, a scope and an expiry."""

import hashlib
import hmac
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from domainwatch import wire
from domainwatch.api.problems import Problem
from domainwatch.ports import Documents, Now

# A revoked token is dead after this long at the latest.
CACHE_S = 60.0
_MAX_CACHED = 1000
_TOKEN = re.compile(r"dw_([A-Za-z0-9]{4,64})_([A-Za-z0-9_-]{16,256})")
_NO_HASH = hashlib.sha256(b"").hexdigest()


class Scope(IntEnum):
    """What a token may do; each includes those before it."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class _Kept:
    document: Mapping[str, Any] | None
    read_at: datetime


class Tokens:
    """Checks tokens against the ledger, with a cache of at most 60 seconds. Safe to share between threads."""

    def __init__(self, *, documents: Documents, now: Now) -> None:
        self._documents = documents
        self._now = now
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def require(self, authorization: str, scope: Scope) -> None:
        """Raises `Problem` 401 or 403 unless the `Authorization` header carries a living token of that scope. Raises
        `TryLater` when the ledger cannot be read: nobody comes in then.
        """
        kind, _, token = authorization.strip().partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise _unauthorized("missing_token", "send a token: Authorization: Bearer dw_<id>_<secret>", error="")
        document = self._document_of(token.strip())
        if document is None:
            raise _unauthorized("invalid_token", "this token is not known")
        expires_at = wire.instant(document.get("expires_at"))
        if expires_at is not None and expires_at <= self._now():
            raise _unauthorized("expired_token", "this token has expired")
        has = Scope.__members__.get(str(document.get("scope", "")).upper())
        if has is None or has < scope:
            word = scope.name.lower()
            raise Problem(
                403,
                "insufficient_scope",
                f"this needs a token of scope {word}",
                headers={"www-authenticate": f'Bearer realm="domainwatch", error="insufficient_scope", scope="{word}"'},
            )

    def _document_of(self, token: str) -> Mapping[str, Any] | None:
        parsed = _TOKEN.fullmatch(token)
        document = self._read(parsed[1]) if parsed else None
        # Compared in constant time, and always, so that a reply's time tells nothing.
        stored = str((document or {}).get("sha256", _NO_HASH))
        given = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
        return document if hmac.compare_digest(stored.encode(), given.encode()) else None

    def _read(self, token_id: str) -> Mapping[str, Any] | None:
        now = self._now()
        with self._lock:
            kept = self._kept.get(token_id)
        if kept is not None and timedelta() <= now - kept.read_at < timedelta(seconds=CACHE_S):
            return kept.document
        document = self._documents.read(f"token#{token_id}", "token")
        with self._lock:
            if len(self._kept) >= _MAX_CACHED:
                self._kept.clear()  # somebody is guessing ids
            self._kept[token_id] = _Kept(document, now)
        return document


def _unauthorized(reason: str, detail: str, *, error: str = ', error="invalid_token"') -> Problem:
    return Problem(401, reason, detail, headers={"www-authenticate": f'Bearer realm="domainwatch"{error}'})
