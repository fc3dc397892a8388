"""What one WHOIS text says of one name. Pure, and linear in the text: every line is looked at once, every pattern
runs on a short cut.

Nothing decides by a word somewhere in the text, because terms of use contain every word there is. A line decides when
it is a *statement*: short, no part of a paragraph, and made of a closed vocabulary ("No entries found for <name>") or
of a phrase a registry is known for. A statement that names another name decides nothing. A denial counts only when all
else the page says of the name is known to be harmless (`whois_doubts`).

Order (design, section 5): incomplete, empty, throttled, broken, foreign → no answer; a record → registered, or
reserved where the record says so; reserved → reserved; not found → not found; else no answer. A whole record is
looked for first: no throttle page holds one, and terms below a record must not hide it.
"""

from itertools import islice

from domainwatch.checks import whois_lexicon as lexicon
from domainwatch.checks.answer import Answer
from domainwatch.checks.whois_doubts import doubt, malformed, reserved, twice
from domainwatch.checks.whois_page import Page
from domainwatch.checks.whois_record import Record, Status, record_of
from domainwatch.checks.whois_statements import EDGES, OWN, Statement, name_like, spaced, statements
from domainwatch.findings import Reading
from domainwatch.names import Name

_MAX_STATEMENTS = 600  # the longest terms have a tenth of them


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
    said = list(islice(statements(page), _MAX_STATEMENTS + 1))
    if len(said) > _MAX_STATEMENTS:
        return _no_answer("too_long", text)
    short = [statement for statement in said if not statement.long]
    refusal = _refusal(page, short)
    if refusal is not None:
        return refusal
    if record.about_other:
        return _no_answer("other_name", record.evidence)
    if record.partial:
        return _of_record(record)
    return _without_record(page, record, said)


def _refusal(page: Page, statements: list[Statement]) -> Answer | None:
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


def _without_record(page: Page, record: Record, said: list[Statement]) -> Answer:
    for statement in said:
        if reserved(statement):
            return Answer(reading=Reading.RESERVED, reason="reserved", evidence=statement.raw)
    if record.status is Status.RESERVED:
        return _of_record(record)
    for statement in said:
        if malformed(statement):
            return _no_answer("invalid_query", statement.raw)
    return _denial(page, record, said)


def _denial(page: Page, record: Record, said: list[Statement]) -> Answer:
    short = [statement for statement in said if not statement.long]
    denials = [statement for statement in short if statement.denies]
    if record.other or record.unclear or any(statement.names_other for statement in denials):
        return _no_answer("other_name", page.text)
    denied = [statement for statement in denials if not statement.tail or OWN in statement.words]
    named = record.own or any(OWN in statement.words for statement in short)
    if not named and _names_a_sibling(page):
        return _no_answer("other_name", page.text)
    if not named:
        denied = [statement for statement in denied if statement.text not in lexicon.NAMELESS]
    if not denied and not (record.status is Status.FREE and named):
        return _no_answer("unrecognised", page.text)
    if record.registered_points or record.status in {Status.TAKEN, Status.RESERVED}:
        return _no_answer("contradictory", page.text)
    if record.status not in {Status.NONE, Status.FREE}:
        return _no_answer("doubtful", page.text)
    doubtful = twice(denied) or doubt(said)
    if doubtful is not None:
        return _no_answer("doubtful", doubtful.raw)
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


def _names_a_sibling(page: Page) -> bool:
    """Whether a short line names another name of the zone, as servers do that repeat what they were asked."""
    ends = tuple(f".{zone}" for zone in page.own_zone)
    for line in page.lines:
        words = spaced(line.body).split()
        for word in words if len(words) <= 6 else ():
            bare = word.strip(EDGES)
            if (
                word[0] != "."
                and "," not in bare
                and bare.endswith(ends)
                and name_like(bare)
                and bare.partition(".")[0] not in lexicon.HOST_LABELS
            ):
                return True
    return False


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
        listed = {word.strip(EDGES) for word in f"{body} {following}".split() if word.startswith(".")}
        if listed and listed.isdisjoint(page.own_zone):
            return line.raw
    return root_says_none
