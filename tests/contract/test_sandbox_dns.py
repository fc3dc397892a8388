"""The sandbox's DNS, over real sockets."""

from collections.abc import Iterator

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from sandbox import World, serve

SCENARIO = {
    "starts": "at_once",
    "services": {"w": {"kind": "whois"}},
    "zones": {"com": {"whois": "w"}, "uk": {"whois": "w"}, "co.uk": {}, "ws": {"whois": "w", "wildcard": True}},
    "names": {
        "taken.com": "registered",
        "held.com": "on_hold",
        "dropping.com": "redemption",
        "free.com": "available",
        "long.com": {"timeline": "registered", "truncated": True},
        "taken.co.uk": "registered",
        "taken.ws": "registered",
    },
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with serve(SCENARIO) as made:
        yield made


def ask(world: World, name: str, kind: str = "NS", *, at: str = "dns", tcp: bool = False) -> dns.message.Message:
    host, _, port = world.urls[at].partition(":")
    send = dns.query.tcp if tcp else dns.query.udp
    return send(dns.message.make_query(name, kind), host, port=int(port), timeout=2)


def authoritative(reply: dns.message.Message) -> bool:
    return bool(reply.flags & dns.flags.AA)


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("name", ["taken.com", "www.taken.com", "taken.co.uk", "nic.com", "taken.ws"])
def test_a_delegated_name_is_a_referral(world: World, name: str, tcp: bool) -> None:
    reply = ask(world, name, tcp=tcp)
    assert reply.rcode() == dns.rcode.NOERROR
    assert not authoritative(reply)
    assert not reply.answer
    assert name.endswith(reply.authority[0].name.to_text(omit_final_dot=True))


@pytest.mark.parametrize("name", ["held.com", "dropping.com", "free.com", "never-heard-of.com", "x.nowhere"])
def test_what_is_not_in_the_zone_is_nxdomain_with_soa(world: World, name: str) -> None:
    reply = ask(world, name)
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert authoritative(reply)
    assert reply.authority[0].to_rdataset().rdtype.name == "SOA"


def test_the_apex_answers_with_authority(world: World) -> None:
    reply = ask(world, "co.uk")
    assert authoritative(reply)
    assert "a.nic.co.uk." in reply.answer[0].to_text()
    assert ask(world, "com", "A").authority


def test_a_wildcard_zone_answers_for_anything(world: World) -> None:
    assert ask(world, "nobody-has-this.ws", "A").answer
    reply = ask(world, "nobody-has-this.ws")
    assert reply.rcode() == dns.rcode.NOERROR
    assert authoritative(reply)
    assert not reply.answer


def test_a_long_answer_is_cut_over_udp_and_whole_over_tcp(world: World) -> None:
    assert ask(world, "long.com").flags & dns.flags.TC
    assert ask(world, "long.com", tcp=True).authority


def test_the_resolver_finds_zones_servers_and_names(world: World) -> None:
    servers = ask(world, "com", at="resolver")
    assert servers.flags & dns.flags.RA
    assert "b.nic.com." in servers.answer[0].to_text()
    assert "127.0.0.1" in ask(world, "b.nic.com", "A", at="resolver").answer[0].to_text()
    assert ask(world, "taken.com", at="resolver").answer
    assert ask(world, "ns1.harbour-dns.com", "A", at="resolver").answer
    assert ask(world, "free.com", "A", at="resolver").rcode() == dns.rcode.NXDOMAIN
    assert ask(world, ".", at="resolver").answer


@pytest.mark.parametrize(("fault", "rcode"), [("servfail", dns.rcode.SERVFAIL), ("refused", dns.rcode.REFUSED)])
def test_a_zone_may_refuse(world: World, fault: str, rcode: dns.rcode.Rcode) -> None:
    world.fault("dns.com", fault)
    assert ask(world, "free.com").rcode() == rcode
    assert ask(world, "taken.co.uk").rcode() == dns.rcode.NOERROR
    world.fault("dns.com", None)
    assert ask(world, "free.com").rcode() == dns.rcode.NXDOMAIN


def test_a_lame_server_has_no_authority(world: World) -> None:
    world.fault("dns.com", "lame", count=1)
    reply = ask(world, "free.com")
    assert not authoritative(reply)
    assert reply.authority[0].name.to_text() == "."


@pytest.mark.parametrize("fault", ["wrong_id", "wrong_question"])
def test_a_forged_reply_is_not_taken(world: World, fault: str) -> None:
    world.fault("dns.com", fault, count=1)
    with pytest.raises(dns.query.BadResponse):
        ask(world, "free.com")


def test_silence(world: World) -> None:
    host, _, port = world.urls["dns"].partition(":")
    world.fault("dns.com", "drop", count=1)
    with pytest.raises(dns.exception.Timeout):
        dns.query.udp(dns.message.make_query("free.com", "NS"), host, port=int(port), timeout=0.05)
