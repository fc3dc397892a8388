"""Outbox → callback receiver: the events of an execution, `{"events": [ids]}`, or everything that is due."""

from typing import Any

from domainwatch import wiring


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    remaining_ms = context.get_remaining_time_in_millis
    delivered = wiring.delivery().deliver(event.get("events"), remaining_s=lambda: remaining_ms() / 1000)
    return delivered.json()
