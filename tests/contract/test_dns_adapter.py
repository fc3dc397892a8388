"""The DNS port: one suite on the fake and the real engine, and what hostile servers may do to the real one."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainwatch.adapters import dns as engine_module
from domainwatch.adapters.dns import DnsEngine, system_resolvers
from domainwatch.adapters.guard import AllowedNetworks
from domainwatch.errors import AddressForbidden, BadSettings, DeadlinePassed, TryLater
from domainwatch.names import Name
from domainwatch.ports import Delegation, DnsAnswer, DnsPort
from tests.contract.dns_server import DnsServer, Reply, name_of, reply, serving, zone
from tests.fakes_net import FakeDns

LOOPBACK = AllowedNetworks.parse("127.0.0.0/8")
TAKEN, FREE, THERE = (Name(text=f"{label}.test", suffix="test") for label in ("taken", "free", "there"))


def engine(*servers: DnsServer | str, resolvers: tuple[str, ...] = ("127.0.0.1:9",), **options: float) -> DnsEngine:
    texts = [server if isinstance(server, str) else server.text for server in servers]
    return DnsEngine(
        allowed=LOOPBACK,
        resolvers=resolvers,
        nameservers=lambda suffix: texts,
        **options,  # type: ignore[arg-type]
    )


def ask(port: DnsPort, *names: Name, timeout_s: float = 5) -> list[DnsAnswer]:
    found = port.delegations(names, timeout_s=timeout_s)
    return [found[name] for name in names]


def readings(port: DnsPort, *names: Name, timeout_s: float = 5) -> list[Delegation]:
    return [answer.delegation for answer in ask(port, *names, timeout_s=timeout_s)]


def no_wildcard(answer: Callable[[dns.message.Message], Reply | list[Reply]]) -> Callable[..., Reply | list[Reply]]:
    """An honest denial of the random name, the given answer for every other."""
    honest = zone("test", {})
    return lambda query: honest(query) if name_of(query).startswith("dw-") else answer(query)


# --- the contract, for both -------------------------------------------------------------------------------------------


@pytest.fixture(params=["fake", "real"])
def port(request: pytest.FixtureRequest) -> Iterator[DnsPort]:
    if request.param == "fake":
        fake = FakeDns(known={"there.test": Delegation.NO_DELEGATION}, hosts={"a.test": ("192.0.2.7",)})
        fake.delegate("taken.test", "ns2.example", "ns1.example")
        yield fake
        return

    def resolver(query: dns.message.Message) -> Reply:
        if name_of(query) == "a.test" and query.question[0].rdtype == dns.rdatatype.A:
            return reply(query, answer=("a.test. 60 IN A 192.0.2.7",))
        return reply(query, rcode=dns.rcode.NXDOMAIN)

    world = zone("test", {"taken.test": ("ns2.example", "NS1.example")}, exists=("there.test",))
    with serving(world) as server, serving(resolver) as resolving:
        yield engine(server, resolvers=(resolving.text,))


def test_each_name_gets_its_own_answer(port: DnsPort) -> None:
    taken, free, there = ask(port, TAKEN, FREE, THERE)
    assert (taken.delegation, taken.nameservers) == (Delegation.DELEGATED, ("ns1.example", "ns2.example"))
    assert taken.server
    assert free.delegation is Delegation.DENIED
    assert there.delegation is Delegation.NO_DELEGATION
    assert not free.nameservers


def test_no_names_are_no_questions(port: DnsPort) -> None:
    assert port.delegations([], timeout_s=1) == {}


def test_addresses_of_a_host_and_of_none(port: DnsPort) -> None:
    assert port.addresses("a.test", timeout_s=2) == ("192.0.2.7",)
    assert port.addresses("b.test", timeout_s=2) == ()


# --- reading zone servers ---------------------------------------------------------------------------------------------


def test_the_question_is_for_name_servers_without_recursion() -> None:
    flags: list[tuple[bool, int]] = []

    def answer(query: dns.message.Message) -> Reply:
        flags.append((bool(query.flags & dns.flags.RD), query.payload))
        return zone("test", {})(query)

    with serving(answer) as server:
        assert readings(engine(server), FREE) == [Delegation.DENIED]
        assert {(transport, rdtype) for transport, _, rdtype in server.asked} == {("udp", "NS")}
    assert set(flags) == {(False, 1232)}


@pytest.mark.parametrize(
    ("made", "reading"),
    [
        pytest.param({"rcode": dns.rcode.NXDOMAIN, "aa": False}, Delegation.LAME, id="denial without authority"),
        pytest.param({"rcode": dns.rcode.SERVFAIL}, Delegation.SERVFAIL, id="SERVFAIL"),
        pytest.param({"rcode": dns.rcode.REFUSED}, Delegation.REFUSED, id="REFUSED"),
        pytest.param({"rcode": dns.rcode.NOTAUTH}, Delegation.LAME, id="NOTAUTH"),
        pytest.param({"aa": False}, Delegation.LAME, id="empty, without authority"),
        pytest.param(
            {"aa": False, "authority": (". 900 IN NS a.root-servers.net.",)}, Delegation.LAME, id="upward referral"
        ),
        pytest.param(
            {"aa": False, "authority": ("test. 900 IN NS ns.test.",)}, Delegation.LAME, id="referral to itself"
        ),
        pytest.param(
            {"aa": False, "authority": ("other.test. 900 IN NS ns.test.",)}, Delegation.LAME, id="another's referral"
        ),
        pytest.param(
            {"rcode": dns.rcode.NXDOMAIN, "authority": (". 900 IN SOA a. b. 1 2 3 4 5",)},
            Delegation.LAME,
            id="the root denies",
        ),
        pytest.param(
            {"rcode": dns.rcode.NXDOMAIN, "authority": ("example. 900 IN SOA a. b. 1 2 3 4 5",)},
            Delegation.LAME,
            id="another zone denies",
        ),
        pytest.param(
            {"rcode": dns.rcode.NXDOMAIN, "answer": ("free.test. 900 IN CNAME gone.example.",)},
            Delegation.NO_DELEGATION,
            id="an alias to a missing name",
        ),
        pytest.param({}, Delegation.NO_DELEGATION, id="empty with authority"),
        pytest.param({"answer": ("free.test. 900 IN CNAME a.example.",)}, Delegation.NO_DELEGATION, id="alias"),
        pytest.param({"answer": ("free.test. 900 IN NS ns.example.",)}, Delegation.DELEGATED, id="child's own answer"),
        pytest.param({"answer": ("FREE.test. 900 IN NS ns.example.",)}, Delegation.DELEGATED, id="other case"),
    ],
)
def test_what_a_reply_says(made: dict[str, object], reading: Delegation) -> None:
    with serving(no_wildcard(lambda query: reply(query, **made))) as server:  # type: ignore[arg-type]
        assert readings(engine(server), FREE) == [reading]


def test_a_useless_server_is_followed_by_the_next() -> None:
    broken = {
        "servfail": lambda query: reply(query, rcode=dns.rcode.SERVFAIL),
        "refused": lambda query: reply(query, rcode=dns.rcode.REFUSED, aa=False),
        "lame": lambda query: reply(query, aa=False),
    }
    for answer in broken.values():
        with serving(answer) as bad, serving(zone("test", {"taken.test": ("ns.example",)})) as good:
            asked = engine(bad, good)
            for _ in range(2):  # whoever is asked first
                assert readings(asked, TAKEN, FREE) == [Delegation.DELEGATED, Delegation.DENIED]


def test_a_silent_server_is_followed_after_a_few_hundred_milliseconds() -> None:
    with serving(lambda query: None) as silent, serving(zone("test", {})) as good:
        asked = engine(silent, good)
        started = time.monotonic()
        assert readings(asked, FREE, TAKEN, THERE) == [Delegation.DENIED] * 3
        assert time.monotonic() - started < 0.9
        # It is asked last from now on.
        before = len(silent.asked)
        assert readings(asked, FREE, TAKEN, THERE) == [Delegation.DENIED] * 3
        assert len(silent.asked) == before


def test_servers_that_cannot_be_sent_to_cost_no_try() -> None:
    """Five servers the system refuses to send to (broadcast, as it would a family without a route), then one that
    works.
    """
    with serving(zone("test", {})) as good:
        asked = DnsEngine(
            allowed=AllowedNetworks.parse("127.0.0.1/32,255.255.255.255/32"),
            resolvers=("127.0.0.1:9",),
            nameservers=lambda suffix: (*(f"255.255.255.255:{port}" for port in range(1, 6)), good.text),
        )
        started = time.monotonic()
        assert readings(asked, FREE) == [Delegation.DENIED]
        assert time.monotonic() - started < 0.3


def test_silence_is_a_timeout_and_tries_are_few() -> None:
    with serving(lambda query: None) as silent:
        started = time.monotonic()
        assert readings(engine(silent), FREE, timeout_s=1.5) == [Delegation.TIMEOUT]
        assert time.monotonic() - started < 1.7
        assert len([name for _, name, _ in silent.asked if name == "free.test"]) <= 4


def test_no_batch_outlasts_its_time() -> None:
    with serving(lambda query: None) as silent:
        names = [Name(text=f"n{i}.test", suffix="test") for i in range(300)]
        started = time.monotonic()
        assert set(readings(engine(silent), *names, timeout_s=0.6)) == {Delegation.TIMEOUT}
        assert time.monotonic() - started < 1.2


def test_a_lost_first_packet_costs_one_retry() -> None:
    seen: set[str] = set()

    def answer(query: dns.message.Message) -> Reply:
        if name_of(query) not in seen:
            seen.add(name_of(query))
            return None
        return zone("test", {"taken.test": ("ns.example",)})(query)

    with serving(answer) as server:
        started = time.monotonic()
        assert readings(engine(server), TAKEN, FREE) == [Delegation.DELEGATED, Delegation.DENIED]
        assert time.monotonic() - started < 0.9


def test_a_late_reply_to_an_earlier_try_counts() -> None:
    """The reply to the first sending comes after the second was sent: it is still the right question's."""
    server: DnsServer

    def answer(query: dns.message.Message) -> Reply:
        if name_of(query).startswith("dw-") or len(server.asked) > 3:
            return zone("test", {})(query)
        time.sleep(0.35)  # one thread serves, so every later question waits too
        return zone("test", {})(query)

    with serving(answer) as server:
        assert readings(engine(server), FREE) == [Delegation.DENIED]


