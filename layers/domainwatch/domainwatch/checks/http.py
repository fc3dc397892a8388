"""The check `http`: does a web server answer at the name? It can only ever support `registered`."""

from datetime import datetime

from domainwatch.errors import AddressForbidden, Malformed, TryLater
from domainwatch.findings import Check, Finding, Reading, excerpt
from domainwatch.names import Name
from domainwatch.ports import HttpReply, Probes

_MAX_BODY_BYTES = 1024
_SCHEMES = ("http", "https")
_PORTS = {"http": 80, "https": 443}


def check(name: Name, probes: Probes, *, timeout_s: float) -> Finding:
    """HEAD, then a small GET where HEAD broke off, over http, then https. Any HTTP reply is a web server; no redirect
    is followed.
    """
    asked_at = probes.now()
    if probes.zones.wildcard(name.suffix):
        return _finding(name, probes, asked_at, Reading.NO_ANSWER, "wildcard")
    reason = "unreachable"
    for scheme in _SCHEMES:
        # http may use half of the time, https what is left.
        share_s = timeout_s - _elapsed_s(probes, asked_at)
        if share_s <= 0:
            break
        try:
            reply = _ask(f"{scheme}://{name.text}/", probes, timeout_s=share_s / 2 if scheme == "http" else share_s)
        except AddressForbidden:
            return _finding(name, probes, asked_at, Reading.NO_ANSWER, "address_forbidden")
        except TryLater as exc:
            reason = exc.reason
            if reason == "no_address":
                break
        else:
            evidence = f"HTTP {reply.status} {reply.headers.get('server', '')} {reply.headers.get('location', '')}"
            return _finding(
                name,
                probes,
                asked_at,
                Reading.REGISTERED,
                "web_server",
                service=f"{name.text}:{_PORTS[scheme]}",
                evidence=evidence.strip(),
            )
    return _finding(name, probes, asked_at, Reading.NO_ANSWER, reason)


def _ask(url: str, probes: Probes, *, timeout_s: float) -> HttpReply:
    headers = {"user-agent": probes.user_agent}
    started = probes.now()
    try:
        return probes.http.fetch(
            url, method="HEAD", headers=headers, timeout_s=timeout_s, max_bytes=_MAX_BODY_BYTES, truncate=True
        )
    except TryLater as exc:
        # Some servers hang up on HEAD. Nobody there, no time left or no TLS is no such case.
        if not isinstance(exc, Malformed) and exc.reason != "connection_closed":
            raise
        left_s = timeout_s - _elapsed_s(probes, started)
        if left_s <= 0:
            raise
    return probes.http.fetch(url, headers=headers, timeout_s=left_s, max_bytes=_MAX_BODY_BYTES, truncate=True)


def _elapsed_s(probes: Probes, since: datetime) -> float:
    return (probes.now() - since).total_seconds()


def _finding(
    name: Name,
    probes: Probes,
    asked_at: datetime,
    reading: Reading,
    reason: str,
    *,
    service: str = "",
    evidence: str = "",
) -> Finding:
    return Finding(
        name=name,
        check=Check.HTTP,
        reading=reading,
        reason=reason,
        asked_at=asked_at,
        service=service,
        duration_ms=round(_elapsed_s(probes, asked_at) * 1000),
        excerpt=excerpt(evidence),
    )
