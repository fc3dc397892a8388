"""What the sandbox's registries know of a name at an instant."""

import pytest

from sandbox import parse
from sandbox.clock import Clock
from sandbox.meter import Meter
from sandbox.names import to_ascii, to_unicode
from sandbox.registry import Registry

START = 1_800_000_000.0


class Hands:
    """A clock face that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def registry(timeline: dict[int, str]) -> tuple[Registry, Hands]:
    scenario = parse(
        {
            "services": {"w": {"kind": "whois"}, "r": {"kind": "rdap"}},
            "zones": {"uk": {"whois": "w", "rdap": "r"}, "co.uk": {}},
            "names": {"a.co.uk": {"timeline": timeline}},
        }
    )
    hands = Hands()
    return Registry(scenario, Clock(hands)), hands


def test_time_stands_until_the_start() -> None:
    world, hands = registry({0: "expiring", 10: "available"})
    hands.now += 50
    standing = world.standing("a.co.uk")
    assert standing is not None
    assert standing.phase == "expiring"
    world.clock.start()
    hands.now += 10
    standing = world.standing("a.co.uk")
    assert standing is not None
    assert standing.truth == "available"
    assert world.freed_at(world.names["a.co.uk"]) == START + 60


@pytest.mark.parametrize(
    ("state", "truth", "phase", "delegated"),
    [
        ("registered", "registered", "active", True),
        ("expiring", "registered", "expiring", True),
        ("grace", "registered", "grace", True),
        ("redemption", "registered", "redemption", False),
        ("pending_delete", "registered", "pending_delete", False),
        ("on_hold", "registered", "on_hold", False),
        ("caught", "registered", "active", True),
        ("available", "available", None, False),
        ("reserved", "reserved", None, False),
        ("premium", "reserved", None, False),
    ],
)
def test_each_state(state: str, truth: str, phase: str | None, delegated: bool) -> None:
    world, _ = registry({0: state})
    standing = world.standing("a.co.uk")
    assert standing is not None
    assert (standing.truth, standing.phase, standing.delegated) == (truth, phase, delegated)
    assert (world.delegation("www.a.co.uk") is not None) is delegated


def test_dates_fit_the_state() -> None:
    world, _ = registry({0: "redemption", 20: "pending_delete", 40: "available"})
    world.clock.start()
    standing = world.standing("a.co.uk")
    assert standing is not None
    # 30 days of redemption end just when the timeline says so.
    assert standing.updated.timestamp() == START + 20 - 30 * 86_400
    world.clock.advance(20)
    later = world.standing("a.co.uk")
    assert later is not None
    assert later.updated.timestamp() == START - 20 + 40 - 5 * 86_400
    assert later.expires < later.updated


def test_control_names_are_registered_and_others_are_free() -> None:
    world, _ = registry({0: "registered"})
    control, other = world.standing("nic.co.uk"), world.standing("zzz.co.uk")
    assert control is not None
    assert control.groups == ("controls", "delegated")
    assert other is not None
    assert other.truth == "available"


@pytest.mark.parametrize("name", ["co.uk", "www.a.co.uk", "a.com", "uk"])
def test_what_cannot_be_registered_stands_nowhere(name: str) -> None:
    assert registry({0: "registered"})[0].standing(name) is None


def test_a_suffix_without_services_uses_its_parents() -> None:
    world, _ = registry({0: "registered"})
    service = world.service_of("co.uk", "whois")
    assert service is not None
    assert service.id == "w"


@pytest.mark.parametrize(
    ("written", "ascii_name"),
    [("Straße.DE.", "xn--strae-oqa.de"), ("strasse.de", "strasse.de"), ("пример.рф", "xn--e1afmkfd.xn--p1ai")],
)
def test_names_go_to_a_labels(written: str, ascii_name: str) -> None:
    assert to_ascii(written) == ascii_name
    assert to_unicode(ascii_name) == written.lower().rstrip(".")


def test_a_broken_a_label_stays_as_it_is() -> None:
    assert to_unicode("xn--\u20ac.de") == "xn--\u20ac.de"


def test_the_meter_counts_peaks_and_violations() -> None:
    hands = Hands()
    meter = Meter(2, hands)
    assert [meter.admit("a") for _ in range(3)] == [True, True, False]
    hands.now += 1.01
    assert meter.admit("b")
    assert (meter.requests, meter.violations, meter.peak_per_s) == (4, 1, 3)
    assert [one.refused for one in meter.asked] == [False, False, True, False]


def test_a_limit_below_one_a_second_widens_the_window() -> None:
    hands = Hands()
    meter = Meter(0.5, hands)
    assert meter.admit("a")
    hands.now += 1.5
    assert not meter.admit("a")
    hands.now += 2.1
    assert meter.admit("a")
