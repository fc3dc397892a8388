"""What one WHOIS text says of one name. Pure, and linear in the text: every line is looked at once, every pattern
runs on a short cut.

Nothing decides by a word somewhere in the text, because terms of use contain every word there is. A line decides when
it is a *statement*: short, no part of a paragraph, and made of a closed vocabulary ("No entries found for <name>") or
of a phrase a registry is known for. A statement that names another name decides nothing.

Order (design, section 5): incomplete, empty, throttled, broken, foreign → no answer; a record → registered, or
reserved where the record says so; reserved → reserved; not found → not found; else no answer. A whole record is
looked for first: no throttle page holds one, and terms below a record must not hide it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from domainwatch.checks import whois_lexicon as lexicon
from domainwatch.checks.answer import Answer
from domainwatch.checks.whois_page import Page
from domainwatch.checks.whois_record import Record, Status, record_of
from domainwatch.findings import Reading
from domainwatch.names import Name

_MAX_STATEMENT_WORDS = 24


def read(text: str, name: Name, *, complete: bool = True) -> Answer:
    """What `text` says of `name`; `complete` False when a deadline or size cap cut it short. Never raises."""
    if not complete:
        return _no_answer("incomplete", text)
    if not text.strip():
        return _no_answer("empty", "")
    page = Page(text, name)
    record = record_of(page)
    if record.own and record.points:
        return _of_record(record)
    if page.cut:
        return _no_answer("too_long", text)
    statements = list(_statements(page))
    refusal = _refusal(page, statements)
    if refusal is not None:
        return refusal
    if record.about_other:
        return _no_answer("other_name", record.evidence)
    if record.partial:
        return _of_record(record)
    return _without_record(page, record, statements)


def _refusal(page: Page, statements: list["_Statement"]) -> Answer | None:
    """No WHOIS server, throttled, broken, or a server of other zones."""
    if page.lines and page.lines[0].raw.strip().lower().startswith(lexicon.NOT_WHOIS):
        return _no_answer("not_whois", page.text)
    for reason, marks in (("rate_limited", lexicon.THROTTLE_MARKS), ("service_error", lexicon.BROKEN_MARKS)):
        for statement in statements:
            if any(mark in statement.text for mark in marks):
                return _no_answer(reason, statement.raw)
    for statement in statements:
        if statement.words[-1] == "exceeded" and len(statement.words) <= 6 and not statement.tail:
            return _no_answer("rate_limited", statement.raw)
    foreign = _foreign_zone(page)
    return None if foreign is None else _no_answer("foreign_registry", foreign)


def _without_record(page: Page, record: Record, statements: list["_Statement"]) -> Answer:
    for statement in statements:
        if _reserved(statement):
            return Answer(reading=Reading.RESERVED, reason="reserved", evidence=statement.raw)
    if record.status is Status.RESERVED:
        return _of_record(record)
    return _denial(page, record, statements)


def _denial(page: Page, record: Record, statements: list["_Statement"]) -> Answer:
    denials = [statement for statement in statements if _denies(statement)]
    if record.other or record.unclear or any(statement.names_other for statement in denials):
        return _no_answer("other_name", page.text)
    denied = [statement for statement in denials if not statement.tail or _OWN in statement.words]
    named = record.own or any(_OWN in statement.words for statement in statements)
    if not named and _names_a_sibling(page):
        return _no_answer("other_name", page.text)
    if not named:
        denied = [statement for statement in denied if statement.text not in lexicon.NAMELESS]
    if not denied and not (record.status is Status.FREE and named):
        return _no_answer("unrecognised", page.text)
    if record.registered_points or record.status not in {Status.NONE, Status.FREE}:
        return _no_answer("contradictory", page.text)
    if any(_troubled(statement) for statement in statements):
        return _no_answer("doubtful", page.text)
    evidence = denied[0].raw if denied else record.evidence
    return Answer(reading=Reading.NOT_FOUND, reason="not_found", evidence=evidence)


def _no_answer(reason: str, evidence: str) -> Answer:
    return Answer(reading=Reading.NO_ANSWER, reason=reason, evidence=evidence[:2048])


def _of_record(record: Record) -> Answer:
    reserved = record.status is Status.RESERVED
    return Answer(
        reading=Reading.RESERVED if reserved else Reading.REGISTERED,
        reason="reserved" if reserved else "record",
        facts=record.facts,
        evidence=record.evidence,
        referral=record.referral,
    )


# --- Statements -----------------------------------------------------------------------------------------------------

_OWN, _OTHER = "<n>", "<o>"
_EDGES = "\"'`´‘’“”«»()[]<>{}.,:;!?*=-–—|/"


@dataclass(frozen=True, slots=True)
class _Statement:
    """One line that may decide: its words with the name as `<n>` and any other name as `<o>`. `tail` marks the end of
    a wrapped sentence, whose words alone mean nothing; `alone` a line with nothing right above or below it.
    """

    raw: str
    words: tuple[str, ...]
    text: str
    tail: bool
    alone: bool

    @property
    def names_other(self) -> bool:
        return _OTHER in self.words


def _statements(page: Page) -> Iterator[_Statement]:
    unfinished = 0  # length of the line before, when it left a sentence open
    for line, following in zip(page.lines, [*page.lines[1:], None], strict=False):
        body = line.body
        alone = line.after_gap and (following is None or following.after_gap)
        count = len(body.split())
        tail = bool(unfinished) and not line.after_gap and (body[:1].islower() or unfinished >= 70)
        open_ended = body[-1] not in ".:!?;)]\"'" and count >= 5
        unfinished = len(body) if open_ended else 0
        if count > _MAX_STATEMENT_WORDS or len(body) > 300:
            continue
        for sentence in _sentences(body):
            words = tuple(_words(sentence, page))
            if words:
                yield _Statement(line.raw.strip(), words, " ".join(words), tail, alone)


def _sentences(body: str) -> list[str]:
    parts = body.replace("! ", ". ").split(". ", 3)
    return [body, *parts] if len(parts) > 1 else [body]


def _words(sentence: str, page: Page) -> Iterator[str]:
    for word in _spaced(sentence).split():
        bare = word.strip(_EDGES)
        if not bare:
            continue
        if bare.casefold() in page.own or (bare == page.own_label and bare not in lexicon.VOCABULARY):
            yield _OWN
        elif "." in bare and bare not in page.own_zone and bare.lstrip(".") not in page.own_zone and _name_like(bare):
            yield _OTHER
        elif ":" in bare:
            yield from (part for part in bare.split(":") if part)
        else:
            yield bare


def _spaced(body: str) -> str:
    """Lower case, with space where marks stand between words: `object:.....x.test`, `server(whois.x.test)`."""
    text = body.lower().replace("(s)", "s").replace("(", " ")
    return " ".join(part.lstrip(".") for part in text.split(".."))


def _name_like(word: str) -> bool:
    """Whether a word could be a domain name, in whatever characters."""
    head, _, last = word.rpartition(".")
    return (
        bool(head)
        and len(last) > 1
        and last.replace("-", "").isalnum()
        and not last[0].isdigit()
        and "/" not in word
        and ":" not in word
    )


def _reserved(statement: _Statement) -> bool:
    words = statement.words
    if statement.tail or len(words) > 18 or statement.names_other or not lexicon.OF_RIGHTS.isdisjoint(words):
        return False
    if any(mark in statement.text for mark in lexicon.OF_USE):
        return False
    of_a_name = any(subject in statement.text for subject in lexicon.SUBJECTS)
    if not of_a_name and not lexicon.OF_TERMS.isdisjoint(words):
        return False
    if statement.text.startswith(lexicon.DENIAL_PHRASES):
        return statement.text.startswith("the queried object") and not lexicon.RESERVED_WORDS.isdisjoint(words)
    if lexicon.RESERVED_WORDS.isdisjoint(words) and not any(
        phrase in statement.text for phrase in lexicon.RESERVED_PHRASES
    ):
        return False
    return of_a_name or len(words) <= 8


def _denies(statement: _Statement) -> bool:
    """True for a statement that the name (or whatever it names) is in no database. See `_Statement.names_other`."""
    text = statement.text.replace(_OTHER, _OWN)
    if text in lexicon.WHOLE_DENIALS or text.startswith(lexicon.DENIAL_PHRASES):
        return True
    if _predicate(text) in lexicon.FREE_PREDICATES:
        return True
    words = [_OWN if word == _OTHER else word for word in _without_the_database(statement.words)]
    if words[:1] == ["error"]:
        words = words[1:]
    words = [word for word in words if not _is_code(word)]
    if lexicon.DENIALS.isdisjoint(words) or not lexicon.VOCABULARY.issuperset(words):
        return False
    if not lexicon.FINDING.isdisjoint(words) or (_OWN in words and not lexicon.ENTRIES.isdisjoint(words)):
        return True
    return not lexicon.BEING.isdisjoint(words) and not lexicon.SUBJECTS_OF_DENIAL.isdisjoint(words)


def _is_code(word: str) -> bool:
    """A WHOIS server's own number, as in `ERROR:101`; those of HTTP's errors are a web server's."""
    return word.isdigit() and not (len(word) == 3 and word[0] in "45")


