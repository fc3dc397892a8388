"""DNS over UDP and TCP: the zones' own servers on one port, a resolver on another."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from .faults import Faults
from .meter import Meter
from .names import suffixes
from .registry import Registry
from .web import Connections

TTL_S = 2
SERVER_ADDRESS = "127.0.0.1"
SITE_ADDRESS = "127.0.0.2"
"""Where registered names point; not an allowed address, so that no guest fetches a stranger's page here."""
UDP_BYTES = 512


class DnsServer:
    """Answers for every zone of the world, with authority or as a resolver does."""

    def __init__(self, registry: Registry, faults: Faults, *, recursive: bool) -> None:
        self.meter = Meter(None, registry.clock.now)
        self._registry = registry
        self._faults = faults
        self._recursive = recursive

    def reply(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """The wire reply to a wire query; None for silence."""
        try:
            query = dns.message.from_wire(wire)
        except (dns.exception.DNSException, ValueError):
            return None
        if query.flags & dns.flags.QR or len(query.question) != 1:
            return None
        question = query.question[0]
        name = question.name.to_text().rstrip(".").lower()
        self.meter.admit(name)
        zone = self._registry.zone_of(name)
        target = "resolver" if self._recursive else f"dns.{zone.name if zone else ''}"
        standing = self._registry.standing(name)
        fault = self._faults.strike(target, self._registry.clock.elapsed_s, name, standing.groups if standing else ())
        kind = None if fault is None else fault.kind
        if kind == "drop":
            return None
        response = dns.message.make_response(query, recursion_available=self._recursive)
        if query.opcode() != dns.opcode.QUERY or question.rdclass != dns.rdataclass.IN:
            response.set_rcode(dns.rcode.NOTIMP)
        elif kind in ("servfail", "refused"):
            response.set_rcode(dns.rcode.SERVFAIL if kind == "servfail" else dns.rcode.REFUSED)
        elif kind == "lame":
            # A server that was told nothing of the zone points back to the root, without authority.
            response.authority.append(_records(".", "NS", "a.root-servers.net."))
        elif self._recursive:
            self._resolve(response, name, question.rdtype)
        else:
            self._authority(response, name, question.rdtype)
        if kind == "wrong_id":
            response.id ^= 0x5A5A
        if kind == "wrong_question":
            other = dns.name.from_text("not-what-you-asked.example.")
            response.question = [dns.rrset.RRset(other, question.rdclass, question.rdtype)]
        plan = self._registry.names.get(name)
        if not tcp and (kind == "truncate" or (plan is not None and plan.truncated)):
            return _truncated(response)
        limit = 65_535 if tcp else max(UDP_BYTES, query.payload if query.edns >= 0 else 0)
        try:
            return response.to_wire(max_size=limit)
        except dns.exception.TooBig:
            return _truncated(response)

    def _authority(self, response: dns.message.Message, name: str, kind: int) -> None:
        zone = self._registry.zone_of(name)
        response.flags |= dns.flags.AA
        if zone is None:
            if name and not self._has_zone_below(name):
                response.set_rcode(dns.rcode.NXDOMAIN)
            response.authority.append(_soa("."))
        elif name == zone.name:
            self._apex(response, name, kind)
        elif f"{name}." in _zone_servers(zone.name):
            known = _records(name, "A", SERVER_ADDRESS) if kind == dns.rdatatype.A else None
            _add(response, known, zone.name)
        elif (standing := self._registry.delegation(name)) is not None:
            # A referral: the delegation stands in the authority section, and the answer is not authoritative.
            response.flags &= ~dns.flags.AA
            response.authority.append(_records(standing.name, "NS", *(f"{host}." for host in standing.nameservers)))
        elif zone.wildcard:
            _add(response, _records(name, "A", SITE_ADDRESS) if kind == dns.rdatatype.A else None, zone.name)
        else:
            if not self._has_zone_below(name):
                response.set_rcode(dns.rcode.NXDOMAIN)
            response.authority.append(_soa(zone.name))

    def _apex(self, response: dns.message.Message, name: str, kind: int) -> None:
        if kind == dns.rdatatype.NS:
            response.answer.append(_records(name, "NS", *_zone_servers(name)))
            for host in _zone_servers(name):
                response.additional.append(_records(host, "A", SERVER_ADDRESS))
        else:
            _add(response, _soa(name) if kind == dns.rdatatype.SOA else None, name)

    def _has_zone_below(self, name: str) -> bool:
        """Whether the name is an empty non-terminal: it has no records, but exists for what is below it."""
        return any(zone.endswith(f".{name}") for zone in self._registry.zones)

    def _resolve(self, response: dns.message.Message, name: str, kind: int) -> None:
        zone = self._registry.zone_of(name)
        response.flags |= dns.flags.RA
        if not name or name.endswith("root-servers.net"):
            if kind == dns.rdatatype.NS and not name:
                response.answer.append(_records(".", "NS", "a.root-servers.net."))
            elif kind == dns.rdatatype.A and name:
                response.answer.append(_records(name, "A", SERVER_ADDRESS))
            return
        if zone is None:
            self._authority(response, name, kind)
            response.flags &= ~dns.flags.AA
            return
        if name == zone.name or f"{name}." in _zone_servers(zone.name):
            self._authority(response, name, kind)
            response.additional.clear()
            response.flags &= ~dns.flags.AA
            return
        standing = self._registry.delegation(name)
        serving = any(suffix.startswith(("harbour-dns.", "nightcatch.")) for suffix in suffixes(name))
        if standing is None and not serving:
            self._authority(response, name, kind)
            response.flags &= ~dns.flags.AA
            return
        if kind == dns.rdatatype.A:
            response.answer.append(_records(name, "A", SERVER_ADDRESS if serving else SITE_ADDRESS))
        elif kind == dns.rdatatype.NS and standing is not None and standing.name == name:
            response.answer.append(_records(name, "NS", *(f"{host}." for host in standing.nameservers)))
        else:
            response.authority.append(_soa(name if standing is None else standing.name))


async def serve_dns(
    server: DnsServer, connections: Connections, host: str, port: int
) -> tuple[int, asyncio.DatagramTransport]:
    """Listen on UDP and on the same port's TCP; returns the port and the transport to close. Raises OSError."""
    loop = asyncio.get_running_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length = int.from_bytes(await asyncio.wait_for(reader.readexactly(2), 30), "big")
            reply = server.reply(await asyncio.wait_for(reader.readexactly(length), 30), tcp=True)
            if reply is not None:
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()

    for attempt in range(20):
        transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(server), local_addr=(host, port))
        free = int(transport.get_extra_info("sockname")[1])
        try:
            await connections.listen(serve, host, free)
        except OSError:
            # The number was free for UDP but not for TCP: another one, unless the scenario wants just this.
            transport.close()
            if port or attempt == 19:
                raise
            continue
        return free, transport
    raise OSError("no port is free for both UDP and TCP")


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own datagram transport is not a subclass of the abstract one.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._server.reply(data, tcp=False)
        if reply is not None and self._transport is not None:
            with suppress(OSError):
                self._transport.sendto(reply, addr)


def _zone_servers(zone: str) -> tuple[str, str]:
    return (f"a.nic.{zone}.", f"b.nic.{zone}.")


def _records(name: str, kind: str, *values: str) -> dns.rrset.RRset:
    return dns.rrset.from_text(name if name.endswith(".") else f"{name}.", TTL_S, "IN", kind, *values)


def _add(response: dns.message.Message, found: dns.rrset.RRset | None, zone: str) -> None:
    """The answer, or the zone's SOA for a name that exists without such records."""
    if found is None:
        response.authority.append(_soa(zone))
    else:
        response.answer.append(found)


def _soa(zone: str) -> dns.rrset.RRset:
    dot = "" if zone == "." else zone
    mname = "a.root-servers.net." if not dot else f"a.nic.{dot}."
    return _records(zone, "SOA", f"{mname} hostmaster.{mname} 2026010101 1800 900 604800 {TTL_S}")


def _truncated(response: dns.message.Message) -> bytes:
    response.answer.clear()
    response.authority.clear()
    response.additional.clear()
    response.flags |= dns.flags.TC
    return response.to_wire()
