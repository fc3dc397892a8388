import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainwatch import names
from domainwatch.errors import NameRefused
from domainwatch.names import Name, shown

REFUSALS = [
    ("", "empty"),
    (" \t", "empty"),
    (".", "empty"),
    ("a..com", "empty_label"),
    (".com", "empty_label"),
    ("com", "public_suffix"),
    ("nodots", "single_label"),
    ("co.uk", "public_suffix"),
    ("x.ck", "public_suffix"),
    ("192.0.2.1", "ip_address"),
    ("[2001:db8::1]", "ip_address"),
    ("2001:db8::1", "ip_address"),
    ("①②⑦.⓪.⓪.①", "ip_address"),
    ("127.1", "ip_address"),
    ("0x7f.1", "ip_address"),
    ("-a.com", "malformed_label"),
    ("a-.com", "malformed_label"),
    ("a_b.com", "malformed_label"),
    ("ab--c.com", "malformed_label"),
    ("☃.com", "malformed_label"),
    ("xn--a.com", "malformed_label"),
    ("ex ample.com", "malformed_label"),
    ("ex\x00ample.com", "control_character"),
    ("example\u202e.com", "malformed_label"),
    ("exam\u2028ple.com", "control_character"),
    (f"{'a' * 64}.com", "label_too_long"),
    (f"{'ä' * 64}.com", "label_too_long"),
    (".".join(["a" * 60] * 5) + ".com", "too_long"),
    ("a" * 5_000_000, "too_long"),
    ("*.example.com", "not_a_name"),
    (None, "not_text"),
    (5, "not_text"),
    (b"example.com", "not_text"),
]

SUGGESTIONS = [
    ("www.example.co.uk", "sub_domain", "example.co.uk"),
    ("foo.blogspot.com", "sub_domain", "blogspot.com"),  # a private suffix is a name like any other
    ("a.straße.de", "sub_domain", "straße.de"),
    ("https://user@example.com:8443/path", "not_a_name", "example.com"),
    ("example.com/path", "not_a_name", "example.com"),
    ("me@example.com", "not_a_name", "example.com"),
    ("*.example.com", "not_a_name", "example.com"),
]

LABEL = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=63).filter(
    lambda label: not label.isdigit()
)


@pytest.mark.parametrize(("raw", "reason"), REFUSALS)
def test_what_is_no_registrable_name_is_refused_with_a_reason(raw: object, reason: str) -> None:
    with pytest.raises(NameRefused) as refusal:
        Name.parse(raw)
    assert refusal.value.reason == reason
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize(("raw", "reason", "suggestion"), SUGGESTIONS)
def test_a_refusal_names_what_was_probably_meant(raw: str, reason: str, suggestion: str) -> None:
    with pytest.raises(NameRefused) as refusal:
        Name.parse(raw)
    assert (refusal.value.reason, refusal.value.suggestion) == (reason, suggestion)


@pytest.mark.parametrize(
    ("raw", "text", "suffix", "unicode"),
    [
        (" Example.COM.\n", "example.com", "com", "example.com"),
        ("straße.de", "xn--strae-oqa.de", "de", "straße.de"),
        ("STRASSE.de", "strasse.de", "de", "strasse.de"),
        ("xn--strae-oqa.de", "xn--strae-oqa.de", "de", "straße.de"),
        ("пример.рф", "xn--e1afmkfd.xn--p1ai", "xn--p1ai", "пример.рф"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah", "xn--zckzah", "例え.テスト"),
        ("example.co.uk", "example.co.uk", "co.uk", "example.co.uk"),
        ("www.ck", "www.ck", "ck", "www.ck"),
        ("a--b.com", "a--b.com", "com", "a--b.com"),
        ("example.notlisted", "example.notlisted", "notlisted", "example.notlisted"),
    ],
)
def test_a_name_is_kept_as_an_a_label_and_shown_as_a_u_label(raw: str, text: str, suffix: str, unicode: str) -> None:
    parsed = Name.parse(raw)
    assert (parsed.text, parsed.suffix, parsed.unicode) == (text, suffix, unicode)


@given(LABEL)
def test_plain_names_stay_as_they_are_in_any_case(label: str) -> None:
    assert Name.parse(f"{label.upper()}.COM.") == Name.parse(f"{label}.com")
    assert Name.parse(f"{label}.com").text == f"{label}.com"


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_refused_and_a_name_survives_the_round_trip(text: str) -> None:
    try:
        parsed = Name.parse(text)
    except NameRefused as refusal:
        assert refusal.reason
        return
    assert parsed.text.isascii()
    assert len(parsed.text) <= 253
    assert parsed.text.endswith("." + parsed.suffix)
    assert "." not in parsed.text.removesuffix("." + parsed.suffix)
    assert Name.parse(parsed.text) == parsed
    assert Name.parse(parsed.unicode) == parsed


@given(st.from_regex(r"[a-z]{1,8}\.xn--[a-z0-9-]{0,20}", fullmatch=True))
def test_hostile_punycode_is_a_name_or_refused(text: str) -> None:
    try:
        assert Name.parse(text).unicode
    except NameRefused as refusal:
        assert refusal.reason


def test_what_does_not_decode_is_shown_as_it_is() -> None:
    assert shown("xn--a.com") == "xn--a.com"


@given(st.text("abz019-. AK\u212a\u017f", max_size=20))
def test_the_quick_way_for_plain_names_says_what_the_long_way_says(text: str) -> None:
    quick = names._plain(text)
    if quick is not None:
        assert names._a_labels(names._clean(text)) == quick


def test_a_control_name_may_be_a_public_suffix_but_is_below_its_own() -> None:
    assert Name.control("nic.in", "in") == Name(text="nic.in", suffix="in")
    for raw, suffix in [("nic.in", "com"), ("in", "in"), ("a..in", "in")]:
        with pytest.raises(NameRefused):
            Name.control(raw, suffix)