def _names_a_sibling(page: Page) -> bool:
    """Whether a short line names another name of the zone, as servers do that repeat what they were asked."""
    ends = tuple(f".{zone}" for zone in page.own_zone)
    for line in page.lines:
        words = _spaced(line.body).split()
        for word in words if len(words) <= 6 else ():
            bare = word.strip(_EDGES)
            if (
                word[0] != "."
                and "," not in bare
                and bare.endswith(ends)
                and _name_like(bare)
                and bare.partition(".")[0] not in lexicon.HOST_LABELS
            ):
                return True
    return False


def _predicate(text: str) -> str:
    words = text.split()
    while words and words[0] in lexicon.SUBJECT_WORDS:
        words.pop(0)
    return " ".join(words)


def _troubled(statement: _Statement) -> bool:
    """A short line of trouble that stands by itself, as terms do not."""
    words = statement.words
    if len(words) > 12 or not statement.alone or lexicon.TROUBLE.isdisjoint(words):
        return False
    return lexicon.OF_TERMS.isdisjoint(words) and not _denies(statement)


def _without_the_database(words: tuple[str, ...]) -> Iterator[str]:
    """The words less `in the <whatever> database`: what a registry calls its database is no part of what it says."""
    skip = 0
    for at, word in enumerate(words):
        if skip:
            skip -= 1
            continue
        if word in {"in", "from"}:
            ahead = words[at + 1 : at + 6]
            ends = [place for place, each in enumerate(ahead, start=1) if each in lexicon.REGISTER_WORDS]
            if ends:
                skip = ends[-1]
                continue
        yield word


def _foreign_zone(page: Page) -> str | None:
    """The line by which a server says it serves other zones only: the zones it lists, none of them this name's."""
    root_says_none = None
    for at, line in enumerate(page.lines):
        body = line.body.lower()
        if "returned 0 objects" in body and page.name.tld not in lexicon.ROOT_SERVED:
            root_says_none = line.raw
        if not any(
            mark in body
            for mark in (
                "contains only",
                "only contains",
                "exclusivamente de dominios",
                "contains domain data from the",
            )
        ):
            continue
        following = page.lines[at + 1].body.lower() if at + 1 < len(page.lines) else ""
        listed = {word.strip(_EDGES) for word in f"{body} {following}".split() if word.startswith(".")}
        if listed and listed.isdisjoint(page.own_zone):
            return line.raw
    return root_says_none
