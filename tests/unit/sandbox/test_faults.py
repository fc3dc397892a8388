"""Faults: when they strike, whom they spare, and which targets know them."""

import pytest

from sandbox import Fault, FaultError
from sandbox.faults import Faults


def faults(*planned: Fault) -> Faults:
    made = Faults()
    made.add_target("r", "rdap", planned)
    return made


def test_between_two_seconds_only() -> None:
    board = faults(Fault(kind="throttle", from_s=5, until_s=10))
    assert [board.strike("r", at_s) is not None for at_s in (4, 5, 9.9, 10)] == [False, True, True, False]


def test_for_a_number_of_requests() -> None:
    board = faults(Fault(kind="throttle", count=2))
    assert [board.strike("r", 0) is not None for _ in range(3)] == [True, True, False]
    assert board.view() == {}


def test_spared_and_chosen_names() -> None:
    board = faults(Fault(kind="bare_404", spare=frozenset({"controls"})))
    assert board.strike("r", 0, "nic.io", ("controls",)) is None
    assert board.strike("r", 0, "a.io") is not None
    board.switch("r", None)
    board.switch("r", Fault(kind="hang", only=frozenset({"a.io"})))
    assert board.strike("r", 0, "b.io") is None
    assert board.strike("r", 0, "a.io") is not None


def test_the_latest_fault_wins() -> None:
    board = faults(Fault(kind="throttle"))
    board.switch("r", Fault(kind="garbage", count=1))
    struck = [board.strike("r", 0), board.strike("r", 0)]
    assert [fault.kind for fault in struck if fault] == ["garbage", "throttle"]


def test_unknown_faults_and_targets_are_refused() -> None:
    with pytest.raises(FaultError, match="no target 'x'; there are: r"):
        faults().switch("x", None)
    with pytest.raises(FaultError, match="knows no fault 'half_json'"):
        faults().switch("r", Fault(kind="half_json"))
    with pytest.raises(FaultError):
        faults(Fault(kind="flood"))
