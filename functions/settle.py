"""Findings → verdicts → store and outbox, in one transaction."""

from typing import Any

from domainwatch import wiring
from domainwatch.telemetry import count, logger, observed
from domainwatch.wire import settle_request_from


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    request = settle_request_from(event)
    logger.append_keys(run_id=request.batch.run_id)
    reply = wiring.settler().settle(request)
    logger.info("settled", statuses=reply["statuses"], deferred=reply["deferred"], failed=list(request.failed))
    count({f"Verdict{status.title().replace('_', '')}": number for status, number in reply["statuses"].items()})
    count({"NamesDeferred": reply["deferred"]})
    return reply
