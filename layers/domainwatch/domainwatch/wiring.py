"""Which adapter serves which port: the only place that chooses. Each factory builds what it needs on first use and
keeps it for the process; imports of vendors' packages happen inside, so that a function pays only for what it uses.
"""

import functools
import os
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from domainwatch import __version__, settings
from domainwatch.ports import Documents, Probes, QueuePort, Store, Zones

if TYPE_CHECKING:
    from domainwatch.adapters.dns import DnsEngine
    from domainwatch.adapters.http import GuardedHttp
    from domainwatch.adapters.machine import StateMachine
    from domainwatch.adapters.outbox import DynamoOutbox
    from domainwatch.adapters.pacing import DynamoPacing
    from domainwatch.adapters.secrets import Secrets
    from domainwatch.adapters.sockets import Resolve
    from domainwatch.adapters.whois import WhoisClient
    from domainwatch.api import Api
    from domainwatch.cadences import Scheduler
    from domainwatch.delivery import Delivery
    from domainwatch.ladder.paced import Rung
    from domainwatch.registries.knowledge import Knowledge
    from domainwatch.settling import Settler
    from domainwatch.starting import Starter
    from domainwatch.watchlist import Watchlist


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def user_agent() -> str:
    """One User-Agent for everything, with a contact address so that a registry can reach whoever asks."""
    contact = network().contact_address
    return f"Domainwatch/{__version__}" + (f" ({contact})" if contact else "")


@functools.cache
def network() -> settings.NetworkSettings:
    return settings.NetworkSettings.from_env()


@functools.cache
def _store_settings() -> settings.StoreSettings:
    return settings.StoreSettings.from_env()


@functools.cache
def _callback_settings() -> settings.CallbackSettings:
    return settings.CallbackSettings.from_env()


@functools.cache
def _client(service: str) -> Any:
    import boto3
    from botocore.config import Config

    # A call that hangs must not take the whole function's time. The adapters retry where it is safe; botocore hardly.
    config = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
    # boto3's stubs know clients by literal names only.
    client: Callable[..., Any] = boto3.client
    return client(service, config=config)


# --- the network ------------------------------------------------------------------------------------------------------


@functools.cache
def _dns() -> "DnsEngine":
    from domainwatch.adapters.dns import DnsEngine
    from domainwatch.adapters.guard import AllowedNetworks

    return DnsEngine(
        resolvers=network().resolver_addresses,
        allowed=AllowedNetworks.parse(network().allowed_private_networks),
        nameservers=lambda suffix: zones().nameservers(suffix),
    )


def _resolve() -> "Resolve":
    """How hosts are looked up: through the configured resolvers, else as the system does."""
    if network().resolver_addresses:
        return lambda host, timeout_s: _dns().addresses(host, timeout_s=timeout_s)
    from domainwatch.adapters.sockets import system_addresses

    return system_addresses


@functools.cache
def http() -> "GuardedHttp":
    from domainwatch.adapters.guard import AllowedNetworks
    from domainwatch.adapters.http import GuardedHttp

    return GuardedHttp(
        resolve=_resolve(),
        allowed=AllowedNetworks.parse(network().allowed_private_networks),
        user_agent=user_agent(),
    )


@functools.cache
def _whois() -> "WhoisClient":
    from domainwatch.adapters.guard import AllowedNetworks
    from domainwatch.adapters.whois import WhoisClient

    return WhoisClient(resolve=_resolve(), allowed=AllowedNetworks.parse(network().allowed_private_networks))


def _object(url: str) -> bytes:
    from domainwatch.adapters.objects import read_object

    return read_object(_client("s3"), url)


@functools.cache
def knowledge() -> "Knowledge":
    from domainwatch.registries.knowledge import Knowledge, Sources

    return Knowledge(
        sources=Sources(
            zones_url=network().zones_url,
            bootstrap_url=network().rdap_bootstrap_url,
            whois_root=network().whois_root_server,
        ),
        documents=documents(),
        http=http(),
        whois=_whois(),
        pacing=pacing(),
        now=now,
        sleep=time.sleep,
        fetch_object=_object,
    )


