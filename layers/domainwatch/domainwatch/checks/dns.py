"""The check `dns`: is the name delegated, at the zone's own servers? One call serves a whole batch."""

from collections.abc import Sequence
from datetime import datetime

from domainwatch.findings import NO_FACTS, Check, Facts, Finding, Reading, excerpt
from domainwatch.names import Name
from domainwatch.ports import Delegation, DnsAnswer, Probes


def check(names: Sequence[Name], probes: Probes, *, timeout_s: float) -> tuple[Finding, ...]:
    """One finding per name, in their order. A delegation is `registered`; a denial only a reason to climb."""
    asked_at = probes.now()
    wild = {suffix for suffix in {name.suffix for name in names} if probes.zones.wildcard(suffix)}
    asked = [name for name in names if name.suffix not in wild]
    answers = probes.dns.delegations(asked, timeout_s=timeout_s) if asked else {}
    wildcard, missing = DnsAnswer(delegation=Delegation.WILDCARD), DnsAnswer(delegation=Delegation.TIMEOUT)
    return tuple(
        _finding(name, wildcard if name.suffix in wild else answers.get(name, missing), asked_at) for name in names
    )


def _finding(name: Name, answer: DnsAnswer, asked_at: datetime) -> Finding:
    return Finding(
        name=name,
        check=Check.DNS,
        reading=_READINGS.get(answer.delegation, Reading.NO_ANSWER),
        reason=answer.delegation.value,
        asked_at=asked_at,
        facts=Facts(nameservers=answer.nameservers) if answer.nameservers else NO_FACTS,
        service=answer.server,
        duration_ms=answer.duration_ms,
        excerpt=excerpt(" ".join(("NS", *answer.nameservers))) if answer.nameservers else "",
    )


_READINGS = {Delegation.DELEGATED: Reading.REGISTERED, Delegation.DENIED: Reading.NOT_FOUND}
