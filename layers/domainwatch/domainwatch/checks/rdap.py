"""The check `rdap`: what the zone's own RDAP service (RFC 9224) says of the name."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from domainwatch.checks import rdap_reader
from domainwatch.errors import AddressForbidden, TryLater
from domainwatch.findings import Check, Finding, Reading, excerpt
from domainwatch.names import Name
from domainwatch.ports import HttpReply, Probes

MAX_BODY_BYTES = 512 * 1024
MAX_REDIRECTS = 3
_PORTS = {"https": 443, "http": 80}


def check(name: Name, probes: Probes, *, timeout_s: float) -> Finding:
    """Ask the zone's service about the name, within `timeout_s` in all. Where the far side cannot be had over https,
    its http base is tried; never another host's base. A redirect is followed, but what another host denies counts for
    nothing.
    """
    asked_at = probes.now()
    bases = list(_bases(name, probes))
    if not bases:
        return _finding(name, probes, asked_at, "", "no_service")
    service = _service(bases[0])
    reason = "unreachable"
    for base in bases:
        left_s = timeout_s - _elapsed_s(probes, asked_at)
        if left_s <= 0:
            break
        try:
            reply = _ask(base, name, probes, timeout_s=left_s)
        except AddressForbidden:
            return _finding(name, probes, asked_at, service, "address_forbidden")
        except TryLater as exc:
            reason = exc.reason
            continue
        finding = _of_reply(reply, name, probes, asked_at, service)
        if finding.reading is Reading.NOT_FOUND and _service(reply.url) != _service(base):
            # Not the zone's own denial: nobody asked that host a control question, or leased its time.
            return replace(finding, reading=Reading.NO_ANSWER, reason="redirected")
        return finding
    return _finding(name, probes, asked_at, service, reason)


def service_of(name: Name, probes: Probes) -> str | None:
    """The `host:port` that `check` would ask; None when there is no service."""
    base = next(_bases(name, probes), None)
    return None if base is None else _service(base)


def _of_reply(reply: HttpReply, name: Name, probes: Probes, asked_at: datetime, service: str) -> Finding:
    answer = rdap_reader.read(reply, name, now=probes.now())
    return replace(
        _finding(name, probes, asked_at, service, answer.reason),
        reading=answer.reading,
        facts=answer.facts,
        excerpt=excerpt(f"HTTP {reply.status} {answer.evidence}".strip()),
        retry_after_s=answer.retry_after_s,
    )


def _ask(base: str, name: Name, probes: Probes, *, timeout_s: float) -> HttpReply:
    return probes.http.fetch(
        f"{base.rstrip('/')}/domain/{name.text}",
        headers={"accept": "application/rdap+json", "user-agent": probes.user_agent},
        timeout_s=timeout_s,
        max_bytes=MAX_BODY_BYTES,
        redirects=MAX_REDIRECTS,
    )


def _bases(name: Name, probes: Probes) -> Iterator[str]:
    """The bases that may be asked, https first; all of the first one's host."""
    usable = [
        base for base in probes.zones.rdap_bases(name) if urlsplit(base).scheme in _PORTS and urlsplit(base).hostname
    ]
    usable.sort(key=lambda base: not base.lower().startswith("https:"))
    for base in usable:
        if urlsplit(base).hostname == urlsplit(usable[0]).hostname:
            yield base


def _service(base: str) -> str:
    parts = urlsplit(base)
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or _PORTS[parts.scheme]}"


def _elapsed_s(probes: Probes, since: datetime) -> float:
    return (probes.now() - since).total_seconds()


def _finding(name: Name, probes: Probes, asked_at: datetime, service: str, reason: str) -> Finding:
    return Finding(
        name=name,
        check=Check.RDAP,
        reading=Reading.NO_ANSWER,
        reason=reason,
        asked_at=asked_at,
        service=service,
        duration_ms=round(_elapsed_s(probes, asked_at) * 1000),
    )
