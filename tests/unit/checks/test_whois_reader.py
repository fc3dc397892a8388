"""The WHOIS reader: what each text says of the name, and that no text can hurt it.

A case is a file: a head of `field: value` lines, `---`, then the text. `name` and `reading` are always there; dates are
days in UTC; a field that stands there empty must have been found empty.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainwatch.checks import whois_reader
from domainwatch.checks.answer import Answer
from domainwatch.findings import Reading
from domainwatch.names import Name
from domainwatch.phases import phase_of

CASES = sorted((Path(__file__).parents[2] / "cases" / "whois").glob("*.txt"))
NAME = Name(text="palmbay.example", suffix="example")


def asked(text: str) -> Name:
    """A name as it is asked, whatever its zone: cases use zones no suffix list knows."""
    a_label = text if text.isascii() else idna.encode(text).decode()
    return Name(text=a_label, suffix=a_label.partition(".")[2])


def case_of(path: Path) -> tuple[dict[str, str], str]:
    head, _, text = path.read_text(encoding="utf-8").partition("\n---\n")
    fields = {key: value.strip() for key, _, value in (line.partition(":") for line in head.splitlines())}
    if "nameservers" in fields:
        fields["nameservers"] = fields["nameservers"].lower()
    return fields, text


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_case(path: Path) -> None:
    want, text = case_of(path)
    answer = whois_reader.read(text, asked(want["name"]))
    assert said(answer, want) == want


def said(answer: Answer, want: dict[str, str]) -> dict[str, str]:
    """What the reader found, in the words of a case's head, and only the fields that the case asks for."""
    facts = answer.facts
    dates = {"created": facts.created_at, "updated": facts.updated_at, "expires": facts.expires_at}
    found = {
        "name": want["name"],
        "reading": answer.reading.value,
        "reason": answer.reason,
        "registrar": facts.registrar or "",
        "nameservers": " ".join(facts.nameservers),
        "statuses": " ".join(facts.statuses),
        "dnssec": {True: "yes", False: "no", None: ""}[facts.dnssec],
        "referral": answer.referral or "",
        "phase": phase_of(facts, now=datetime(2020, 1, 1, tzinfo=UTC), delegated=False).value,
    }
    found |= {key: at.astimezone(UTC).date().isoformat() if at else "" for key, at in dates.items()}
    return {key: found[key] for key in want}


def test_a_cut_text_is_no_answer() -> None:
    answer = whois_reader.read('No match for "palmbay.example".', NAME, complete=False)
    assert (answer.reading, answer.reason) == (Reading.NO_ANSWER, "incomplete")


def test_a_denial_in_too_long_a_text_is_not_believed() -> None:
    answer = whois_reader.read('No match for "palmbay.example".\n' + "x\n" * 1000, NAME)
    assert (answer.reading, answer.reason) == (Reading.NO_ANSWER, "too_long")


def test_a_record_in_front_of_too_long_a_text_is_one() -> None:
    record = "Domain Name: palmbay.example\nRegistrar: Palm\nCreation Date: 2001-02-03\n"
    assert whois_reader.read(record + "terms\n" * 1000, NAME).reading is Reading.REGISTERED


DENIALS = [
    "No match for {name}",
    'No match for "{name}".',
    "{name} not found",
    "Domain {name} not found.",
    "NOT FOUND: {name}",
    "% No entries found for {name}",
    "%% No entries found in the database.",
    "% nothing found",
    "No Data Found",
    "Object does not exist",
    "no matching record.",
    "The queried object does not exist: {name}",
    "Domain Name: {name}\nDomain Status: No Object Found",
    "Domain: {name}\nStatus: free",
    "{name}: no existe",
    "{name} is free",
    'Sorry, but domain: "{name}", not found in database',
    "domain_name: {name}\nquery_status: 220 Available",
    "Available\nDomain: {name}",
    "Domain unknown",
    "{name} was not found in our database",
    "Domain Status: Not Registered\nDomain Name: {name}",
    "There is no entry for {name} in the registry",
    "No registration found for {name}",
    "No information was found matching that query.",
    "The domain name you are looking for does not exist",
    "Registration information does not exist",
    "No entries found in the NASK database.",
    "El dominio {name} no existe",
    "Le domaine {name} n'existe pas",
    "Der Domainname {name} ist nicht registriert",
    "domena {name} nie istnieje",
]
NO_DENIALS = [
    "Name server not found",
    "Registrant: not found",
    "No registrar found",
    "no user found",
    "You are not a registered user",
    "unknown command",
    "unknown query",
    "No match for your IP",
    "palmbay.example: found no error",
    "Record not found in cache, try again",
    "Registrar not found",
    "Contact not found",
    "Nameserver does not exist",
    "No match for registrar",
    "No name servers found",
    "Registrar: no entries found",
    "Contact handle not found: PB1-EXAMPLE",
    "Host palmbay.example not found",
    "Type: nameserver\nNot found",
    "no data",
    "not known",
    "nothing",
    "None",
    "palmbay.example is not available",
    "palmbay.example is registered",
    "No whois server is known for this kind of object.",
]
REFUSALS = [
    "Too many requests...",
    "WHOIS LIMIT EXCEEDED - SEE WWW.REGISTRY.TEST/WHOIS FOR DETAILS",
    "request limit exceeded for 192.0.2.1",
    "Quota exceeded",
    "Your access has been temporarily blocked",
    "Service temporarily unavailable.",
    "Please try again later.",
    "Requests of this client are not permitted.",
    "TLD is not supported.",
    "The backend is down",
    "Backend error",
    "% Excessive querying, grace period of 30 seconds.",
    "Number of queries exceeded",
    "queried interval is too short.",
    "BLACKLISTED: You have exceeded the query limit for your network and have been blacklisted.",
    "Your connection limit exceeded. Please slow down and try again later.",
]


