"""Schedule → due names → queue."""

from typing import Any

from domainwatch import wiring
from domainwatch.telemetry import count, logger, observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    scheduled = wiring.scheduler().schedule(remaining_s=lambda: context.get_remaining_time_in_millis() / 1000)
    reply = scheduled.json()
    logger.info("scheduled", **reply)
    count({"NamesDue": sum(scheduled.names.values()), "ShardsLeft": scheduled.left})
    return reply
