"""The callback client against a receiver on loopback, kind and hostile, and against the reference verifier."""

import base64
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from domainwatch.adapters.callback import CallbackClient, Credentials, secrets_from, sign
from domainwatch.adapters.guard import AllowedNetworks
from domainwatch.adapters.http import GuardedHttp
from domainwatch.errors import BadSettings
from domainwatch.ports import OutboxEvent

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
NEXT_SECRET = "whsec_" + base64.b64encode(b"n" * 32).decode()
TOKEN = "list-token"
EVENT = OutboxEvent(
    id="evt_00112233445566778899aabbccddeeff",
    type="domain.available",
    name="xn--bcher-kva.de",
    target="available",
    body='{"domain":"xn--bcher-kva.de","details":{"registrar":"Registrar Größe"}}',
    due_at=datetime(2026, 3, 1, tzinfo=UTC),
)
ATTEMPT_S = 0.5


@dataclass
class Got:
    """One request as the receiver saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Receiver:
    """A receiver on loopback that answers as `answer` says."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answer: Answer = field(default=lambda handler: reply(handler, 200))
    stopping: threading.Event = field(default_factory=threading.Event)


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"{}", **headers: str) -> None:
    handler.send_response(status)
    for header, value in headers.items():
        handler.send_header(header.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append(Got(method=self.command, path=self.path, headers=headers, body=body))
            with suppress(OSError):  # we may hang up on it
                receiver.answer(self)

        do_POST = _serve  # noqa: N815
        do_GET = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/callback"
    yield receiver
    receiver.stopping.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def http() -> Iterator[GuardedHttp]:
    http = GuardedHttp(resolve=lambda host, timeout_s: (), allowed=AllowedNetworks.parse("127.0.0.1/32"))
    yield http
    http.close()


@pytest.fixture
def client(http: GuardedHttp, receiver: Receiver) -> CallbackClient:
    return made(http, receiver.url)


def made(http: GuardedHttp, url: str, *, token: str = TOKEN, secrets: tuple[str, ...] = (SECRET,)) -> CallbackClient:
    return CallbackClient(
        http,
        urls={"available": url, "result": ""},
        credentials=lambda: Credentials(token=token, secrets=secrets),
        now=lambda: datetime.now(UTC),  # the reference verifier has no other clock
        user_agent="Domainwatch/test (ops@example.com)",
        attempt_s=ATTEMPT_S,
    )


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_the_reference_library_verifies_what_arrived(client: CallbackClient, receiver: Receiver) -> None:
    outcome = client.deliver(EVENT)
    assert (outcome.delivered, outcome.status) == (True, 200)
    (got,) = receiver.got
    assert Webhook(SECRET).verify(got.body, got.headers) == json.loads(EVENT.body)


def test_the_bytes_signed_are_the_bytes_sent(client: CallbackClient, receiver: Receiver) -> None:
    client.deliver(EVENT)
    (got,) = receiver.got
    assert got.body == EVENT.body.encode()
    assert (got.method, got.path) == ("POST", "/callback")
    assert got.headers["content-type"] == "application/json"
    assert got.headers["authorization"] == f"Bearer {TOKEN}"
    assert got.headers["user-agent"] == "Domainwatch/test (ops@example.com)"
    assert got.headers["webhook-id"] == EVENT.id
    timestamp_s = int(got.headers["webhook-timestamp"])
    assert abs(timestamp_s - time.time()) < 10
    assert got.headers["webhook-signature"] == sign([SECRET], EVENT.id, timestamp_s, got.body)


def test_every_attempt_has_the_same_id(client: CallbackClient, receiver: Receiver) -> None:
    client.deliver(EVENT)
    client.deliver(replace(EVENT, attempts=1, due_at=EVENT.due_at + timedelta(hours=5)))
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def test_without_a_token_no_authorization_is_sent(http: GuardedHttp, receiver: Receiver) -> None:
    assert made(http, receiver.url, token="").deliver(EVENT).delivered
    assert "authorization" not in receiver.got[0].headers


def test_during_a_rotation_both_secrets_verify(http: GuardedHttp, receiver: Receiver) -> None:
    made(http, receiver.url, secrets=(NEXT_SECRET, SECRET)).deliver(EVENT)
    (got,) = receiver.got
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, NEXT_SECRET):
        Webhook(secret).verify(got.body, got.headers)


def test_another_secret_does_not_verify(client: CallbackClient, receiver: Receiver) -> None:
    client.deliver(EVENT)
    (got,) = receiver.got
    with pytest.raises(WebhookVerificationError):
        Webhook(NEXT_SECRET).verify(got.body, got.headers)


def test_a_changed_body_does_not_verify(client: CallbackClient, receiver: Receiver) -> None:
    client.deliver(EVENT)
    (got,) = receiver.got
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(got.body.replace(b"de", b"ed"), got.headers)


def test_signing_is_what_the_reference_library_signs() -> None:
    at = datetime(2026, 3, 1, 12, 30, 1, tzinfo=UTC)
    assert sign([SECRET], "evt_1", int(at.timestamp()), b'{"a":1}') == Webhook(SECRET).sign("evt_1", at, '{"a":1}')


@pytest.mark.parametrize("secret", ["whsec_", "whsec_ä", ""])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(BadSettings):
        sign([secret], "evt_1", 1, b"")


