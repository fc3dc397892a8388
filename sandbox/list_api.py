"""The domain list API: which names are to be watched, with a bearer token, able to answer badly."""

from __future__ import annotations

import hmac
import json
from typing import Any

from .faults import Faults
from .meter import Meter
from .registry import Registry
from .web import Request, Response, broken, json_response


class ListApi:
    """GET anything → `{"domains": [...]}` with entries of both forms. The first good answer starts the scenario."""

    def __init__(self, registry: Registry, faults: Faults, *, auth_token: str, starts_clock: bool) -> None:
        self.meter = Meter(None, registry.clock.now)
        self.fetches = 0
        self.extra: list[Any] = []
        self._registry = registry
        self._faults = faults
        self._auth_token = auth_token
        self._starts_clock = starts_clock

    def entries(self) -> list[Any]:
        """The list now: plain texts, and objects for names with priority."""
        listed: list[Any] = []
        for plan in self._registry.names.values():
            if plan.listed:
                listed.append({"domain": plan.listed_as, "priority": True} if plan.priority else plan.listed_as)
        return listed + self.extra

    async def handle(self, request: Request) -> Response:
        if request.method != "GET":
            return json_response({"error": "only GET"}, 405)
        self.meter.admit(request.path)
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self._auth_token}".encode()):
            return json_response({"error": "unauthorized"}, 401)
        entries = self.entries()
        response = json_response({"domains": entries})
        fault = self._faults.strike("list", self._registry.clock.elapsed_s)
        if fault is None:
            self.fetches += 1
            if self._starts_clock:
                self._registry.clock.start()
            return response
        match fault.kind:
            case "half_json":
                return Response(body=response.body[: len(response.body) // 2])
            case "root_array":
                return json_response(entries)
            case "empty":
                return json_response({"domains": []})
            case "shorter":
                return json_response({"domains": entries[: max(1, len(entries) // 10)]})
            case "wrong_types":
                return json_response({"domains": [1, None, {"name": ["a"]}, {"x": "y"}, True, [], "", *entries]})
            case "garbage":
                return Response(body=json.dumps({"domains": "nothing"}).encode())
            case _:
                return broken(fault, response)
