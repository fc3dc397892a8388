"""Schedule → domain list API → store; new names → queue. `{}` works at once, `{"scheduled": true}` when it is due."""

from typing import Any

from domainwatch import wiring
from domainwatch.telemetry import count, logger, observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    refreshed = wiring.watchlist().refresh(
        scheduled=event.get("scheduled") is True,
        confirm_removal=event.get("confirm_removal") is True,
        remaining_s=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    reply = refreshed.json()
    logger.info("refreshed", **reply)
    count(refreshed.outcomes())
    return reply
