"""What one WHOIS text says of one name. Pure, and linear in the text: every line is looked at once, every pattern runs on a short cut.

Nothing decides by a word somewhere in the text, because terms of use contain every word there is. A line decides
when it is a *statement*: short, no part of a paragraph, and made of a closed vocabulary ("No entries found for <name>") or of
a phrase a registry is known for. A statement that names another name decides nothing.

Order (design, section 5): incomplete, empty, throttled, broken, foreign → no answer; a record → registered, or reserved where the
record says so; reserved → reserved; not found → not found; else no answer. A whole record is looked for first: no
throttle page holds one, and terms below a record must not hide it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from domainwatch.checks.answer import Answer
from domainwatch.checks.whois_dates import instant_of
from domainwatch.findings import Facts, Reading
from domainwatch.names import Name

# A record is at most some ten kilobytes. What lies beyond can add nothing, but a text this long is never believed to be a denial.
MAX_CHARS = 64 * 1024
MAX_LINES = 1200
_MAX_LINE_CHARS = 400
_MAX_LABEL_CHARS = 60
_MAX_STATEMENT_WORDS = 24
_MAX_LIST = 32

# Registries (by top-level domain) that write month before day in all-number dates: Freenom's five.
# Source: their records' own unambiguous dates (03/28/2013).
_MONTH_FIRST = frozenset({"cf", "ga", "gq", "ml", "tk"})
# Top-level domains whose names the WHOIS root itself registers; elsewhere its "0 objects" is about its own database.
_ROOT_SERVED = frozenset({"arpa", "int"})


def read(text: str, name: Name, *, complete: bool = True) -> Answer:
    """What the answer `text` says of `name`; `complete` False when a deadline or size cap cut it short. Never raises."""
    if not complete:
        return _no_answer("incomplete", text)
    if not text.strip():
        return _no_answer("empty", "")
    page = _Page(text, name)
    record = _record(page)
    if record.own and record.points:
        return _of_record(record)
    if page.cut:
        return _no_answer("too_long", text)
    statements = list(_statements(page))
    for reason, judge in (("rate_limited", _throttled), ("service_error", _broken)):
        for statement in statements:
            if judge(statement):
                return _no_answer(reason, statement.raw)
    foreign = _foreign_zone(page)
    if foreign is not None:
        return _no_answer("foreign_registry", foreign)
    if record.about_other:
        return _no_answer("other_name", record.evidence)
    if record.partial:
        return _of_record(record)
    for statement in statements:
        if _reserved(statement):
            return Answer(reading=Reading.RESERVED, reason="reserved", evidence=statement.raw)
    if record.status is _Status.RESERVED:
        return _of_record(record)
    return _denial(page, record, statements)


def _denial(page: "_Page", record: "_Record", statements: list["_Statement"]) -> Answer:
    denials = [statement for statement in statements if _denies(statement)]
    if any(statement.names_other for statement in denials):
        return _no_answer("other_name", denials[0].raw)
    denied = [statement for statement in denials if statement.tail is False]
    if denied and record.status in {_Status.NONE, _Status.FREE}:
        return Answer(reading=Reading.NOT_FOUND, reason="not_found", evidence=denied[0].raw)
    if record.status is _Status.FREE and not record.points:
        return Answer(reading=Reading.NOT_FOUND, reason="not_found", evidence=record.evidence)
    return _no_answer("contradictory" if record.status is _Status.FREE else "unrecognised", page.text)


def _no_answer(reason: str, evidence: str) -> Answer:
    return Answer(reading=Reading.NO_ANSWER, reason=reason, evidence=evidence[:2048])


def _of_record(record: "_Record") -> Answer:
    reserved = record.status is _Status.RESERVED
    return Answer(
        reading=Reading.RESERVED if reserved else Reading.REGISTERED,
        reason="reserved" if reserved else "record",
        facts=record.facts,
        evidence=record.evidence,
        referral=record.referral,
    )


# --- Lines ------------------------------------------------------------------------------------------------------------------------

_COMMENT_MARKS = "%#;>"
_DECORATION = "%#;*>|= \t"


@dataclass(frozen=True, slots=True)
class _Line:
    """One line that is not blank: `body` without decoration, `comment` when it was marked as one, `after_gap` when a blank line (or
    an empty comment) stands before it.
    """

    raw: str
    body: str
    indent: int
    comment: bool
    after_gap: bool


class _Page:
    """A text cut into lines, and how it may write the name: as A-label or U-label, or its first label alone."""

    def __init__(self, text: str, name: Name) -> None:
        self.text = text
        self.name = name
        self.own = {name.text, name.unicode.casefold()}
        self.own_label = name.text.partition(".")[0]
        self.own_zone = {name.suffix, name.tld, *_unicode_zone(name)}
        self.cut = len(text) > MAX_CHARS
        self.lines: list[_Line] = []
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
            self.lines.append(_Line(raw[:_MAX_LINE_CHARS], body, len(raw) - len(raw.lstrip()), comment, gap))
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


# --- Fields -----------------------------------------------------------------------------------------------------------------------

# Label → (field, rank). The lowest rank wins, then the first in the text. Labels are compared as `_plain` leaves them.
_LABELS: Mapping[str, tuple[str, int]] = {
    label: (name, rank)
    for name, rank, labels in (
        (
            "domain",
            0,
            "domain name|domain|domainname|query|domain name ace|ascii|ace|nom de domaine|nome de dominio|nome de domínio|"
            "nombre de dominio|dominio|domínio|domeinnaam|complete domain name|도메인이름|ドメイン名|domain object|fqdn|"
            "domain name utf8|domaine|domena|nazwa domeny|alan adi",
        ),
        ("id", 0, "registry domain id|domain id|roid|domain handle|repository object id"),
        (
            "registrar",
            0,
            "registrar|registrar name|sponsoring registrar|sponsoring registrar organization|registrar organization|"
            "registration service provider|authorized agency|current registrar|current registar|registrar of record|"
            "등록대행자|registrar company name|sponsoring registrar name|registrar organisation|bureau d'enregistrement|"
            "registrar company",
        ),
        ("registrar", 1, "registered by|registrado por|registered through|managing registrar|provider|registered with"),
        ("registrar", 2, "created by|registrar id|registrar handle|sponsoring registrar id|created by registrar"),
        (
            "expires",
            0,
            "registry expiry date|expiry date|expiration date|expires|expires on|expiry|expire|expire date|expires at|"
            "expiration time|domain expiration date|paid till|valid until|valid date|validity|exp date|expire on|"
            "fecha de vencimiento|fecha de expiracion|fecha de expiración|data de expiracao|data de expiração|"
            "date d'expiration|사용 종료일|有効期限|domain expires|record expires|expiration|record will expire on|"
            "domain datebilleduntil|domain currently expires|expired|vencimento|date expiration|ablaufdatum|"
            "domain expires on|record expires on|record expired",
        ),
        ("expires", 1, "renewal date|renewal|renew date|registered until|registered till|due date"),
        ("expires", 2, "registrar registration expiration date"),
        (
            "created",
            0,
            "creation date|created|created on|registered|registered on|registration date|registration time|created date|"
            "record created|domain registered|domain create date|domain registration date|first registration date|"
            "registered date|domain name commencement date|date registered|activation|acivated|activated|activated on|"
            "fecha de creacion|fecha de creación|fecha de registro|data de registo|data de criacao|data de criação|"
            "date de creation|date de création|登録年月日|등록일|entry created|domain created|domain dateregistered|create date|"
            "created at|registration|record created on|domain created on|reg date|creation|registration started|assigned",
        ),
        ("created", 1, "connected date|接続年月日|requested on|delegated|reg created"),
        (
            "updated",
            0,
            "updated date|last updated|last update|updated|last modified|modified|changed|last updated on|updated on|"
            "domain last updated date|last changed|record last updated|entry updated|modification date|last modification|"
            "domain datelastmodified|record changed|domain last updated|record last updated on|derniere modification|"
            "dernière modification|ultima actualizacion|ultima actualización|última actualización|最終更新|최근 정보 변경일|"
            "last updated date|record last modified|update date|modified date|last edited on|record changed on|"
            "last edited|updated at",
        ),
        (
            "status",
            0,
            "status|domain status|state|eppstatus|epp status|registration status|query status|estado|estatus del dominio|"
            "statut|状態|状态|domain state|status of domain|domain statuses|domaintype|estatus|stato|stan|durum",
        ),
        ("status", 1, "ren status"),
        (
            "nameserver",
            0,
            "name server|nameserver|nserver|nameservers|name servers|dns|dns servers|primary server|secondary server|"
            "host name|hostname|dns name|ns|dns server|name server db|primary name server|secondary name server|"
            "ネームサーバ|호스트이름|domain servers|nameserver information|server|name server ace|nserver s|go",
        ),
        ("referral", 0, "registrar whois server|whois server|refer|whois|registrar whois"),
        ("dnssec", 0, "dnssec|signed|domain signed|dnssec signed|secure dns"),
        (
            "holder",
            0,
            "registrant|registrant name|registrant organization|registrant organisation|holder|owner|owner name|org|descr|"
            "admin c|tech c|registrant contact name|mnt by|person|organization|registered for|domain owner|"
            "eligibility type|registrant id|holder c|registrant contact|domain holder|domain name holder|登録者名|등록인|ownerid|"
            "registrantname|titular|titulaire|zone c|organization using domain name|組織名|[登録者名]|登録担当者",
        ),
    )
    for label in labels.split("|")
}
# A label with one of these words is about a person, a registrar's own object or the database, not about the name.
_NOT_OF_THE_NAME = frozenset(
    "registrant admin administrative tech technical billing owner holder contact reseller abuse trademark dns transfer "
    "transferred option database period handle email phone by id type address iana url trade eligibility free agent key ds".split()
)
_LABEL_WORDS: tuple[tuple[str, str], ...] = (
    ("expir", "expires"),
    ("creat", "created"),
    ("registration", "created"),
    ("updat", "updated"),
    ("modif", "updated"),
    ("changed", "updated"),
)
# Dates of a registrar's own object, when they stand in its section.
_OF_A_REGISTRAR = frozenset(
    {"created", "changed", "registered", "updated", "status", "last update", "created on", "modified"}
)
_NUMBERED = ("ns", "nserver", "nameserver", "name server", "domain server", "dns", "ns name", "host")
_CONTACT_WORDS = (
    "registrant", "owner", "holder", "contact", "admin", "tech", "billing", "titular", "person", "contacto", "onsite",
    "titulaire", "organisation", "organization", "nic hdl", "role", "nsset", "keyset", "irt", "mntner", "eligibility",
    "abuse", "reseller", "zone c", "key1 tag",
)  # fmt: skip
_SERVER_WORDS = (
    "name server", "nameserver", "dns server", "domain server", "nserver", "servidor", "serveurs de noms", "host name",
    "nombres de dominio", "nsentry",
)  # fmt: skip
# Sentences that hold a field: start of the line → field.
_SENTENCES: tuple[tuple[str, str], ...] = (
    ("record created on", "created"),
    ("record created", "created"),
    ("created on", "created"),
    ("registered on", "created"),
    ("record changed on", "updated"),
    ("record last updated on", "updated"),
    ("last updated on", "updated"),
    ("record expires on", "expires"),
    ("expires on", "expires"),
    ("status", "status"),
)
_DATES = ("created", "updated", "expires")


def _plain(label: str) -> str:
    """A label as it is compared: lower case, one space between words, no marks, no remark in parentheses."""
    label = label.lower().partition("(")[0] if not label.startswith("(") else label.lower()
    for mark in "_-#.*[]:":
        if mark in label:
            label = label.replace(mark, " ")
    return " ".join(label.split())


@lru_cache(maxsize=4096)
def _field_of(label: str) -> tuple[str, int] | None:
    """The field a plain label stands for, and its rank."""
    if label in _LABELS:
        return _LABELS[label]
    words = label.split()
    if words and words[-1].isdigit() and " ".join(words[:-1]) in _NUMBERED:
        return "nameserver", 0
    stem = label.rstrip("0123456789")
    if stem != label and stem.strip() in _NUMBERED:
        return "nameserver", 0
    if len(words) > 5 or not _NOT_OF_THE_NAME.isdisjoint(words):
        return None
    for part, name in _LABEL_WORDS:
        if any(word.startswith(part) for word in words):
            return name, 3
    return None


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line read as `label: value`; an unlabelled line has an empty label and is its own value."""

    label: str
    value: str
    line: _Line


