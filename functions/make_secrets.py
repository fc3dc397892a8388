"""At deploy, once: the webhook secret and the admin token, if they have no value yet."""

from typing import Any

from domainwatch import wiring


def handler(event: dict[str, Any], context: Any) -> None:
    wiring.fulfil_deployment(event, log_stream=context.log_stream_name)
