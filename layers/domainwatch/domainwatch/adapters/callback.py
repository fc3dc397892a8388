"""Delivering an event: signed as Standard Webhooks 1.0 fixes it, one attempt, one deadline, little memory."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from domainwatch.adapters.http import retry_after_s
from domainwatch.errors import AddressForbidden, BadSettings, TryLater
from domainwatch.findings import excerpt
from domainwatch.ports import HttpPort, Now, OutboxEvent, Outcome

ATTEMPT_S = 15.0
MAX_REPLY_BYTES = 64 * 1024
_KEPT_CHARS = 1024
_GONE = 410
_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a receiver knows us by: the bearer token (empty: none is sent) and the signing secrets, newest first. During
    a rotation there are two, and a receiver that knows either accepts.
    """

    token: str
    secrets: tuple[str, ...]


def secrets_from(text: str) -> tuple[str, ...]:
    """The signing secrets of a stored value: one or several `whsec_<base64>`, separated by white space or commas."""
    return tuple(text.replace(",", " ").split())


def sign(secrets: Sequence[str], event_id: str, timestamp_s: int, body: bytes) -> str:
    """The `webhook-signature` header: for each secret `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.

    Raises `BadSettings` for a secret that is no base64, or no secret at all.
    """
    if not secrets:
        raise BadSettings("there is no secret to sign callbacks with")
    signed = f"{event_id}.{timestamp_s}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode() for secret in secrets
    )


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX) + "==")
    except (binascii.Error, ValueError) as exc:
        raise BadSettings("a webhook secret is not whsec_ and base64") from exc
    if not key:
        raise BadSettings("a webhook secret is empty")
    return key


class CallbackClient:
    """The `CallbackPort` adapter. `urls` maps targets to URLs; `credentials` is asked at each attempt, so that a
    rotated secret is used without a restart. Safe to share between threads if `http` and `credentials` are.
    """

    def __init__(
        self,
        http: HttpPort,
        *,
        urls: Mapping[str, str],
        credentials: Callable[[], Credentials],
        now: Now,
        user_agent: str,
        attempt_s: float = ATTEMPT_S,
    ) -> None:
        self._http = http
        self._urls = dict(urls)
        self._credentials = credentials
        self._now = now
        self._user_agent = user_agent
        self._attempt_s = attempt_s

    def has_receiver(self, target: str) -> bool:
        """See `CallbackPort`."""
        return bool(self._urls.get(target))

    def deliver(self, event: OutboxEvent) -> Outcome:
        """See `CallbackPort`. Only 2xx is success; a redirect is a failure and never followed."""
        body = event.body.encode()
        try:
            credentials = self._credentials()
            reply = self._http.fetch(
                self._urls[event.target],
                method="POST",
                headers=self._headers(event, body, credentials),
                body=body,
                timeout_s=self._attempt_s,
                max_bytes=MAX_REPLY_BYTES,
                redirects=0,
                truncate=True,
            )
        except TryLater as exc:
            return Outcome(error=_kept(f"{exc.reason}: {exc}"))
        except AddressForbidden as exc:
            return Outcome(error=_kept(f"address_forbidden: {exc}"))
        except (BadSettings, ValueError) as exc:
            return Outcome(error=_kept(f"bad_settings: {exc}"))
        if 200 <= reply.status < 300:
            return Outcome(status=reply.status)
        said = reply.body[: 2 * _KEPT_CHARS].decode("utf-8", "replace")
        if credentials.token:  # a receiver may echo what it got, and this text is shown to people
            said = said.replace(credentials.token, "[token]")
        return Outcome(
            status=reply.status,
            error=_kept(f"HTTP {reply.status}: {said}"),
            gone=reply.status == _GONE,
            retry_after_s=retry_after_s(reply.headers, self._now()),
        )

    def _headers(self, event: OutboxEvent, body: bytes, credentials: Credentials) -> dict[str, str]:
        timestamp_s = int(self._now().timestamp())
        headers = {
            "content-type": "application/json",
            "user-agent": self._user_agent,
            "webhook-id": event.id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": sign(credentials.secrets, event.id, timestamp_s, body),
        }
        if credentials.token:
            headers["authorization"] = f"Bearer {credentials.token}"
        return headers


def _kept(text: str) -> str:
    return excerpt(text)[:_KEPT_CHARS]