def _entry(line: _Line) -> _Entry:
    body = line.body
    label, value = _split_label(body)
    if label and " / " in label:  # two languages: `Nome de domínio / Domain Name`
        for part in label.split(" / "):
            if _field_of(_plain(part)):
                label = part
                break
    return _Entry(_plain(label), value, line)


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
        if not clock and any(char.isalpha() for char in label):
            return label, body[at + 1 :].strip(" \t:")
    for gap in ("\t", "  "):  # `Domain-name         plac.sk`
        head, found, rest = body[:_MAX_LINE_CHARS].partition(gap)
        if found and len(head) < _MAX_LABEL_CHARS and _plain(head) in _LABELS:
            return head, rest.strip()
    return "", body


# --- The record -------------------------------------------------------------------------------------------------------------------


class _Status:
    """What the status values of a record come to."""

    NONE = "none"
    TAKEN = "taken"
    FREE = "free"
    RESERVED = "reserved"
    ERROR = "error"


_FREE_STATUS = frozenset(
    "available|free|not registered|no object found|unregistered|not found|no match|inexistent|libre|livre|disponible|"
    "220 available|does not exist|nonexistent|available for registration|notfound|not exist|no entries found|unassigned|"
    "domain not found|laisva|volná|frei".split("|")
)
_RESERVED_STATUS = (
    "reserved", "unassignable", "prohibited", "restricted", "premium", "forbidden", "not allowed", "reserve", "not open",
)  # fmt: skip
# Words that keep a name from registration where nothing else is said of it, and are a state of a record where more is.
_CLOSED_STATUS = ("blocked", "unavailable", "not available", "excluded", "withheld")
_TAKEN_STATUS = (
    "active", "ok", "connect", "registered", "delegated", "inactive", "suspended", "hold", "pending", "redemption", "quarantine",
    "to be", "released", "expired", "locked", "published", "prohibited", "transfer", "renew", "delete", "busy", "assigned",
    "grace", "activo", "actif", "aktiv", "paid", "in zone", "onhold", "deactivated", "ativo", "registrado", "in use", "live",
    "failed", "verified", "200 ", "210 ",
)  # fmt: skip