@pytest.mark.parametrize("text", DENIALS)
def test_a_denial_of_this_name_is_not_found(text: str) -> None:
    assert whois_reader.read(text.format(name="PALMBAY.EXAMPLE"), NAME).reading is Reading.NOT_FOUND


@pytest.mark.parametrize("text", [text for text in DENIALS if "{name}" in text])
def test_a_denial_of_another_name_is_not(text: str) -> None:
    answer = whois_reader.read(text.format(name="coconut.example"), NAME)
    assert answer.reading is Reading.NO_ANSWER


@pytest.mark.parametrize("text", NO_DENIALS)
def test_what_denies_something_else_is_no_denial_of_the_name(text: str) -> None:
    assert whois_reader.read(text, NAME).reading is not Reading.NOT_FOUND


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("denial", DENIALS)
def test_a_refusal_beside_a_denial_wins(denial: str, refusal: str) -> None:
    for text in (f"{refusal}\n\n{denial}", f"{denial}\n\n% {refusal}\n"):
        assert whois_reader.read(text.format(name="palmbay.example"), NAME).reading is Reading.NO_ANSWER


KEPT_BACK = [
    "This platinum domain is available for purchase. If you would like to make an offer, write to our sales desk.",
    "This platinum/premium domain is available for purchase from the registry.",
    "This domain is available for purchase from the registry.",
    "This domain is a platinum name.",
    "This name has been withheld by the registry",
    "This name is on the registry hold list",
    "registry hold list",
    "The domain is under dispute (UDRP) and locked",
    "The name is in conflict with other second level names",
    "Status: in auction",
    "available for auction",
    "Domain is available at auction",
]
LIVING = [
    "Domain is in redemption period.",
    "The name is in quarantine until 2027-01-01.",
    "pendingDelete until 2027",
    "Pending purge",
    "redemptionPeriod",
    "Grace period until 2027-01-01",
    "Status: Registration in process",
    "Application pending",
    "Pending create",
    "Your application for this name is under review",
    "This domain has lately been deleted and will be released soon.",
    "Release date: 2027-01-01",
    "Available from: 2027-01-01",
    "Invalid query: {name}",
    "Malformed domain name",
    "Registered: yes",
    "Registrar: Palm Inc.",
    "This domain name is registered.",
]
# What no list of ours has: the reader must doubt it for being said of the name.
UNHEARD_OF = [
    "State: frozen",
    "Domain State: in limbo",
    "Reason: sounds like a city",
    "Category: geographic",
    "Tier: gold",
    "Hold: yes",
    "Price: 5000 EUR",
    "This string is on the list of country names.",
    "The label matches a well-known mark.",
    "{name} belongs to the ministry of tourism.",
    "Domain {name} goes to the highest bidder",
    "The domain may only be had by public bodies.",
    "This name needs the consent of the council.",
    "The requested name waits for a decision",
    "It is kept for the state.",
    "% {name}: frozen",
    "Can be registered: no",
    "Information: kept by the crown",
    "Only for municipalities",
]
# What registries say of themselves, of names in general, and to win customers.
HARMLESS = [
    "% Terms of this service: https://registry.test/terms",
    "For more information visit https://registry.test/",
    "Please visit www.registry.test to register this domain.",
    "Register this domain now at https://registry.test/register",
    "To register this domain name, please contact an accredited registrar.",
    "If you want to register this domain, see the list of accredited registrars at https://registry.test/list",
    "This domain is available for registration at any accredited registrar.",
    "Get your own .example name for only 10 EUR a year at www.registry.test!",
    ">>> Last update of WHOIS database: 2026-01-01T00:00:00Z <<<",
    "% This is the .EXAMPLE whois server. It serves domain data only.",
    "Copyright (c) 2026 Registry of Example",
    "Whois server version 4.1",
    "Query time: 12 msec",
    "WHEN: Thu Jan 01 2026",
    "Support: support@registry.test",
    "Tel: +1 555 0100",
    "Number of results: 0",
    "Request ID: 4711",
    "% Query for {name} from 192.0.2.1",
    "You have queried for {name}",
    'Search results for "{name}":',
    "% Any dispute about a domain name is settled under the rules of the registry.",
    "Domain names that are pending delete are not shown by this service.",
    "Information about reserved names is found at https://registry.test/reserved",
    "The registration of a domain name gives no right to the name. Disputes are settled by the courts of Palm Bay.",
    "% Registration is governed by our policy; blocked and reserved names may not be shown.",
    "Please note that a name not found here may be reserved or blocked by policy.",
    "NOTICE: The expiry date shown in this record is the date on which the sponsorship of\n"
    "the domain name by its registrar ends. This date need not be the date on which the\n"
    "agreement of the holder of the domain name with the registrar expires or is renewed.",
    "Users must not use this service to find names that are about to expire or be deleted for commercial purposes.",
    "Abuse of this service is monitored and logged.",
    "Hosted by Palm Bay University",
    "% Note: this output has been filtered.",
    "Important: this service gives the least data set that the rules of the house ask for",
    "We run the backend registry for all domain names of the islands.",
    "Zone: example",
    "This information is made up. It is given by one who\nhas seen it all, and is free to copy.",
    "Code: 404",
    "Your search for {name} returned no results.",
    "Welcome to the .example registry whois server",
    "END",
]


