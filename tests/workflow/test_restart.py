"""The emulator goes away in the middle of a run and comes back with what it kept."""

from collections.abc import Iterator

import pytest

from tests.workflow.conftest import EmulatorProcess
from tests.workflow.pipeline import Pipeline, until

STATES = {
    "back-taken.com": "registered",
    "back-held.com": "on_hold",
    "back-kept.com": "reserved",
    "back-free.com": "available",
    "back-free.dev": "available",
    "back-free.de": "available",
}
EXPECTED = {
    "back-taken.com": "registered",
    "back-held.com": "registered",
    "back-kept.com": "reserved",
    "back-free.com": "available",
    "back-free.dev": "available",
    "back-free.de": "available",
}


@pytest.fixture
def impatient_queue(pipeline: Pipeline) -> Iterator[None]:
    """A message whose function went away is delivered again in seconds, not minutes."""
    sqs, url = pipeline.stack.client("sqs"), pipeline.stack.outputs["CheckQueueUrl"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "10"})
    yield
    sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


@pytest.mark.usefixtures("impatient_queue")
def test_a_restart_in_the_middle_loses_nothing_and_announces_nothing_twice(
    pipeline: Pipeline, emulator_process: EmulatorProcess
) -> None:
    pipeline.put_names(STATES)
    for name in STATES:
        assert pipeline.stack.call("PUT", f"/v1/domains/{name}", {"priority": True}).status == 201
    until(lambda: any(one.domain in STATES for one in list(pipeline.world.receiver.deliveries)), "the first news")
    assert pipeline.under_way()
    emulator_process.stop()
    emulator_process.start()

    pipeline.await_quiet()
    # What the execution had not settled when it went away comes again with its cadence.
    pipeline.stack.invoke("ScheduleChecksFunction")
    pipeline.await_statuses(EXPECTED)
    pipeline.await_quiet()
    for name, status in EXPECTED.items():
        arrivals = pipeline.announcements(name)
        assert len({one.webhook_id for one in arrivals}) == (1 if status == "available" else 0), name
        assert sum(one.accepted and not one.duplicate for one in arrivals) == (1 if arrivals else 0), name
