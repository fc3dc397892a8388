"""What one RDAP reply says of one name (RFC 7480, 9082, 9083). Pure; never raises, whatever the body.

A 404 is a denial only when RDAP itself speaks it: an RDAP or JSON error object with `errorCode` 404 or
`rdapConformance`, or an empty body under RDAP's own media type (RFC 7480, 5.3). Firewalls, caches and wrong paths say
404 too. A notice that the name is reserved, blocked or the like makes it `reserved`; one that the service is not for
this zone, was too busy or broke makes it no answer, and so does one that tells of a name's life (in quarantine).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from domainwatch.checks.answer import Answer
from domainwatch.checks.whois_dates import instant_of
from domainwatch.findings import NO_FACTS, Facts, Reading
from domainwatch.names import Name
from domainwatch.ports import HttpReply

_OLDEST_YEAR, _NEWEST_YEAR = 1980, 2200
_MAX_ENTITY_DEPTH = 4
_MAX_LIST = 64
_MAX_RETRY_AFTER_S = 7 * 86400.0

# HTTP status → reason word, for what is neither an object nor a denial.
_REFUSALS = {
    400: "bad_request",
    401: "refused",
    403: "refused",
    408: "timeout",
    429: "rate_limited",
    451: "refused",
    501: "not_implemented",
    503: "rate_limited",
}
# What the text of an error or notice says when the name exists in no zone and cannot be had. The first that fits is
# the reason.
_KEPT_BACK = (
    ("blocked", ("blocked", "globalblock", "dpml", "adultblock", "brand safety", "brand protection")),
    ("expiry_access_period", ("expiry access period",)),
    (
        "reserved",
        (
            "reserved",
            "withheld",
            "name collision",
            "hold list",
            "held back",
            "in conflict with",
            "dispute",
            "udrp",
            "not available for registration",
            "unavailable for registration",
        ),
    ),
    ("premium", ("premium", "platinum", "auction", "make an offer", "for purchase from the registry")),
    (
        "prohibited",
        (
            "prohibited",
            "cannot be registered",
            "can not be registered",
            "not allowed to be registered",
            "restricted",
            "not be registered",
            "forbidden",
            "not permitted to be registered",
        ),
    ),
)
_NOT_SERVED = (
    "not supported", "unsupported", "no service", "no rdap", "not authoritative", "unknown tld",
    "unknown zone", "not managed by", "not served", "does not serve", "not responsible", "no registry",
    "invalid tld", "tld not", "no such tld", "tld does not exist", "bootstrap", "no bootstrap",
    "out of zone", "not in scope",
)  # fmt: skip
# What an error that calls itself 404 says when the service could not look.
_TROUBLES = (
    (
        "rate_limited",
        (
            "too many",
            "rate limit",
            "rate-limit",
            "ratelimit",
            "throttl",
            "quota",
            "limit exceeded",
            "limit reached",
            "limit has been",
            "exceeded the",
            "slow down",
        ),
    ),
    (
        "server_error",
        (
            "internal error",
            "internal server",
            "server error",
            "backend",
            "back-end",
            "upstream",
            "gateway",
            "service unavailable",
            "temporarily",
            "currently unavailable",
            "is unavailable",
            "is not available at",
            "timeout",
            "timed out",
            "time-out",
            "maintenance",
            "database error",
            "database is",
            "connection refused",
            "connection to",
            "connection error",
            "overload",
            "try again",
            "try later",
            "retry",
            "failed",
            "failure",
            "runtimeexception",
            "sqlexception",
            "nullpointer",
            "could not be processed",
            "unable to process",
            "unable to connect",
            "unable to reach",
            "unable to retrieve",
            "unable to complete",
            "busy",
        ),
    ),
)
# What it says of a name that lives, or is about to.
_FATES = (
    "redemption",
    "quarantine",
    "pending",
    "grace period",
    "in process",
    "being processed",
    "under review",
    "in transfer",
    "application for",
    "application pending",
    "application is",
    "to be released",
    "will be released",
    "to be deleted",
    "on hold",
    "already registered",
    "suspended",
    "expired",
    "locked",
    "sunrise",
    "landrush",
)
# Titles of notices that are terms; they hold every word there is.
_TERMS = (
    "terms",
    "status codes",
    "inaccuracy",
    "about",
    "copyright",
    "legal",
    "privacy",
    "conditions",
    "usage",
    "rate limit",
    "disclaimer",
    "whois",
    "rdap",
)
_FREE = frozenset({"free", "available", "unassigned", "unregistered", "not registered"})
_KEPT_STATUS = frozenset({"reserved", "blocked", "withheld", "premium", "prohibited", "unavailable", "excluded"})


def read(reply: HttpReply, name: Name, *, now: datetime | None = None) -> Answer:
    """What `reply` says of `name`. `now` is for a `Retry-After` that is a date; without it the reply's own `Date`
    counts.
    """
    text = reply.body.decode("utf-8-sig", "replace")
    document = _document(text)
    if reply.status == 200:
        answer = _of_object(document, name, text)
    elif reply.status == 404:
        answer = _of_denial(reply, document, name, text)
    else:
        reason = _REFUSALS.get(reply.status) or ("server_error" if reply.status >= 500 else "unexpected_status")
        answer = _no_answer(reason, text)
    if answer.reason == "rate_limited":
        retry_after_s = _retry_after_s(reply.headers, now)
        return Answer(
            reading=Reading.NO_ANSWER, reason="rate_limited", evidence=answer.evidence, retry_after_s=retry_after_s
        )
    return answer


def _no_answer(reason: str, evidence: str) -> Answer:
    return Answer(reading=Reading.NO_ANSWER, reason=reason, evidence=evidence[:2048])


def _document(text: str) -> Any:
    """The JSON value, or None for what is none. Nesting too deep for the parser is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