def _beside(denial: str, line: str) -> list[str]:
    """The line before the denial and after it, right there, with a gap, as a comment, and in the same line."""
    pages = [
        f"{line}\n{denial}",
        f"{denial}\n{line}",
        f"{line}\n\n{denial}\n",
        f"{denial}\n\n{line}\n",
        f"{denial}\n% {line}\n\n% terms of use apply\n",
    ]
    if "\n" not in denial and denial[0] != "%":
        pages.append(f"{denial}. {line}")
    return [page.format(name="palmbay.example") for page in pages]


@pytest.mark.parametrize("line", [*KEPT_BACK, *LIVING, *UNHEARD_OF])
def test_a_denial_beside_what_qualifies_it_is_not_believed(line: str) -> None:
    for denial in DENIALS:
        for page in _beside(denial, line):
            assert whois_reader.read(page, NAME).reading is not Reading.NOT_FOUND, page


@pytest.mark.parametrize("line", KEPT_BACK)
def test_a_name_kept_back_is_reserved_whatever_denies_it(line: str) -> None:
    for denial in DENIALS:
        for page in _beside(denial, line):
            assert whois_reader.read(page, NAME).reading is Reading.RESERVED, page


@pytest.mark.parametrize("line", UNHEARD_OF)
def test_what_is_unheard_of_makes_a_denial_doubtful(line: str) -> None:
    answer = whois_reader.read(f"No match for palmbay.example\n{line.format(name='palmbay.example')}\n", NAME)
    assert (answer.reading, answer.reason) == (Reading.NO_ANSWER, "doubtful")


@pytest.mark.parametrize("line", HARMLESS)
def test_harmless_lines_leave_a_denial_as_it_is(line: str) -> None:
    for denial in DENIALS:
        for page in (f"{denial}\n\n{line}\n", f"{line}\n\n{denial}\n", f"{denial}\n{line}"):
            text = page.format(name="palmbay.example")
            assert whois_reader.read(text, NAME).reading is Reading.NOT_FOUND, text


@given(
    denial=st.sampled_from(DENIALS),
    qualifier=st.sampled_from([*KEPT_BACK, *LIVING, *UNHEARD_OF]),
    around=st.lists(st.sampled_from(HARMLESS), max_size=5),
    at=st.integers(0, 5),
    first=st.booleans(),
)
def test_a_qualifying_line_is_found_among_any_others(
    denial: str, qualifier: str, around: list[str], at: int, first: bool
) -> None:
    lines = [*around[:at], qualifier, *around[at:]]
    page = "\n\n".join([*lines, denial] if first else [denial, *lines]).format(name="palmbay.example")
    assert whois_reader.read(page, NAME).reading is not Reading.NOT_FOUND


