"""What else a WHOIS page says of the name, beside a denial.

A denial counts only when everything else that is said *of the name* is known to be harmless. What is of the name:

- a sentence that names it, or points at it ("this name …", "the requested domain …", "it is …"),
- a short `label: value` line, unless its label is one of a server's own (`Copyright: …`, `Query time: …`),
- a short line with a word that names live through ("in quarantine", "Application pending"), wherever it stands.

Legal prose and advertisements say different things: they speak of names in general ("a domain name", "domain names"),
in sentences that run over lines, with the words of terms; or they invite to register, in the words of
`lexicon.ADVERTS`.
"""

from collections.abc import Container, Iterable
from itertools import pairwise

from domainwatch.checks import whois_lexicon as lexicon
from domainwatch.checks.whois_page import entry_of, field_of, is_host
from domainwatch.checks.whois_record import Status, status_of
from domainwatch.checks.whois_statements import OTHER, OWN, Statement

_MAX_HEADLESS_WORDS = 12
_MAX_SENTENCE_WORDS = 40
_MAX_LABEL_WORDS, _MAX_VALUE_WORDS = 4, 10


def reserved(statement: Statement) -> bool:
    """Whether a statement says that the name is kept from registration."""
    words = statement.words
    if not statement.starts or len(words) > _MAX_SENTENCE_WORDS or statement.names_other:
        return False
    return _kept_back(statement) or (not statement.long and not statement.tail and _listed_as_reserved(statement))


def _kept_back(statement: Statement) -> bool:
    """The words of registries that keep a name for themselves, in a sentence about it or a line of its own."""
    words = statement.words
    pieces = _pieces(words)
    if lexicon.KEPT_WORDS.isdisjoint(pieces) and not any(phrase in statement.text for phrase in lexicon.KEPT_PHRASES):
        return False
    if points_at_the_name(statement):
        return True
    return len(words) <= 6 and not statement.long and _plain_spoken(statement)


def _listed_as_reserved(statement: Statement) -> bool:
    words = statement.words
    if len(words) > 18 or not lexicon.OF_RIGHTS.isdisjoint(words):
        return False
    by_itself = statement.whole and statement.alone and len(words) <= 6 and _plain(words)  # `Restricted to residents`
    if any(mark in statement.text for mark in lexicon.OF_USE) and not by_itself:
        return False
    of_a_name = any(subject in statement.text for subject in lexicon.SUBJECTS)
    if not of_a_name and not lexicon.OF_TERMS.isdisjoint(words):
        return False
    if statement.text.startswith(lexicon.DENIAL_PHRASES):
        return statement.text.startswith("the queried object") and not lexicon.RESERVED_WORDS.isdisjoint(words)
    if lexicon.RESERVED_WORDS.isdisjoint(_pieces(words)) and not any(
        phrase in statement.text for phrase in lexicon.RESERVED_PHRASES
    ):
        return False
    return of_a_name or len(words) <= 8


def malformed(statement: Statement) -> bool:
    """Whether a short line says that the server could not make out the question. A registry that says "invalid query or
    name not known" denies by it.
    """
    words = statement.words
    return (
        statement.starts
        and len(words) <= _MAX_HEADLESS_WORDS
        and not lexicon.MALFORMED.isdisjoint(words)
        and not lexicon.QUESTIONS.isdisjoint(words)
        and lexicon.OF_TERMS.isdisjoint(words)
        and not statement.denies
    )


def doubt(said: list[Statement]) -> Statement | None:
    """The first statement that makes a denial beside it worth nothing."""
    denying = {
        id(each.line): each.whole for each in reversed(said) if each.denies and not each.composed
    }  # line → whether the denial is all of it
    below = _below(said, denying)
    of_the_house = any("//www.nic." in each.line.raw.lower() for each in said)
    for statement in said:
        if statement.text.endswith("for purchase") and not of_the_house:
            return statement  # one registry's words for free, beside its address; anywhere else an offer
        beside = id(statement.line) in denying
        if _troubled(statement) or _fateful(statement, beside=beside):
            return statement
        if statement.composed:
            continue
        if statement.denies:
            if _of_something_else(statement):
                return statement
        elif (
            _unknown_of_the_name(statement)
            or ((statement.whole or beside) and _it(statement))
            or _unknown_field(statement)
            or ((beside or id(statement.line) in below) and _unknown_beside(statement))
        ):
            return statement
    return None


def _below(said: list[Statement], denying: Container[int]) -> set[int]:
    """The short lines right below a denial, where they are marked as it is and have no label."""
    found = set()
    lines = list({id(each.line): each.line for each in said}.values())
    for one, other in pairwise(lines):
        adjacent = not other.after_gap and one.comment == other.comment
        if adjacent and id(one) in denying and len(other.body.split()) <= 8 and not entry_of(other).label:
            found.add(id(other))
    return found