def _status_of(value: str) -> str:
    words = " ".join(value.lower().replace("_", " ").split())
    bare = words.partition("(")[0].strip(" .!,;:-")
    if not bare:
        return _Status.NONE
    if bare in _FREE_STATUS:
        return _Status.FREE
    if bare.startswith(_RESERVED_STATUS):
        return _Status.RESERVED
    if any(mark in words for mark in ("denied", "invalid", "error", "not managed", "does not have any")):
        return _Status.ERROR
    return _Status.TAKEN if any(mark in words for mark in _TAKEN_STATUS) else _Status.NONE


@dataclass(slots=True)
class _Record:
    """What the fields of a text come to. `points` counts the kinds of fields only a registered name has."""

    own: bool = False
    other: str = ""
    points: int = 0
    status: str = _Status.NONE
    facts: Facts = field(default_factory=Facts)
    referral: str | None = None
    evidence: str = ""

    @property
    def partial(self) -> bool:
        """Only a status, but of this name; or much, without any name."""
        if self.own:
            return self.status in {_Status.TAKEN, _Status.RESERVED}
        return not self.other and self.points >= 2

    @property
    def about_other(self) -> bool:
        return bool(self.other) and not self.own and (self.points > 0 or self.status is _Status.TAKEN)


class _Collector:
    """Walks the entries once, minding sections, and keeps what belongs to the name."""

    def __init__(self, page: _Page) -> None:
        self.page = page
        self.values: dict[str, tuple[int, str]] = {}
        self.statuses: list[str] = []
        self.servers: list[str] = []
        self.kinds: set[str] = set()
        self.own = False
        self.other = ""
        self.section = ""
        self.header_indent = 0
        self.indented = False  # the section's lines stand further in than its header
        self.filled = False
        self.label_before = ""
        self.strangers = False  # Verisign lists hosts beside the name: `Server Name: EXAMPLE.COM.OTHER.NET`
        hint = page.text[:4096].lower()
        self.month_first = page.name.tld in _MONTH_FIRST or "mm/dd/yyyy" in hint

    def walk(self) -> None:
        entries = [_entry(line) for line in self.page.lines if not line.comment]
        for at, entry in enumerate(entries):
            self.take(entry, entries[at + 1] if at + 1 < len(entries) else None)

    def take(self, entry: _Entry, following: _Entry | None) -> None:
        self._leave_section(entry)
        found = _field_of(entry.label) if entry.label else None
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

    def _leave_section(self, entry: _Entry) -> None:
        line = entry.line
        if not self.section:
            if line.after_gap and entry.label and entry.label.startswith(_CONTACT_WORDS) and self.own:
                self._begin("contact", line)
            return
        if line.after_gap and self.filled:
            self.section = ""
            self._leave_section(entry)
        elif self.filled and self.indented and line.indent <= self.header_indent:
            self.section = ""
        elif line.indent > self.header_indent:
            self.indented = True

    def _begin(self, section: str, line: _Line) -> None:
        self.section, self.header_indent, self.indented, self.filled = section, line.indent, False, False

    def _enter(self, label: str, found: tuple[str, int] | None, line: _Line) -> None:
        """A label without a value opens a section; an empty field of a filled one does not."""
        if self.page.is_own(label.replace(" ", ".")):  # `google.cl:`
            self._own_name()
            return
        if self.section and self.filled and not line.after_gap and self.indented and line.indent > self.header_indent:
            return
        section = _section_of(label, found)
        if section:
            self._begin(section, line)

    def _unlabelled(self, entry: _Entry) -> None:
        line, value = entry.line, entry.value
        lowered = value.lower()
        if self._sentence(lowered, value):
            return
        words = lowered.split()
        heading = (
            _section_of(_plain(value), None) if len(words) <= 5 and "  " not in value and "\t" not in value else ""
        )
        if heading and (line.after_gap or not self.section or line.indent <= self.header_indent) and "." not in value:
            self._begin(heading, line)
            return
        if self.section and not (self.filled and self.section in {"registrar", *_DATES, "domain"}):
            self._sectioned(value, words)

    def _sectioned(self, value: str, words: list[str]) -> None:
        """A bare line inside a section."""
        self.filled = True
        section = self.section
        if section == "domain":
            self._domain(value)
        elif section == "nameserver":
            self._server(words[1] if words[0] == "-" and len(words) > 1 else words[0])
        elif section == "status":
            self._status(value)
        elif section == "registrar":
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
        for start, name in _SENTENCES:
            if name != "status" and lowered.startswith(start):
                return self._date(name, 0, value[len(start) :].strip(" :."))
        if lowered.startswith("go ") and len(lowered.split()) == 2:  # Tonic: `go ns-1.example.net`
            return self._server(lowered[3:])
        return False

    # Fields

    def _odd_label(self, entry: _Entry) -> None:
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

    def _field(self, found: tuple[str, int], entry: _Entry) -> None:
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
        elif self.section == "contact" and not (
            name == "expires" or "domain" in entry.label or entry.label == "creation date"
        ):
            return
        elif self.section == "registrar" and entry.label in _OF_A_REGISTRAR:
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
            if _plain(label) == "status":
                self._status(status)
        elif not self.other and _is_host(head):
            self.other = head

    def _status(self, value: str) -> None:
        value = value.strip()
        if not value or len(self.statuses) >= _MAX_LIST:
            return
        if value.lower().startswith("ok-until "):  # hostmaster.ua's old form
            self._date("expires", 0, value)
        self.statuses.append(value)

    def _server_list(self, entry: _Entry) -> None:
        value = entry.value.lower()
        words = value.replace(",", " ").split()
        if not words:
            return
        self._server(words[0])
        for word in words[1:]:
            if _is_host(word):
                self._server(word)

    def _server(self, word: str) -> bool:
        host = word.strip(",;()[]").rstrip(".")
        if not _is_host(host) or host == "not.defined" or self.page.is_own(host) or len(self.servers) >= _MAX_LIST:
            return False
        if host not in self.servers:
            self.servers.append(host)
        return True