@pytest.mark.parametrize("denial", [text for text in DENIALS if "\n" not in text])
def test_a_denial_that_stands_twice_is_doubtful(denial: str) -> None:
    text = f"{denial}\n\n{denial}\n".format(name="palmbay.example")
    assert whois_reader.read(text, NAME).reading is Reading.NO_ANSWER


@pytest.mark.parametrize("heading", ["Registrar:", "Name Servers:", "Registrant:", "Technical Contact:", "Contacts"])
@pytest.mark.parametrize("denial", ["Not found", "No match found", "No entries found", "No records found."])
def test_what_is_not_found_under_a_heading_is_not_the_name(heading: str, denial: str) -> None:
    for text in (
        f"{heading}\n{denial}",
        f"{heading}\n    {denial}",
        f"{heading} {denial}",
        f"palmbay.example\n\n{heading}\n  {denial}",
    ):
        assert whois_reader.read(text, NAME).reading is not Reading.NOT_FOUND, text


def test_the_date_of_the_database_is_no_record_of_the_name() -> None:
    denial = "No entries found for the selected source(s).\nDomain palmbay.example is not registered."
    text = f"{denial}\n\nLast updated on 2026-01-01T00:00:00Z\n"
    assert whois_reader.read(text, NAME).reading is Reading.NOT_FOUND


def _calls(text: str) -> int:
    """How many Python functions reading the text calls: work counted, not timed."""
    count = 0

    def counted(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(counted)
    try:
        whois_reader.read(text, NAME)
    finally:
        sys.setprofile(None)
    return count


HOSTILE = [
    "\n",
    "a:b\n",
    "created: 1 jan 1 jan 1 jan\n",
    "no match found. ",
    "[ x ]\n",
    '"\n',
    "Domain: x.example\n",
    "a" * 63 + ".",
]


@pytest.mark.parametrize("piece", HOSTILE, ids=[repr(piece[:12]) for piece in HOSTILE])
def test_work_grows_no_faster_than_the_text_and_stops_at_the_cap(piece: str) -> None:
    short, twice, long = (_calls(piece * (size // len(piece))) for size in (1024, 2048, 262_144))
    assert twice <= 2.2 * short + 50
    assert long <= 70 * max(short, 200)


WORDS = st.sampled_from(
    [
        *"\n\n\n.:[]%#\t",
        "palmbay.example",
        "coconut.example",
        "Domain:",
        "Domain Name:",
        "Status:",
        "free",
        "available",
        "not",
        "found",
        "no",
        "match",
        "for",
        "reserved",
        "Registrar:",
        "Creation Date:",
        "2001-02-03",
        "31.12.9999",
        "Name Server:",
        "ns1.a.test",
        "quota",
        "exceeded",
        "the",
        "in",
        "database",
        "Registrant:",
        "\x00",
        "�",
        "...",
        "  ",
        "http://a.test/",
    ]
)


@given(st.one_of(st.text(max_size=2000), st.lists(WORDS, max_size=120).map(" ".join)))
def test_no_text_raises_and_every_answer_is_sane(text: str) -> None:
    answer = whois_reader.read(text, NAME)
    assert answer.reason
    for at in (answer.facts.created_at, answer.facts.updated_at, answer.facts.expires_at):
        assert at is None or at.tzinfo is not None
    if answer.reading is Reading.NOT_FOUND:
        assert "coconut" not in answer.evidence


@given(st.lists(WORDS, max_size=60).map(" ".join))
def test_a_record_is_never_a_denial(noise: str) -> None:
    record = (
        "Domain Name: palmbay.example\nRegistrar: Palm Inc.\nCreation Date: 2001-02-03\nExpiry Date: 2031-02-03\n\n"
    )
    assert whois_reader.read(record + noise, NAME).reading is not Reading.NOT_FOUND


@pytest.mark.parametrize(
    "text",
    [
        "No match for {name}.\r\n\r\nRestricted to residents.",
        "NOT FOUND\r\n\r\nDatabase out of sync, answers may be stale",
        "Domain {name} is available for purchase",
        "No match for {name}\n\nDomain {name} is available for purchase\n",
    ],
)
def test_a_denial_with_a_catch_is_not_believed(text: str) -> None:
    assert whois_reader.read(text.format(name=NAME.text), NAME).reading is not Reading.NOT_FOUND


def test_for_purchase_is_a_denial_beside_the_address_of_the_registry() -> None:
    text = (
        f"\nDomain {NAME.text} is available for purchase\nPlease visit http://www.nic.example/ for more information\n"
    )
    assert whois_reader.read(text, NAME).reading is Reading.NOT_FOUND