# --- 200 ------------------------------------------------------------------------------------------------------------


def _of_object(document: Any, name: Name, text: str) -> Answer:
    if not isinstance(document, Mapping):
        return _no_answer("malformed", text)
    code = _error_code(document)
    if code is not None:
        return _no_answer(_REFUSALS.get(code, "error_body"), text)
    kind = document.get("objectClassName")
    said = [document[key] for key in ("ldhName", "unicodeName") if isinstance(document.get(key), str)]
    if (kind is not None and kind != "domain") or not said:
        return _no_answer("no_domain_object", text)
    if not any(_is_name(each, name) for each in said):
        return _no_answer("other_name", text)
    facts = _facts(document)
    statuses = {status.lower() for status in facts.statuses}
    held = bool(facts.registrar or facts.created_at or facts.expires_at or facts.nameservers)
    evidence = text[:2048]
    if statuses & _FREE:
        if held or not statuses <= _FREE:
            return _no_answer("contradictory", text)
        return Answer(reading=Reading.NOT_FOUND, reason="status_free", evidence=evidence)
    if not held:
        kept = "reserved" if statuses & _KEPT_STATUS else _first_of(_KEPT_BACK, _notice_texts(document))
        if kept:
            return Answer(reading=Reading.RESERVED, reason=kept, facts=facts, evidence=evidence)
    return Answer(reading=Reading.REGISTERED, reason="record", facts=facts, evidence=evidence)


def _is_name(said: str, name: Name) -> bool:
    text = said.strip().rstrip(".").casefold()
    return text in {name.text, name.unicode.casefold()}


# --- 404 ------------------------------------------------------------------------------------------------------------


