"""Configuration: read once, typed and whole, from the environment. A missing variable stops the start with its name."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from domainwatch.cadences import parse_cadences
from domainwatch.errors import BadSettings
from domainwatch.verdicts import Delays

Environment = Mapping[str, str]


def _text(env: Environment, key: str) -> str:
    try:
        return env[key].strip()
    except KeyError:
        raise BadSettings(f"the environment variable {key} is not set; the template sets it, so deploy again") from None


def _number(env: Environment, key: str, *, least: float, most: float) -> float:
    text = _text(env, key)
    try:
        value = float(text)
    except ValueError:
        raise BadSettings(f"{key} must be a number, not {text[:40]!r}") from None
    if not least <= value <= most:
        raise BadSettings(f"{key} must be between {least:g} and {most:g}, not {value:g}")
    return value


def _words(env: Environment, key: str) -> tuple[str, ...]:
    return tuple(word for part in _text(env, key).split(",") if (word := part.strip()))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where the watched names and the ledger are."""

    names_table: str
    ledger_table: str
    shards: int

    @classmethod
    def from_env(cls, env: Environment = os.environ) -> "StoreSettings":
        return cls(
            names_table=_text(env, "NAMES_TABLE"),
            ledger_table=_text(env, "LEDGER_TABLE"),
            shards=int(_number(env, "SHARDS", least=1, most=100_000)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """How the world outside is reached, and what is known of its zones."""

    resolver_addresses: tuple[str, ...]
    allowed_private_networks: str
    zones_url: str
    rdap_bootstrap_url: str
    whois_root_server: str
    contact_address: str

    @classmethod
    def from_env(cls, env: Environment = os.environ) -> "NetworkSettings":
        root = _text(env, "WHOIS_ROOT_SERVER")
        return cls(
            resolver_addresses=_words(env, "RESOLVER_ADDRESSES"),
            allowed_private_networks=_text(env, "ALLOWED_PRIVATE_NETWORKS"),
            zones_url=_text(env, "ZONES_URL"),
            rdap_bootstrap_url=_text(env, "RDAP_BOOTSTRAP_URL"),
            whois_root_server=root if not root or ":" in root else f"{root}:43",
            contact_address=_text(env, "CONTACT_ADDRESS"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSettings:
    """Where events go. `available_url` falls back to `url`; an empty url means that nobody listens."""

    url: str
    available_url: str
    every_check: bool
    threshold: float
    event_types: frozenset[str]

    @classmethod
    def from_env(cls, env: Environment = os.environ) -> "CallbackSettings":
        mode = _text(env, "CALLBACK_MODE")
        if mode not in {"changes", "every_check"}:
            raise BadSettings(f"CALLBACK_MODE must be changes or every_check, not {mode[:40]!r}")
        url = _text(env, "API_CALLBACK_URL")
        return cls(
            url=url,
            available_url=_text(env, "API_AVAILABLE_CALLBACK_URL") or url,
            every_check=mode == "every_check",
            threshold=_number(env, "AVAILABILITY_THRESHOLD", least=0, most=1),
            event_types=frozenset(_words(env, "EVENT_TYPES")),
        )

    @property
    def receivers(self) -> frozenset[str]:
        """The outbox targets that somebody listens at."""
        urls = {"result": self.url, "available": self.available_url, "event": self.url}
        return frozenset(target for target, url in urls.items() if url)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSettings:
    """How often names are due, in seconds per cadence, and how they are packed."""

    cadences: Mapping[str, float]
    batch_size: int

    @classmethod
    def from_env(cls, env: Environment = os.environ) -> "ScheduleSettings":
        return cls(
            cadences=parse_cadences(_text(env, "CADENCE_SECONDS")),
            batch_size=int(_number(env, "BATCH_SIZE", least=1, most=1000)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSettings:
    """The domain list API: an empty url means that names come from the HTTP API only."""

    url: str
    refresh_interval_s: float

    @classmethod
    def from_env(cls, env: Environment = os.environ) -> "ListSettings":
        return cls(
            url=_text(env, "DOMAIN_API_URL"),
            refresh_interval_s=_number(env, "DOMAIN_API_REFRESH_INTERVAL", least=1, most=86_400 * 7),
        )


def delays_from_env(env: Environment = os.environ) -> Delays:
    """How long after a first look the second one counts."""
    return Delays(
        confirmation_s=_number(env, "CONFIRMATION_DELAY_S", least=0, most=86_400),
        suspicious_s=_number(env, "SUSPICIOUS_CONFIRMATION_DELAY_S", least=0, most=86_400 * 7),
    )


def required(key: str, env: Environment = os.environ) -> str:
    """One variable that must be there and not be empty: a queue's address, a secret's or a machine's ARN."""
    value = _text(env, key)
    if not value:
        raise BadSettings(f"the environment variable {key} is empty")
    return value
