"""The record in a WHOIS page: the fields that belong to the name, whatever format its registry writes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domainwatch.checks import whois_lexicon as lexicon
from domainwatch.checks.whois_dates import instant_of
from domainwatch.checks.whois_page import Entry, Line, Page, entry_of, field_of, is_host, plain
from domainwatch.findings import Facts

_MAX_LIST = 32
_DATES = ("created", "updated", "expires")


class Status:
    """What the status values of a record come to."""

    NONE = "none"
    TAKEN = "taken"
    FREE = "free"
    RESERVED = "reserved"
    ERROR = "error"


def status_of(value: str) -> str:
    parts = " ".join(value.lower().replace("_", " ").split())
    bare = parts.partition("(")[0].strip(" .!,;:-")
    if not bare:
        return Status.NONE
    if bare in lexicon.FREE_STATUS:
        return Status.FREE
    if bare.startswith(lexicon.RESERVED_STATUS):
        return Status.RESERVED
    if any(mark in parts for mark in ("denied", "invalid", "error", "not managed", "does not have any")):
        return Status.ERROR
    return Status.TAKEN if any(mark in parts for mark in lexicon.TAKEN_STATUS) else Status.NONE


@dataclass(slots=True)
class Record:
    """What the fields of a text come to. `points` counts the kinds of fields that records have, `registered_points`
    those of them that no other page has; `other` is another name it is about; `unclear` that it is about one in
    letters that may be this name's, badly encoded.
    """

    own: bool = False
    other: str = ""
    unclear: bool = False
    points: int = 0
    registered_points: int = 0
    status: str = Status.NONE
    facts: Facts = field(default_factory=Facts)
    referral: str | None = None
    evidence: str = ""

    @property
    def partial(self) -> bool:
        """Only a status, but of this name; or much, without any name."""
        if self.own:
            return self.status in {Status.TAKEN, Status.RESERVED}
        return not self.other and self.points >= 2

    @property
    def about_other(self) -> bool:
        return bool(self.other) and not self.own and (self.points > 0 or self.status is Status.TAKEN)


class _Collector:
    """Walks the entries once, minding sections, and keeps what belongs to the name."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.values: dict[str, tuple[int, str]] = {}
        self.statuses: list[str] = []
        self.servers: list[str] = []
        self.kinds: set[str] = set()
        self.own = False
        self.other = ""
        self.unclear = False
        self.section = ""
        self.header_indent = 0
        self.indented = False  # the section's lines stand further in than its header
        self.filled = False
        self.label_before = ""
        self.strangers = False  # Verisign lists hosts beside the name: `Server Name: EXAMPLE.COM.OTHER.NET`
        hint = page.text[:4096].lower()
        self.month_first = page.name.tld in lexicon.MONTH_FIRST or "mm/dd/yyyy" in hint

    def walk(self) -> None:
        entries = [entry_of(line) for line in self.page.lines if not line.comment]
        for at, entry in enumerate(entries):
            self.take(entry, entries[at + 1] if at + 1 < len(entries) else None)

    def take(self, entry: Entry, following: Entry | None) -> None:
        self._leave_section(entry)
        found = field_of(entry.label) if entry.label else None
        if entry.label and not entry.value:
            if _continued(entry, following) or (entry.line.after_gap and entry.line.body[-1] != "]"):
                self._enter(entry.label, found, entry.line)
            return
        if not entry.label:
            self._unlabelled(entry)
            return
        self.filled = True
        if found is None:
            self._odd_label(entry)
        else:
            self._field(found, entry)
        self.label_before = entry.label
        if found is None:
            return
        if found[0] == "nameserver" and not self.section and _continued(entry, following):
            self._begin("nameserver", entry.line)

    # Sections

    def _leave_section(self, entry: Entry) -> None:
        line = entry.line
        if not self.section:
            if line.after_gap and self.own and _opens_object(entry):
                self._begin("contact", line)
            return
        if line.after_gap and self.filled:
            self.section = ""
            self._leave_section(entry)
        elif self.filled and self.indented and line.indent <= self.header_indent:
            self.section = ""
        elif line.indent > self.header_indent:
            self.indented = True

    def _begin(self, section: str, line: Line) -> None:
        self.section, self.header_indent, self.indented, self.filled = section, line.indent, False, False

    def _enter(self, label: str, found: tuple[str, int] | None, line: Line) -> None:
        """A label without a value opens a section; an empty field of a filled one does not."""
        if self.page.is_own(label.replace(" ", ".")):  # `google.cl:`
            self._own_name()
            return
        if self.section and self.filled and not line.after_gap and self.indented and line.indent > self.header_indent:
            return
        section = _section_of(label, found)
        if section:
            self._begin(section, line)

    def _unlabelled(self, entry: Entry) -> None:
        line, value = entry.line, entry.value
        lowered = value.lower()
        if self._sentence(lowered, value):
            return
        parts = lowered.split()
        heading = _section_of(plain(value), None) if len(parts) <= 5 and "  " not in value and "\t" not in value else ""
        if heading and (line.after_gap or not self.section or line.indent <= self.header_indent) and "." not in value:
            self._begin(heading, line)
            return
        if self.section and not (self.filled and self.section in {"registrar", *_DATES, "domain"}):
            self._sectioned(value, parts)

    def _sectioned(self, value: str, parts: list[str]) -> None:
        """A bare line inside a section."""
        self.filled = True
        section = self.section
        if section == "domain":
            self._domain(value)
        elif section == "nameserver":
            self._server(parts[1] if parts[0] == "-" and len(parts) > 1 else parts[0])
        elif section == "status":
            self._status(value)
        elif section == "registrar" and len(parts) <= 12:
            self._keep("registrar", 0, value)
        elif section in _DATES:
            self._date(section, 0, value)
        elif section == "contact":
            self.kinds.add("holder")
        elif section == "dates":
            self._sentence(value.lower(), value)

    def _sentence(self, lowered: str, value: str) -> bool:
        if lowered.startswith("domain ") and self.page.is_own(lowered[7:].split(" ")[0]):  # `Domain GOOGLE.KG (ACTIVE)`
            self._own_name()
            return False  # what it says besides is a statement's business
        for start, name in lexicon.SENTENCES:
            if name != "status" and lowered.startswith(start):
                return self._date(name, 0, value[len(start) :].strip(" :."))
        label, _, host = lowered.partition(" ")
        if label == self.page.own_label and " " not in host.strip():  # Tonic: `go ns-1.example.net`, of go.to
            self.own = self._server(host.strip()) or self.own
        return False

    # Fields

    def _odd_label(self, entry: Entry) -> None:
        label, value = entry.label, entry.value
        if label == "server name":
            self.strangers = True
        elif label == "name":
            if self.section == "registrar":
                self._keep("registrar", 0, value)
            elif self.section == "domain":
                self._domain(value)
            elif self.section == "nameserver":
                self._server(value.lower())
            elif self.section == "contact":
                self.kinds.add("holder")
        elif label in {"organization", "organisation", "organization name", "company"} and self.section == "registrar":
            self._keep("registrar", 0, value, replace=True)
        elif label.startswith(("registrant", "owner", "holder", "admin", "tech", "eligibility")):
            self.kinds.add("holder")
        elif self.section == "nameserver" and "server" in label:
            self._server(value.lower().split()[0])

    def _field(self, found: tuple[str, int], entry: Entry) -> None:
        name, rank = found
        value = entry.value
        if name == "holder":
            if self.section == "registrar" and entry.label in {"organization", "org"}:
                self._keep("registrar", 0, value, replace=True)
            else:
                self.kinds.add("holder")
        elif name == "domain":
            self._domain(value)
        elif name == "nameserver":
            self._server_list(entry)
        elif (
            self.section == "contact"
            and not (name == "expires" or "domain" in entry.label or entry.label == "creation date")
        ) or (self.section == "registrar" and entry.label in lexicon.OF_A_REGISTRAR):
            return
        elif name == "status":
            self._status(value)
        elif name in _DATES:
            if self.section != "nameserver":
                self._date(name, rank, value, again=entry.label == self.label_before)
        elif name == "registrar":
            self._keep("registrar", rank, value)
        else:
            self._keep(name, rank, value)

    def _keep(self, name: str, rank: int, value: str, *, replace: bool = False) -> None:
        if value.upper() == "REDACTED":
            return
        if value and (
            name not in self.values or rank < self.values[name][0] or (replace and rank <= self.values[name][0])
        ):
            self.values[name] = (rank, value)

    def _date(self, name: str, rank: int, value: str, *, again: bool = False) -> bool:
        """Keep a date; `again`: the line before had the same label, and of a list of changes the last one counts."""
        if "(assigned)" in value.lower():  # ISOC-IL keeps one list of what happened
            name = "created"
        if name in self.values and self.values[name][0] <= rank and not (again and name == "updated"):
            return True
        if instant_of(value, month_first=self.month_first) is None:
            return False
        self.values[name] = (rank, value)
        return True

    def _own_name(self) -> None:
        self.own = True

    def _domain(self, value: str) -> None:
        head = value.lower().split()[0].strip("\"'<>[]()") if value.split() else ""
        if self.page.is_own(head) or self.page.is_own(value.casefold().split()[0] if value.split() else ""):
            if self.strangers and not self.own:  # what came before was of hosts whose names begin with this one
                self.values, self.statuses, self.servers, self.kinds = {}, [], [], set()
            self.own = True
            rest = value.split(None, 1)[1:] or [""]
            label, _, status = rest[0].partition(":")
            if plain(label) == "status":
                self._status(status)
        elif not self.other and is_host(head):
            self.other = head
        elif "." in head and not head.isascii():
            self.unclear = True

    def _status(self, value: str) -> None:
        value = value.strip()
        if not value or len(self.statuses) >= _MAX_LIST:
            return
        if value.lower().startswith("ok-until "):  # hostmaster.ua's old form
            self._date("expires", 0, value)
        self.statuses.append(value)

    def _server_list(self, entry: Entry) -> None:
        value = entry.value.lower()
        parts = value.replace(",", " ").split()
        if not parts:
            return
        self._server(parts[0])
        for word in parts[1:]:
            if is_host(word):
                self._server(word)

    def _server(self, word: str) -> bool:
        host = word.strip(",;()[]").rstrip(".")
        if not is_host(host) or host == "not.defined" or self.page.is_own(host) or len(self.servers) >= _MAX_LIST:
            return False
        if host not in self.servers:
            self.servers.append(host)
        return True


