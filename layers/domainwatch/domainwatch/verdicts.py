"""From all findings to one verdict. Veto, not averages: a wrong `available` is the worst this product can say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from domainwatch.findings import NO_FACTS, Check, Facts, Finding, Reading
from domainwatch.phases import Phase, phase_of

# A finding older than this says what was, not what is.
FRESH_S = 3600
# A registration that had longer than this to run does not end by itself; its disappearance is suspicious.
SUSPICIOUS_DAYS = 30


class Status(StrEnum):
    """What all findings together say of a name."""

    REGISTERED = "registered"
    AVAILABLE = "available"
    LIKELY_AVAILABLE = "likely_available"
    RESERVED = "reserved"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLook:
    """When a name first looked free, and whether more than `SUSPICIOUS_DAYS` of its registration were left."""

    at: datetime
    suspicious: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was known of a name before this run: all that the verdict and the change detection need.

    `results` holds each check's last told result word; `version` counts the writes of the stored item.
    """

    status: Status = Status.UNKNOWN
    phase: Phase | None = None
    reason: str = ""
    stale_since: datetime | None = None
    facts: Facts = field(default=NO_FACTS)
    first_look: FirstLook | None = None
    results: Mapping[str, str] = field(default_factory=dict)
    version: int = 0


NOTHING_KNOWN = Known()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """How long after a first look the second one counts, in seconds."""

    confirmation_s: float
    suspicious_s: float

    def of(self, first_look: FirstLook) -> timedelta:
        """The delay that this first look asks for."""
        return timedelta(seconds=self.suspicious_s if first_look.suspicious else self.confirmation_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is said of a name now. `confidence` is 0 to 1; `why` names the witnesses; `first_look` is set while a second
    one is due.
    """

    status: Status
    confidence: float
    reason: str
    why: tuple[str, ...] = ()
    phase: Phase | None = None
    facts: Facts = field(default=NO_FACTS)
    first_look: FirstLook | None = None


# Confidence per set of witnesses. Until the accuracy report calibrates them these are its priors: the share of right
# answers each set gave on recorded answers, rounded down. A larger set never has a smaller number than one it contains.
_REGISTERED = {Check.HTTP: 0.6, Check.DNS: 0.99, Check.WHOIS: 0.99, Check.RDAP: 0.995}
_RESERVED = {Check.HTTP: 0.0, Check.DNS: 0.0, Check.WHOIS: 0.95, Check.RDAP: 0.97}
_REGISTRY_CHECKS = (Check.RDAP, Check.WHOIS)
_BOTH = frozenset(_REGISTRY_CHECKS)
# (witnesses, DNS denied the name too) -> confidence on a first look, and confirmed by a second.
_FREE: Mapping[tuple[frozenset[Check], bool], tuple[float, float]] = {
    (_BOTH, True): (0.98, 0.995),
    (_BOTH, False): (0.96, 0.98),
    (frozenset({Check.RDAP}), True): (0.6, 0.95),
    (frozenset({Check.WHOIS}), True): (0.5, 0.9),
}
# How sure a name is that only looks free so far: below every threshold worth setting.
_LIKELY_AT_MOST = 0.7


def decide(findings: Iterable[Finding], known: Known, *, now: datetime, delays: Delays) -> Verdict:
    """The verdict over one name's findings, given what was known before. Pure.

    Registered wins over reserved, reserved over available; only evidence of absence from the registry's own proven
    services makes a name available, and silence never does.
    """
    fresh = _latest(findings, now)
    for reading, status, confidence in (
        (Reading.REGISTERED, Status.REGISTERED, _REGISTERED),
        (Reading.RESERVED, Status.RESERVED, _RESERVED),
    ):
        said = [finding for finding in fresh.values() if finding.reading is reading]
        if said:
            return _positive(status, said, confidence, known, now)
    return _free_or_unknown(fresh, known, now, delays)


def _latest(findings: Iterable[Finding], now: datetime) -> dict[Check, Finding]:
    newest: dict[Check, Finding] = {}
    for finding in sorted(findings, key=lambda each: each.asked_at):
        if now - finding.asked_at <= timedelta(seconds=FRESH_S):
            newest[finding.check] = finding
    return newest


def _positive(
    status: Status, said: list[Finding], confidence: Mapping[Check, float], known: Known, now: datetime
) -> Verdict:
    best = max(said, key=lambda finding: confidence[finding.check])
    facts = NO_FACTS
    for finding in sorted(said, key=lambda each: confidence[each.check]):
        facts = finding.facts.over(facts)
    phase = None
    if status is Status.REGISTERED:
        # Facts seen before keep counting (an expiry date holds while DNS alone is asked), but never those of an earlier
        # registration: what came back after it was free is somebody else's.
        facts = facts.over(known.facts) if known.status is Status.REGISTERED else facts
        delegated = any(finding.check is Check.DNS for finding in said)
        phase = phase_of(facts, now=now, delegated=delegated)
    return Verdict(
        status=status,
        confidence=confidence[best.check],
        reason=best.reason,
        why=tuple(f"{finding.check}:{finding.reason}" for finding in said),
        phase=phase,
        facts=facts,
    )


def _free_or_unknown(fresh: Mapping[Check, Finding], known: Known, now: datetime, delays: Delays) -> Verdict:
    witnesses = {
        check: fresh[check]
        for check in _REGISTRY_CHECKS
        if check in fresh and fresh[check].reading is Reading.NOT_FOUND and fresh[check].proven_at is not None
    }
    denied = Check.DNS in fresh and fresh[Check.DNS].reading is Reading.NOT_FOUND
    confidences = _FREE.get((frozenset(witnesses), denied))
    if confidences is None:
        return Verdict(
            status=Status.UNKNOWN,
            confidence=0.0,
            reason=_why_unknown(fresh, bool(witnesses)),
            why=_said(fresh.values()),
        )
    first, confirmed = confidences
    why = _said([*witnesses.values(), *([fresh[Check.DNS]] if denied else [])])
    both = len(witnesses) == len(_BOTH)
    if known.status is Status.AVAILABLE:
        return Verdict(status=Status.AVAILABLE, confidence=confirmed, reason=known.reason or "confirmed", why=why)
    if known.status is Status.UNKNOWN and known.first_look is None and both:
        return Verdict(status=Status.AVAILABLE, confidence=first, reason="two_witnesses", why=why)
    looked_at = min(finding.asked_at for finding in witnesses.values())
    first_look = known.first_look if known.status is Status.LIKELY_AVAILABLE else None
    if first_look is not None and _confirms(witnesses.values(), first_look, looked_at, delays):
        return Verdict(status=Status.AVAILABLE, confidence=confirmed, reason="second_look", why=why)
    return Verdict(
        status=Status.LIKELY_AVAILABLE,
        confidence=min(first, _LIKELY_AT_MOST),
        reason="awaiting_second_look",
        why=why,
        first_look=first_look or FirstLook(at=now, suspicious=_suspicious(known, now)),
    )


def _confirms(witnesses: Iterable[Finding], first_look: FirstLook, looked_at: datetime, delays: Delays) -> bool:
    """A second look counts when it is late enough and its service proved itself since the first."""
    if looked_at - first_look.at < delays.of(first_look):
        return False
    return any(witness.proven_at is not None and witness.proven_at > first_look.at for witness in witnesses)


def _suspicious(known: Known, now: datetime) -> bool:
    expires_at = known.facts.expires_at
    leaving = known.phase in {Phase.REDEMPTION, Phase.PENDING_DELETE}
    return expires_at is not None and not leaving and expires_at - now > timedelta(days=SUSPICIOUS_DAYS)


def _said(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(f"{finding.check}:{finding.reason}" for finding in findings)


def _why_unknown(fresh: Mapping[Check, Finding], witnessed: bool) -> str:
    """The word that tells an operator most: what kept the last rung that was asked from answering."""
    if witnessed:
        return "single_witness_without_dns"
    registry = [fresh[check] for check in (Check.WHOIS, Check.RDAP) if check in fresh]
    if any(finding.reading is Reading.NOT_FOUND for finding in registry):
        return "unproven_witness"
    for finding in registry:
        if finding.reason != "no_service":
            return finding.reason
    if registry:
        return "no_service"
    return "no_rung_answered"
