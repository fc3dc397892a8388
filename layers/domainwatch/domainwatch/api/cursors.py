"""Opaque signed cursors: where a list goes on, which nobody can read a meaning into or make up."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from domainwatch import wire
from domainwatch.api.problems import bad_request

_MAC_BYTES = 16
_MAX_CHARS = 2048


class Cursors:
    """Signs positions with a key derived from a secret, which is asked for at first use. A cursor holds only for the
    list, filters included, that it came from.
    """

    def __init__(self, secret: Callable[[], str]) -> None:
        self._secret = secret

    def text(self, position: Mapping[str, Any] | None, *, of: str) -> str | None:
        """The cursor of a position in the list `of`; None stays None, the end."""
        if position is None:
            return None
        plain = wire.dumps(position).encode()
        return base64.urlsafe_b64encode(self._mac(plain, of) + plain).decode().rstrip("=")

    def position(self, text: str | None, *, of: str) -> Mapping[str, Any] | None:
        """The position of a cursor. Raises `Problem` 400 for one that is not ours or of another list."""
        if text is None:
            return None
        wrong = bad_request("bad_cursor", "this cursor is not one of ours, or belongs to another list")
        if not text or len(text) > _MAX_CHARS or not text.isascii():
            raise wrong
        try:
            signed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as exc:
            raise wrong from exc
        mac, plain = signed[:_MAC_BYTES], signed[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(plain, of)):
            raise wrong
        position = json.loads(plain)
        assert isinstance(position, dict)  # we signed it
        return position

    def _mac(self, plain: bytes, of: str) -> bytes:
        key = hashlib.sha256(b"domainwatch cursor\n" + self._secret().encode()).digest()
        return hmac.new(key, of.encode() + b"\n" + plain, hashlib.sha256).digest()[:_MAC_BYTES]
