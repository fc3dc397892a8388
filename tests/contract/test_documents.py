"""The contract of `ports.Documents`: the fake and DynamoDB's, against the same cases."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from domainwatch.adapters.documents import PACK_ABOVE_BYTES, DynamoDocuments
from domainwatch.errors import BadMessage, BadSettings
from domainwatch.ports import Documents
from tests.contract.tables import create_table
from tests.fakes_ledger import MemoryDocuments

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that only tests move."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-central-1")
        create_table(client, "LedgerTable", "ledger")
        yield client


@pytest.fixture(params=["memory", "dynamo"])
def documents(request: pytest.FixtureRequest, clock: Clock) -> Documents:
    if request.param == "memory":
        return MemoryDocuments(now=clock)
    return DynamoDocuments(request.getfixturevalue("ledger"), ledger_table="ledger", now=clock)


def test_what_was_written_is_read_back(documents: Documents) -> None:
    body = {
        "text": "ünïcode",
        "number": 3,
        "share": 0.25,
        "none": None,
        "yes": True,
        "list": [1, "a", {"b": []}],
    }
    documents.write("pk", "sk", body)
    assert documents.read("pk", "sk") == body


def test_what_is_absent_is_none(documents: Documents) -> None:
    assert documents.read("pk", "sk") is None
    assert documents.read_all("pk") == {}


def test_a_write_replaces_the_whole_body(documents: Documents) -> None:
    documents.write("pk", "sk", {"old": 1, "large": "x" * 5000})
    documents.write("pk", "sk", {"new": 2})
    assert documents.read("pk", "sk") == {"new": 2}


def test_read_all_gives_one_partition_only(documents: Documents) -> None:
    documents.write("shards", "hot", {"version": 1})
    documents.write("shards", "slow", {"version": 2, "next_ms": {str(shard): shard for shard in range(1000)}})
    documents.write("other", "hot", {"version": 3})
    found = documents.read_all("shards")
    assert sorted(found) == ["hot", "slow"]
    assert found["slow"]["next_ms"]["999"] == 999


def test_a_document_is_gone_after_its_ttl(documents: Documents, clock: Clock) -> None:
    documents.write("pk", "sk", {"a": 1}, ttl_s=60)
    assert documents.read("pk", "sk") == {"a": 1}
    clock.at += timedelta(seconds=61)
    assert documents.read("pk", "sk") is None
    assert documents.read_all("pk") == {}


@pytest.mark.parametrize("filler", [{}, {"large": ["y" * 50] * 200}])
def test_swap_writes_only_over_what_was_expected(documents: Documents, filler: dict[str, Any]) -> None:
    assert documents.swap("pk", "sk", field_name="version", expected=None, body={"version": 1, **filler})
    assert not documents.swap("pk", "sk", field_name="version", expected=None, body={"version": 9})
    assert not documents.swap("pk", "sk", field_name="version", expected=2, body={"version": 9})
    assert documents.swap("pk", "sk", field_name="version", expected=1, body={"version": 2, **filler})
    assert documents.read("pk", "sk") == {"version": 2, **filler}


def test_swap_takes_null_for_absent(documents: Documents) -> None:
    documents.write("pk", "sk", {"claimed_by": None})
    assert documents.swap("pk", "sk", field_name="claimed_by", expected=None, body={"claimed_by": "me"})
    assert not documents.swap("pk", "sk", field_name="claimed_by", expected=None, body={"claimed_by": "you"})


def test_swap_sees_short_values_only(documents: Documents) -> None:
    with pytest.raises(BadMessage):
        documents.swap("pk", "sk", field_name="list", expected=[1], body={"list": [1]})


@pytest.mark.parametrize("field", ["pk", "sk", "ttl", "packed"])
def test_the_items_own_attributes_are_no_fields(documents: Documents, field: str) -> None:
    with pytest.raises(BadMessage, match="field"):
        documents.write("pk", "sk", {field: 1})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=300).filter(str.isprintable),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc#.-é", min_size=1, max_size=8), inner, max_size=4)
    ),
    max_leaves=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(st.text("abcdef#_", min_size=1, max_size=8), JSON, max_size=6))
def test_any_json_body_survives(ledger: Any, body: dict[str, Any]) -> None:
    documents = DynamoDocuments(ledger, ledger_table="ledger", now=Clock())
    documents.write("any", "body", body)
    assert documents.read("any", "body") == body


class TestDynamo:
    """What only the real adapter has."""

    @pytest.fixture
    def documents(self, ledger: Any, clock: Clock) -> DynamoDocuments:
        return DynamoDocuments(ledger, ledger_table="ledger", now=clock)

    def test_a_registry_sized_body_fits(self, documents: DynamoDocuments, ledger: Any) -> None:
        zones = {
            f"zone{index}": {"rdap": [f"https://rdap.zone{index}.example/v1/"], "whois": "x:43"}
            for index in range(4000)
        }
        documents.write("registry", "zones", {"zones": zones, "fetched_at": "2026-03-01T00:00:00Z"})
        assert documents.read("registry", "zones") == {"zones": zones, "fetched_at": "2026-03-01T00:00:00Z"}
        item = ledger.get_item(TableName="ledger", Key={"pk": {"S": "registry"}, "sk": {"S": "zones"}})["Item"]
        assert item["fetched_at"] == {"S": "2026-03-01T00:00:00Z"}
        assert len(item["packed"]["B"]) < 100_000

    def test_small_bodies_stay_legible(self, documents: DynamoDocuments, ledger: Any) -> None:
        documents.write("list", "shard#3", {"digest": "d" * (PACK_ABOVE_BYTES // 2)})
        item = ledger.get_item(TableName="ledger", Key={"pk": {"S": "list"}, "sk": {"S": "shard#3"}})["Item"]
        assert "packed" not in item

    def test_a_body_that_does_not_fit_is_refused_with_its_size(self, documents: DynamoDocuments) -> None:
        noise = random.Random(1).randbytes(400_000).hex()
        with pytest.raises(BadMessage, match=r"registry/zones takes 4[0-9]{5} bytes compressed"):
            documents.write("registry", "zones", {"noise": [noise]})

    def test_items_that_others_wrote_read_the_same_way(self, documents: DynamoDocuments, ledger: Any) -> None:
        item = {"pk": {"S": "counts"}, "sk": {"S": "7"}, "status#registered": {"N": "12"}, "priority#high": {"N": "1"}}
        ledger.put_item(TableName="ledger", Item=item)
        assert documents.read_all("counts") == {"7": {"status#registered": 12, "priority#high": 1}}

    def test_a_body_that_does_not_unpack_is_an_error(self, documents: DynamoDocuments, ledger: Any) -> None:
        ledger.put_item(TableName="ledger", Item={"pk": {"S": "a"}, "sk": {"S": "b"}, "packed": {"B": b"no zlib"}})
        with pytest.raises(BadMessage, match="unpack"):
            documents.read("a", "b")

    def test_lone_surrogates_are_replaced(self, documents: DynamoDocuments) -> None:
        documents.write("pk", "sk", {"entry": "\ud800", "many": ["\udfff"] * 1000})
        assert documents.read("pk", "sk") == {"entry": "?", "many": ["?"] * 1000}

    def test_a_missing_table_is_a_setting(self, ledger: Any, clock: Clock) -> None:
        with pytest.raises(BadSettings):
            DynamoDocuments(ledger, ledger_table="nowhere", now=clock).read("pk", "sk")
