"""What was settled is told, once, whatever happens on the way to the receiver."""

from tests.workflow.pipeline import Pipeline


def test_a_crash_between_settle_and_notify_loses_nothing(pipeline: Pipeline) -> None:
    pipeline.put_names({"crash.com": "available"})
    with pipeline.broken("NotifyFunction"):
        execution = pipeline.ended(pipeline.check(["crash.com"]))
        assert execution["status"] == "SUCCEEDED"
        assert "Notify" in pipeline.states(execution)
        assert pipeline.statuses(["crash.com"]) == {"crash.com": "available"}
        (kept,) = _waiting(pipeline, "crash.com")
        assert kept["id"] in execution["output"]["events"]
        # Another run meanwhile finds no second news.
        assert not pipeline.ended(pipeline.check(["crash.com"]))["output"]["news"]
        assert not pipeline.announcements("crash.com")

    pipeline.notify()
    (delivery,) = pipeline.announcements("crash.com")
    assert (delivery.accepted, delivery.webhook_id) == (True, kept["id"])
    pipeline.notify()
    pipeline.check(["crash.com"])
    pipeline.await_quiet()
    assert len(pipeline.announcements("crash.com")) == 1


def test_a_receiver_that_answers_500_for_a_while_gets_it_once_under_one_id(pipeline: Pipeline) -> None:
    pipeline.put_names({"patient.com": "available"})
    pipeline.world.fault("receiver", "error_500")
    try:
        pipeline.ended(pipeline.check(["patient.com"]))
        for attempts in (1, 2, 3):
            (waiting,) = _waiting(pipeline, "patient.com")
            assert waiting["attempts"] == attempts
            assert "500" in waiting["last_error"]
            assert len(pipeline.announcements("patient.com")) == attempts
            # Not before its time.
            pipeline.stack.invoke("NotifyFunction", {"events": [waiting["id"]]})
            assert len(pipeline.announcements("patient.com")) == attempts
            if attempts < 3:
                _make_due(pipeline, waiting["id"])
                pipeline.notify()
    finally:
        pipeline.world.fault("receiver", None)

    for event in pipeline.waiting_events():
        _make_due(pipeline, event["id"])
    pipeline.notify()
    pipeline.await_quiet()
    pipeline.notify()
    arrivals = pipeline.announcements("patient.com")
    assert [one.status for one in arrivals] == [500, 500, 500, 200]
    assert {one.webhook_id for one in arrivals} == {waiting["id"]}
    assert {one.signature for one in arrivals} == {"ok"}
    assert len({str(one.body) for one in arrivals}) == 1
    assert not any(one.duplicate for one in pipeline.world.receiver.deliveries)


def _waiting(pipeline: Pipeline, name: str) -> list[dict[str, object]]:
    return [
        event for event in pipeline.waiting_events() if (event["domain"], event["type"]) == (name, "domain.available")
    ]


def _make_due(pipeline: Pipeline, event_id: object) -> None:
    """Let the pause before an event's next attempt be over."""
    pipeline.stack.client("dynamodb").update_item(
        TableName=pipeline.stack.outputs["LedgerTable"],
        Key={"pk": {"S": f"outbox#{event_id}"}, "sk": {"S": "event"}},
        UpdateExpression="SET due_at = :past",
        ConditionExpression="attribute_exists(due_bucket)",
        ExpressionAttributeValues={":past": {"N": "1"}},
    )
