"""RDAP services: RFC 7480 over HTTP, queries of RFC 9082, bodies of RFC 9083 as registries send them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .faults import Fault, Faults
from .meter import Meter
from .names import to_ascii, to_unicode
from .registry import Registry, Standing
from .scenario import Answer, ServicePlan, State
from .web import Request, Response, broken

RDAP_TYPE = "application/rdap+json"
CONFORMANCE = ["rdap_level_0", "icann_rdap_response_profile_1", "icann_rdap_technical_implementation_guide_1"]
RDAP_STATUSES: Mapping[str, str] = {
    "ok": "active",
    "addPeriod": "add period",
    "autoRenewPeriod": "auto renew period",
    "redemptionPeriod": "redemption period",
    "pendingDelete": "pending delete",
    "clientHold": "client hold",
    "clientTransferProhibited": "client transfer prohibited",
}
"""EPP status → RDAP status (RFC 8056)."""


class RdapService:
    """One RDAP host: every zone that names it is answered here."""

    def __init__(self, plan: ServicePlan, registry: Registry, faults: Faults, answers: Mapping[str, Answer]) -> None:
        self.plan = plan
        self.meter = Meter(plan.limit_per_s, registry.clock.now)
        self.url = ""
        self._registry = registry
        self._faults = faults
        self._answers = answers

    async def handle(self, request: Request) -> Response:
        kind, _, rest = request.path.strip("/").partition("/")
        name = to_ascii(rest) if kind == "domain" else rest
        if not self.meter.admit(name):
            return broken(Fault(kind="throttle", retry_after_s=1), Response())
        if self.plan.delay_s:
            await asyncio.sleep(self.plan.delay_s)
        standing = self._registry.standing(name) if kind == "domain" else None
        groups = standing.groups if standing else ()
        fault = self._faults.strike(self.plan.id, self._registry.clock.elapsed_s, name, groups)
        response = self._answer(request, kind, name, standing)
        return response if fault is None else _faulty(fault, response, name, self.url)

    def _answer(self, request: Request, kind: str, name: str, standing: Standing | None) -> Response:
        if request.method not in ("GET", "HEAD"):
            return error(405, "Method Not Allowed", "Only GET and HEAD are served.")
        if kind == "help":
            return _json({"rdapConformance": CONFORMANCE, "notices": [_terms(self.url)]})
        if kind == "nameserver":
            return _json(_nameserver(name, self.url))
        if kind != "domain":
            return error(400, "Bad Request", f"Unknown path segment {kind!r}.")
        if name in self._answers:
            answer = self._answers[name]
            if answer.kind != "rdap":
                return error(400, "Bad Request", "This name is not served here.")
            return Response(
                status=answer.http_status, content_type=answer.content_type, headers=answer.headers, body=answer.body
            )
        service = None if standing is None else self._registry.service_of(standing.zone, "rdap")
        if standing is None or service is None or service.id != self.plan.id:
            return error(404, "Not Found", f"No object of the name {name} in this registry.")
        if standing.state is State.AVAILABLE:
            return error(404, "Not Found", f"Domain {name} not found.")
        if standing.truth == "reserved":
            return reserved(name, premium=standing.state is State.PREMIUM)
        return _json(domain_body(standing, self.url))


def domain_body(standing: Standing, base: str) -> dict[str, Any]:
    """The body of a 200 for a registered name, in the shape of the gTLD response profile."""
    name, (registrar, iana_id) = standing.name, standing.registrar
    body: dict[str, Any] = {
        "objectClassName": "domain",
        "handle": f"{abs(hash_of(name)) % 10**9}_DOMAIN-SBX",
        "ldhName": name.upper() if standing.zone == "com" else name,
        "links": [_link(f"{base}domain/{name}", "self")],
        "status": [RDAP_STATUSES[status] for status in standing.statuses],
        "entities": [_registrar(registrar, iana_id)],
        "events": [
            _event("registration", standing.created),
            _event("expiration", standing.expires),
            _event("last changed", standing.updated),
            _event("last update of RDAP database", datetime.now(UTC)),
        ],
        "secureDNS": {"delegationSigned": False},
        "nameservers": [{"objectClassName": "nameserver", "ldhName": host} for host in standing.nameservers],
        "rdapConformance": CONFORMANCE,
        "notices": [
            _terms(base),
            {
                "title": "Status Codes",
                "description": ["For more information on domain status codes, please visit https://icann.org/epp"],
                "links": [_link("https://icann.org/epp", "glossary", "text/html")],
            },
        ],
    }
    if to_unicode(name) != name:
        body["unicodeName"] = to_unicode(name)
    return body


def error(status: int, title: str, description: str, notices: list[dict[str, Any]] | None = None) -> Response:
    """An error body of RFC 9083, section 6."""
    body: dict[str, Any] = {
        "rdapConformance": CONFORMANCE,
        "lang": "en",
        "errorCode": status,
        "title": title,
        "description": [description],
    }
    if notices:
        body["notices"] = notices
    return _json(body, status)


def reserved(name: str, *, premium: bool = False) -> Response:
    """A 404 that says the name cannot simply be registered."""
    if premium:
        notice = {"title": "Premium Name", "description": [f"{name} is a premium name and offered by the registry."]}
    else:
        notice = {"title": "Reserved Name", "description": [f"{name} is reserved by the registry."]}
    return error(404, "Not Found", "The domain name does not exist in the registry.", [notice])


def hash_of(name: str) -> int:
    """A number that is the same in every process (Python's `hash` is not)."""
    return int.from_bytes(name.encode(), "big") % 1_000_003 * 7919


def _faulty(fault: Fault, response: Response, name: str, base: str) -> Response:
    match fault.kind:
        case "bare_404":
            page = b"<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>"
            return Response(status=404, content_type="text/html", body=page)
        case "deny":
            return error(404, "Not Found", f"Domain {name} not found.")
        case "reserved_404":
            return reserved(name)
        case "no_service_404":
            return error(404, "Not Found", "No RDAP service is available for this zone.")
        case "redirect":
            return Response(status=302, headers={"Location": f"{base}help"}, content_type="text/plain")
        case "garbage":
            return Response(content_type=RDAP_TYPE, body=b'{"objectClassName": "domain", \xff\xfe\x00 ]]')
        case _:
            return broken(fault, response)


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(status=status, content_type=RDAP_TYPE, body=json.dumps(body, ensure_ascii=False).encode())


def _nameserver(host: str, base: str) -> dict[str, Any]:
    return {
        "objectClassName": "nameserver",
        "ldhName": host,
        "links": [_link(f"{base}nameserver/{host}", "self")],
        "rdapConformance": CONFORMANCE,
        "notices": [_terms(base)],
    }


def _registrar(name: str, iana_id: str) -> dict[str, Any]:
    abuse = {
        "objectClassName": "entity",
        "roles": ["abuse"],
        "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", ""],
                                 ["tel", {"type": "voice"}, "uri", "tel:+1.5555550100"],
                                 ["email", {}, "text", "abuse@registrar.example"]]],
    }  # fmt: skip
    return {
        "objectClassName": "entity",
        "handle": iana_id,
        "roles": ["registrar"],
        "publicIds": [{"type": "IANA Registrar ID", "identifier": iana_id}],
        "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", name]]],
        "entities": [abuse],
    }


def _terms(base: str) -> dict[str, Any]:
    return {
        "title": "Terms of Use",
        "description": ["This registry exists on one machine only and its data mean nothing anywhere else."],
        "links": [_link(f"{base}help", "terms-of-service")],
    }


def _link(href: str, rel: str, kind: str = RDAP_TYPE) -> dict[str, str]:
    return {"value": href, "href": href, "rel": rel, "type": kind}


def _event(action: str, at: datetime) -> dict[str, str]:
    return {"eventAction": action, "eventDate": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
