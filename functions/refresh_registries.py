"""Schedule → zones file and RDAP bootstrap: what is too old is fetched, the last good copy is kept."""

from typing import Any

from domainwatch import wiring
from domainwatch.telemetry import logger, observed
from domainwatch.wire import instant_text


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    said = wiring.knowledge().refresh()
    wiring.documents().write("heartbeat", "refresh_registries", {"at": instant_text(wiring.now())})
    logger.info("refreshed", **said)
    return said