def test_truncated_replies_are_asked_for_again_over_tcp() -> None:
    world = zone("test", {"taken.test": ("ns.example",)})

    def truncated(query: dns.message.Message) -> Reply:
        made = reply(query)
        made.flags |= dns.flags.TC
        return made

    with serving(truncated, answer_tcp=world) as server:
        assert readings(engine(server), TAKEN, FREE) == [Delegation.DELEGATED, Delegation.DENIED]
        assert {transport for transport, _, _ in server.asked} == {"udp", "tcp"}


def test_a_truncated_reply_cut_inside_a_record_still_leads_to_tcp() -> None:
    world = zone("test", {"taken.test": tuple(f"ns{i}.example" for i in range(9))})

    def cut(query: dns.message.Message) -> Reply:
        made = world(query)
        assert isinstance(made, dns.message.Message)
        made.flags |= dns.flags.TC
        return made.to_wire()[:-3]

    with serving(cut, answer_tcp=world) as server:
        (answer,) = ask(engine(server), TAKEN)
    assert answer.delegation is Delegation.DELEGATED
    assert len(answer.nameservers) == 9


@pytest.mark.parametrize("bytes_over_tcp", [b"", b"\x00", b"garbage that is no message at all"])
def test_tcp_that_fails_is_no_denial(bytes_over_tcp: bytes) -> None:
    def truncated(query: dns.message.Message) -> Reply:
        made = reply(query, rcode=dns.rcode.NXDOMAIN)
        made.flags |= dns.flags.TC
        return made

    with serving(no_wildcard(truncated), answer_tcp=lambda query: bytes_over_tcp) as server:
        assert readings(engine(server), FREE, timeout_s=1) == [Delegation.TIMEOUT]


