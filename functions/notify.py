"""Outbox → callback receiver: the events of an execution, `{"events": [ids]}`, or everything that is due."""

from typing import Any

from domainwatch import wiring
from domainwatch.telemetry import count, logger, observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    remaining_ms = context.get_remaining_time_in_millis
    reply = wiring.delivery().deliver(event.get("events"), remaining_s=lambda: remaining_ms() / 1000).json()
    if any(reply.values()):
        logger.info("delivered_events", **reply)
    count({f"Events{outcome.title()}": number for outcome, number in reply.items()})
    return reply
