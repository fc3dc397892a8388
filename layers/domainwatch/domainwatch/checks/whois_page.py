"""A WHOIS text cut into lines, and lines into labels and values. Everything is bounded before it is looked at."""

from dataclasses import dataclass
from functools import lru_cache

from domainwatch.checks import whois_lexicon as lexicon
from domainwatch.names import Name

# A record is at most some ten kilobytes. What lies beyond can add nothing, but a text this long is never believed to be
# a denial.
MAX_CHARS = 64 * 1024
MAX_LINES = 500
_MAX_LINE_CHARS = 400
_MAX_LABEL_CHARS = 60
_COMMENT_MARKS = "%#;>"
_DECORATION = "%#;*>|= \t"


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank: `body` without decoration, `comment` when it was marked as one, `after_gap` when a
    blank line (or an empty comment) stands before it.
    """

    raw: str
    body: str
    indent: int
    comment: bool
    after_gap: bool


class Page:
    """A text cut into lines, and how it may write the name: as A-label or U-label, or its first label alone."""

    def __init__(self, text: str, name: Name) -> None:
        self.text = text
        self.name = name
        self.own = {name.text, name.unicode.casefold()}
        self.own_label = name.text.partition(".")[0]
        self.own_zone = {name.suffix, name.tld, *_unicode_zone(name)}
        self.cut = len(text) > MAX_CHARS
        self.lines: list[Line] = []
        gap = True
        for raw in text[:MAX_CHARS].splitlines():
            stripped = raw.strip(" \t\ufeff\u200b\x00")
            body = stripped.strip(_DECORATION) if stripped else ""
            if not body:
                gap = True
                continue
            if len(self.lines) >= MAX_LINES:
                self.cut = True
                break
            body = body[:_MAX_LINE_CHARS]
            comment = stripped[0] in _COMMENT_MARKS or _bracketed(stripped)
            self.lines.append(Line(raw[:_MAX_LINE_CHARS], body, len(raw) - len(raw.lstrip()), comment, gap))
            gap = False

    def is_own(self, word: str) -> bool:
        return word.rstrip(".") in self.own


def _unicode_zone(name: Name) -> tuple[str, str]:
    shown = name.unicode.casefold()
    return shown.partition(".")[2], shown.rpartition(".")[2]


def _bracketed(line: str) -> bool:
    """`[ terms of the registry ]`, and what WHOIS clients print before an answer: `[Querying host]`, `[host]`."""
    if not (line.startswith("[") and line.endswith("]")):
        return False
    inner = line[1:-1]
    return inner[:1] == " " or "." in inner or inner.startswith("Querying")


def plain(label: str) -> str:
    """A label as it is compared: lower case, one space between words, no marks, no remark in parentheses."""
    label = label.lower().partition("(")[0] if not label.startswith("(") else label.lower()
    for mark in "_-#.*[]:":
        if mark in label:
            label = label.replace(mark, " ")
    return " ".join(label.split())


@lru_cache(maxsize=4096)
def field_of(label: str) -> tuple[str, int] | None:
    """The field a plain label stands for, and its rank."""
    if label in lexicon.LABELS:
        return lexicon.LABELS[label]
    parts = label.split()
    if parts and parts[-1].isdigit() and " ".join(parts[:-1]) in lexicon.NUMBERED:
        return "nameserver", 0
    if any(mark in label for mark in lexicon.SERVER_WORDS) and "ip" not in parts:
        return "nameserver", 1
    stem = label.rstrip("0123456789")
    if stem != label and stem.strip() in lexicon.NUMBERED:
        return "nameserver", 0
    if len(parts) > 5 or not lexicon.NOT_OF_THE_NAME.isdisjoint(parts):
        return None
    for part, name in lexicon.LABEL_WORDS:
        if any(word.startswith(part) for word in parts):
            return name, 3
    return None


def is_host(word: str) -> bool:
    """A host name of two labels or more, in letters, digits and hyphens, whose last label is no number."""
    if not 3 < len(word) < 254 or "." not in word or not word.isascii():
        return False
    labels = word.rstrip(".").split(".")
    return (
        len(labels) > 1
        and labels[-1][:1].isalpha()
        and all(label and label.replace("-", "").replace("_", "").isalnum() for label in labels)
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """A line read as `label: value`; an unlabelled line has an empty label and is its own value."""

    label: str
    value: str
    line: Line


def entry_of(line: Line) -> Entry:
    body = line.body
    label, value = _split_label(body)
    if label and " / " in label:  # two languages: `Nome de domínio / Domain Name`
        for part in label.split(" / "):
            if field_of(plain(part)):
                label = part
                break
    return Entry(plain(label), value, line)


def _split_label(body: str) -> tuple[str, str]:
    if body[1:3] == ". " and body[:1].isalpha():  # `a. [Domain Name]   X` (JPRS)
        body = body[3:].lstrip()
    elif body[1:3] == " [" and body[:1].isalpha():  # `a [Domain Name]   X` (MYNIC)
        body = body[2:]
    if body.startswith("["):
        end = body.find("]", 0, _MAX_LABEL_CHARS)
        if end > 0:
            return body[1:end], body[end + 1 :].strip(" \t:")
    for leader in ("..", ". ."):  # `Domain name.........: x`, `Registrar#. . . . . cerist`
        at = body.find(leader, 0, _MAX_LABEL_CHARS)
        if at > 0 and body[0] not in ".:":
            return body[:at], body[at:].lstrip(". :\t")
    at = body.find(":", 0, _MAX_LABEL_CHARS)
    if at > 0 and body[at + 1 : at + 3] != "//" and len(body[:at].split()) < 8:
        label = body[:at]
        clock = body[at - 1].isdigit() and body[at + 1 : at + 2].isdigit()
        first, *more = label.split()
        if not clock and any(char.isalpha() for char in label) and not (more and is_host(first.lower())):
            return label, body[at + 1 :].strip(" \t:")
    for gap in ("\t", "   "):  # `Domain-name         plac.sk`
        head, found, rest = body[:_MAX_LINE_CHARS].partition(gap)
        if found and len(head) < _MAX_LABEL_CHARS and plain(head) in lexicon.LABELS:
            return head, rest.strip()
    return "", body
