"""The statements of a WHOIS page: its short sentences, and which of them deny that the name is there."""

from collections.abc import Iterator
from dataclasses import dataclass

from domainwatch.checks import whois_lexicon as lexicon
from domainwatch.checks.whois_page import Line, Page

OWN, OTHER = "<n>", "<o>"
_MAX_STATEMENT_WORDS = 24
_MAX_STATEMENT_CHARS = 300
EDGES = "\"'`´‘’“”«»()[]<>{}.,:;!?*=-–—|/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One line that may decide, or one sentence of it: its words with the name as `<n>` and any other name as `<o>`.

    `tail` marks a line that ends a wrapped sentence, whose words alone mean nothing; `starts` a sentence that begins as
    one for all that; `alone` a line with nothing right above or below it; `long` a sentence of a line too long to be
    anything but prose; `whole` the line itself, `composed` where it has several sentences; `in_full` one that has all
    of the name, not its first label alone; `below` the line right above it, when that is short enough to head it.
    """

    line: Line
    words: tuple[str, ...]
    text: str
    tail: bool
    starts: bool
    alone: bool
    long: bool
    whole: bool
    composed: bool
    in_full: bool
    below: str
    denies: bool  # that the name (or whatever it names) is in any database; never so of a long one

    @property
    def raw(self) -> str:
        return self.line.raw.strip()

    @property
    def names_other(self) -> bool:
        return OTHER in self.words


def statements(page: Page) -> Iterator[Statement]:
    unfinished = 0  # length of the line before, when it left a sentence open
    heading = ""
    for line, following in zip(page.lines, [*page.lines[1:], None], strict=False):
        body = line.body
        alone = line.after_gap and (following is None or following.after_gap)
        count = len(body.split())
        tail = bool(unfinished) and not line.after_gap and (body[:1].islower() or unfinished >= 70)
        below = "" if line.after_gap else heading
        open_ended = body[-1] not in ".:!?;)]\"'" and count >= 5
        unfinished = len(body) if open_ended else 0
        heading = body.lower() if count <= 5 else ""
        long = count > _MAX_STATEMENT_WORDS or len(body) > _MAX_STATEMENT_CHARS
        sentences = _sentences(body)
        for at, sentence in enumerate(sentences):
            words = tuple(_words(sentence, page))
            if not words or (long and not at and len(sentences) > 1):
                continue
            text = " ".join(words)
            denies = not long and _denies(words, text)
            if denies and len(sentences) == 1:
                unfinished = 0  # complete as it stands: what follows is no part of it
            yield Statement(
                line=line,
                words=words,
                text=text,
                tail=tail,
                starts=not tail or at > 1,
                alone=alone,
                long=long,
                whole=not at,
                composed=not at and len(sentences) > 1,
                in_full=OWN in words and any(own in sentence.casefold() for own in page.own),
                below=below,
                denies=denies,
            )


def _sentences(body: str) -> list[str]:
    """The line itself, then its sentences where it has more than one."""
    parts = [part for part in body.replace("! ", ". ").replace("? ", ". ").split(". ") if part]
    return [body, *parts] if len(parts) > 1 else [body]


def _words(sentence: str, page: Page) -> Iterator[str]:
    for word in spaced(sentence).split():
        bare = word.strip(EDGES)
        if not bare:
            continue
        if bare.casefold() in page.own or (bare == page.own_label and bare not in lexicon.VOCABULARY):
            yield OWN
        elif "." in bare and bare not in page.own_zone and bare.lstrip(".") not in page.own_zone and name_like(bare):
            yield OTHER
        elif ":" in bare:
            yield from (part for part in bare.split(":") if part)
        else:
            yield bare


def spaced(body: str) -> str:
    """Lower case, with space where marks stand between words: `object:.....x.test`, `server(whois.x.test)`."""
    text = body.lower().replace("(s)", "s").replace("(", " ")
    return " ".join(part.lstrip(".") for part in text.split(".."))


def name_like(word: str) -> bool:
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


def _denies(said: tuple[str, ...], text: str) -> bool:
    """True for words that the name (or whatever they name) is in no database. See `Statement.names_other`."""
    text = text.replace(OTHER, OWN)
    if text in lexicon.WHOLE_DENIALS or text.startswith(lexicon.DENIAL_PHRASES):
        return True
    if _predicate(text) in lexicon.FREE_PREDICATES:
        return True
    words = [OWN if word == OTHER else word for word in _without_the_database(said)]
    if words[:1] == ["error"]:
        words = words[1:]
    words = [word for word in words if not _is_code(word)]
    if lexicon.DENIALS.isdisjoint(words) or not lexicon.VOCABULARY.issuperset(words):
        return False
    if not lexicon.FINDING.isdisjoint(words) or (OWN in words and not lexicon.ENTRIES.isdisjoint(words)):
        return True
    return not lexicon.BEING.isdisjoint(words) and not lexicon.SUBJECTS_OF_DENIAL.isdisjoint(words)


def _is_code(word: str) -> bool:
    """A WHOIS server's own number, as in `ERROR:101`; those of HTTP's errors are a web server's."""
    return word.isdigit() and not (len(word) == 3 and word[0] in "45")


def _predicate(text: str) -> str:
    words = text.split()
    while words and words[0] in lexicon.SUBJECT_WORDS:
        words.pop(0)
    return " ".join(words)


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
