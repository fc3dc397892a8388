"""WHOIS texts and query lines."""

from string import Formatter

import pytest

from sandbox import parse
from sandbox.clock import Clock
from sandbox.registry import Registry
from sandbox.scenario import WHOIS_FORMATS
from sandbox.whois import fill, name_in

REGISTRY = Registry(
    parse(
        {"services": {"w": {"kind": "whois"}}, "zones": {"de": {"whois": "w"}}, "names": {"Straße.de": "registered"}}
    ),
    Clock(lambda: 1_800_000_000.0),
)


@pytest.mark.parametrize("form", WHOIS_FORMATS)
@pytest.mark.parametrize("what", ["registered", "not_found", "reserved", "premium", "throttled", "unavailable"])
def test_every_format_has_every_text(form: str, what: str) -> None:
    name = "xn--strae-oqa.de"
    text = fill(form, what, name, REGISTRY.standing(name))
    assert text.endswith("\r\n")
    assert "{" not in text
    if what == "registered":
        assert "harbour-dns.de" in text.lower()


@pytest.mark.parametrize(
    "query",
    ["a.de", " a.de ", "domain a.de", "-T dn,ace a.de", "a.de/e", "=a.de", "DOMAIN A.DE.", "--charset=utf-8 a.de"],
)
def test_the_name_is_found_in_a_decorated_query(query: str) -> None:
    assert name_in(query) == "a.de"


def test_a_query_without_a_name() -> None:
    assert name_in("help") == "help"
    assert name_in("") == ""


def test_templates_use_only_known_fields() -> None:
    from sandbox.whois import _templates

    fields = {
        field
        for form in _templates().values()
        for text in form.values()
        for _, field, _, _ in Formatter().parse(text)
        if field
    }
    assert fields <= {
        "name", "NAME", "unicode", "number", "now", "lookup", "retry_after", "created", "updated", "expires",
        "registrar", "iana_id", "hold", "denic_status", "nominet_status", "generic_state",
        "nameserver", "NAMESERVER", "status",
    }  # fmt: skip