def test_a_tcp_reply_with_another_id_is_no_denial() -> None:
    def truncated(query: dns.message.Message) -> Reply:
        made = reply(query)
        made.flags |= dns.flags.TC
        return made

    def answer_tcp(query: dns.message.Message) -> Reply:
        made = reply(query, rcode=dns.rcode.NXDOMAIN)
        made.id ^= 1
        return made

    with serving(no_wildcard(truncated), answer_tcp=answer_tcp) as server:
        assert readings(engine(server), FREE, timeout_s=1) == [Delegation.TIMEOUT]
        assert ("tcp", "free.test", "NS") in server.asked


def test_a_server_older_than_edns_is_asked_without() -> None:
    def answer(query: dns.message.Message) -> Reply:
        if query.edns >= 0:
            made = dns.message.Message(id=query.id)  # as old servers do: not even the question
            made.flags = dns.flags.QR
            made.set_rcode(dns.rcode.FORMERR)
            return made
        return zone("test", {"taken.test": ("ns.example",)})(query)

    with serving(answer) as server:
        assert readings(engine(server), TAKEN, FREE) == [Delegation.DELEGATED, Delegation.DENIED]


# --- forgeries --------------------------------------------------------------------------------------------------------


def test_a_reply_with_another_id_is_ignored() -> None:
    def answer(query: dns.message.Message) -> Reply:
        made = reply(query, rcode=dns.rcode.NXDOMAIN)
        made.id ^= 1
        return made

    with serving(no_wildcard(answer)) as server:
        assert readings(engine(server), FREE, timeout_s=1) == [Delegation.TIMEOUT]