def _of_denial(reply: HttpReply, document: Any, name: Name, text: str) -> Answer:
    media_type = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not text.strip():
        if media_type == "application/rdap+json":
            return Answer(reading=Reading.NOT_FOUND, reason="not_found", evidence="404")
        return _no_answer("bare_404", "")
    if not isinstance(document, Mapping):
        return _no_answer("malformed" if "json" in media_type else "bare_404", text)
    code = _error_code(document)
    if "json" not in media_type or (code != 404 and not (code is None and _conforms(document))):
        return _no_answer(_REFUSALS.get(code or 0, "bare_404"), text)
    own_words = list(_error_texts(document))
    nameless = [words.replace(name.text, "") for words in own_words]  # the name may be made of any words
    notices = [words.replace(name.text, "") for words in _notice_texts(document)]
    trouble = _first_of(_TROUBLES, nameless)
    if trouble and not _first_of(_KEPT_BACK, [words for words in nameless if "registration" in words]):
        return _no_answer(trouble, text)
    kept = _first_of(_KEPT_BACK, [*nameless, *notices])
    if kept:
        return Answer(reading=Reading.RESERVED, reason=kept, evidence=text[:2048])
    if any(mark in words for words in nameless for mark in _NOT_SERVED):
        return _no_answer("not_served", text)
    if _about_other(document, own_words, name):
        return _no_answer("other_name", text)
    if any(mark in words for words in [*nameless, *notices] for mark in _FATES):
        return _no_answer("doubtful", text)
    return Answer(reading=Reading.NOT_FOUND, reason="not_found", evidence=text[:2048])


def _error_code(document: Mapping[str, Any]) -> int | None:
    code = document.get("errorCode")
    if isinstance(code, bool):
        return None
    if isinstance(code, int):
        return code
    return int(code) if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3 else None


def _conforms(document: Mapping[str, Any]) -> bool:
    levels = document.get("rdapConformance")
    return isinstance(levels, list) and any(
        isinstance(level, str) and level.startswith("rdap_level") for level in levels
    )


def _texts(value: Any) -> Iterator[str]:
    """A string, or the strings of a list, in lower case."""
    if isinstance(value, str):
        yield " ".join(value[:1000].lower().split())
    elif isinstance(value, list):
        for each in value[:_MAX_LIST]:
            if isinstance(each, str):
                yield " ".join(each[:1000].lower().split())


def _error_texts(document: Mapping[str, Any]) -> Iterator[str]:
    """What the error itself says."""
    yield from _texts(document.get("title"))
    yield from _texts(document.get("description"))


def _notice_texts(document: Mapping[str, Any]) -> Iterator[str]:
    """What notices and remarks say, but for terms: their titles, and their short sentences about a name."""
    for key in ("notices", "remarks"):
        notices = document.get(key)
        if not isinstance(notices, list):
            continue
        for notice in notices[:_MAX_LIST]:
            if not isinstance(notice, Mapping):
                continue
            titles = list(_texts(notice.get("title")))
            if any(mark in title for title in titles for mark in _TERMS):
                continue
            yield from titles
            for words in _texts(notice.get("description")):
                if len(words) <= 200 and any(
                    subject in words for subject in ("name", "domain", "object", "string", "label")
                ):
                    yield words


def _first_of(reasons: Iterable[tuple[str, tuple[str, ...]]], texts: Iterable[str]) -> str | None:
    """The first of the reasons that a text gives."""
    for words in texts:
        for reason, marks in reasons:
            if any(mark in words for mark in marks):
                return reason
    return None


def _about_other(document: Mapping[str, Any], own_words: Iterable[str], name: Name) -> bool:
    said = document.get("ldhName")
    if isinstance(said, str) and not _is_name(said, name):
        return True
    mine = {name.text, name.unicode.casefold()}
    for words in own_words:
        for word in words.split():
            bare = word.strip("\"'`().,;:[]<>")
            if bare.endswith(f".{name.tld}") and "/" not in bare and "@" not in bare and bare not in mine:
                label = bare.partition(".")[0]
                if bare != name.suffix and label not in {"rdap", "whois", "www", "nic", "registry"}:
                    return True
    return False


# --- Facts ----------------------------------------------------------------------------------------------------------


def _facts(document: Mapping[str, Any]) -> Facts:
    events = list(_events(document.get("events")))
    facts = Facts(
        registrar=_registrar(document),
        created_at=min((at for action, at in events if action == "registration"), default=None),
        updated_at=max((at for action, at in events if action == "last changed"), default=None),
        expires_at=max((at for action, at in events if action == "expiration"), default=None),
        statuses=tuple(_strings(document.get("status"))),
        nameservers=tuple(_nameservers(document.get("nameservers"))),
        dnssec=_dnssec(document.get("secureDNS")),
    )
    return facts or NO_FACTS