def test_without_any_secret_nothing_is_signed() -> None:
    with pytest.raises(BadSettings):
        sign([], "evt_1", 1, b"")


def test_secrets_are_read_from_one_value() -> None:
    assert secrets_from(f" {SECRET}, {NEXT_SECRET}\n") == (SECRET, NEXT_SECRET)


def test_whether_anybody_listens(client: CallbackClient) -> None:
    assert client.has_receiver("available")
    assert not client.has_receiver("result")
    assert not client.has_receiver("event")


# --- what comes back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_success(client: CallbackClient, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda handler: reply(handler, status, b"")
    assert client.deliver(EVENT).delivered


@pytest.mark.parametrize("status", [304, 400, 401, 404, 429, 500, 503])
def test_everything_else_is_failure(client: CallbackClient, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda handler: reply(handler, status, b"" if status == 304 else b"no\nthanks")
    outcome = client.deliver(EVENT)
    assert not outcome.delivered
    assert not outcome.gone
    assert outcome.status == status
    assert outcome.error.startswith(f"HTTP {status}")
    assert "\n" not in outcome.error


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_never_followed(client: CallbackClient, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda handler: reply(handler, status, b"", Location="/elsewhere")
    outcome = client.deliver(EVENT)
    assert not outcome.delivered
    assert [got.path for got in receiver.got] == ["/callback"]


def test_410_means_gone(client: CallbackClient, receiver: Receiver) -> None:
    receiver.answer = lambda handler: reply(handler, 410)
    assert client.deliver(EVENT).gone


def test_retry_after_is_handed_on(client: CallbackClient, receiver: Receiver) -> None:
    receiver.answer = lambda handler: reply(handler, 429, b"", Retry_After="120")
    assert client.deliver(EVENT).retry_after_s == 120


def test_a_reply_that_echoes_the_token_does_not_keep_it(client: CallbackClient, receiver: Receiver) -> None:
    receiver.answer = lambda handler: reply(handler, 400, f"you sent Bearer {TOKEN}".encode())
    assert TOKEN not in client.deliver(EVENT).error


def test_of_a_long_reply_little_is_kept(client: CallbackClient, receiver: Receiver) -> None:
    receiver.answer = lambda handler: reply(handler, 500, "ä".encode() * 30_000)
    assert len(client.deliver(EVENT).error.encode()) <= 2048


# --- who misbehaves ---------------------------------------------------------------------------------------------------


def test_a_receiver_that_hangs_is_left_after_the_deadline(client: CallbackClient, receiver: Receiver) -> None:
    receiver.answer = lambda handler: receiver.stopping.wait(10) and None
    _ends_in_time(client, "timeout")


def test_a_receiver_that_drips_is_left_after_the_deadline(client: CallbackClient, receiver: Receiver) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(500)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        while not receiver.stopping.wait(0.02):
            handler.wfile.write(b".")

    receiver.answer = drip
    _ends_in_time(client, "timeout")


def test_a_huge_reply_is_read_to_64_kb(client: CallbackClient, receiver: Receiver) -> None:
    sent = 0
    chunk = b"x" * 65_536

    def flood(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("Content-Length", str(300 * 1024 * 1024))
        handler.end_headers()
        while not receiver.stopping.is_set():
            handler.wfile.write(chunk)
            sent += len(chunk)

    receiver.answer = flood
    tracemalloc.start()
    try:
        outcome = client.deliver(EVENT)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert outcome.delivered
    assert peak_bytes < 4 * 1024 * 1024
    assert sent < 50 * 1024 * 1024


def test_a_receiver_that_hangs_up_is_a_failure(client: CallbackClient, receiver: Receiver) -> None:
    receiver.answer = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)
    outcome = client.deliver(EVENT)
    assert (outcome.delivered, outcome.status) == (False, 0)
    assert outcome.error


def test_a_receiver_that_speaks_something_else_is_a_failure(client: CallbackClient, receiver: Receiver) -> None:
    receiver.answer = lambda handler: handler.wfile.write(b"220 mail.example.com ESMTP\r\n\r\n") and None
    outcome = client.deliver(EVENT)
    assert (outcome.delivered, outcome.status) == (False, 0)


def test_nobody_there_is_a_failure(http: GuardedHttp, receiver: Receiver) -> None:
    outcome = made(http, "http://127.0.0.1:1/callback").deliver(EVENT)
    assert (outcome.delivered, outcome.status) == (False, 0)


def test_a_forbidden_address_is_a_visible_failure(receiver: Receiver) -> None:
    guarded = GuardedHttp(resolve=lambda host, timeout_s: (), allowed=AllowedNetworks.parse(""))
    outcome = made(guarded, receiver.url).deliver(EVENT)
    assert not outcome.delivered
    assert outcome.error.startswith("address_forbidden")
    assert receiver.got == []


def test_a_token_that_no_header_can_hold_is_a_visible_failure(http: GuardedHttp, receiver: Receiver) -> None:
    outcome = made(http, receiver.url, token="a\r\nx: y").deliver(EVENT)
    assert outcome.error.startswith("bad_settings")
    assert "x: y" not in outcome.error
    assert receiver.got == []


def _ends_in_time(client: CallbackClient, reason: str) -> None:
    started = time.monotonic()
    outcome = client.deliver(EVENT)
    assert time.monotonic() - started < ATTEMPT_S * 2
    assert (outcome.delivered, outcome.status) == (False, 0)
    assert outcome.error.startswith(reason)
