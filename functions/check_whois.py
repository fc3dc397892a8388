"""The WHOIS rung: each registry's service at its own pace."""

from typing import Any

from domainwatch import wiring
from domainwatch.telemetry import observed
from domainwatch.wire import rung_request_from


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    rung = wiring.rung("whois", lambda: context.get_remaining_time_in_millis() / 1000)
    return rung.climb(rung_request_from(event)).json()
