import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainwatch import wire
from domainwatch.errors import BadMessage
from domainwatch.findings import Check, Facts, Finding, Reading
from domainwatch.names import Name
from domainwatch.phases import Phase
from domainwatch.ports import Lease
from domainwatch.verdicts import FirstLook, Known, Status
from domainwatch.wire import Batch, Message
from tests.builders import START, name

MESSAGE: dict[str, Any] = {"version": 1, "run_id": "r1", "reason": "due", "rung": "fast", "names": ["example.com"]}
LEASE = Lease(kind="rdap", service="rdap.test:443", start_ms=1_000, slots=5, interval_ms=1_100)

INSTANTS = st.integers(0, 4_000_000_000_000).map(wire.from_epoch_ms)
TEXTS = st.text(max_size=30)
FACTS = st.builds(
    Facts,
    registrar=st.none() | st.text(min_size=1, max_size=30),
    created_at=st.none() | INSTANTS,
    updated_at=st.none() | INSTANTS,
    expires_at=st.none() | INSTANTS,
    statuses=st.lists(TEXTS, max_size=3).map(tuple),
    nameservers=st.lists(TEXTS, max_size=3).map(tuple),
    dnssec=st.none() | st.booleans(),
)
FINDINGS = st.builds(
    Finding,
    name=st.sampled_from([name(), name("straße.de"), name("example.co.uk")]),
    check=st.sampled_from(list(Check)),
    reading=st.sampled_from(list(Reading)),
    reason=TEXTS,
    asked_at=INSTANTS,
    facts=FACTS,
    service=TEXTS,
    duration_ms=st.integers(0, 100_000),
    excerpt=TEXTS,
    proven_at=st.none() | st.integers(1, 4_000_000_000_000).map(wire.from_epoch_ms),
)


@given(FINDINGS)
def test_a_finding_survives_its_way_through_an_execution(finding: Finding) -> None:
    travelled = json.loads(wire.dumps(wire.pack_finding(finding)))
    assert wire.unpack_finding(travelled) == finding


@given(
    st.builds(
        Known,
        status=st.sampled_from(list(Status)),
        phase=st.none() | st.sampled_from(list(Phase)),
        facts=st.builds(Facts, expires_at=st.none() | INSTANTS.filter(lambda at: at.timestamp() > 0)),
        first_look=st.none() | st.builds(FirstLook, at=INSTANTS, suspicious=st.booleans()),
        results=st.dictionaries(st.sampled_from(["dns", "rdap"]), TEXTS, max_size=2),
        version=st.integers(0, 1000),
    )
)
def test_what_is_known_survives_its_way_through_an_execution(known: Known) -> None:
    assert wire.unpack_known(json.loads(wire.dumps(wire.pack_known(known)))) == known


def test_a_message_survives_the_queue() -> None:
    message = Message(
        run_id="r1",
        reason="deferred",
        rung="rdap",
        names=(name(), name("example.org")),
        facts=True,
        continue_at=1_700_000_000.5,
        findings=(("example.com", "dns", "not_found", "nxdomain", "a:53", 5),),
        lease=LEASE,
    )
    assert wire.message_from(wire.dumps(message.json())) == message


