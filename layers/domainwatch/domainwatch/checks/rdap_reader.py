"""What one RDAP reply says of one name (RFC 7480, 9082, 9083). Pure; never raises, whatever the body.

A 404 is a denial only when RDAP itself speaks it: an RDAP or JSON error object with `errorCode` 404 or
`rdapConformance`, or an empty body under RDAP's own media type (RFC 7480, 5.3). Firewalls, caches and wrong paths say
404 too. A notice that the name is reserved, blocked or the like makes it `reserved`; one that the service is not for
this zone, was too busy or broke makes it no answer, and so does one that tells of a name's life (in quarantine).

Beyond that it is believed only when all else it says is known to be harmless: the error in plain words of denial, no
part of a domain object, and notices that are terms or plain words too. What is not understood is `doubtful`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from domainwatch.checks import whois_lexicon as lexicon
from domainwatch.checks.answer import Answer
from domainwatch.checks.whois_dates import instant_of
from domainwatch.checks.whois_doubts import speaks_of_the_name
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
            "réservé",
            "reservado",
            "reserviert",
            "riservato",
            "gereserveerd",
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
            "not eligible",
            "ineligible",
            "not open",
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
# How titles of notices begin that are terms or help; terms hold every word there is.
_TERMS = (
    "terms", "rdap terms", "whois terms", "rdds terms", "service terms", "status code", "epp status code",
    "domain status code", "rdds inaccuracy", "whois inaccuracy", "rdap inaccuracy", "inaccuracy", "copyright", "legal",
    "privacy", "conditions", "general conditions", "usage", "acceptable use", "rate limit", "disclaimer",
    "rdap disclaimer", "whois disclaimer", "data policy", "data protection", "help", "rdap help", "notice and terms",
    "rdap conformance", "links",
)  # fmt: skip
# How they end, after the name of a house.
_TERMS_ENDS = (" terms", " terms of use", " terms of service", " terms and conditions", " disclaimer")
# Whole titles of such notices.
_TERMS_TITLES = frozenset({"about", "about rdap", "about whois", "rdap", "whois", "notice", "note", "rdap service"})


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# A plain error is made of these words alone. None of them can say that a name is kept back or lives.
_DENYING = _set(
    "no not nothing none cannot can't couldn't could-not doesn't didn't isn't wasn't hasn't unable "
    "without non pas nicht kein keine niet geen não nao n'a nie не nessun aucun aucune ninguna ningún ei "
    "inte ikke"
)
# Words that deny by themselves.
_DENIED = _set(
    "notfound unregistered unassigned unknown nonexistent non-existent nxdomain inexistent inexistente "
    "inexistant introuvable inconnu unbekannt 未找到 不存在 未注册"
)
_THERE = _set(
    "found find exist exists existing existed registered match matches matching matched known "
    "data information record records result results entry entries allocated assigned located locate "
    "encontrado encontrada encontrados encontró encontro existe n'existe "
    "registrado registrada trouvé trouvée trouve enregistré gefunden registriert existiert gevonden "
    "geregistreerd trovato trovata registrato esiste найден зарегистрирован существует istnieje "
    "znaleziono nalezen nalezena nenalezen löytynyt"
)
# After `cannot` and the like only a search is plain: `cannot be allocated` is a refusal.
_ABLE = _set("can can't cannot could couldn't could-not unable")
_SOUGHT = _set("found find match matches matched located locate")
# What else may not be there: no word on the name.
_OF_SERVICE = _set("service server system host registry registrar database repository db uri instance")
_OF_QUESTIONS = _OF_SERVICE | _set("query request code error type class status handle key item label http err")
_LEADING = _set("the a an this that requested specified given rdap whois domain name error 404 no such unknown")
_ABOUT_DATA = _set("data information record records result results entry entries match matches")
_OPEN = _set("available free libre disponible disponível verfügbar")
_PLAIN = (
    _DENYING
    | _DENIED
    | _THERE
    | _OPEN
    | _set(
        "<n> such ldhname about a an the this that your you we our it i domain domains name names domainname object "
        "objects entity resource item key label fqdn host query queried request requested requests search "
        "searched searching lookup look looked looking for of to in on at by with as any anything has have "
        "had been is was are were be being do does did could can and or but database db registry registry's "
        "registrar registrar's repository system server service rdap whois instance class type handle "
        "identified identifier code error http status http/1.1 404 e404 err title description message sorry "
        "please currently yet within under specified given provided valid uri request-uri return returned "
        "returns unfortunately criteria registration there more see visit check exception el la le les los "
        "las der die das o os un una il dominio domínio domaine domein domena domeny domén doména objeto "
        "objet objekt recurso nom nome nombre de du do da en no na se fue foi est ist werden wurde es está a "
        "été esta não-encontrado домен объект"
    )
)
_FREE = frozenset({"free", "available", "unassigned", "unregistered", "not registered"})
# Members of a domain object, which no error has.
_OBJECT_MEMBERS = (
    "ldhName", "unicodeName", "handle", "status", "events", "entities", "nameservers", "secureDNS", "publicIds",
    "variants",
)  # fmt: skip
_KNOWN_MEMBERS = frozenset(
    {"title", "description", "notices", "remarks", "links", "lang", "port43", "rdapConformance", "errorCode"}
)
_MAX_CHARS = 20_000
_EDGES = " \"'`«»“”.,;:!?()[]{}-–—/*=|"
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
        if held or facts.dnssec or not statuses <= _FREE:
            return _no_answer("contradictory", text)
        kept = _first_of(_KEPT_BACK, [*_error_texts(document), *_notice_texts(document, name)])
        if kept:
            return Answer(reading=Reading.RESERVED, reason=kept, facts=facts, evidence=evidence)
        if _doubtful(document, name):
            return _no_answer("doubtful", text)
        return Answer(reading=Reading.NOT_FOUND, reason="status_free", evidence=evidence)
    if not held:
        kept = "reserved" if statuses & _KEPT_STATUS else _first_of(_KEPT_BACK, _notice_texts(document, name))
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
    nameless = [_nameless(words, name) for words in own_words]  # the name may be made of any words
    notices = [*_notice_texts(document, name), *_other_texts(document, name)]
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
    if _of_an_object(document):
        statuses = {status.lower() for status in _strings(document.get("status"))}
        if statuses & _KEPT_STATUS:
            return Answer(reading=Reading.RESERVED, reason="reserved", evidence=text[:2048])
        return _no_answer("contradictory", text)
    if any(mark in words for words in [*nameless, *notices] for mark in _FATES) or _doubtful(document, name):
        return _no_answer("doubtful", text)
    return Answer(reading=Reading.NOT_FOUND, reason="not_found", evidence=text[:2048])


def _of_an_object(document: Mapping[str, Any]) -> bool:
    """Whether a denial has parts of a domain."""
    if document.get("objectClassName") not in (None, "error"):
        return True
    return any(document.get(key) for key in _OBJECT_MEMBERS if key != "status" or document.get(key) not in (404, "404"))


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
    for each in value[:_MAX_LIST] if isinstance(value, list) else [value]:
        if isinstance(each, str):
            yield " ".join(each[:_MAX_CHARS].lower().replace("\u2019", "'").split())


def _error_texts(document: Mapping[str, Any]) -> Iterator[str]:
    """What the error itself says."""
    yield from _texts(document.get("title"))
    yield from _texts(document.get("description"))


def _other_texts(document: Mapping[str, Any], name: Name) -> Iterator[str]:
    """What members say that RDAP does not know."""
    for key in list(document)[:_MAX_LIST]:
        if key not in _KNOWN_MEMBERS:
            for words in _texts(document[key]):
                if " " in words or words.isalpha():
                    yield _nameless(words, name)


def _nameless(words: str, name: Name) -> str:
    return words.replace(name.text, "<n>").replace(name.unicode.casefold(), "<n>")


def _notices(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key in ("notices", "remarks"):
        notices = document.get(key)
        for notice in notices[:_MAX_LIST] if isinstance(notices, list) else ():
            if isinstance(notice, Mapping):
                yield notice


def _are_terms(titles: list[str]) -> bool:
    return bool(titles) and all(
        title.startswith(_TERMS) or title.endswith(_TERMS_ENDS) or title.strip(" .:") in _TERMS_TITLES
        for title in titles
    )


def _notice_texts(document: Mapping[str, Any], name: Name) -> Iterator[str]:
    """What notices and remarks say of a name: of terms only the sentences that point at it."""
    for notice in _notices(document):
        titles = [_nameless(title, name) for title in _texts(notice.get("title"))]
        terms = _are_terms(titles)
        if not terms:
            yield from titles
        for text in _texts(notice.get("description")):
            words = _nameless(text, name)
            if (
                not terms
                and len(words) <= 200
                and any(subject in words for subject in ("name", "domain", "object", "string", "label", "<n>"))
            ):
                yield words
            yield from (sentence for sentence in _sentences(words) if _points(sentence))


def _sentences(words: str) -> list[str]:
    for mark in ("! ", "? ", "; "):
        words = words.replace(mark, ". ")
    return [each for each in words.split(". ") if each.strip(_EDGES)]


def _words(sentence: str) -> list[str]:
    found = []
    for word in sentence.replace("_", " ").replace("(", " ").replace(")", " ").replace("'s ", " ").split():
        bare = word.strip(_EDGES)
        if "://" in word:
            continue
        if "<n>" in word:
            found.append("<n>")
        elif bare.removesuffix("exception").endswith("notfound"):
            found.append("notfound")
        elif bare:
            found.extend(part for part in bare.split(":") if part)
    return found


def _points(sentence: str) -> bool:
    """Whether a sentence is about the name that was asked: `this name is …`, `it has been …`, `this is …`."""
    words = tuple(_words(sentence))
    if words[:1] in {("this",), ("it",)} and not lexicon.VERBS.isdisjoint(words[1:2]):
        return len(words) <= 8 and "to" not in words and lexicon.OF_TERMS.isdisjoint(words)
    return bool(words) and ("<n>" in words or speaks_of_the_name(words))


def _plain(sentence: str) -> bool:
    """Whether a sentence says no more than that something is not there, or is free, in each of its clauses."""
    return all(_plain_clause(_words(clause)) for clause in sentence.replace(" but ", ", ").split(", "))


def _plain_clause(words: list[str]) -> bool:
    said = set(words)
    if not said <= _PLAIN or _of_service(words):
        return False
    denies = not said.isdisjoint(_DENYING)
    if said & _OPEN:
        return not denies or (said & _DENYING == {"no"} and bool(said & _ABOUT_DATA))
    if "known" in said and said & _ABOUT_DATA:
        return False
    if said & _ABLE and said.isdisjoint(_SOUGHT):
        return False
    if "unknown" in said and not said.isdisjoint(_OF_QUESTIONS):
        return False
    if said & _DENIED:
        return not denies and len(said) > ("unknown" in said)
    text = " ".join(words)
    if any(f"{verb} {done}" in text for verb in ("is", "are", "be", "was", "were") for done in ("given", "provided")):
        return False
    there = bool(said & _THERE) or "no such" in text
    there = there or ("in" in said and not said.isdisjoint({"database", "registry", "repository"}))
    return denies == there and (denies or said.isdisjoint(lexicon.VERBS))


def _of_service(words: list[str]) -> bool:
    """`Service not found`, `no such host`; but `the server has not found …`."""
    rest = list(words)
    while rest and rest[0] in _LEADING:
        rest.pop(0)
    return bool(rest) and rest[0] in _OF_SERVICE and rest[1:2] not in (["has"], ["could"], ["cannot"], ["did"])


def _doubtful(document: Mapping[str, Any], name: Name) -> bool:
    """Whether an error or free name says anything that is not known to be harmless."""
    if _odd(document.get("title")) or _odd(document.get("description")):
        return True
    if any(len(text) >= _MAX_CHARS for text in _error_texts(document)):
        return True
    if not all(_plain(each) for text in _error_texts(document) for each in _sentences(_nameless(text, name))):
        return True
    for key in ("notices", "remarks"):
        notices = document.get(key)
        if notices is not None and not (
            isinstance(notices, list)
            and len(notices) <= _MAX_LIST
            and all(isinstance(notice, Mapping) for notice in notices)
        ):
            return True
    return any(_doubtful_notice(notice, name) for notice in _notices(document))


def _odd(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) > _MAX_LIST or not all(isinstance(each, str) for each in value)
    return not (value is None or isinstance(value, str))


def _doubtful_notice(notice: Mapping[str, Any], name: Name) -> bool:
    title, description = notice.get("title"), notice.get("description")
    if _odd(title) or _odd(description):
        return True
    titles = [_nameless(each, name) for each in _texts(title)]
    terms = _are_terms(titles)
    if not terms and any(_doubtful_title(each) for each in titles):
        return True
    for text in _texts(description):
        for sentence in _sentences(_nameless(text, name)):
            words = _words(sentence)
            headless = not terms and len(words) <= 8 and lexicon.OF_TERMS.isdisjoint(words) and "conforms" not in words
            of_the_server = not lexicon.OF_SERVERS.isdisjoint(words) and words[0] in {"this", "it", "served"}
            if (headless or _points(sentence)) and not of_the_server and not _plain(sentence):
                return True
    return False


def _doubtful_title(title: str) -> bool:
    """`Registered name`, `Name of a city`: a title of a name that is no plain one."""
    words = set(_words(title))
    if words.isdisjoint(lexicon.NAME_NOUNS) or _plain(title):
        return False
    return not words <= _PLAIN | lexicon.OF_TERMS or not words.isdisjoint(_THERE - _ABOUT_DATA)


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
