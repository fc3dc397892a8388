"""The first rung: DNS for the whole batch, HTTP where DNS is silent."""

from typing import Any

from domainwatch import wiring
from domainwatch.ladder import fast
from domainwatch.telemetry import observed
from domainwatch.wire import rung_request_from


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return fast.climb(rung_request_from(event), wiring.probes(), wiring.pacing()).json()
