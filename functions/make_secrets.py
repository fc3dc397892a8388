"""At deploy, once: the webhook secret and the admin token, if they have no value yet."""

import os
from datetime import UTC, datetime
from typing import Any

from domainwatch.adapters.deployment import answer_stack, clients, make_secrets


def handler(event: dict[str, Any], context: Any) -> None:
    failure = None
    try:
        if event["RequestType"] != "Delete":
            manager, ledger = clients(os.environ["LEDGER_TABLE"])
            make_secrets(
                manager,
                ledger,
                webhook_secret_arn=os.environ["WEBHOOK_SECRET_ARN"],
                admin_token_arn=os.environ["ADMIN_TOKEN_SECRET_ARN"],
                now=datetime.now(UTC),
            )
    except Exception as exc:  # whatever it is, the stack must hear of it
        failure = f"{type(exc).__name__}: {exc}"
    answer_stack(event, log_stream=context.log_stream_name, failure=failure)