def zones() -> Zones:
    return knowledge()


@functools.cache
def probes() -> Probes:
    return Probes(now=now, zones=zones(), dns=_dns(), http=http(), whois=_whois(), user_agent=user_agent())


# --- the store, the ledger and the queue ------------------------------------------------------------------------------


@functools.cache
def store() -> Store:
    from domainwatch.adapters.store import DynamoStore

    where = _store_settings()
    return DynamoStore(
        _client("dynamodb"),
        names_table=where.names_table,
        ledger_table=where.ledger_table,
        shards=where.shards,
        now=now,
    )


@functools.cache
def outbox() -> "DynamoOutbox":
    from domainwatch.adapters.outbox import DynamoOutbox

    return DynamoOutbox(_client("dynamodb"), ledger_table=_store_settings().ledger_table, now=now)


@functools.cache
def documents() -> Documents:
    from domainwatch.adapters.documents import DynamoDocuments

    return DynamoDocuments(_client("dynamodb"), ledger_table=_store_settings().ledger_table, now=now)


@functools.cache
def pacing() -> "DynamoPacing":
    from domainwatch.adapters.pacing import DynamoPacing

    return DynamoPacing(_client("dynamodb"), ledger_table=_store_settings().ledger_table, now=now)


@functools.cache
def queue() -> QueuePort:
    from domainwatch.adapters.queue import SqsQueue

    return SqsQueue(_client("sqs"), settings.required("CHECK_QUEUE_URL"))


@functools.cache
def secrets() -> "Secrets":
    from domainwatch.adapters.secrets import Secrets

    return Secrets(_client("secretsmanager"))


def _api_token() -> str:
    return secrets().value(os.environ.get("API_SECRET_ARN", ""))


# --- one factory per function -----------------------------------------------------------------------------------------


@functools.cache
def watchlist() -> "Watchlist":
    from domainwatch.watchlist import Watchlist

    return Watchlist(
        settings=settings.ListSettings.from_env(),
        schedule=settings.ScheduleSettings.from_env(),
        http=http(),
        store=store(),
        documents=documents(),
        queue=queue(),
        zones=zones(),
        shards=_store_settings().shards,
        token=_api_token,
        now=now,
    )


@functools.cache
def scheduler() -> "Scheduler":
    from domainwatch.cadences import Scheduler

    return Scheduler(
        settings=settings.ScheduleSettings.from_env(),
        store=store(),
        documents=documents(),
        queue=queue(),
        shards=_store_settings().shards,
        now=now,
    )


@functools.cache
def starter() -> "Starter":
    from domainwatch.adapters.queue import SqsDeadLetters
    from domainwatch.starting import Starter

    return Starter(
        store=store(),
        queue=queue(),
        dead_letters=SqsDeadLetters(_client("sqs"), settings.required("CHECK_DEAD_LETTER_QUEUE_URL")),
        machine=machine(settings.required("STATE_MACHINE_ARN")),
        now=now,
    )


def machine(arn: str) -> "StateMachine":
    from domainwatch.adapters.machine import StateMachine

    return StateMachine(_client("stepfunctions"), arn)


def rung(kind: str, remaining_s: Callable[[], float]) -> "Rung":
    """The paced rung of this kind, `rdap` or `whois`."""
    from domainwatch.findings import Check
    from domainwatch.ladder.paced import CheckModule, Rung

    module: CheckModule
    if kind == Check.RDAP:
        from domainwatch.checks import rdap as module
    else:
        from domainwatch.checks import whois as module
    return Rung(
        kind=Check(kind), module=module, probes=probes(), pacing=pacing(), sleep=time.sleep, remaining_s=remaining_s
    )