def _continued(entry: _Entry, following: _Entry | None) -> bool:
    """Whether the next line belongs below this one: it stands further in, or has no label of its own."""
    if following is None:
        return False
    return following.line.indent > entry.line.indent or (not following.label and not following.line.after_gap)


def _section_of(label: str, found: tuple[str, int] | None) -> str:
    """What the lines below such a header are about; empty when it is no header of ours."""
    label = label.strip("* ")
    if any(word in label for word in _SERVER_WORDS) or label in {"servers", "dns", "name servers", "nservers", "ns"}:
        return "nameserver"
    if (
        label.startswith(("registrar", "current registrar", "sponsoring registrar", "registered by"))
        or label == "記録機関"
    ):
        return "registrar"
    if label in {"relevant dates", "dates", "important dates", "domain dates"}:
        return "dates"
    if found and found[0] in {*_DATES, "status", "domain"}:
        return found[0]
    if label.startswith(("domain name", "domain information", "domain details", "domain data")) or label == "domain":
        return "domain"
    if any(word in label for word in _CONTACT_WORDS):
        return "contact"
    return "other" if found else ""


def _is_host(word: str) -> bool:
    """A host name of two labels or more, in letters, digits and hyphens, whose last label is no number."""
    if not 3 < len(word) < 254 or "." not in word or not word.isascii():
        return False
    labels = word.rstrip(".").split(".")
    return (
        len(labels) > 1
        and labels[-1][:1].isalpha()
        and all(label and label.replace("-", "").replace("_", "").isalnum() for label in labels)
    )


