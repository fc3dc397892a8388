"""The HTTP API."""

from typing import Any

from domainwatch import wiring
from domainwatch.telemetry import observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return wiring.api().answer(event)