def _opens_object(entry: Entry) -> bool:
    """The first line of a person's or another object's own block: `nic-hdl: …`, `contact: …`."""
    return bool(entry.value) and entry.label.startswith(lexicon.CONTACT_WORDS) and not entry.line.body.startswith("[")


def _continued(entry: Entry, following: Entry | None) -> bool:
    """Whether the next line belongs below this one: it stands further in, or has no label of its own."""
    if following is None:
        return False
    return following.line.indent > entry.line.indent or (not following.label and not following.line.after_gap)


def _section_of(label: str, found: tuple[str, int] | None) -> str:
    """What the lines below such a header are about; empty when it is no header of ours."""
    label = label.strip("* ")
    if any(word in label for word in lexicon.SERVER_WORDS) or label in {
        "servers",
        "dns",
        "name servers",
        "nservers",
        "ns",
    }:
        return "nameserver"
    if f"{label} ".startswith(("registrar ", "current registrar ", "sponsoring registrar ", "registered by ")):
        return "contact" if "contact" in label else "registrar"
    if label in {"relevant dates", "dates", "important dates", "domain dates"}:
        return "dates"
    if found and found[0] in {*_DATES, "status", "domain"}:
        return found[0]
    if label.startswith(("domain name", "domain information", "domain details", "domain data")) or label == "domain":
        return "domain"
    if any(word in label for word in lexicon.CONTACT_WORDS):
        return "contact"
    return "other" if found else ""