def twice(denials: Iterable[Statement]) -> Statement | None:
    """A denial that stands there twice in the same words: two servers' answers in one text, of which one may have been
    about anything.
    """
    seen = set()
    for statement in denials:
        if statement.whole and statement.text in seen:
            return statement
        seen.add(statement.text)
    return None


def points_at_the_name(statement: Statement) -> bool:
    """Whether a sentence is about the name that was asked: by name, by a word that points at it, or as its subject."""
    words = statement.words
    if OWN in words and (
        statement.in_full or len(words) <= 4 or words[0] == OWN
    ):  # a first label may be a word of any language
        return True
    return speaks_of_the_name(words)


def speaks_of_the_name(words: tuple[str, ...]) -> bool:
    """Whether a word of a sentence points at the name that was asked, or a noun for it is its subject."""
    for at, word in enumerate(words):
        if word in lexicon.POINTERS and _leads_to_a_name(words[at + 1 : at + 5]):
            return True
    pointed = words[0] == "the"
    return _subject(words[1:6] if pointed else words[:5], pointed=pointed)


def _leads_to_a_name(ahead: tuple[str, ...]) -> bool:
    """`platinum domain is …`: a noun for a name within a few words, with nothing between that takes its place."""
    for at, word in enumerate(ahead):
        if word in lexicon.NAME_NOUNS:
            following = ahead[at + 1 : at + 2]
            if following and following[0] in lexicon.NAME_NOUNS:
                continue
            return not following or following[0] not in lexicon.COMPOUNDS
        if word in lexicon.BREAKERS or word in lexicon.ARTICLES:
            return False
    return False


def _subject(words: tuple[str, ...], *, pointed: bool) -> bool:
    """`[premium] domain [name] is …`, as the whole sentence begins; after `the`, whatever it does."""
    for at, word in enumerate(words[:3]):
        if word in lexicon.BREAKERS or word in lexicon.ARTICLES:
            return False
        if word in lexicon.NAME_NOUNS:
            following = words[at + 1 : at + 2]
            if following and following[0] in lexicon.NAME_NOUNS:
                continue
            if not following or following[0] in lexicon.COMPOUNDS:
                return False
            return following[0] in lexicon.VERBS or (pointed and following[0] not in lexicon.BREAKERS)
    return False


def _pieces(words: Iterable[str]) -> set[str]:
    """The words, and the parts of those that are joined: `platinum/premium`, `hold-list`."""
    found = set()
    for word in words:
        found.add(word)
        if not word.isalpha() and "//" not in word and "." not in word:
            found.update(word.replace("/", " ").replace("-", " ").replace("_", " ").replace(",", " ").split())
    return found


def _plain_spoken(statement: Statement) -> bool:
    return statement.starts and _plain(statement.words)


def _plain(words: tuple[str, ...]) -> bool:
    """No prose: none of the words of terms, nothing about names in general."""
    return lexicon.OF_TERMS.isdisjoint(words) and lexicon.IN_GENERAL.isdisjoint(words)


def _of_fate(statement: Statement) -> bool:
    return any(
        stem in word
        for word in statement.words
        if word not in lexicon.NO_FATE and word != OWN
        for stem in lexicon.FATES
    ) or any(phrase in statement.text for phrase in lexicon.FATE_PHRASES)


def _fateful(statement: Statement, *, beside: bool) -> bool:
    """A word of what names live through, in a sentence about the name or in a short line of its own."""
    if _taken(statement):
        return True
    if len(statement.words) > _MAX_SENTENCE_WORDS or not _of_fate(statement):
        return False
    words = statement.words if beside else statement.line.body.split()
    if len(words) <= _MAX_HEADLESS_WORDS and _plain_spoken(statement):
        return True
    return statement.starts and points_at_the_name(statement)


def _taken(statement: Statement) -> bool:
    """`Registered`, `Registered: yes`: a line of hardly more than the word for it."""
    words = statement.words
    return (
        statement.whole
        and len(words) <= 3
        and not lexicon.TAKEN_WORDS.isdisjoint(words)
        and lexicon.DENIALS.isdisjoint(words)
        and _plain_spoken(statement)
    )


def _troubled(statement: Statement) -> bool:
    """A short line of trouble that stands by itself, as terms do not."""
    words = statement.words
    if len(words) > 12 or statement.long or not statement.alone or lexicon.TROUBLE.isdisjoint(words):
        return False
    return lexicon.OF_TERMS.isdisjoint(words) and not statement.denies


def _of_something_else(statement: Statement) -> bool:
    """`Registrar:` and below it `No match found`."""
    return bool(statement.below) and any(
        statement.below.rstrip(" :.").endswith(word) for word in lexicon.OTHER_SUBJECTS
    )


