"""Which addresses may be connected to, and how hosts are read."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainwatch.adapters import guard
from domainwatch.adapters.guard import AllowedNetworks
from domainwatch.errors import AddressForbidden, BadSettings, Malformed

NOTHING = AllowedNetworks.parse("")
V4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
LIBERAL = [
    "127.1",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0177.0.0.1",
    "127.0.0.01",
    "①②⑦.⓪.⓪.①",
    "１２７.0.0.1",
    "127。0。0。1",
]


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.9",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_what_is_not_globally_routable_is_forbidden(address: str) -> None:
    assert not NOTHING.permits(address, 443)
    with pytest.raises(AddressForbidden):
        NOTHING.require(address, 443)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.5.6.30",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "2001:500:2f::f",
        "2001:4860:4860::8888",
        "2600::1",
        "2a00:1450::1",
    ],
)
def test_the_public_internet_is_permitted(address: str) -> None:
    assert NOTHING.permits(address, 43)
    NOTHING.require(address, 43)


@pytest.mark.parametrize(
    "text", [*LIBERAL, "", "localhost", "1.1.1.1:80", "[::1]", "fe80::1%eth0", " 1.1.1.1", "1.1.1.1\n"]
)
def test_only_literal_addresses_are_judged(text: str) -> None:
    assert not AllowedNetworks.parse("0.0.0.0/0,::/0").permits(text, 80)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_is_a_port(port: int) -> None:
    assert not NOTHING.permits("1.1.1.1", port)


def test_listed_networks_are_permitted_at_their_port_only() -> None:
    allowed = AllowedNetworks.parse(
        " 127.0.0.1/32, 127.0.1.0/24:8080 ,[::1]/128:53,fd00::/8,10.0.0.7,[fe80::7]:99,10.0.0.8:1 "
    )
    assert allowed.permits("127.0.0.1", 1)
    assert allowed.permits("::ffff:127.0.0.1", 1)
    assert not allowed.permits("127.0.0.2", 1)
    assert allowed.permits("127.0.1.255", 8080)
    assert not allowed.permits("127.0.1.255", 8081)
    assert allowed.permits("::1", 53)
    assert not allowed.permits("::1", 54)
    assert allowed.permits("fd12::1", 1)
    assert allowed.permits("10.0.0.7", 9)
    assert not allowed.permits("10.0.0.8", 9)
    assert allowed.permits("fe80::7", 99)
    assert allowed.permits("8.8.8.8", 53)


@pytest.mark.parametrize(
    "text",
    [
        "localhost",
        "127.0.0.1/33",
        "127.0.0.1/8",
        "127.0.0.0/x",
        "127.0.0.0/",
        "127.0.0.0/8:",
        "127.0.0.0/8:0",
        "127.0.0.0/8:70000",
        "127.0.0.0/8:http",
        "127.1/32",
        "[::1/128",
        "[::1]x",
        "[127.0.0.1]/32",
        "::1/129",
        "127.0.0.1/32;10.0.0.1/32",
        "127.0.0.0/255.0.0.0",
    ],
)
def test_a_malformed_list_stops_the_start(text: str) -> None:
    with pytest.raises(BadSettings, match="allowed networks"):
        AllowedNetworks.parse(text)


@given(V4 | V6)
def test_never_more_than_the_standard_library_permits(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Ours is stricter: nothing it permits is private, loopback, link-local, multicast or reserved there."""
    if NOTHING.permits(str(address), 80):
        judged = getattr(address, "ipv4_mapped", None) or address
        assert not (judged.is_private)
        assert not (judged.is_multicast)
        assert not (judged.is_reserved)
        assert not (judged.is_unspecified)
        assert not (judged.is_loopback)
        assert not (judged.is_link_local)


@given(V4)
def test_an_ipv4_address_is_judged_alike_when_mapped_and_never_when_embedded(address: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address((0xFFFF << 32) | int(address))
    assert NOTHING.permits(str(mapped), 80) == NOTHING.permits(str(address), 80)
    for embedded in (int(address), (0x64FF9B << 96) | int(address), (0x2002 << 112) | (int(address) << 80)):
        assert not NOTHING.permits(str(ipaddress.IPv6Address(embedded)), 80)


@given(V4, st.integers(0, 32), st.integers(1, 65535), V4, st.integers(1, 65535))
def test_a_listed_network_adds_just_itself(
    base: ipaddress.IPv4Address, length: int, port: int, address: ipaddress.IPv4Address, other_port: int
) -> None:
    network = ipaddress.IPv4Network((base, length), strict=False)
    allowed = AllowedNetworks.parse(f"{network}:{port}")
    listed = address in network and other_port == port
    assert allowed.permits(str(address), other_port) == (listed or NOTHING.permits(str(address), other_port))


@given(st.text(max_size=40))
def test_no_text_makes_permits_raise(text: str) -> None:
    assert NOTHING.permits(text, 80) in {True, False}


@pytest.mark.parametrize(
    "text",
    [
        *LIBERAL,
        "",
        ".",
        "a..b",
        "-a.example",
        "a b",
        "a/b",
        "a@b",
        "%31.1.1.1",
        "::g",
        "[1.1.1.1]",
        "1.2.3.4.5",
        "example.0x1f",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        guard.host(text)
    assert caught.value.reason == "bad_host"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Example.COM.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("1e100.net", "1e100.net"),
        ("_x.example", "_x.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("2001:db8:0:0::1", "2001:db8::1"),
        ("localhost", "localhost"),
        ("dead.beef", "dead.beef"),
    ],
)
def test_hosts(text: str, host: str) -> None:
    assert guard.host(text) == host


@given(st.text(max_size=60))
def test_a_host_is_a_canonical_address_or_never_looks_like_one(text: str) -> None:
    try:
        host = guard.host(text)
    except Malformed:
        return
    assert guard.literal(host) == host or not host.rpartition(".")[2].isdigit()
    assert host.isascii()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("whois.example", ("whois.example", 43)),
        ("whois.example:4343", ("whois.example", 4343)),
        ("127.0.0.1:4343", ("127.0.0.1", 4343)),
        ("127.0.0.1", ("127.0.0.1", 43)),
        ("[::1]:4343", ("::1", 4343)),
        ("[::1]", ("::1", 43)),
        ("::1", ("::1", 43)),
    ],
)
def test_host_and_port(text: str, found: tuple[str, int]) -> None:
    assert guard.host_port(text, default_port=43) == found
    assert guard.host_port(guard.joined(*found), default_port=1) == found


@pytest.mark.parametrize("text", ["a:0", "a:65536", "a:", ":43", "a:b", "fe80:::1:43", "2001:db8::1::43", "a:४३"])
def test_no_host_and_port(text: str) -> None:
    with pytest.raises(Malformed):
        guard.host_port(text, default_port=43)