def _record(page: _Page) -> _Record:
    walk = _Collector(page)
    walk.walk()
    values = {name: value for name, (_, value) in walk.values.items()}
    dates = {name: instant_of(values[name], month_first=walk.month_first) for name in _DATES if name in values}
    status = _status(walk.statuses)
    kinds = set(walk.kinds) | {name for name in ("registrar", "id") if name in values} | set(dates)
    if walk.servers:
        kinds.add("nameserver")
    if len(walk.servers) > 1 and not walk.own:  # Tonic names nothing but the servers
        kinds.add("nameservers")
    if status is _Status.NONE and walk.statuses and _closed(walk.statuses):
        status = _Status.TAKEN if len(kinds) >= 2 else _Status.RESERVED
    return _Record(
        own=walk.own,
        other="" if walk.own else walk.other,
        points=len(kinds),
        status=status,
        facts=_facts(values, dates, walk),
        referral=_referral(values.get("referral")),
        evidence=_evidence(page, walk),
    )


def _closed(statuses: list[str]) -> bool:
    return any(status.lower().strip().startswith(_CLOSED_STATUS) for status in statuses)


def _status(statuses: list[str]) -> str:
    said = [_status_of(status) for status in statuses]
    for status in (_Status.RESERVED, _Status.TAKEN, _Status.ERROR, _Status.FREE):
        if status in said:
            return status
    return _Status.NONE


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


