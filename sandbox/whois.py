"""WHOIS services (RFC 3912), each in the way of writing of some registry; and IANA's root server."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from .faults import Fault, Faults
from .meter import Meter
from .names import to_ascii, to_unicode
from .rdap import hash_of
from .registry import Registry, Standing
from .scenario import Answer, ServicePlan, State
from .web import HANG_S

MAX_QUERY_BYTES = 2_048
QUERY_S = 20.0
DENIC_STATUSES = {
    State.REDEMPTION: "redemptionPeriod",
    State.PENDING_DELETE: "redemptionPeriod",
    State.ON_HOLD: "failed",
}
NOMINET_STATUSES = {
    State.REDEMPTION: "No longer required",
    State.PENDING_DELETE: "No longer required",
    State.ON_HOLD: "Registered until expiry date. *** This registration has been SUSPENDED. ***",
    State.GRACE: "Renewal required.",
}
GENERIC_STATES = {
    State.REDEMPTION: "REGISTERED, NOT DELEGATED, PENDING DELETE",
    State.PENDING_DELETE: "REGISTERED, NOT DELEGATED, PENDING DELETE",
    State.ON_HOLD: "REGISTERED, NOT DELEGATED",
}

Reply = Callable[[str], Awaitable[bytes | None]]


class WhoisService:
    """One WHOIS host: every zone that names it is answered here."""

    def __init__(self, plan: ServicePlan, registry: Registry, faults: Faults, answers: Mapping[str, Answer]) -> None:
        self.plan = plan
        self.meter = Meter(plan.limit_per_s, registry.clock.now)
        self._registry = registry
        self._faults = faults
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = name_in(await read_query(reader))
        if self.plan.delay_s:
            await asyncio.sleep(self.plan.delay_s)
        standing = self._registry.standing(name)
        if not self.meter.admit(name):
            await send_reply(writer, self.say("throttled", name, standing), None)
            return
        groups = standing.groups if standing else ()
        fault = self._faults.strike(self.plan.id, self._registry.clock.elapsed_s, name, groups)
        text = self._answer(name, standing)
        if fault is not None and fault.kind in ("throttle", "unavailable", "deny"):
            what = {"throttle": "throttled", "unavailable": "unavailable", "deny": "not_found"}[fault.kind]
            text, fault = self.say(what, name, standing, fault), None
        await send_reply(writer, text, fault)

    def say(self, what: str, name: str, standing: Standing | None, fault: Fault | None = None) -> bytes:
        """One of the format's texts about a name."""
        return fill(self.plan.format, what, name, standing, 5 if fault is None else fault.retry_after_s).encode()

    def _answer(self, name: str, standing: Standing | None) -> bytes:
        if name in self._answers:
            answer = self._answers[name]
            return answer.body if answer.kind == "whois" else b""
        service = None if standing is None else self._registry.service_of(standing.zone, "whois")
        if standing is None or service is None or service.id != self.plan.id:
            return b"% This server knows nothing about such names.\r\n"
        if standing.state is State.AVAILABLE:
            return self.say("not_found", name, standing)
        if standing.state in (State.RESERVED, State.PREMIUM):
            return self.say(standing.state.value, name, standing)
        return self.say("registered", name, standing)


class WhoisRoot:
    """IANA's WHOIS server: which WHOIS host a top-level zone has."""

    def __init__(self, registry: Registry, faults: Faults, address_of: Callable[[str], str]) -> None:
        self.meter = Meter(None, registry.clock.now)
        self._registry = registry
        self._faults = faults
        self._address_of = address_of

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = to_ascii(((await read_query(reader)).split() or [""])[-1])
        self.meter.admit(asked)
        fault = self._faults.strike("whois_root", self._registry.clock.elapsed_s, asked)
        text = self._answer(asked)
        if fault is not None and fault.kind in ("throttle", "deny"):
            text = _NO_OBJECT if fault.kind == "deny" else "% Too many queries, please try again later.\n"
            fault = None
        await send_reply(writer, text.encode(), fault)

    def _answer(self, asked: str) -> str:
        zone = asked.rpartition(".")[2]
        if zone not in self._registry.zones and not any(name.endswith("." + zone) for name in self._registry.zones):
            return _NO_OBJECT
        service = self._registry.service_of(zone, "whois")
        whois = f"whois:        {self._address_of(service.id)}\n\n" if service else ""
        refer = f"refer:        {self._address_of(service.id)}\n\n" if service and "." in asked else ""
        return (
            "% IANA WHOIS server\n% for more information on IANA, visit http://www.iana.org\n"
            f"% This query returned 1 object\n\n{refer}domain:       {zone.upper()}\n\n"
            "organisation: Sandbox Registry\naddress:      127.0.0.1\n\n"
            "contact:      administrative\nname:         Registry Operations\n\n"
            f"nserver:      A.NIC.{zone.upper()} 127.0.0.1\nnserver:      B.NIC.{zone.upper()} 127.0.0.1\n\n"
            f"{whois}status:       ACTIVE\nremarks:      Registration information: http://www.iana.org\n\n"
            "created:      1985-01-01\nchanged:      2026-01-15\nsource:       IANA\n\n"
        )


