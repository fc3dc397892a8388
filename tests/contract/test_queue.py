"""The contract of `ports.QueuePort`: the fake and SQS, against the same cases."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from domainwatch.adapters.queue import MAX_BATCH_BYTES, SqsQueue
from domainwatch.errors import BadMessage, TryLater
from domainwatch.ports import QueuePort
from tests.fakes_ledger import MemoryQueue


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str]]:
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    with mock_aws():
        client = boto3.client("sqs", region_name="eu-central-1")
        yield client, client.create_queue(QueueName="checks")["QueueUrl"]


def received(client: Any, url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        found += [json.loads(message["Body"]) for message in messages]
    return found


@pytest.fixture(params=["memory", "sqs"])
def queue(request: pytest.FixtureRequest) -> tuple[QueuePort, Callable[[], list[dict[str, Any]]]]:
    if request.param == "memory":
        memory = MemoryQueue()
        return memory, lambda: memory.messages
    client, url = request.getfixturevalue("sqs")
    return SqsQueue(client, url, sleep=lambda _: None), lambda: received(client, url)


def test_every_message_arrives_as_it_was(queue: Any) -> None:
    port, arrived = queue
    bodies = [{"run_id": f"r{index}", "names": ["xn--bcher-kva.example", "ä"]} for index in range(23)]
    port.send([(body, 0) for body in bodies])
    assert sorted(arrived(), key=lambda body: int(body["run_id"][1:])) == bodies


def test_nothing_is_sent_for_nothing(queue: Any) -> None:
    port, arrived = queue
    port.send([])
    assert arrived() == []


class FakeSqs:
    """An SQS client whose replies are scripted: per call, the indexes that it refuses, or an error to raise."""

    def __init__(self, *script: list[int] | Exception) -> None:
        self.script = list(script)
        self.calls: list[list[dict[str, Any]]] = []

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        entries = request["Entries"]
        self.calls.append(entries)
        step = self.script.pop(0) if self.script else []
        if isinstance(step, Exception):
            raise step
        failed = [{"Id": entries[index]["Id"], "Code": "InternalError", "SenderFault": False} for index in step]
        return {"Successful": [], "Failed": failed}


def queue_over(client: FakeSqs) -> tuple[SqsQueue, list[float]]:
    pauses: list[float] = []
    return SqsQueue(client, "url", sleep=pauses.append, chance=lambda: 1.0), pauses


def test_batches_have_at_most_ten_entries_and_256_kilobytes() -> None:
    client = FakeSqs()
    queue, _ = queue_over(client)
    queue.send([({"n": index}, 0) for index in range(21)] + [({"text": "x" * 100_000}, 0)] * 5)
    assert sum(len(call) for call in client.calls) == 26
    for call in client.calls:
        assert len(call) <= 10
        assert sum(len(entry["MessageBody"]) for entry in call) <= MAX_BATCH_BYTES
        assert len({entry["Id"] for entry in call}) == len(call)


def test_what_was_refused_is_sent_again_and_only_that() -> None:
    client = FakeSqs([1, 3], [0])
    queue, pauses = queue_over(client)
    queue.send([({"n": index}, 0) for index in range(5)])
    sent = [[json.loads(entry["MessageBody"])["n"] for entry in call] for call in client.calls]
    assert sent == [[0, 1, 2, 3, 4], [1, 3], [1]]
    assert len(pauses) == 2


def test_a_call_that_fails_is_made_again() -> None:
    throttled = ClientError({"Error": {"Code": "RequestThrottled", "Message": ""}}, "SendMessageBatch")
    client = FakeSqs(throttled, EndpointConnectionError(endpoint_url="http://127.0.0.1"))
    queue, _ = queue_over(client)
    queue.send([({"n": 1}, 0)])
    assert len(client.calls) == 3


def test_in_the_end_it_says_how_many_were_not_taken() -> None:
    queue, _ = queue_over(FakeSqs([0, 1], [0, 1], [0, 1], [0, 1]))
    with pytest.raises(TryLater, match=r"2 of 3 messages .*InternalError"):
        queue.send([({"n": index}, 0) for index in range(3)])


def test_delays_are_kept_within_what_the_queue_offers() -> None:
    client = FakeSqs()
    queue, _ = queue_over(client)
    queue.send([({"n": 1}, -5), ({"n": 2}, 30), ({"n": 3}, 4000)])
    assert [entry["DelaySeconds"] for entry in client.calls[0]] == [0, 30, 900]


def test_a_message_no_queue_takes_is_refused_before_any_is_sent() -> None:
    client = FakeSqs()
    queue, _ = queue_over(client)
    with pytest.raises(BadMessage, match="the queue takes 262144"):
        queue.send([({"n": 1}, 0), ({"text": "x" * 300_000}, 0)])
    assert client.calls == []