def record_of(page: Page) -> Record:
    walk = _Collector(page)
    walk.walk()
    values = {name: value for name, (_, value) in walk.values.items()}
    dates = {name: instant_of(values[name], month_first=walk.month_first) for name in _DATES if name in values}
    status = _status(walk.statuses)
    kinds = set(walk.kinds) | {name for name in ("registrar", "id") if name in values} | set(dates)
    if walk.servers:
        kinds.add("nameserver")
    if status is Status.FREE or (kinds == {"updated"} and status is Status.NONE):
        kinds.discard("updated")  # of the database, not of a name
    if status is Status.NONE and walk.statuses and _closed(walk.statuses):
        status = Status.TAKEN if len(kinds) >= 2 else Status.RESERVED
    return Record(
        own=walk.own,
        other="" if walk.own else walk.other,
        unclear=walk.unclear and not walk.own,
        points=len(kinds),
        registered_points=len(kinds & {"registrar", "created", "expires", "nameserver", "id"}),
        status=status,
        facts=_facts(values, dates, walk),
        referral=_referral(values.get("referral")),
        evidence=_evidence(page),
    )


def _closed(statuses: list[str]) -> bool:
    return any(status.lower().strip().startswith(lexicon.CLOSED_STATUS) for status in statuses)


def _status(statuses: list[str]) -> str:
    said = [status_of(status) for status in statuses]
    for status in (Status.RESERVED, Status.TAKEN, Status.ERROR, Status.FREE):
        if status in said:
            return status
    return Status.NONE


