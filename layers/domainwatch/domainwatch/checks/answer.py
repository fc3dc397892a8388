"""What a reader makes of one service's answer, before it becomes a finding."""

from dataclasses import dataclass, field

from domainwatch.findings import NO_FACTS, Facts, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The reading with its stable `reason` word, the facts, and the text that decided (`evidence`, raw, for the
    excerpt).

    `referral` is the WHOIS server the answer points to, if any. `retry_after_s` is what a refusing service asked for.
    """

    reading: Reading
    reason: str
    facts: Facts = field(default=NO_FACTS)
    evidence: str = ""
    referral: str | None = None
    retry_after_s: float | None = None
