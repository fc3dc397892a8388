from datetime import timedelta

import pytest

from domainwatch.findings import Facts
from domainwatch.phases import Phase, phase_of
from tests.builders import START


@pytest.mark.parametrize(
    ("statuses", "phase"),
    [
        ((), Phase.ACTIVE),
        (("ok",), Phase.ACTIVE),
        (("client transfer prohibited",), Phase.ACTIVE),
        (("redemption period",), Phase.REDEMPTION),
        (("pendingDelete", "redemptionPeriod"), Phase.REDEMPTION),
        (("pendingDelete https://icann.org/epp#pendingDelete",), Phase.PENDING_DELETE),
        (("pending delete",), Phase.PENDING_DELETE),
        (("To be released",), Phase.PENDING_DELETE),
        (("autoRenewPeriod",), Phase.GRACE),
        (("serverHold",), Phase.ON_HOLD),
        (("client hold", "client delete prohibited"), Phase.ON_HOLD),
    ],
)
def test_statuses_tell_the_phase(statuses: tuple[str, ...], phase: Phase) -> None:
    assert phase_of(Facts(statuses=statuses), now=START, delegated=False) is phase


@pytest.mark.parametrize(
    ("days", "phase"),
    [
        (400, Phase.ACTIVE),
        (31, Phase.ACTIVE),
        (30, Phase.EXPIRING),
        (1, Phase.EXPIRING),
        (0, Phase.GRACE),
        (-900, Phase.GRACE),
    ],
)
def test_an_expiry_is_a_phase_and_never_availability(days: int, phase: Phase) -> None:
    facts = Facts(expires_at=START + timedelta(days=days))
    assert phase_of(facts, now=START, delegated=True) is phase


def test_a_delegation_outdates_statuses_that_would_have_taken_the_name_from_its_zone() -> None:
    facts = Facts(statuses=("redemption period",))
    assert phase_of(facts, now=START, delegated=True) is Phase.ACTIVE
