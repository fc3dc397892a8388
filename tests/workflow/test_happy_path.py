"""Names of every sort, from the queue to the callback receiver."""

from tests.workflow.pipeline import Pipeline

STATES = {
    "happy-taken.com": "registered",
    "happy-held.com": "on_hold",
    "happy-leaving.com": "redemption",
    "happy-kept.com": "reserved",
    "happy-dear.com": "premium",
    "happy-free.com": "available",
    "happy-free.dev": "available",
    "xn--glcklich-65a.de": "available",
    "happy-mute.net": "on_hold",
    "happy-looks-free.io": "on_hold",
    "happy-denied.app": "on_hold",
}
EXPECTED = {
    "happy-taken.com": "registered",
    "happy-held.com": "registered",
    "happy-leaving.com": "registered",
    "happy-kept.com": "reserved",
    "happy-dear.com": "reserved",
    "happy-free.com": "available",
    "happy-free.dev": "available",
    "xn--glcklich-65a.de": "available",
    "happy-mute.net": "unknown",
    "happy-looks-free.io": "unknown",
    "happy-denied.app": "unknown",
}


def test_each_name_ends_as_it_should_and_only_free_ones_are_announced(pipeline: Pipeline) -> None:
    pipeline.put_names(STATES)
    execution = pipeline.ended(pipeline.check(STATES))
    assert execution["status"] == "SUCCEEDED"
    assert pipeline.states(execution)[:5] == ["Begin", "WhichRung", "CheckFast", "AreNamesOpenAfterFast", "CheckRdap"]
    pipeline.await_statuses(EXPECTED)
    pipeline.await_quiet()
    assert pipeline.statuses(EXPECTED) == EXPECTED

    for name, status in EXPECTED.items():
        announced = pipeline.announcements(name)
        assert len(announced) == (1 if status == "available" else 0), name
        for delivery in announced:
            assert (delivery.signature, delivery.authorization, delivery.shape) == ("ok", "ok", "ok")
            assert delivery.accepted
            assert delivery.body["domain"] == name
            assert delivery.body["confidence"] >= 0.75

    facts = (pipeline.domain("happy-leaving.com") or {})["facts"]
    assert facts["registrar"]
    assert (pipeline.domain("happy-leaving.com") or {})["phase"] == "redemption"
    assert (pipeline.domain("happy-denied.app") or {})["reason"] == "unproven_witness"
    assert not [service["name"] for service in pipeline.world.state()["services"] if service["violations"]]


def test_two_witnesses_announce_at_once_and_one_waits_for_its_second_look(pipeline: Pipeline) -> None:
    pipeline.put_names({"twice.com": "available", "twice.dev": "available"})
    run_id = pipeline.check(["twice.com", "twice.dev"])
    output = pipeline.ended(run_id)["output"]
    assert output["statuses"] == {"available": 1, "likely_available": 1}
    assert pipeline.announcements("twice.com")
    pipeline.await_statuses({"twice.com": "available", "twice.dev": "available"})
    pipeline.await_quiet()
    (first,), (second,) = pipeline.announcements("twice.com"), pipeline.announcements("twice.dev")
    assert second.at - first.at >= 1.0
    assert first.webhook_id != second.webhook_id


def test_what_dropped_is_found_by_its_cadence(pipeline: Pipeline) -> None:
    pipeline.put_names({"drops.com": "pending_delete"})
    pipeline.check(["drops.com"])
    pipeline.await_statuses({"drops.com": "registered"})
    assert (pipeline.domain("drops.com") or {})["cadence"] == "hot"
    pipeline.await_quiet()
    assert not pipeline.announcements("drops.com")

    pipeline.put_names({"drops.com": "available"})
    pipeline.stack.invoke("ScheduleChecksFunction")
    pipeline.await_statuses({"drops.com": "available"})
    pipeline.await_quiet()
    (delivery,) = pipeline.announcements("drops.com")
    assert delivery.signature == "ok"

    pipeline.put_names({"drops.com": "caught"})
    pipeline.check(["drops.com"])
    pipeline.await_statuses({"drops.com": "registered"})
    pipeline.await_quiet()
    assert len(pipeline.announcements("drops.com")) == 1