_NO_REGISTRAR = frozenset({"", "-", "n/a", "none", "not defined", "redacted", "not disclosed"})


def _registrar(value: str | None) -> str | None:
    if value is None or value.lower().strip() in _NO_REGISTRAR or value.lower().startswith("no registrar"):
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
    seen = set()
    for value in statuses:
        text = value.partition(" http")[0].partition(" (http")[0]
        for part in text.replace(" / ", ",").split(","):
            word = part.partition("(")[0].strip()
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
    return host if _is_host(host.partition(":")[0]) else None


def _evidence(page: _Page, walk: _Collector) -> str:
    kept = [line.raw.strip() for line in page.lines if not line.comment][:24]
    return "\n".join(kept)[:2048]


# --- Statements -------------------------------------------------------------------------------------------------------------------

_OWN, _OTHER = "<n>", "<o>"
_EDGES = "\"'`´‘’“”«»()[]<>{}.,:;!?*=-–—|/"

_FILLER = frozenset(
    "the a an this that your you we our i of for to in on at by with from and is are was were be been being has have had do "
    "does did it its there any all such domain domains name names domainname object objects record records entry entries "
    "data database registry whois register information info request requested query queried search searched searching "
    "result results return returned returns selected source sources sorry but please error code status currently "
    "current yet lookup look looked up within as key criteria could following queries checked requests these above "
    "unfortunately dear user hello type".split()
)
_DENIALS = frozenset("no not nothing none isn't doesn't hasn't wasn't unknown nonexistent".split())
_BEING = frozenset(
    "found find match matches matching matched exist exists existing registered known entries entry records record data "
    "object objects result results such nothing unknown nonexistent none registration exists".split()
)
_VOCABULARY = _FILLER | _DENIALS | _BEING
_REGISTER_WORDS = frozenset("database registry register whois db system nic".split())