def test_the_plainest_message_has_exactly_the_contracts_fields() -> None:
    assert Message(run_id="r1", reason="due", names=(name(),)).json() == MESSAGE


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"version": 2}, "version"),
        ({"version": None}, "version"),
        ({"run_id": ""}, "run_id"),
        ({"run_id": "x" * 129}, "run_id"),
        ({"run_id": 5}, "run_id"),
        ({"reason": "because"}, "reason"),
        ({"reason": ["due"]}, "reason"),
        ({"rung": "slow"}, "rung"),
        ({"names": []}, "names"),
        ({"names": "example.com"}, "names"),
        ({"names": ["a.com"] * 1001}, "names"),
        ({"names": ["www.example.com"]}, "sub-domain"),
        ({"names": [None]}, "text"),
        ({"findings": "x"}, "findings"),
        ({"findings": [{}]}, "findings"),
        ({"continue_at": "soon"}, "continue_at"),
        ({"continue_at": True}, "continue_at"),
        ({"lease": {"kind": "rdap"}}, "lease"),
        ({"lease": []}, "lease"),
        ({"lease": {"kind": "rdap", "service": "a", "start_ms": 1e999, "slots": 1, "interval_ms": 1}}, "lease"),
        ({"lease": {"kind": "rdap", "service": "\ud800", "start_ms": 1, "slots": 1, "interval_ms": 1}}, "lease"),
        ({"run_id": "\ud800"}, "run_id"),
        ({"findings": [["example.com", "dns"]]}, "finding"),
        ({"findings": [["example.com", "dns", "registered", "x", "s", "soon"]]}, "finding"),
        ({"findings": [["example.com", "dns", "registered", "x", "s", 1e300]]}, "finding"),
        ({"findings": [[["example.com"], "rdap"]]}, "finding"),
        ({"findings": [["example.com", "rdap", "zzz", "", "", 1]]}, "finding"),
        ({"findings": [["example.com", "rdap", "registered", "", "", 1, 1, 0, {"created_at": "nonsense"}]]}, "finding"),
        ({"findings": [list(range(11))]}, "finding"),
    ],
)
def test_a_malformed_message_says_what_is_wrong_with_it(change: dict[str, Any], what: str) -> None:
    with pytest.raises(BadMessage, match=what):
        wire.message_from(json.dumps({**MESSAGE, **change}))


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"x"', "[" * 200_000, b"\xff\xfe"])
def test_garbage_is_a_malformed_message(body: str | bytes) -> None:
    with pytest.raises(BadMessage):
        wire.message_from(body)


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | TEXTS,
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)))  # fmt: skip
def test_any_value_in_any_field_is_a_message_or_a_refusal(value: Any) -> None:
    for field in ("version", "run_id", "reason", "rung", "names", "findings", "lease", "continue_at", "facts"):
        try:
            wire.message_from(json.dumps({**MESSAGE, field: value}))
        except BadMessage as refusal:
            assert str(refusal)


def test_the_same_message_is_the_same_execution_and_another_is_not() -> None:
    message = Message(run_id="r1", reason="due", names=(name(),))
    again = wire.message_from(wire.dumps(message.json()))
    other = Message(run_id="r1", reason="due", names=(name(), name("example.org")))
    assert message.execution_name == again.execution_name != other.execution_name
    assert len(message.execution_name) <= 80


def test_a_name_is_in_a_message_once() -> None:
    twice = wire.message_from(json.dumps({**MESSAGE, "names": ["example.com", "EXAMPLE.com."]}))
    assert twice.names == (name(),)


def test_a_thousand_plain_names_fit_an_execution_with_their_findings() -> None:
    names = [Name.parse(f"some-plain-name-{number:04d}.com") for number in range(1000)]
    known = {
        each: Known(
            status=Status.REGISTERED,
            phase=Phase.ACTIVE,
            version=12,
            results={"dns": "unavailable"},
            facts=Facts(expires_at=START, registrar="kept out of the way"),
        )
        for each in names
    }
    body = wire.execution_input(Message(run_id="r", reason="due", names=tuple(names)), known)
    findings = [
        wire.pack_finding(
            Finding(
                name=each,
                check=Check.DNS,
                reading=Reading.REGISTERED,
                reason="delegated",
                service="192.0.2.53:53",
                asked_at=START,
                duration_ms=25,
            )
        )
        for each in names
    ]
    assert wire.size_bytes(findings) <= body["batch"]["room"]
    assert wire.size_bytes({**body, "open": body["names"], "findings": findings}) < 256 * 1024


def test_an_execution_knows_since_when_its_services_must_have_proven_themselves() -> None:
    looks = [START - timedelta(seconds=50), START - timedelta(seconds=10)]
    known = {
        name(f"n{number}.com"): Known(status=Status.LIKELY_AVAILABLE, first_look=FirstLook(at=at))
        for number, at in enumerate(looks)
    }
    body = wire.execution_input(Message(run_id="r", reason="confirm", names=tuple(known)), known)
    assert wire.batch_from(body["batch"]).prove_since == looks[1]


def test_only_watched_names_are_checked() -> None:
    message = Message(run_id="r", reason="due", names=(name(), name("gone.com")), findings=(("gone.com", "dns"),))
    body = wire.execution_input(message, {name(): Known()})
    assert (body["names"], list(body["known"]), body["findings"]) == (["example.com"], ["example.com"], [])


@pytest.mark.parametrize("broken", [{}, {"batch": {}}, {"batch": Batch(run_id="r", reason="due").json(), "open": [5]}])
def test_a_malformed_request_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        wire.rung_request_from(broken)
    with pytest.raises(BadMessage):
        wire.settle_request_from({**broken, "names": [5]})


def test_shards_spread_names_and_never_move_one() -> None:
    shards = [wire.shard_of(Name.parse(f"n{number}.com"), 16) for number in range(1000)]
    assert set(shards) == set(range(16))
    assert wire.shard_of(name(), 256) == wire.shard_of(name("EXAMPLE.COM"), 256)