@functools.cache
def settler() -> "Settler":
    from domainwatch.settling import Rules, Settler

    callback = _callback_settings()
    return Settler(
        store=store(),
        queue=queue(),
        rules=Rules(
            delays=settings.delays_from_env(),
            threshold=callback.threshold,
            every_check=callback.every_check,
            receivers=callback.receivers,
            event_types=callback.event_types,
        ),
        now=now,
    )


@functools.cache
def delivery() -> "Delivery":
    from domainwatch.adapters.callback import CallbackClient, Credentials, secrets_from
    from domainwatch.delivery import Delivery

    callback = _callback_settings()
    webhook_secret_arn = settings.required("WEBHOOK_SECRET_ARN")

    def credentials() -> Credentials:
        return Credentials(token=_api_token(), secrets=secrets_from(secrets().value(webhook_secret_arn)))

    client = CallbackClient(
        http(),
        urls={"result": callback.url, "available": callback.available_url, "event": callback.url},
        credentials=credentials,
        now=now,
        user_agent=user_agent(),
    )
    return Delivery(outbox=outbox(), callback=client, documents=documents(), now=now, chance=random.random)


def _patient_client(service: str, read_timeout_s: float) -> Any:
    """A client for one call that may take long and must not be made twice."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=read_timeout_s, retries={"total_max_attempts": 1})
    client: Callable[..., Any] = boto3.client
    return client(service, config=config)


def _countdown(total_s: float) -> Callable[[], float]:
    """How much is left of so many seconds from now on."""
    end = time.monotonic() + total_s
    return lambda: end - time.monotonic()


@functools.cache
def api() -> "Api":
    from uuid import uuid4

    from domainwatch.adapters.control import FunctionRefresher, SqsDepths
    from domainwatch.adapters.machine import StateMachine
    from domainwatch.api import Api, World
    from domainwatch.api.lookups import look_up
    from domainwatch.telemetry import logger

    admin_token_arn = settings.required("ADMIN_TOKEN_SECRET_ARN")
    queues = {
        "checks": settings.required("CHECK_QUEUE_URL"),
        "checks_dead": settings.required("CHECK_DEAD_LETTER_QUEUE_URL"),
        "schedules_dead": settings.required("SCHEDULE_DEAD_LETTER_QUEUE_URL"),
    }
    # The HTTP API gives up after 30 seconds and its function a second earlier.
    runner = StateMachine(_patient_client("stepfunctions", 26), settings.required("LOOK_STATE_MACHINE_ARN"))
    refresher = FunctionRefresher(_patient_client("lambda", 20), settings.required("FETCH_DOMAINS_FUNCTION"))
    return Api(
        World(
            now=now,
            store=store(),
            outbox=outbox(),
            documents=documents(),
            queue=queue(),
            zones=zones(),
            services=pacing(),
            depths=SqsDepths(_client("sqs"), queues),
            runner=runner,
            refresher=refresher,
            look_up=lambda check, name: look_up(rung(check, _countdown(25.0)), name, run_id=uuid4().hex, now=now()),
            new_id=lambda: uuid4().hex,
            cursor_secret=lambda: secrets().value(admin_token_arn),
            report=lambda event, exc: logger.error(event, exc_info=exc),
            shards=_store_settings().shards,
        )
    )


def fulfil_deployment(event: Mapping[str, Any], *, log_stream: str) -> None:
    """Make the secrets that no CloudFormation resource can generate, and answer the stack."""
    import boto3

    from domainwatch.adapters.deployment import fulfil, make_secrets

    def make() -> None:
        make_secrets(
            _client("secretsmanager"),
            boto3.resource("dynamodb").Table(settings.required("LEDGER_TABLE")),
            webhook_secret_arn=settings.required("WEBHOOK_SECRET_ARN"),
            admin_token_arn=settings.required("ADMIN_TOKEN_SECRET_ARN"),
            now=now(),
        )

    fulfil(event, make=make, log_stream=log_stream)