# What registries say in words of their own. Starts of a statement, the name as `<n>`.
_DENIAL_PHRASES = (
    "<n> is free",
    "<n> is available",
    "domain <n> is available",
    "domain <n> is free",
    "domain name <n> is available",
    "the domain <n> is available",
    "the domain name <n> is available",
    "this domain is available for",
    "this domain name is available for",
    "domain is available for",
    "domain name is available for",
    "<n> no existe",
    "<n> not registered",
    "available yes",
    "no information available about domain name <n>",
    "no information about domain",
    "invalid query or domain name not known",
    "this domain is not available in our whois database",
    "we do not have an entry in our database matching your query",
    "above domain name is not registered to krnic",
    "the requested domain was not found in the registry or registrar",
    "the queried object does not exist",
    "not registered the domain you have requested",
    "el dominio no se encuentra registrado",
    "el dominio <n> no se encuentra registrado",
    "no se encontro el objeto",
    "no_se_encontro_el_objeto",
    "object_not_found",
    "dominio no registrado",
    "dominio no encontrado",
    "dominio disponible",
    "dominio inexistente",
    "domínio inexistente",
    "nao foram encontrados registros",
    "nincs talalat",
    "nincs találat",
    "aucun enregistrement trouvé",
    "aucun résultat",
    "nom de domaine libre",
    "le nom de domaine <n> est libre",
    "domaine inconnu",
    "상기 도메인이름은 등록되어 있지 않습니다",
    "domain status available",
    "status available",
    "status free",
    "domain unknown",
    "no records matching <n>",
    "no such domain",
    "such a domain does not exist",
    "is available for purchase",
)
_WHOLE_DENIALS = frozenset({"available", "free", "<n> free", "<n> available", "notfound"})


@dataclass(frozen=True, slots=True)
class _Statement:
    """One line that may decide: its words with the name as `<n>` and any other name as `<o>`. `tail` marks the end of a wrapped
    sentence, whose words alone mean nothing.
    """

    raw: str
    words: tuple[str, ...]
    text: str
    tail: bool

    @property
    def names_other(self) -> bool:
        return _OTHER in self.words


def _statements(page: _Page) -> Iterator[_Statement]:
    unfinished = 0  # length of the line before, when it left a sentence open
    for line in page.lines:
        body = line.body
        count = body.count(" ") + 1
        tail = bool(unfinished) and not line.after_gap and (body[:1].islower() or unfinished >= 70)
        open_ended = body[-1] not in ".:!?;)]\"'" and count >= 5
        unfinished = len(body) if open_ended else 0
        if count > _MAX_STATEMENT_WORDS or len(body) > 300:
            continue
        for sentence in _sentences(body):
            words = tuple(_words(sentence, page))
            if words:
                yield _Statement(line.raw.strip(), words, " ".join(words), tail)


def _sentences(body: str) -> list[str]:
    parts = body.replace("! ", ". ").split(". ", 3)
    return [body, *parts] if len(parts) > 1 else [body]


def _words(sentence: str, page: _Page) -> Iterator[str]:
    for word in sentence.lower().replace("(s)", "s").split():
        bare = word.strip(_EDGES)
        if not bare:
            continue
        if bare.casefold() in page.own:
            yield _OWN
        elif bare == page.own_label and bare not in _VOCABULARY:
            yield _OWN
        elif "." in bare and bare not in page.own_zone and bare.lstrip(".") not in page.own_zone and _name_like(bare):
            yield _OTHER
        elif ":" in bare:
            yield from (part for part in bare.split(":") if part)
        else:
            yield bare


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


_THROTTLE_MARKS = (
    "quota", "limit exceeded", "limit has been", "limit reached", "been exceeded", "exceeded the", "exceeded your", "too many", "rate limit exceeded", "throttled",
    "requests per", "request per", "queries per", "per second allowed", "maximum number of", "number of allowed queries",
    "excessive querying", "been blacklisted", "is blacklisted", "are blacklisted", "been banned", "grace period wait", "slow down",
    "access control limit", "requests of this client are not permitted", "client are not permitted", "access denied", "permission denied",
    "request denied", "blocked until", "you are blocked", "ip has been blocked", "address has been blocked", "been temporarily blocked",
    "second time before", "seconds before", "exceeded maximum", "maximum query", "query rate of", "connection limit",
    "requests from your", "queries from your", "connections from your", "response throttled", "limit for", "allowance",
    "you have reached", "max requests", "not authorized to query", "not allowed to query", "try later", "limit is reached", "over limit",
    "exceeded query", "exceeded allowed", "you have been blocked", "has been blocked due", "lookups per", "too quickly", "too fast", "please slow",
    "demasiadas consultas", "limite de consultas", "límite de consultas", "maximum allowed", "exceed allowed", "excess of queries",
    "been limited", "whois limit", "daily limit", "query limit", "ip limit", "temporarily denied", "temporarily banned", "is banned",
)  # fmt: skip
_BROKEN_MARKS = (
    "temporarily", "service unavailable", "service is unavailable", "service not available", "service is not available", "currently unavailable",
    "currently down", "timed out", "timeout", "internal error", "internal server error", "server error", "can't process", "cannot process",
    "could not be performed", "could not be processed", "unable to connect", "unable to process", "unable to retrieve", "connection refused", "connection failed",
    "connection reset", "database error", "database failure", "database connection", "please wait", "under maintenance", "for maintenance", "scheduled maintenance", "tld is not supported",
    "not supported", "unknown tld", "invalid tld", "name or service not known", "server busy", "server is busy", "system busy", "is busy",
    "try again", "query failed", "lookup failed", "search failed", "failed to", "refused", "out of service", "syntax error", "malformed",
    "does not have any records for that zone", "unsupported", "no whois server", "not authoritative", "can not be answered", "cannot be answered",
    "does not serve", "backend", "exception", "bad gateway", "gateway time", "no such tld", "tld not", "not managed by this", "unavailable at this time",
    "invalid request", "bad request", "unknown command", "invalid command",
)  # fmt: skip