_NO_OBJECT = (
    "% IANA WHOIS server\n% for more information on IANA, visit http://www.iana.org\n% This query returned 0 objects.\n"
)


async def read_query(reader: asyncio.StreamReader) -> str:
    """The query line; servers differ in character set, so UTF-8 and, failing that, Latin-1."""
    raw = b""
    while b"\n" not in raw and len(raw) < MAX_QUERY_BYTES:
        more = await asyncio.wait_for(reader.read(MAX_QUERY_BYTES), QUERY_S)
        if not more:
            break
        raw += more
    line = raw.split(b"\n")[0].rstrip(b"\r")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def name_in(query: str) -> str:
    """The name within a decorated query line: `-T dn,ace name`, `domain name`, `name/e`, `=name`."""
    for token in reversed(query.split()):
        bare = token.partition("/")[0].strip("=\"'")
        if "." in bare and not token.startswith("-"):
            return to_ascii(bare)
    return to_ascii(query)


async def send_reply(writer: asyncio.StreamWriter, text: bytes, fault: Fault | None) -> None:
    """Send a text as WHOIS servers do, or as a faulty one does; the caller closes."""
    match None if fault is None else fault.kind:
        case "hang":
            await asyncio.sleep(HANG_S)
            return
        case "drip":
            assert fault is not None
            for index in range(len(text)):
                writer.write(text[index : index + 1])
                await writer.drain()
                await asyncio.sleep(fault.delay_s)
            return
        case "garbage":
            text = bytes(range(128, 256)) * 6
        case "truncated":
            text = text[: len(text) // 3]
        case "empty":
            text = b""
        case "close":
            # Not lingering turns the close into a reset, as from a server that fell over.
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        case _:
            pass
    writer.write(text)
    await writer.drain()


def fill(form: str, what: str, name: str, standing: Standing | None, retry_after_s: float = 5) -> str:
    """A template's text, with CRLF line ends."""
    templates = _templates()[form]
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "name": name,
        "NAME": name.upper(),
        "unicode": to_unicode(name),
        "number": abs(hash_of(name)),
        "now": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lookup": now.strftime("%H:%M:%S %d-%b-%Y"),
        "retry_after": f"{retry_after_s:g}",
    }
    repeated: dict[str, tuple[str, ...]] = {"nameserver": (), "NAMESERVER": (), "status": ()}
    if standing is not None:
        dates = templates["dates"]
        values |= {
            "created": standing.created.strftime(dates),
            "updated": standing.updated.strftime(dates),
            "expires": standing.expires.strftime(dates),
            "registrar": standing.registrar[0],
            "iana_id": standing.registrar[1],
            "hold": "YES" if "clientHold" in standing.statuses else "NO",
            "denic_status": DENIC_STATUSES.get(standing.state, "connect"),
            "nominet_status": NOMINET_STATUSES.get(standing.state, "Registered until expiry date."),
            "generic_state": GENERIC_STATES.get(standing.state, "REGISTERED, DELEGATED, VERIFIED"),
        }
        repeated = {
            "nameserver": standing.nameservers,
            "NAMESERVER": tuple(host.upper() for host in standing.nameservers),
            "status": standing.statuses,
        }
    lines: list[str] = []
    for line in templates[what].splitlines():
        many = next((key for key in repeated if "{" + key + "}" in line), None)
        for value in ("",) if many is None else repeated[many]:
            lines.append(line.format_map({**values, **({} if many is None else {many: value})}))
    return "".join(line + "\r\n" for line in lines)


@cache
def _templates() -> dict[str, dict[str, str]]:
    text = Path(__file__).with_name("formats").joinpath("whois.yaml").read_text("utf-8")
    loaded: dict[str, dict[str, str]] = yaml.safe_load(text)
    return loaded
