"""Queue → state machine: one message is one execution; a message that fails, fails alone."""

from typing import Any

from domainwatch import wiring
from domainwatch.starting import Received
from domainwatch.telemetry import count, logger, observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    received = [Received(message_id=record["messageId"], body=record["body"]) for record in event["Records"]]
    started = wiring.starter().start(received)
    logger.info("started", executions=started.executions, repeated=started.repeated, buried=started.buried)
    if started.errors:
        logger.error("not_started", errors=list(started.errors))
    count(
        {"BatchesStarted": started.executions, "MessagesBuried": started.buried, "MessagesFailed": len(started.failed)}
    )
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in started.failed]}
