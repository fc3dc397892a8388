"""Which addresses we connect to: globally routable unicast only, and what `AllowedPrivateNetworks` lists.

The table is our own, because Python's `is_private` and `is_global` differ between its versions and let CGNAT, NAT64,
6to4 and multicast through. Source: IANA's special-purpose address registries (RFC 6890) and the RFCs named at each row.
"""

import functools
import ipaddress
import re
from dataclasses import dataclass

import idna

from domainwatch.errors import AddressForbidden, BadSettings, Malformed

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_FORBIDDEN_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, unspecified (RFC 791, 1122)
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # shared address space of carrier-grade NAT (RFC 6598)
        "127.0.0.0/8",  # loopback (RFC 1122)
        "169.254.0.0/16",  # link-local, cloud metadata services included (RFC 3927)
        "172.16.0.0/12",  # private (RFC 1918)
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890)
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.88.99.0/24",  # 6to4 relay anycast, deprecated (RFC 7526)
        "192.168.0.0/16",  # private (RFC 1918)
        "198.18.0.0/15",  # benchmarking (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast (RFC 5771)
        "240.0.0.0/4",  # reserved, limited broadcast included (RFC 1112, 919)
    )
)
# IANA has given out global unicast from 2000::/3 only (RFC 4291, 3587). Everything outside it is forbidden without a
# row of its own: ::, ::1, IPv4-compatible ::/96 (RFC 4291), NAT64 64:ff9b::/96 and 64:ff9b:1::/48 (RFC 6052, 8215),
# discard 100::/64 (RFC 6666), SRv6 5f00::/16 (RFC 9602), ULA fc00::/7 (RFC 4193), fe80::/10 (RFC 4291), site-local
# fec0::/10 (RFC 3879), multicast ff00::/8 (RFC 4291).
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_FORBIDDEN_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID (RFC 2928, 4380, 5180, 4843, 7343)
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4: carries any IPv4 address (RFC 3056)
        "3ffe::/16",  # 6bone, returned (RFC 3701)
        "3fff::/20",  # documentation (RFC 9637)
    )
)

_NUMBER_LABEL = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_HOST_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    network: _Network
    port: int | None


@dataclass(frozen=True, slots=True)
class AllowedNetworks:
    """The private networks somebody listed; everything else that is not globally routable unicast is forbidden."""

    entries: tuple[_Entry, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "AllowedNetworks":
        """Read `127.0.0.1/32,127.0.1.0/24:8080,[::1]/128:53`: CIDRs with an optional port. Empty text lists nothing."""
        return cls(tuple(_entry(part.strip()) for part in text.split(",") if part.strip()))

    def permits(self, address: str, port: int) -> bool:
        """True when a connection to this literal address and port may be made. What is no canonical literal is
        forbidden.
        """
        parsed = _judged(address)
        if parsed is None or not 0 < port < 65536:
            return False
        return _is_global(parsed) or any(
            entry.network.version == parsed.version and parsed in entry.network and entry.port in {None, port}
            for entry in self.entries
        )

    def require(self, address: str, port: int) -> None:
        """Raise `AddressForbidden` unless `permits`."""
        if not self.permits(address, port):
            raise AddressForbidden(
                f"{address[:64]} port {port} is not a public address and no allowed network lists it"
            )


def literal(text: str) -> str | None:
    """The canonical text of an IP address literal (brackets allowed around IPv6), None when it is none. Liberal forms
    (`127.1`, `0x7f.1`, zones such as `%eth0`, other digits than ASCII's) are none.
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    parsed = _parsed(bare)
    if parsed is None or (bare is not text and parsed.version != 6):
        return None
    return str(parsed)


def host(text: str) -> str:
    """A URL's or setting's host: an IP address's canonical text, or a host name in lower-case A-labels without a final
    dot.

    Raises `Malformed` for anything else, above all for what liberal parsers read as an IPv4 address: a name whose last
    label is a number, also after UTS-46 has mapped it (WHATWG URL, "ends in a number").
    """
    address = literal(text)
    if address is not None:
        return address
    name = text.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
        except UnicodeError as exc:
            raise Malformed("a host that is no valid internationalised name", reason="bad_host") from exc
    labels = name.split(".")
    if len(name) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise Malformed(f"not a host name: {text[:80]!r}", reason="bad_host")
    if _NUMBER_LABEL.fullmatch(labels[-1]):
        raise Malformed(f"not a canonical address: {text[:80]!r}", reason="bad_host")
    return name


def host_port(text: str, *, default_port: int) -> tuple[str, int]:
    """`host[:port]`, `address[:port]`, `[v6][:port]` or a bare IPv6 address, the host read as `host` reads it."""
    address = literal(text)
    if address is not None:
        return address, default_port
    name, colon, port = text.rpartition(":")
    if not colon:
        return host(text), default_port
    if not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise Malformed(f"not a port: {text[:80]!r}", reason="bad_host")
    if ":" in name and not name.startswith("["):
        raise Malformed(f"an IPv6 address with a port needs brackets: {text[:80]!r}", reason="bad_host")
    return host(name), int(port)


def joined(address: str, port: int) -> str:
    """`address:port`, an IPv6 address in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _entry(text: str) -> _Entry:
    network, slash, rest = text.partition("/")
    length = ""
    if slash:
        length, colon, port = rest.partition(":")
    elif network.startswith("["):
        network, bracket, after = network.partition("]")
        network, (_, colon, port) = network + bracket, after.partition(":")
        if after and not colon:
            raise BadSettings(f"allowed networks: {text[:64]!r} is no CIDR")
    elif network.count(":") == 1:
        network, colon, port = network.partition(":")
    else:
        colon, port = "", ""
    address = literal(network)
    if address is None:
        raise BadSettings(f"allowed networks: {text[:64]!r} does not start with an IP address")
    if slash and not re.fullmatch(r"[0-9]{1,3}", length):
        raise BadSettings(f"allowed networks: {text[:64]!r} has no prefix length after the slash")
    if colon and not (_PORT.fullmatch(port) and 0 < int(port) < 65536):
        raise BadSettings(f"allowed networks: {text[:64]!r} has no port from 1 to 65535 after the colon")
    try:
        parsed = ipaddress.ip_network(f"{address}/{length}" if slash else address)
    except ValueError as exc:
        raise BadSettings(f"allowed networks: {exc}") from exc
    return _Entry(network=parsed, port=int(port) if colon else None)


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> _Address | None:
    if "%" in text or not text.isascii():
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _judged(text: str) -> _Address | None:
    """The address a connection would really reach: an IPv4-mapped one is its IPv4 address (RFC 4291, 2.5.5.2)."""
    parsed = _parsed(text)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def _is_global(address: _Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _FORBIDDEN_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _FORBIDDEN_V6)
