"""The RDAP reader: what each reply says of the name, and that no body can hurt it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainwatch.checks import rdap_reader
from domainwatch.checks.answer import Answer
from domainwatch.findings import Reading
from domainwatch.names import Name
from domainwatch.phases import phase_of
from domainwatch.ports import HttpReply

CASES = sorted((Path(__file__).parents[2] / "cases" / "rdap").glob("*.json"))
NAME = Name(text="palmbay.com", suffix="com")
RDAP = {"content-type": "application/rdap+json"}


def asked(text: str) -> Name:
    a_label = text if text.isascii() else idna.encode(text).decode()
    return Name(text=a_label, suffix=a_label.partition(".")[2])


def reply(status: int, body: bytes, headers: dict[str, str] | None = None) -> HttpReply:
    return HttpReply(status=status, headers=headers or {}, body=body, url="https://rdap.test/")


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_case(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    headers = {**case["headers"], **({"content-type": case["content_type"]} if case["content_type"] else {})}
    answer = rdap_reader.read(reply(case["status"], body.encode(), headers), asked(case["name"]))
    assert said(answer, case["want"]) == case["want"]


def said(answer: Answer, want: dict[str, Any]) -> dict[str, Any]:
    facts = answer.facts
    dates = {"created": facts.created_at, "updated": facts.updated_at, "expires": facts.expires_at}
    found: dict[str, Any] = {
        "reading": answer.reading.value,
        "reason": answer.reason,
        "registrar": facts.registrar,
        "statuses": list(facts.statuses),
        "nameservers": list(facts.nameservers),
        "dnssec": facts.dnssec,
        "retry_after_s": answer.retry_after_s,
        "phase": phase_of(facts, now=datetime(2020, 1, 1, tzinfo=UTC), delegated=False).value,
        **{key: at.isoformat() if at else None for key, at in dates.items()},
    }
    return {key: found[key] for key in want}


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("bomb", [b"[" * 200_000, b'{"a":' * 200_000, b'{"entities":[' * 100_000 + b"]}" * 100_000])
def test_a_depth_bomb_is_no_answer(status: int, bomb: bytes) -> None:
    assert rdap_reader.read(reply(status, bomb, RDAP), NAME).reading is Reading.NO_ANSWER


def test_a_retry_after_date_counts_from_the_clock_when_there_is_one() -> None:
    headers = {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}
    answer = rdap_reader.read(reply(503, b"", headers), NAME, now=datetime(2026, 10, 21, 7, 27, tzinfo=UTC))
    assert answer.retry_after_s == 60.0


def denial(title: str, description: str, *, name: str = "palmbay.com") -> Answer:
    body = {"rdapConformance": ["rdap_level_0"], "errorCode": 404, "title": title, "description": [description]}
    a_name = Name(text=name, suffix="com")
    return rdap_reader.read(reply(404, json.dumps(body).encode(), {**RDAP, "retry-after": "7"}), a_name)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("Too many requests from your address", "rate_limited"),
        ("Rate limit exceeded", "rate_limited"),
        ("Request throttled, slow down", "rate_limited"),
        ("Daily quota used up", "rate_limited"),
        ("Blocked: too many queries", "rate_limited"),
        ("Internal error", "server_error"),
        ("Internal Server Error", "server_error"),
        ("The backend is unavailable", "server_error"),
        ("Backend timeout", "server_error"),
        ("The query timed out", "server_error"),
        ("Down for maintenance", "server_error"),
        ("Service temporarily unavailable, try again later", "server_error"),
    ],
)
def test_a_404_of_a_service_in_trouble_is_no_answer(words: str, reason: str) -> None:
    for answer in (denial(words, ""), denial("Not Found", words), denial(words, "palmbay.com not found")):
        assert (answer.reading, answer.reason) == (Reading.NO_ANSWER, reason)
        assert (answer.retry_after_s is not None) == (reason == "rate_limited")


@pytest.mark.parametrize(
    "words",
    [
        "The name has been withheld by the registry",
        "This platinum/premium domain is available for purchase from the registry",
        "palmbay.com is on the registry hold list",
        "The domain is in auction",
        "The name is under dispute (UDRP)",
        "The name is in conflict with another",
        "The domain is unavailable for registration",
    ],
)
def test_a_404_of_a_name_kept_back_is_reserved(words: str) -> None:
    assert denial("Not Found", words).reading is Reading.RESERVED


@pytest.mark.parametrize(
    "words",
    [
        "Domain is in redemption period",
        "The name is in quarantine until 2027",
        "pendingDelete",
        "Registration in process",
        "Application pending",
        "The name is on hold",
    ],
)
def test_a_404_of_a_name_that_lives_is_no_answer(words: str) -> None:
    assert denial("Not Found", words).reading is Reading.NO_ANSWER


@pytest.mark.parametrize("name", ["premium-timeout.com", "pending.com", "busy-backend.com", "reserved.com"])
def test_the_words_of_the_name_itself_say_nothing(name: str) -> None:
    assert denial("Not Found", f"{name} not found", name=name).reading is Reading.NOT_FOUND


def error(**members: Any) -> Answer:
    body = {"rdapConformance": ["rdap_level_0"], "errorCode": 404, "title": "Not Found", **members}
    return rdap_reader.read(reply(404, json.dumps(body).encode(), RDAP), NAME)


@pytest.mark.parametrize(
    "members",
    [
        {"objectClassName": "domain"},
        {"ldhName": "palmbay.com"},
        {"status": ["active"]},
        {"status": ["pending delete"]},
        {"events": [{"eventAction": "registration", "eventDate": "2001-02-03T04:05:06Z"}]},
        {"entities": [{"objectClassName": "entity", "roles": ["registrar"]}]},
        {"nameservers": [{"ldhName": "ns1.palmbay.com"}]},
    ],
)
def test_a_404_with_parts_of_a_domain_contradicts_itself(members: dict[str, Any]) -> None:
    answer = error(**members)
    assert (answer.reading, answer.reason) == (Reading.NO_ANSWER, "contradictory")


@pytest.mark.parametrize("kind", [["domain"], {"a": 1}, 7, "domain"])
def test_a_404_of_any_class_but_an_error_contradicts_itself(kind: object) -> None:
    assert error(objectClassName=kind).reason == "contradictory"
    assert error(objectClassName="error").reading is Reading.NOT_FOUND


def test_a_404_with_the_status_reserved_is_reserved() -> None:
    assert error(objectClassName="domain", ldhName="palmbay.com", status=["reserved"]).reading is Reading.RESERVED


LONG = "For reasons of policy that the registry has laid down and published, and after long thought, " * 3


@pytest.mark.parametrize(
    "notice",
    [
        {"title": "Information about this domain", "description": ["This domain name is reserved by the registry"]},
        {"title": "RDAP status", "description": ["This domain name is reserved by the registry"]},
        {"title": "Terms of Use", "description": ["Be kind. This domain name is reserved by the registry."]},
        {"title": "Information", "description": [LONG + "this domain name is reserved"]},
        {"title": "Notice", "description": ["This is reserved."]},
        {"description": "This is reserved."},
        {"description": ["This domain name is a premium name"]},
    ],
)
def test_a_notice_that_the_name_is_kept_back_is_heard(notice: dict[str, Any]) -> None:
    assert error(notices=[notice]).reading is Reading.RESERVED
    free = {"objectClassName": "domain", "ldhName": "palmbay.com", "status": ["available"], "notices": [notice]}
    assert rdap_reader.read(reply(200, json.dumps(free).encode(), RDAP), NAME).reading is Reading.RESERVED


@pytest.mark.parametrize(
    "members",
    [
        {"description": {"text": "reserved"}},
        {"description": [{"text": "reserved"}]},
        {"description": 7},
        {"title": {"en": "Not Found"}},
        {"notices": {"title": "Terms", "description": ["This name is reserved"]}},
        {"notices": ["This name is reserved"]},
        {"notices": [{"title": "Terms of Use", "description": {"text": "reserved"}}]},
        {"notices": [{"title": "Please note", "description": ["Given away last week"]}]},
        {"notices": [{"title": "Terms of Use", "description": ["This domain name is for the city of Palm Bay"]}]},
        {"detail": "This name is reserved"},
        {"title": "Ce nom est réservé"},
        {"description": ["Not eligible for registration"]},
        {"description": ["Registration of this name is not open"]},
        {"description": ["Not available"]},
        {"description": ["palmbay.com is registered"]},
        {"description": ["palmbay.com is not for registration"]},
        {"description": ["palmbay.com is available from 2027-01-01"]},
        {"description": ["Given away last week"]},
        {"description": ["palmbay.com not found. Given away last week"]},
        {"description": ["x" * 30_000]},
        {"notices": [{"title": "Registered name", "description": []}]},
        {"notices": [{"title": "Name of a city"}]},
        {"notices": [{"title": "Note", "description": ["It has been given away"]}]},
        *(
            {"description": [words]}
            for words in (
                "The name cannot be allocated",
                "This name cannot be assigned",
                "Unable to register this name",
                "The registry does not register such names",
                "No registration of such names",
                "No information is provided for this name",
                "No data can be returned for this name",
                "The domain is not delegated",
                "Service not found",
                "RDAP server not found",
                "No such host",
                "Host not found",
                "Unknown error",
                "Unknown",
                "Unknown query type",
                "This name is the registry's",
                "palmbay.com is not valid",
                "palmbay.com is assigned to the registry, not found",
                "palmbay.com exists but is not registered",
                "The object is known but no data found",
                "No data: registry not available",
            )
        ),
    ],
)
def test_a_404_that_says_more_than_no_is_not_believed(members: dict[str, Any]) -> None:
    assert error(**members).reading is not Reading.NOT_FOUND
    if "notices" in members:
        free = {"objectClassName": "domain", "ldhName": "palmbay.com", "status": ["free"], **members}
        read = rdap_reader.read(reply(200, json.dumps(free).encode(), RDAP), NAME)
        assert read.reading is not Reading.NOT_FOUND


@pytest.mark.parametrize(
    "words",
    [
        "",
        "404",
        "404 Not Found",
        "HTTP 404: Not Found",
        "Object not found",
        "OBJECT_NOT_FOUND",
        "ObjectNotFoundException",
        "Domain not found: palmbay.com",
        "Domain PALMBAY.COM not found.",
        "The domain palmbay.com does not exist.",
        "No such domain",
        "No data found",
        "No match!!",
        "No object found for palmbay.com",
        "No records were found for the domain name specified",
        "Object does not exist",
        "The requested object does not exist",
        "The requested resource could not be found.",
        "The requested domain was not found in the Registry or Registrar's RDAP Server.",
        "The server has not found anything matching the Request-URI.",
        "The domain you are looking for could not be found",
        "Your query did not return any results",
        "No information available about palmbay.com",
        "Cannot find a domain with the name palmbay.com",
        "Domain name is not registered",
        "This domain has not been registered.",
        "The domain name palmbay.com is available for registration",
        "palmbay.com is free",
        "Unknown domain",
        "Sorry, but the domain you requested, palmbay.com, was not found",
        "Resource not found: /domain/palmbay.com",
        "El dominio no existe",
        "Domínio não encontrado",
        "Nicht gefunden",
        "Le nom de domaine n\u2019existe pas",
    ],
)
def test_a_404_in_plain_words_is_not_found(words: str) -> None:
    notices = [
        {"title": "RDAP Terms of Service", "description": [f"{LONG} names may be reserved. No misuse is permitted."]},
        {
            "title": "Status Codes",
            "description": ["For more information on domain status codes, see https://icann.org/epp"],
        },
        {
            "title": "RDDS Inaccuracy Complaint Form",
            "description": ["URL of the ICANN RDDS Inaccuracy Complaint Form: x"],
        },
        {"description": ["This response conforms to the RDAP Operational Profile for gTLD Registries version 1.0"]},
        {"title": "Palm Registry Terms of Use", "description": ["Use of domain data for spam is prohibited."]},
        {"description": ["It is prohibited to use the data for advertising.", "It is intended solely for access."]},
        {
            "title": "About",
            "description": ["This is the RDAP server of the registry.", "See https://x.test/palmbay.com"],
        },
        {"title": "About", "description": "Served by the registry", "links": []},
    ]
    for answer in (
        error(description=[words]),
        error(title=words, description=None),
        error(description=words, notices=notices, lang="en", entities=[], events=None, status=404),
    ):
        assert answer.reading is Reading.NOT_FOUND


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["palmbay.com", "free"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "objectClassName",
                    "ldhName",
                    "status",
                    "events",
                    "entities",
                    "roles",
                    "vcardArray",
                    "errorCode",
                    "title",
                ]
            )
            | st.sampled_from(
                ["notices", "description", "nameservers", "secureDNS", "eventDate", "eventAction", "rdapConformance"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@given(st.sampled_from([200, 404, 429, 500, 301]), JSON)
def test_no_json_raises(status: int, body: Any) -> None:
    answer = rdap_reader.read(reply(status, json.dumps(body).encode(), RDAP), NAME)
    assert answer.reason
    if answer.reading is Reading.NOT_FOUND:
        assert isinstance(body, dict)


@given(st.sampled_from([200, 404]), st.binary(max_size=300), st.text(max_size=40), st.text(max_size=40))
def test_no_bytes_raise(status: int, body: bytes, content_type: str, retry_after: str) -> None:
    headers = {"content-type": content_type, "retry-after": retry_after}
    rdap_reader.read(reply(status, body, headers), NAME)
    rdap_reader.read(reply(429, body, headers), NAME)
