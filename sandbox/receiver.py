"""The callback receiver: what a user's own endpoint would be, with every delivery checked and kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .faults import Faults
from .names import to_ascii, to_unicode
from .registry import Registry
from .web import Request, Response, broken, json_response

TOLERANCE_S = 300
PAGE = Path(__file__).with_name("receiver.html")
RESULT_KEYS = {"domain", "check_type", "result", "timestamp", "details", "duration_ms"}
DETAIL_KEYS = {"registrar", "creation_date", "expiration_date"}
AVAILABLE_KEYS = {"domain", "status", "confidence", "timestamp", "checks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One POST that arrived. `attempt` counts this id's arrivals; `duplicate` = an earlier one was accepted already."""

    n: int
    at: float
    kind: str
    path: str
    domain: str | None
    webhook_id: str
    signature: str
    authorization: str
    shape: str
    status: int
    accepted: bool
    attempt: int
    duplicate: bool
    body: Any


class Receiver:
    """POST /results and /available; anything else that is posted is kept as an event."""

    def __init__(
        self, registry: Registry, faults: Faults, *, auth_token: str, webhook_secret: str, journal: Path | None = None
    ) -> None:
        self.deliveries: list[Delivery] = []
        self.auth_token = auth_token
        self.webhook_secret = webhook_secret
        self._registry = registry
        self._faults = faults
        self._journal = journal
        self._attempts: dict[str, int] = {}
        self._accepted: set[str] = set()

    async def handle(self, request: Request) -> Response:
        if request.method == "POST":
            return self._receive(request)
        if request.path == "/deliveries.json":
            return json_response(self.view())
        if request.path in ("/", "/index.html"):
            return Response(content_type="text/html; charset=utf-8", body=PAGE.read_bytes())
        return json_response({"error": "there is nothing here"}, 404)

    def view(self) -> dict[str, Any]:
        """Everything that arrived, and the counts the page shows."""
        accepted = [one for one in self.deliveries if one.accepted]
        return {
            "now": self._registry.clock.now(),
            "elapsed_s": round(self._registry.clock.elapsed_s, 1),
            "counts": {
                "arrived": len(self.deliveries),
                "accepted": len(accepted),
                "available": len({one.webhook_id for one in accepted if one.kind == "available"}),
                "duplicates": sum(one.duplicate for one in self.deliveries),
                "bad_signatures": sum(one.signature != "ok" for one in self.deliveries),
                "turned_away": sum(not one.accepted for one in self.deliveries),
            },
            "deliveries": [
                {**asdict(one), "unicode": None if one.domain is None else to_unicode(one.domain)}
                for one in self.deliveries
            ],
        }

    def _receive(self, request: Request) -> Response:
        now = self._registry.clock.now()
        headers = request.headers
        webhook_id = headers.get("webhook-id", "")
        try:
            body: Any = request.json()
        except ValueError:
            body = None
        kind = {"/available": "available", "/results": "result"}.get(request.path.rstrip("/"), "event")
        if isinstance(body, dict) and {"type", "timestamp", "data"} <= set(body):
            kind = "event"
        elif isinstance(body, dict) and kind == "result" and body.get("status") == "available":
            kind = "available"
        signature = verify(self.webhook_secret, headers, request.body, now=now)
        authorization = _authorization(headers.get("authorization"), self.auth_token)
        shape = shape_of(kind, body)
        fault = self._faults.strike("receiver", self._registry.clock.elapsed_s)
        if fault is not None:
            response = broken(fault, Response(body=b"{}"))
        elif signature != "ok" or authorization != "ok":
            response = json_response({"error": f"signature {signature}, authorization {authorization}"}, 401)
        elif body is None:
            response = json_response({"error": "not JSON"}, 400)
        else:
            response = json_response({"ok": True})
        accepted = 200 <= response.status < 300 and not response.hang and not response.cut
        accepted = accepted and signature == "ok" and authorization == "ok"
        self._attempts[webhook_id] = self._attempts.get(webhook_id, 0) + 1
        data = body.get("data") if kind == "event" and isinstance(body, dict) else body
        domain = data.get("domain") if isinstance(data, dict) else None
        delivery = Delivery(
            n=len(self.deliveries) + 1, at=now, kind=kind, path=request.path,
            domain=to_ascii(domain) if isinstance(domain, str) else None, webhook_id=webhook_id,
            signature=signature, authorization=authorization, shape=shape,
            status=0 if response.hang else response.status,
            accepted=accepted, attempt=self._attempts[webhook_id], duplicate=webhook_id in self._accepted, body=body,
        )  # fmt: skip
        if accepted:
            self._accepted.add(webhook_id)
        self.deliveries.append(delivery)
        if self._journal is not None:
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(delivery), ensure_ascii=False) + "\n")
        return response


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> str:
    """`ok`, or what is wrong with the Standard Webhooks 1.0 signature of a request (header names in lower case)."""
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not (webhook_id and timestamp and signatures):
        return "missing"
    if not timestamp.isdigit():
        return "bad timestamp"
    if abs(now - int(timestamp)) > TOLERANCE_S:
        return "too old" if int(timestamp) < now else "from the future"
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return "bad secret"
    digest = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    right = base64.b64encode(digest).decode()
    for entry in signatures.split():
        version, _, value = entry.partition(",")
        if version == "v1" and hmac.compare_digest(value, right):
            return "ok"
    return "bad"


def shape_of(kind: str, body: Any) -> str:
    """`ok`, or how a body differs from the two bodies that existing receivers know."""
    if not isinstance(body, dict):
        return "not a JSON object"
    if kind == "event":
        return _differs(set(body), {"type", "timestamp", "data"})
    if kind == "available":
        problem = _differs(set(body), AVAILABLE_KEYS)
        checks = body.get("checks")
        if problem != "ok":
            return problem
        if not isinstance(checks, dict) or not isinstance(checks.get("checks"), dict):
            return "checks.checks is missing"
        return _numbers(body, "timestamp", "confidence")
    problem = _differs(set(body), RESULT_KEYS)
    if problem != "ok":
        return problem
    if body["result"] not in ("available", "unavailable", "unknown", "error"):
        return f"result is {body['result']!r}"
    details = body["details"]
    if not isinstance(details, dict):
        return "details is no object"
    problem = _differs(set(details), DETAIL_KEYS)
    return problem if problem != "ok" else _numbers(body, "timestamp", "duration_ms")


def new_delivery_signature(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` a sender would write; for tests and for trying a receiver by hand."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _authorization(value: str | None, token: str) -> str:
    if value is None:
        return "missing"
    return "ok" if hmac.compare_digest(value.encode(), f"Bearer {token}".encode()) else "wrong"


def _differs(found: set[str], wanted: set[str]) -> str:
    if missing := wanted - found:
        return f"without {', '.join(sorted(missing))}"
    if more := found - wanted:
        return f"also has {', '.join(sorted(more))}"
    return "ok"


def _numbers(body: Mapping[str, Any], *keys: str) -> str:
    for key in keys:
        if isinstance(body[key], bool) or not isinstance(body[key], (int, float)):
            return f"{key} is no number"
    return "ok"