@pytest.mark.parametrize("asked", ["other.test. IN NS", "free.test. IN A", "free.test. CH NS", None])
def test_a_reply_to_another_question_is_ignored(asked: str | None) -> None:
    def answer(query: dns.message.Message) -> Reply:
        made = reply(query, rcode=dns.rcode.NXDOMAIN)
        made.question = [] if asked is None else [dns.rrset.from_text(asked.split()[0], 0, *asked.split()[1:])]
        return made

    with serving(no_wildcard(answer)) as server:
        assert readings(engine(server), FREE, timeout_s=1) == [Delegation.TIMEOUT]


def test_a_query_sent_back_is_ignored() -> None:
    with serving(no_wildcard(lambda query: query)) as server:
        assert readings(engine(server), FREE, timeout_s=1) == [Delegation.TIMEOUT]


def test_a_reply_from_another_address_is_ignored() -> None:
    with serving(lambda query: None) as elsewhere:

        def answer(query: dns.message.Message) -> Reply:
            wire = reply(query, rcode=dns.rcode.NXDOMAIN).to_wire()
            for port in server.source_ports:
                elsewhere._udp.sendto(wire, ("127.0.0.1", port))
            return None

        with serving(no_wildcard(answer)) as server:
            assert readings(engine(server), FREE, timeout_s=1) == [Delegation.TIMEOUT]


def test_a_forged_reply_does_not_shut_out_the_true_one() -> None:
    world = zone("test", {"taken.test": ("ns.example",)})

    def answer(query: dns.message.Message) -> list[Reply]:
        forged = reply(query, rcode=dns.rcode.NXDOMAIN)
        forged.id ^= 1
        return [b"\x00", forged, b"\xff" * 40, query.to_wire(), world(query)]  # type: ignore[list-item]

    with serving(answer) as server:
        assert readings(engine(server), TAKEN) == [Delegation.DELEGATED]


def test_ids_and_source_ports_vary() -> None:
    with serving(zone("test", {})) as server:
        asked = engine(server)
        for _ in range(3):
            ask(asked, *(Name(text=f"n{i}.test", suffix="test") for i in range(40)))
        assert len(server.source_ports) >= 9  # four sockets, new ones for each batch
        assert len(set(server.ids)) > 100
        assert any(abs(a - b) > 256 for a, b in zip(server.ids, server.ids[1:], strict=False))


@pytest.fixture(scope="module")
def hostile() -> Iterator[DnsServer]:
    with serving(zone("test", {})) as server:
        yield server


