"""The check `whois`: what the zone's own WHOIS server (RFC 3912) says of the name.

A registrar's server may add facts to a registry's thin record, at most two hops away; it never changes what was read.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from domainwatch.checks import whois_reader
from domainwatch.checks.answer import Answer
from domainwatch.errors import AddressForbidden, RateLimited, TryLater
from domainwatch.findings import NO_FACTS, Check, Facts, Finding, Reading, excerpt
from domainwatch.names import Name
from domainwatch.ports import Probes, WhoisService

MAX_HOPS = 2
_PORT = 43


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One server's answer, kept apart from every other's."""

    service: str
    answer: Answer


def check(name: Name, probes: Probes, *, timeout_s: float) -> Finding:
    """Ask the zone's server about the name, and what its record points to where facts are missing; all within
    `timeout_s`.
    """
    asked_at = probes.now()
    service = probes.zones.whois(name)
    if service is None:
        return _finding(name, probes, asked_at, "", "no_service")
    try:
        answer = _ask(service, name, probes, timeout_s=timeout_s)
    except AddressForbidden:
        return _finding(name, probes, asked_at, service.service, "address_forbidden")
    except RateLimited as exc:
        refused = _finding(name, probes, asked_at, service.service, exc.reason)
        return replace(refused, retry_after_s=exc.retry_after_s)
    except TryLater as exc:
        return _finding(name, probes, asked_at, service.service, exc.reason)
    hops = _follow(Hop(service=service.service, answer=answer), name, probes, asked_at, timeout_s)
    return replace(
        _finding(name, probes, asked_at, service.service, answer.reason),
        reading=answer.reading,
        facts=_all_facts(hops),
        excerpt=excerpt(_evidence(hops)),
    )


def service_of(name: Name, probes: Probes) -> str | None:
    """The `host:port` that `check` would ask; None when there is no service."""
    service = probes.zones.whois(name)
    return None if service is None else service.service


def _ask(service: WhoisService, name: Name, probes: Probes, *, timeout_s: float) -> Answer:
    query = service.query.replace("{name}", name.text)
    reply = probes.whois.ask(service.service, query, charset=service.charset, timeout_s=timeout_s)
    return whois_reader.read(reply.text, name, complete=reply.complete)


def _follow(first: Hop, name: Name, probes: Probes, asked_at: datetime, timeout_s: float) -> list[Hop]:
    """The registry's hop, and those its record refers to while expiry or registrar is missing. A hop that fails ends
    the way.
    """
    hops = [first]
    while len(hops) <= MAX_HOPS and first.answer.reading is Reading.REGISTERED and _is_thin(_all_facts(hops)):
        server = hops[-1].answer.referral
        if server is None:
            break
        service = WhoisService(service=server if ":" in server else f"{server}:{_PORT}")
        left_s = timeout_s - (probes.now() - asked_at).total_seconds()
        if left_s <= 0 or service.service in {hop.service for hop in hops}:
            break
        try:
            answer = _ask(service, name, probes, timeout_s=left_s)
        except (TryLater, AddressForbidden):
            break
        hops.append(Hop(service=service.service, answer=answer))
    return hops


def _is_thin(facts: Facts) -> bool:
    return facts.expires_at is None or facts.registrar is None


def _all_facts(hops: list[Hop]) -> Facts:
    """The registry's facts, and where they are silent those of the next hop that has a record of the name."""
    facts = NO_FACTS
    for hop in hops:
        if hop.answer.reading is hops[0].answer.reading:
            facts = facts.over(hop.answer.facts)
    return facts


def _evidence(hops: list[Hop]) -> str:
    if len(hops) == 1:
        return hops[0].answer.evidence
    return "\n".join(f"[{hop.service}] {hop.answer.evidence[:400]}" for hop in hops)


def _finding(name: Name, probes: Probes, asked_at: datetime, service: str, reason: str) -> Finding:
    return Finding(
        name=name,
        check=Check.WHOIS,
        reading=Reading.NO_ANSWER,
        reason=reason,
        asked_at=asked_at,
        service=service,
        duration_ms=round((probes.now() - asked_at).total_seconds() * 1000),
    )