def _throttled(statement: _Statement) -> bool:
    return any(mark in statement.text for mark in _THROTTLE_MARKS)


def _broken(statement: _Statement) -> bool:
    return any(mark in statement.text for mark in _BROKEN_MARKS)


_RESERVED_WORDS = frozenset(
    "reserved restricted prohibited blocked premium unassignable forbidden disallowed unallocatable dpml protected "
    "ineligible globalblock adultblock".split()
)
_RESERVED_PHRASES = (
    "not available", "cannot be registered", "can not be registered", "may not be registered", "not be registered", "not eligible",
    "unavailable for registration", "not allowed", "not open for", "not registrable", "is unavailable", "no está disponible", "unavailable",
)  # fmt: skip
_SUBJECTS = (
    _OWN,
    "this domain",
    "this name",
    "the domain",
    "the name",
    "domain name",
    "this object",
    "this string",
    "requested",
)
# Terms of use use the same words of rights, data and access.
_OF_TERMS = frozenset(
    "rights right reserves purposes access use uses data copy copyright advertising laws law queries users user you limits usage terms "
    "information redistribution disclosure transmission http https see".split()
)


def _reserved(statement: _Statement) -> bool:
    words = statement.words
    if statement.tail or len(words) > 18 or not _OF_TERMS.isdisjoint(words) or statement.names_other:
        return False
    if statement.text.startswith(_DENIAL_PHRASES):
        return statement.text.startswith("the queried object") and not _RESERVED_WORDS.isdisjoint(words)
    if _RESERVED_WORDS.isdisjoint(words) and not any(phrase in statement.text for phrase in _RESERVED_PHRASES):
        return False
    return len(words) <= 8 or any(subject in statement.text for subject in _SUBJECTS)


def _denies(statement: _Statement) -> bool:
    """True for a statement that the name (or whatever it names) is in no database. See `_Statement.names_other`."""
    text = statement.text.replace(_OTHER, _OWN)
    if text in _WHOLE_DENIALS or text.startswith(_DENIAL_PHRASES):
        return True
    words = [
        word for word in _without_the_database(statement.words) if word not in {_OWN, _OTHER} and not word.isdigit()
    ]
    if _DENIALS.isdisjoint(words) or _BEING.isdisjoint(words):
        return False
    return all(word in _VOCABULARY for word in words)


def _without_the_database(words: tuple[str, ...]) -> Iterator[str]:
    """The words less `in the <whatever> database`: what a registry calls its own database is no part of what it says."""
    skip = 0
    for at, word in enumerate(words):
        if skip:
            skip -= 1
            continue
        if word in {"in", "from"}:
            ahead = words[at + 1 : at + 6]
            ends = [place for place, each in enumerate(ahead, start=1) if each in _REGISTER_WORDS]
            if ends:
                skip = ends[-1]
                continue
        yield word


def _foreign_zone(page: _Page) -> str | None:
    """The line by which a server says it serves other zones only: the zones it lists, none of them this name's."""
    root_says_none = None
    for at, line in enumerate(page.lines):
        body = line.body.lower()
        if "returned 0 objects" in body and page.name.tld not in _ROOT_SERVED:
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