@given(packets=st.lists(st.binary(max_size=80), max_size=4), head=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_no_packet_makes_it_raise_or_deny(hostile: DnsServer, packets: list[bytes], head: int) -> None:
    """Random bytes, also behind a true id, header and question: never an exception, never a delegation or a denial."""

    def answer(query: dns.message.Message) -> list[Reply]:
        wire = query.to_wire()
        start = (
            b"",
            wire[:2],
            wire[:2] + b"\x84\x00",
            wire[:2] + b"\x84\x03\x00\x01\xff\xff\x00\x01\x00\x00" + wire[12:],
        )
        return [start[head] + packet for packet in packets]

    hostile.answer = no_wildcard(answer)
    found = readings(engine(hostile), FREE, timeout_s=0.1)
    assert found[0] not in {Delegation.DELEGATED, Delegation.WILDCARD}


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_parser_do_worse_than_raise(packet: bytes) -> None:
    loop_question = engine_module._Question(
        qname=dns.name.from_text("free.test"),
        rdtype=dns.rdatatype.NS,
        servers=(("127.0.0.1", 53),),
        read=engine_module.read_delegation,
    )
    wire = loop_question.packet(7)
    for candidate in (packet, wire[:2] + b"\x84\x00\x00\x01\x00\x02\x00\x02\x00\x00" + wire[12:-11] + packet):
        attempt = engine_module._Attempt(loop_question, ("127.0.0.1", 53))
        doors = engine_module._Doors(LOOPBACK, frozenset(), per_server_per_s=1, burst=1, per_s=1)
        loop = engine_module._Loop(doors, time.monotonic())
        loop._take(attempt, candidate)
        loop._selector.close()
    assert loop_question.answer is None or loop_question.answer.value is not Delegation.DENIED


# --- wildcard zones ---------------------------------------------------------------------------------------------------


def test_a_zone_that_delegates_what_does_not_exist_says_nothing() -> None:
    def answer(query: dns.message.Message) -> Reply:
        return reply(query, aa=False, authority=(f"{name_of(query)}. 60 IN NS parked.example.",))

    with serving(answer) as server:
        assert readings(engine(server), TAKEN, FREE) == [Delegation.WILDCARD, Delegation.WILDCARD]


def test_a_zone_with_wildcard_addresses_says_nothing() -> None:
    with serving(reply) as server:
        assert readings(engine(server), FREE) == [Delegation.WILDCARD]


def test_the_random_name_is_asked_once_and_remembered() -> None:
    with serving(zone("test", {})) as server:
        asked = engine(server)
        for _ in range(3):
            readings(asked, FREE)
        random_names = [name for _, name, _ in server.asked if name.startswith("dw-")]
        assert len(random_names) == 1


def test_in_a_zone_that_cannot_be_tested_each_answer_stands_for_itself() -> None:
    def answer(query: dns.message.Message) -> Reply:
        if name_of(query).startswith("dw-"):
            return reply(query, rcode=dns.rcode.SERVFAIL)
        return zone("test", {"taken.test": ("ns.example",)})(query)

    with serving(answer) as server:
        assert readings(engine(server), TAKEN, FREE) == [Delegation.DELEGATED, Delegation.DENIED]


# --- batches and pace -------------------------------------------------------------------------------------------------


def test_a_thousand_names_of_two_zones_interleave() -> None:
    names = [Name(text=f"n{i}.{suffix}", suffix=suffix) for suffix in ("one", "two") for i in range(500)]
    with (
        serving(zone("one", {f"n{i}.one": ("ns.example",) for i in range(0, 500, 2)})) as one,
        serving(zone("two", {})) as two,
    ):
        asked = DnsEngine(
            allowed=LOOPBACK,
            resolvers=("127.0.0.1:9",),
            nameservers=lambda suffix: (one.text if suffix == "one" else two.text,),
            per_server_per_s=4000,
            per_s=8000,
        )
        found = asked.delegations(names, timeout_s=20)
        assert [found[name].delegation for name in names[:500]] == [Delegation.DELEGATED, Delegation.DENIED] * 250
        assert {found[name].delegation for name in names[500:]} == {Delegation.DENIED}


def test_a_server_is_never_asked_faster_than_its_pace() -> None:
    moments: list[float] = []

    def answer(query: dns.message.Message) -> Reply:
        moments.append(time.monotonic())
        return zone("test", {})(query)

    with serving(answer) as server:
        asked = engine(server, per_server_per_s=100, burst=5)
        names = [Name(text=f"n{i}.test", suffix="test") for i in range(40)]
        assert set(readings(asked, *names)) == {Delegation.DENIED}
    # 41 questions, 5 of them at once, the others 10 ms apart.
    assert moments[-1] - moments[0] >= 0.34
    assert all(later - earlier >= 0.08 for earlier, later in zip(moments, moments[15:], strict=False))


def test_all_servers_together_have_a_pace_too() -> None:
    with serving(zone("test", {})) as one, serving(zone("test", {})) as two:
        asked = engine(one, two, per_s=100, burst=1)
        started = time.monotonic()
        names = [Name(text=f"n{i}.test", suffix="test") for i in range(30)]
        assert set(readings(asked, *names)) == {Delegation.DENIED}
        assert time.monotonic() - started >= 0.25
        assert one.asked
        assert two.asked


def test_threads_share_one_engine() -> None:
    with serving(zone("test", {"taken.test": ("ns.example",)})) as server:
        asked = engine(server)
        found: list[list[Delegation]] = []
        threads = [threading.Thread(target=lambda: found.append(readings(asked, TAKEN, FREE))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [[Delegation.DELEGATED, Delegation.DENIED]] * 6


# --- finding the servers ----------------------------------------------------------------------------------------------


def resolver_for(records: dict[tuple[str, str], tuple[str, ...]]) -> Callable[[dns.message.Message], Reply]:
    """A resolver that knows (owner, type) → data; other types of a known owner are empty, the rest does not exist."""

    def answer(query: dns.message.Message) -> Reply:
        name, rdtype = name_of(query), query.question[0].rdtype.name  # type: ignore[attr-defined]
        data = records.get((name, rdtype))
        if data:
            return reply(query, answer=tuple(f"{name}. 600 IN {rdtype} {value}" for value in data))
        known = any(owner == name or owner.endswith("." + name) for owner, _ in records)
        return reply(query, rcode=dns.rcode.NOERROR if known else dns.rcode.NXDOMAIN)

    return answer


def test_the_zones_servers_are_found_and_remembered() -> None:
    with serving(zone("test", {"taken.test": ("ns.example",)})) as server:
        records = {("test", "NS"): ("a.nic.test.", "b.nic.test."), ("a.nic.test", "A"): ("127.0.0.1",)}
        with serving(resolver_for(records)) as resolver:
            asked = DnsEngine(allowed=LOOPBACK, resolvers=(resolver.text,), server_port=server.port)
            assert readings(asked, TAKEN, FREE) == [Delegation.DELEGATED, Delegation.DENIED]
            before = len(resolver.asked)
            assert readings(asked, TAKEN, FREE) == [Delegation.DELEGATED, Delegation.DENIED]
            assert len(resolver.asked) == before


def test_a_suffix_that_is_no_zone_is_asked_at_its_parents_servers() -> None:
    name = Name(text="taken.co.test", suffix="co.test")
    with serving(zone("test", {"taken.co.test": ("ns.example",)})) as server:
        records = {("test", "NS"): ("a.nic.test.",), ("a.nic.test", "A"): ("127.0.0.1",)}
        with serving(resolver_for(records)) as resolver:
            asked = DnsEngine(allowed=LOOPBACK, resolvers=(resolver.text,), server_port=server.port)
            assert readings(asked, name) == [Delegation.DELEGATED]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda query: reply(query, rcode=dns.rcode.SERVFAIL), id="SERVFAIL"),
        pytest.param(lambda query: reply(query, rcode=dns.rcode.NXDOMAIN), id="no such zone"),
        pytest.param(resolver_for({("test", "NS"): ("a.nic.test.",)}), id="servers without address"),
        pytest.param(
            resolver_for({("test", "NS"): ("a.nic.test.",), ("a.nic.test", "A"): ("10.0.0.1",)}), id="private address"
        ),
        pytest.param(resolver_for({("test", "NS"): (".",)}), id="the null server"),
        pytest.param(
            lambda query: reply(query, answer=(f"{name_of(query)}. 60 IN CNAME {name_of(query)}.",)), id="alias loop"
        ),
    ],
)
def test_without_servers_there_is_no_answer(answer: Callable[[dns.message.Message], Reply]) -> None:
    with serving(answer) as resolver:
        asked = DnsEngine(allowed=LOOPBACK, resolvers=(resolver.text,))
        assert readings(asked, FREE, timeout_s=2) == [Delegation.NO_SERVERS]