def _strings(value: Any) -> Iterator[str]:
    values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    seen = set()
    for each in values[:_MAX_LIST]:
        if isinstance(each, str) and each.strip() and each.strip() not in seen:
            seen.add(each.strip())
            yield each.strip()[:100]


def _events(value: Any) -> Iterator[tuple[str, datetime]]:
    for event in value[:_MAX_LIST] if isinstance(value, list) else []:
        if not isinstance(event, Mapping):
            continue
        action, date = event.get("eventAction"), event.get("eventDate")
        at = _instant(date) if isinstance(date, str) else None
        if isinstance(action, str) and at is not None:
            yield action.strip().lower(), at


def _instant(text: str) -> datetime | None:
    """An RFC 3339 instant, or what servers send for one; years that cannot be meant are nothing."""
    try:
        at = datetime.fromisoformat(text.strip()[:40])
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return instant_of(text)
    return at if _OLDEST_YEAR <= at.year <= _NEWEST_YEAR else None


def _registrar(document: Mapping[str, Any]) -> str | None:
    """The name of the first entity in the role of registrar, wherever it is nested; those nearer the top first."""
    level: list[Any] = [document]
    for _ in range(_MAX_ENTITY_DEPTH):
        entities = [
            entity for holder in level for entity in _list(holder.get("entities")) if isinstance(entity, Mapping)
        ][:_MAX_LIST]
        for entity in entities:
            if "registrar" in [role.lower() for role in _strings(entity.get("roles"))]:
                name = _card_name(entity)
                if name:
                    return name
        level = entities
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _card_name(entity: Mapping[str, Any]) -> str | None:
    """`fn`, else `org`, of a jCard (RFC 7095); else the full name of a JSContact card (RFC 9553). Redacted ones are
    empty (RFC 9537).
    """
    card = _list(entity.get("vcardArray"))
    found: dict[str, str] = {}
    for line in _list(card[1])[:_MAX_LIST] if len(card) > 1 else []:
        if isinstance(line, list) and len(line) > 3 and isinstance(line[0], str):
            value = line[3] if isinstance(line[3], str) else " ".join(_strings(line[3]))
            if value.strip():
                found.setdefault(line[0].lower(), value.strip())
    for key in ("jscard", "jscontact_card"):
        contact = entity.get(key)
        full = contact.get("name") if isinstance(contact, Mapping) else None
        if isinstance(full, Mapping) and isinstance(full.get("full"), str) and full["full"].strip():
            found.setdefault("fn", full["full"].strip())
    name = found.get("fn") or found.get("org")
    return name[:200] if name and not name.lower().startswith("redacted") else None


def _nameservers(value: Any) -> Iterator[str]:
    seen = set()
    for server in _list(value)[:_MAX_LIST]:
        host = None
        if isinstance(server, Mapping):
            host = server.get("ldhName") or server.get("unicodeName")
        elif isinstance(server, str):
            host = server
        if isinstance(host, str) and host.strip():
            text = host.strip().rstrip(".").lower()[:253]
            if text not in seen:
                seen.add(text)
                yield text


def _dnssec(value: Any) -> bool | None:
    if not isinstance(value, Mapping):
        return None
    signed = value.get("delegationSigned")
    if isinstance(signed, bool):
        return signed
    if isinstance(signed, str) and signed.lower() in {"true", "false"}:
        return signed.lower() == "true"
    return True if _list(value.get("dsData")) or _list(value.get("keyData")) else None


def _retry_after_s(headers: Mapping[str, str], now: datetime | None) -> float | None:
    """`Retry-After` in seconds from now: a number of them, or a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return min(float(value), _MAX_RETRY_AFTER_S)
    until, since = _http_date(value), now or _http_date(headers.get("date", ""))
    if until is None or since is None:
        return None
    return min(max((until - since).total_seconds(), 0.0), _MAX_RETRY_AFTER_S)


def _http_date(value: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(value[:64])
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
