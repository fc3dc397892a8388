"""Where a registered name stands in its life, read from EPP (RFC 5731), RGP (RFC 3915) and RDAP (RFC 8056) statuses."""

import re
from datetime import datetime, timedelta
from enum import StrEnum

from domainwatch.findings import Facts

EXPIRING_DAYS = 30


class Phase(StrEnum):
    """A stage of a registered name's life."""

    ACTIVE = "active"
    EXPIRING = "expiring"
    GRACE = "grace"
    REDEMPTION = "redemption"
    PENDING_DELETE = "pending_delete"
    ON_HOLD = "on_hold"


# In this order: a registry sets `pendingDelete` beside `redemptionPeriod` (RFC 3915, 3.1); the latter counts.
_STATUS_PHASES = (
    (Phase.REDEMPTION, ("redemptionperiod", "pendingrestore", "redemption", "quarantine", "inquarantine")),
    (Phase.PENDING_DELETE, ("pendingdelete", "tobereleased", "pendingrelease", "pendingpurge")),
    (Phase.GRACE, ("autorenewperiod", "expired", "autorenewgrace", "expiredgrace")),
    (Phase.ON_HOLD, ("serverhold", "clienthold", "onhold", "suspended", "inactive")),
)
_NOT_LETTERS = re.compile(r"[^a-z]")


def phase_of(facts: Facts, *, now: datetime, delegated: bool) -> Phase:
    """The phase of a registered name. `delegated`: DNS shows it in its zone now, which a name in redemption, pending
    deletion or on hold is not, so facts that say so are older than the delegation and do not count.

    An expiry in the past is `GRACE`, never availability (the registry has not let the name go).
    """
    words = {_NOT_LETTERS.sub("", status.partition(" http")[0].lower()) for status in facts.statuses}
    for phase, marks in _STATUS_PHASES:
        if delegated and phase is not Phase.GRACE:
            continue
        if words.intersection(marks):
            return phase
    if facts.expires_at is not None:
        if facts.expires_at <= now:
            return Phase.GRACE
        if facts.expires_at - now <= timedelta(days=EXPIRING_DAYS):
            return Phase.EXPIRING
    return Phase.ACTIVE