def test_a_host_name_in_the_zones_file_is_resolved() -> None:
    with serving(zone("test", {})) as server, serving(resolver_for({("ns.home", "A"): ("127.0.0.1",)})) as resolver:
        asked = engine("ns.home", "not a host", resolvers=(resolver.text,), server_port=server.port)
        assert readings(asked, FREE) == [Delegation.DENIED]


def test_a_forbidden_zone_server_is_never_asked() -> None:
    with serving(zone("test", {})) as server:
        asked = DnsEngine(
            allowed=AllowedNetworks.parse("127.0.0.2/32"),
            resolvers=("127.0.0.2:9",),
            nameservers=lambda suffix: (server.text,),
        )
        assert readings(asked, FREE, timeout_s=1) == [Delegation.NO_SERVERS]
        assert not server.asked


# --- addresses --------------------------------------------------------------------------------------------------------


def test_aliases_are_followed_inside_the_answer() -> None:
    def answer(query: dns.message.Message) -> Reply:
        if query.question[0].rdtype != dns.rdatatype.A:
            return reply(query)
        return reply(
            query,
            answer=(
                "b.example. 60 IN A 192.0.2.2",
                "a.example. 60 IN CNAME b.example.",
                "other.example. 60 IN A 192.0.2.66",
            ),
        )

    with serving(answer) as resolver:
        asked = DnsEngine(allowed=LOOPBACK, resolvers=(resolver.text,))
        assert asked.addresses("A.example.", timeout_s=2) == ("192.0.2.2",)
        assert asked.resolve("a.example", 2) == ("192.0.2.2",)
        assert len([rdtype for _, _, rdtype in resolver.asked if rdtype == "A"]) == 1


