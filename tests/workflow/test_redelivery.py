"""A queue delivers a message more than once, and some messages are garbage."""

import json
from typing import Any

from tests.workflow.pipeline import Pipeline, message, until

GARBAGE = (
    "this is no JSON",
    "[]",
    '{"version": 1}',
    '{"version": 2, "run_id": "r", "reason": "manual", "rung": "fast", "names": ["good.com"]}',
    '{"version": 1, "run_id": "r", "reason": "manual", "rung": "fast", "names": ["192.0.2.1"]}',
)


def test_a_message_delivered_three_times_is_one_execution_and_one_announcement(pipeline: Pipeline) -> None:
    pipeline.put_names({"thrice.com": "available", "thrice-held.com": "on_hold"})
    body = message(["thrice.com", "thrice-held.com"])
    run_id = json.loads(body)["run_id"]
    pipeline.send(body, body)
    pipeline.ended(run_id)
    pipeline.await_statuses({"thrice.com": "available", "thrice-held.com": "registered"})
    pipeline.send(body)
    pipeline.await_quiet()
    (execution,) = pipeline.executions(run_id)
    assert execution["status"] == "SUCCEEDED"
    (delivery,) = pipeline.announcements("thrice.com")
    assert delivery.accepted

    # Another run about the same names is another execution, and no news.
    again = pipeline.ended(pipeline.check(["thrice.com", "thrice-held.com"]))
    assert again["output"]["events"] == []
    pipeline.await_quiet()
    assert len(pipeline.announcements("thrice.com")) == 1


def test_garbage_among_good_messages_is_put_aside_alone(pipeline: Pipeline) -> None:
    pipeline.put_names({"beside-garbage.com": "registered", "behind-garbage.com": "reserved"})
    first, second = message(["beside-garbage.com"]), message(["behind-garbage.com"])
    pipeline.send(first, *GARBAGE, second)
    pipeline.await_statuses({"beside-garbage.com": "registered", "behind-garbage.com": "reserved"})
    pipeline.await_quiet()
    for body in (first, second):
        assert len(pipeline.executions(json.loads(body)["run_id"])) == 1

    buried: dict[str, Any] = {}

    def all_buried() -> bool:
        sqs, url = pipeline.stack.client("sqs"), pipeline.stack.resources["CheckDeadLetterQueue"]
        for each in sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages", []):  # fmt: skip
            assert each["Body"] not in buried, "put aside twice"
            buried[each["Body"]] = each.get("MessageAttributes", {})
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return len(buried) >= len(GARBAGE)

    until(all_buried, "all garbage put aside")
    assert set(buried) == set(GARBAGE)
    assert all(attributes for attributes in buried.values()), "each tells its reason"
