"""A rung that fails hands over to the next one, the batch is settled all the same, and nothing is told unproven."""

from tests.workflow.pipeline import Pipeline


def test_without_rdap_whois_decides_and_what_it_cannot_know_is_unknown(pipeline: Pipeline) -> None:
    states = {
        "norung-held.com": "on_hold",
        "norung-kept.com": "reserved",
        "norung-free.com": "available",
        "norung-free.dev": "available",
    }
    pipeline.put_names(states)
    with pipeline.broken("CheckRdapFunction"):
        execution = pipeline.ended(pipeline.check(states))
        assert execution["status"] == "SUCCEEDED"
        entered = pipeline.states(execution)
        assert [state for state in entered if not state.startswith(("Begin", "WhichRung", "AreNames"))] == [
            "CheckFast",
            "CheckRdap",
            "CheckWhois",
            "Settle",
            "IsThereNews",
            "Notify",
            "Done",
        ]
        assert execution["output"]["statuses"] == {
            "registered": 1, "reserved": 1, "likely_available": 1, "unknown": 1,
        }  # fmt: skip
        assert (pipeline.domain("norung-free.dev") or {})["reason"] == "failed_rdap"
        assert not pipeline.announcements("norung-free.dev")

    pipeline.check(["norung-free.dev"])
    pipeline.await_statuses({"norung-free.com": "available", "norung-free.dev": "available"})
    pipeline.await_quiet()
    assert len(pipeline.announcements("norung-free.dev")) == 1
    assert len(pipeline.announcements("norung-free.com")) == 1


def test_a_batch_whose_only_registry_rung_failed_is_settled_as_unknown(pipeline: Pipeline) -> None:
    pipeline.put_names({"dark-free.de": "available", "dark-held.de": "on_hold"})
    pipeline.check(["dark-held.de"])
    pipeline.await_statuses({"dark-held.de": "registered"})
    with pipeline.broken("CheckWhoisFunction"):
        execution = pipeline.ended(pipeline.check(["dark-free.de", "dark-held.de"]))
    assert execution["status"] == "SUCCEEDED"
    never_seen, known = pipeline.domain("dark-free.de") or {}, pipeline.domain("dark-held.de") or {}
    assert (never_seen["status"], never_seen["reason"]) == ("unknown", "failed_whois")
    # Silence erases nothing.
    assert (known["status"], known["reason"]) == ("registered", "failed_whois")
    assert known["stale_since"]
    assert not pipeline.announcements("dark-free.de")

    pipeline.check(["dark-free.de", "dark-held.de"])
    pipeline.await_statuses({"dark-free.de": "available", "dark-held.de": "registered"})
    pipeline.await_quiet()
    assert (pipeline.domain("dark-held.de") or {})["stale_since"] is None
    assert len(pipeline.announcements("dark-free.de")) == 1


def test_without_dns_the_registry_decides(pipeline: Pipeline) -> None:
    states = {"nofast-taken.com": "registered", "nofast-held.com": "on_hold", "nofast-kept.com": "reserved"}
    pipeline.put_names(states)
    with pipeline.broken("CheckFastFunction"):
        execution = pipeline.ended(pipeline.check(states))
    assert execution["status"] == "SUCCEEDED"
    assert pipeline.statuses(states) == {
        "nofast-taken.com": "registered",
        "nofast-held.com": "registered",
        "nofast-kept.com": "reserved",
    }


def test_an_execution_that_cannot_settle_fails_and_the_names_come_again(pipeline: Pipeline) -> None:
    pipeline.put_names({"unsettled.com": "available"})
    with pipeline.broken("SettleFunction"):
        execution = pipeline.ended(pipeline.check(["unsettled.com"]))
        assert (execution["status"], execution["error"]) == ("FAILED", "NotSettled")
        assert (pipeline.domain("unsettled.com") or {})["reason"] == "not_checked_yet"
        assert not pipeline.announcements("unsettled.com")
    pipeline.check(["unsettled.com"])
    pipeline.await_statuses({"unsettled.com": "available"})
    pipeline.await_quiet()
    assert len(pipeline.announcements("unsettled.com")) == 1
