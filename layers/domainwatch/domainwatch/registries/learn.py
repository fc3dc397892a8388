"""Reading what can be learned of zones: the RDAP bootstrap, a zones file, the WHOIS root's answers. Pure but for one
question.
"""

import json
from collections.abc import Mapping
from typing import Any

from domainwatch.errors import Malformed
from domainwatch.names import shown
from domainwatch.ports import WhoisPort

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
MAX_ZONES = 50_000
MAX_ROOT_CHARS = 64 * 1024
ROOT_PORT = 43
ZONE_FIELDS = frozenset(
    {"nameservers", "rdap", "whois", "control", "rdap_rate", "whois_rate", "rdap_daily", "whois_daily", "whois_query"}
    | {"whois_charset", "wildcard"}
)


def parse_bootstrap(document: bytes) -> dict[str, Any]:
    """RFC 9224's `dns.json` as `{"services": [[[zones…], [bases…]]…]}`, entries that make no sense left out. Raises
    `Malformed` when it is no such document or nothing of it is usable.
    """
    body = _json_object(document, "the RDAP bootstrap")
    services = body.get("services")
    if not isinstance(services, list):
        raise Malformed("the RDAP bootstrap has no list of services")
    kept = []
    for service in services[:MAX_ZONES]:
        if not isinstance(service, list) or len(service) < 2:
            continue
        zones = [zone.lower().strip(".") for zone in _strings(service[0])]
        bases = [base for base in _strings(service[1]) if base.lower().startswith(("https://", "http://"))]
        if zones and bases:
            kept.append([[zone for zone in zones if zone], bases])
    if not kept:
        raise Malformed("the RDAP bootstrap lists no service")
    return {"services": kept}


def parse_zones_file(document: bytes) -> dict[str, Any]:
    """A zones file (interface.md) as `{zone: {field: value}}`: zones as A-labels, unknown fields and zones that are
    no objects left out, the rest as it came (`ZoneKnowledge` judges the values). Raises `Malformed` when it is no
    JSON object.
    """
    body = _json_object(document, "the zones file")
    zones: dict[str, Any] = {}
    for key, fields in body.items():
        zone = _a_label(key)
        if zone is not None and isinstance(fields, Mapping) and len(zones) < MAX_ZONES:
            zones[zone] = {name: fields[name] for name in fields if name in ZONE_FIELDS}
    if body and not zones:
        raise Malformed("the zones file names no zone")
    return zones


def parse_root_answer(text: str, tld: str) -> str | None:
    """The WHOIS server (`host[:port]`) that the WHOIS root names for a top-level domain; empty when it knows the
    domain and names none, None when it does not know it. Raises `Malformed` for anything else.
    """
    fields: dict[str, list[str]] = {}
    denied = False
    for line in text[:MAX_ROOT_CHARS].splitlines():
        body = line.strip()
        denied = denied or "returned 0 objects" in body.lower()
        label, colon, value = body.partition(":")
        if colon and not body.startswith(("%", "#")):
            fields.setdefault(label.strip().lower(), []).append(value.strip().lower())
    own = {tld, shown(tld).casefold()}
    domains = {domain.strip(".") for domain in [*fields.get("domain", []), *fields.get("domain-ace", [])]}
    servers = [server for key in ("whois", "refer") for server in fields.get(key, []) if server]
    if domains and domains.isdisjoint(own):
        raise Malformed(f"the WHOIS root answered about {min(domains)[:80]}, not {tld}")
    if servers:
        return servers[0].split()[0][:253]
    if domains:
        return ""
    if denied:
        return None
    raise Malformed(f"the WHOIS root's answer about {tld} says nothing")


def learn_whois(tld: str, whois: WhoisPort, root: str, *, timeout_s: float) -> str | None:
    """Ask the WHOIS root about a top-level domain; see `parse_root_answer`. Raises `TryLater` of any kind when it is
    away.
    """
    server = root if ":" in root else f"{root}:{ROOT_PORT}"
    reply = whois.ask(server, tld, charset=None, timeout_s=timeout_s)
    if not reply.complete:
        raise Malformed(f"the WHOIS root's answer about {tld} broke off", reason="incomplete")
    return parse_root_answer(reply.text, tld)


def _json_object(document: bytes, what: str) -> dict[str, Any]:
    if len(document) > MAX_DOCUMENT_BYTES:
        raise Malformed(f"{what} is larger than {MAX_DOCUMENT_BYTES} bytes", reason="too_large")
    try:
        body = json.loads(document)
    except (ValueError, RecursionError) as exc:
        raise Malformed(f"{what} is no JSON") from exc
    if not isinstance(body, dict):
        raise Malformed(f"{what} is no JSON object")
    return body


def _strings(value: Any) -> list[str]:
    return [each.strip() for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _a_label(zone: str) -> str | None:
    text = zone.strip().strip(".").lower()
    if not text.isascii():
        try:
            text = text.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    return text if text and len(text) <= 253 and all(text.split(".")) else None
