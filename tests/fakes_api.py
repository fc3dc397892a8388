"""A whole world for the HTTP API in memory, and requests as API Gateway makes them."""

import base64
import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domainwatch.api import Api, World
from domainwatch.errors import DomainwatchError
from domainwatch.findings import Check, Finding, Reading
from domainwatch.names import Name
from domainwatch.ports import Execution, Watched
from domainwatch.wire import NewName
from tests.builders import Clock, finding
from tests.fakes_ledger import MemoryDocuments, MemoryPacing, MemoryQueue
from tests.fakes_store import MemoryOutbox, MemoryStore

SHARDS = 16
TOKENS = {scope: f"dw_id{scope}_{'0123456789abcdef' * 2}" for scope in ("read", "write", "admin")}


@dataclass
class FakeZones:
    """Knows which top-level domains there are; of the others nobody could be asked."""

    known: Mapping[str, bool] = field(default_factory=lambda: {"com": True, "de": True, "nonsense": False})

    def exists(self, tld: str) -> bool | None:
        return self.known.get(tld)


@dataclass
class FakeRunner:
    """Answers every look with `output`, or raises it; `inputs` keeps (name, body)."""

    output: Mapping[str, Any] | DomainwatchError = field(default_factory=dict)
    inputs: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def look(self, name: str, body: Mapping[str, Any]) -> Execution:
        self.inputs.append((name, body))
        if isinstance(self.output, DomainwatchError):
            raise self.output
        return Execution(arn=f"arn:aws:states:eu-west-1:1:express:look:{name}:1", output=self.output, link="https://x")


@dataclass
class FakeRefresher:
    """Answers with `result`, or raises it; `asked` keeps whether a mass removal was confirmed."""

    result: Mapping[str, Any] | DomainwatchError | None = field(default_factory=lambda: {"outcome": "unchanged"})
    asked: list[bool] = field(default_factory=list)

    def refresh(self, *, confirm_removal: bool) -> Mapping[str, Any] | None:
        self.asked.append(confirm_removal)
        if isinstance(self.result, DomainwatchError):
            raise self.result
        return self.result


class FakeDepths:
    def depths(self) -> Mapping[str, Mapping[str, int]]:
        return {"checks": {"waiting": 2, "in_flight": 1, "delayed": 0}}


class ApiWorld:
    """The API over fakes; `call` sends a request and gives the status, the body and the headers."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(now=self.clock, shards=SHARDS)
        self.outbox = MemoryOutbox(self.store, now=self.clock)
        self.documents = MemoryDocuments(now=self.clock)
        self.queue = MemoryQueue()
        self.pacing = MemoryPacing(now=self.clock)
        self.runner = FakeRunner()
        self.refresher = FakeRefresher()
        self.looked_up: list[tuple[Check, Name]] = []
        self.reports: list[tuple[str, Exception]] = []
        self.ids = (f"id{number}" for number in itertools.count(1))
        for scope, token in TOKENS.items():
            self.add_token(token, scope)
        self.api = Api(self.world())

    def world(self) -> World:
        return World(
            now=self.clock,
            store=self.store,
            outbox=self.outbox,
            documents=self.documents,
            queue=self.queue,
            zones=FakeZones(),  # type: ignore[arg-type]  # only exists() is asked
            services=self.pacing,
            depths=FakeDepths(),
            runner=self.runner,
            refresher=self.refresher,
            look_up=self._look_up,
            new_id=lambda: next(self.ids),
            cursor_secret=lambda: TOKENS["admin"],
            report=lambda event, exc: self.reports.append((event, exc)),
            shards=SHARDS,
        )

    def _look_up(self, check: Check, name: Name) -> Finding:
        self.looked_up.append((check, name))
        return finding(check, Reading.REGISTERED, name=name, excerpt="Domain Name: EXAMPLE.COM\\r\\n")

    def add_token(self, token: str, scope: str, **more: Any) -> None:
        body = {"sha256": hashlib.sha256(token.encode()).hexdigest(), "scope": scope, **more}
        self.documents.write(f"token#{token.split('_')[1]}", "token", body)

    def watch(self, text: str, **attributes: Any) -> Watched:
        name = Name.parse(text)
        before = NewName(name=name, source="list").attributes(at=self.clock())
        self.store.add([Watched(name=name, attributes={**before, **attributes})])
        return self.store.items[name]

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = TOKENS["admin"],
        query: str = "",
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> tuple[int, Any, Mapping[str, str]]:
        event = request_event(method, path, body, token=token, query=query, headers=headers, raw=raw)
        response = self.api.answer(event)
        return response["statusCode"], json.loads(response["body"] or "null"), response["headers"]


def request_event(
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str | None = TOKENS["admin"],
    query: str = "",
    headers: Mapping[str, str] | None = None,
    raw: bytes | None = None,
    stage: str = "$default",
) -> dict[str, Any]:
    """A payload 2.0 event. `raw` bytes travel as base64, as API Gateway sends what is no text."""
    sent = {"host": "api.example.com"}
    if token is not None:
        sent["authorization"] = f"Bearer {token}"
    if body is not None or raw is not None:
        sent["content-type"] = "application/json"
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {**sent, **(headers or {})},
        "requestContext": {"http": {"method": method, "path": path}, "stage": stage, "requestId": "r1"},
        "isBase64Encoded": raw is not None,
    }
    if raw is not None:
        event["body"] = base64.b64encode(raw).decode()
    elif body is not None:
        event["body"] = json.dumps(body)
    return event