def _unknown_of_the_name(statement: Statement) -> bool:
    words = statement.words
    if len(words) > _MAX_SENTENCE_WORDS or not statement.starts or not points_at_the_name(statement):
        return False
    in_passing = OWN not in words and words[0] not in lexicon.POINTERS and len(words) > _MAX_HEADLESS_WORDS
    if in_passing and not lexicon.OF_TERMS.isdisjoint(words):
        return False
    return not _harmless(statement)


def _it(statement: Statement) -> bool:
    """`It has been given away.`"""
    words = statement.words
    if words[0] != "it" or len(words) > 8 or words[-1] == "to" or lexicon.VERBS.isdisjoint(words[1:2]):
        return False
    return _plain_spoken(statement) and not _harmless(statement)


def _unknown_beside(statement: Statement) -> bool:
    """A short sentence in the line of a denial, in words that are not known."""
    words = statement.words[1:] if statement.words[0] in lexicon.OF_A_NAME else statement.words
    of_the_server = not lexicon.OF_SERVERS.isdisjoint(words) or any(map(_is_address, words))
    return statement.starts and len(words) <= 8 and _plain(words) and not of_the_server and not _harmless(statement)


def _harmless(statement: Statement) -> bool:
    """An echo of the question, a free status, or an invitation to register."""
    entry = entry_of(statement.line)
    found = field_of(entry.label) if entry.label else None
    if statement.words[-1] == OWN and len(entry.value.split()) == 1 and len(entry.label.split()) <= _MAX_LABEL_WORDS:
        return lexicon.TAKEN_WORDS.isdisjoint(statement.words)
    if found and found[0] == "status":
        return True  # the record's business
    if statement.line.comment and not lexicon.BANNER.isdisjoint(statement.words):
        return lexicon.TAKEN_WORDS.isdisjoint(statement.words)
    words = [part for word in statement.words if not _is_address(word) for part in word.split("_")]
    if "no results" in statement.text:
        words = [word for word in words if word != "no"]
    if not lexicon.DENIALS.isdisjoint(words):
        return False
    if not lexicon.ECHOES.isdisjoint(words):
        if statement.line.comment and len(words) <= 6 and words[-1] == OWN:
            return lexicon.TAKEN_WORDS.isdisjoint(words)
        words = [word for word in words if not word[0].isdigit()]  # when it was asked, and by which address
    if not lexicon.HARMLESS.issuperset(words):
        return False
    if "contact" in words and "registrar" not in words and "registrars" not in words:
        return False  # the registry itself: the name is a special one
    being = [at for at, word in enumerate(words) if word in lexicon.BEING]
    return all(at and words[at - 1] == "be" for at in being)


def _is_address(word: str) -> bool:
    return word == OTHER or "/" in word or "@" in word or word in {"http", "https"}


def _unknown_field(statement: Statement) -> bool:
    """A short `label: value` line that is none of the server's own; of comments, only those that speak of a name."""
    if not statement.whole or statement.long or not statement.starts:
        return False
    entry = entry_of(statement.line)
    label, value = entry.label.split(), entry.value.lower().split()
    if not label or not value or len(label) > _MAX_LABEL_WORDS or len(value) > _MAX_VALUE_WORDS:
        return False
    if OWN in statement.words or (len(value) > 6 and not lexicon.OF_TERMS.isdisjoint(value)):
        return False  # judged as a sentence
    found = field_of(entry.label)
    if found and found[0] == "status":
        return status_of(entry.value) not in {Status.FREE, Status.TAKEN, Status.RESERVED}  # those the record has
    if statement.line.comment and (lexicon.OF_A_NAME.isdisjoint(label) or not _short_of_the_name(entry.value)):
        return False
    if lexicon.SERVER_TIMES.issuperset(label) or not lexicon.SERVER_LABELS.isdisjoint(label):
        return False
    if entry.value.lower().strip(" .!") in lexicon.FREE_STATUS:
        return False  # `Availability: free`, `Message: domain not found`
    if len(label) == 1 and label[0] in lexicon.BEING and value == ["no"]:
        return False  # `Registered: no`
    if "whois" in statement.text or (len(value) == 1 and value[0] in lexicon.HARMLESS_VALUES):
        return False
    return not (len(value) == 1 and (_is_address(value[0]) or is_host(value[0])))


def _short_of_the_name(value: str) -> bool:
    """A remark that is not plainly about the server: `this output has been filtered`."""
    words = [word.strip(".,;!") for word in value.lower().split()]
    of_the_server = not (lexicon.OF_SERVERS | lexicon.OF_TERMS | lexicon.IN_GENERAL).isdisjoint(words)
    return not of_the_server and not any(map(_is_address, words))