def test_nobody_answering_is_not_the_same_as_no_address() -> None:
    with serving(lambda query: None) as silent, serving(lambda query: reply(query, rcode=dns.rcode.SERVFAIL)) as broken:
        with pytest.raises(DeadlinePassed):
            DnsEngine(allowed=LOOPBACK, resolvers=(silent.text,)).addresses("a.example", timeout_s=0.3)
        with pytest.raises(TryLater) as caught:
            DnsEngine(allowed=LOOPBACK, resolvers=(broken.text,)).addresses("a.example", timeout_s=2)
        assert caught.value.reason == "no_resolver"


def test_an_address_is_its_own_address() -> None:
    assert engine().addresses("192.0.2.1", timeout_s=1) == ("192.0.2.1",)


@pytest.mark.parametrize("text", ["127.1", "2130706433", "0x7f.1", "①②⑦.⓪.⓪.①"])
def test_liberal_addresses_are_refused_unasked(text: str) -> None:
    with serving(reply) as resolver:
        with pytest.raises(TryLater) as caught:
            DnsEngine(allowed=LOOPBACK, resolvers=(resolver.text,)).addresses(text, timeout_s=1)
        assert caught.value.reason == "bad_host"
        assert not resolver.asked


def test_a_forbidden_resolver_is_not_asked() -> None:
    with serving(reply) as resolver:
        asked = DnsEngine(allowed=AllowedNetworks(), resolvers=(resolver.text,))
        with pytest.raises(AddressForbidden):
            asked.addresses("a.example", timeout_s=1)
        assert readings(asked, FREE, timeout_s=1) == [Delegation.NO_SERVERS]
        assert not resolver.asked


@pytest.mark.parametrize("text", ["resolver.example", "127.0.0.1:0", "127.0.0.1:http", "::1:x", ""])
def test_a_resolver_is_an_address(text: str) -> None:
    with pytest.raises(BadSettings):
        DnsEngine(allowed=LOOPBACK, resolvers=(text,))


def test_the_systems_resolvers(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text(
        "# comment\nsearch example\nnameserver 192.0.2.1\nnameserver ::1\nnameserver nonsense\nnameserver\n"
    )
    assert system_resolvers(conf) == ("192.0.2.1", "::1")
    assert system_resolvers(tmp_path / "missing") == ("127.0.0.1",)
