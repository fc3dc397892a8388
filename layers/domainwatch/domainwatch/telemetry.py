"""Logs and metrics: past-tense facts with fields, one metric per outcome; never a secret, a token or a whole event."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(service="domainwatch")
metrics = Metrics(namespace="Domainwatch", service="domainwatch")

Handler = Callable[[Any, Any], Any]


def count(outcomes: Mapping[str, int]) -> None:
    """Add counts to the invocation's metrics. Names are fixed words, never a domain name or a user."""
    for name, number in outcomes.items():
        if number:
            metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)


def observed(handler: Handler) -> Handler:
    """Wrap a Lambda handler: the request id on every line, keys cleared between invocations, metrics flushed, failures
    logged once with their kind and then raised, since a retry or a person must cure them.
    """

    @wraps(handler)
    def observing(event: Any, context: Any) -> Any:
        logger.clear_state()
        logger.append_keys(request_id=getattr(context, "aws_request_id", ""))
        try:
            return handler(event, context)
        except Exception as exc:
            logger.exception("failed", kind=type(exc).__name__)
            count({"HandlerFailed": 1})
            raise
        finally:
            if metrics.metric_set:  # publishing nothing would be warned of
                metrics.flush_metrics()

    return observing
