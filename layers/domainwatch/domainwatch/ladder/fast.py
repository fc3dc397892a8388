"""The first rung: DNS for the whole batch at once, HTTP for the few names about which DNS had nothing to say."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from domainwatch.checks import dns, http
from domainwatch.findings import Finding, Reading
from domainwatch.names import Name
from domainwatch.ports import Pacing, Probes
from domainwatch.wire import RungReply, RungRequest

DNS_TIMEOUT_S = 8.0
HTTP_TIMEOUT_S = 6.0
# HTTP can only ever support `registered`, so a mute zone is not worth a thousand connections.
MAX_HTTP_NAMES = 32
# Of these silences HTTP tells nothing: a wildcard zone has a web server for every name, registered or not.
_NOT_WORTH_HTTP = frozenset({"wildcard", "no_delegation"})
# Above this the delegations' name servers would crowd out the other findings of the batch.
MAX_NAMES_WITH_FACTS = 200


def climb(request: RungRequest, probes: Probes, pacing: Pacing) -> RungReply:
    """Ask DNS about all open names; those it shows as registered leave the ladder, unless facts are wanted."""
    found = list(dns.check(request.open, probes, timeout_s=DNS_TIMEOUT_S))
    _remember_delegated(found, pacing)
    if len(found) > MAX_NAMES_WITH_FACTS:
        found = [_without_facts(finding) for finding in found]
    found += _ask_http((finding for finding in found if _worth_http(finding)), probes)
    closed = set() if request.batch.facts else {finding.name for finding in found if finding.conclusive}
    return RungReply(
        open=tuple(name for name in request.open if name not in closed), findings=(*request.findings, *found)
    )


def _worth_http(finding: Finding) -> bool:
    return finding.reading is Reading.NO_ANSWER and finding.reason not in _NOT_WORTH_HTTP


def _ask_http(silent: Iterable[Finding], probes: Probes) -> list[Finding]:
    names = [finding.name for finding in silent][:MAX_HTTP_NAMES]
    if not names:
        return []

    def ask(name: Name) -> Finding:
        return http.check(name, probes, timeout_s=HTTP_TIMEOUT_S)

    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        return list(pool.map(ask, names))


def _remember_delegated(found: Iterable[Finding], pacing: Pacing) -> None:
    """One delegated name per suffix is kept: it is a control question for a zone that names none. When that very name
    is no longer delegated, another takes its place.
    """
    found = list(found)
    gone = {finding.name.text for finding in found if finding.reading is Reading.NOT_FOUND}
    by_suffix = {finding.name.suffix: finding for finding in found if finding.reading is Reading.REGISTERED}
    for suffix, finding in by_suffix.items():
        kept = pacing.delegated_name(suffix)
        if kept is None or kept in gone:
            pacing.remember_delegated(suffix, finding.name.text, at=finding.asked_at)


def _without_facts(finding: Finding) -> Finding:
    return Finding(
        name=finding.name,
        check=finding.check,
        reading=finding.reading,
        reason=finding.reason,
        asked_at=finding.asked_at,
        service=finding.service,
        duration_ms=finding.duration_ms,
    )
