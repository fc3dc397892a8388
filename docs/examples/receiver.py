"""A callback receiver in a page: checks the signature, drops what it has seen, prints what came.

    WEBHOOK_SECRET=whsec_… python docs/examples/receiver.py

It needs the package `standardwebhooks`. One for production answers as soon as the event is safely kept, and keeps the
ids it has seen where a restart does not lose them.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

SEEN: set[str] = set()


def take(secret: str, headers: dict[str, str], body: bytes) -> int:
    """The HTTP status to answer with. `headers` have lower-case names; `body` is exactly what came, since one that was
    parsed and written anew has another signature.
    """
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError as exc:
        print(f"turned away: {exc}", flush=True)
        return 401
    if headers["webhook-id"] in SEEN:
        return 204  # delivered before; our reply got lost
    SEEN.add(headers["webhook-id"])
    event = json.loads(body)
    if event.get("status") == "available":
        print(f"{event['domain']} is available, confidence {event['confidence']}", flush=True)
    else:
        print(f"{event.get('domain')} {event.get('check_type')}: {event.get('result')}", flush=True)
    return 204


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(take(os.environ["WEBHOOK_SECRET"], headers, body))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
