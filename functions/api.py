"""The HTTP API."""

from typing import Any

from domainwatch import wiring
from domainwatch.telemetry import count, observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    response = wiring.api().answer(event)
    count({f"Api{response['statusCode'] // 100}xx": 1})
    return response