def _facts(values: Mapping[str, str], dates: Mapping[str, datetime | None], walk: _Collector) -> Facts:
    return Facts(
        registrar=_registrar(values.get("registrar")),
        created_at=dates.get("created"),
        updated_at=dates.get("updated"),
        expires_at=dates.get("expires"),
        statuses=tuple(_status_words(walk.statuses)),
        nameservers=tuple(walk.servers),
        dnssec=_dnssec(values.get("dnssec")),
    )


def _registrar(value: str | None) -> str | None:
    if value is None or value.lower().strip() in lexicon.NO_REGISTRAR or value.lower().startswith("no registrar"):
        return None
    return value.partition(" [Tag =")[0].strip()[:200]


def _dnssec(value: str | None) -> bool | None:
    if value is None:
        return None
    word = value.lower()
    if word.startswith(("unsigned", "no", "inactive", "insecure", "false", "n", "disabled")):
        return False
    return True if word.startswith(("signed", "yes", "active", "secure", "true", "y", "enabled")) else None


def _status_words(statuses: list[str]) -> Iterator[str]:
    seen: set[str] = set()
    for value in statuses:
        text = value.partition(" http")[0].partition(" (http")[0]
        for part in text.replace(" / ", ",").split(","):
            word = part.partition("(")[0].strip(" \t-")
            if word and word.lower() not in seen and len(seen) < _MAX_LIST:
                seen.add(word.lower())
                yield word


def _referral(value: str | None) -> str | None:
    if not value:
        return None
    host = (
        value.lower()
        .split()[0]
        .removeprefix("whois://")
        .removeprefix("http://")
        .removeprefix("https://")
        .partition("/")[0]
    )
    return host if is_host(host.partition(":")[0]) else None


def _evidence(page: Page) -> str:
    kept = [line.raw.strip() for line in page.lines if not line.comment][:24]
    return "\n".join(kept)[:2048]
