"""The registrable domain name: parsed once at the door, trusted everywhere inside.

A name is kept as an IDNA-2008 A-label (RFC 5891) and shown as a U-label. It is processed by UTS-46,
non-transitional, so `straße.de` stays its own name and does not become `strasse.de`. What is registrable is read
from the ICANN section of the Public Suffix List.
"""

import functools
import ipaddress
import re
import unicodedata
from dataclasses import dataclass

import idna
from publicsuffixlist import PublicSuffixList

from domainwatch.errors import NameRefused

MAX_NAME_BYTES = 253
MAX_LABEL_BYTES = 63
# A name of 253 octets can be longer as Unicode text, never by more than this; anything above is not worth normalising.
MAX_INPUT_CHARS = 1024
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# Two labels or more, the last of which begins with a letter: no address, nothing to map, nothing to refuse.
_PLAIN_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_ASCII_NAME = re.compile(r"[a-z0-9.-]+")
# UTS-46 maps these to the label separator.
_DOTS = str.maketrans({"。": ".", "．": ".", "｡": "."})


@functools.cache
def _suffixes() -> PublicSuffixList:
    # accept_unknown=False: a top-level domain the list does not name is one label long, by our own rule below.
    return PublicSuffixList(only_icann=True, accept_unknown=False)


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A registrable name: `text` is the whole name and `suffix` its public suffix, both in A-labels, lower case."""

    text: str
    suffix: str

    @classmethod
    def parse(cls, raw: object) -> "Name":
        """Parse what a person or a list wrote. Raises `NameRefused` with a stable `reason` and, where there is one, a
        suggestion. Surrounding white space, upper case and one trailing dot are forgiven.
        """
        text = _plain(raw) or _a_labels(_clean(raw))
        suffix = _public_suffix(text)
        if text == suffix and "." not in text and not _suffixes().publicsuffix(text):
            raise NameRefused("single_label", f"{shown(text)} has no top-level domain")
        if text == suffix:
            raise NameRefused("public_suffix", f"{shown(text)} is a public suffix, not a registrable name")
        registrable = _registrable(text, suffix)
        if registrable != text:
            raise NameRefused(
                "sub_domain", f"{shown(text)} is a sub-domain of {shown(registrable)}", suggestion=shown(registrable)
            )
        return cls(text=text, suffix=suffix)

    @classmethod
    def control(cls, raw: str, suffix: str) -> "Name":
        """A control name of a suffix: any name below it, a public suffix too (`nic.in` is one, and registered). Raises
        `NameRefused`.
        """
        text = _plain(raw) or _a_labels(_clean(raw))
        if not text.endswith(f".{suffix}"):
            raise NameRefused("not_below_suffix", f"{shown(text)} is not below {shown(suffix)}")
        return cls(text=text, suffix=suffix)

    @property
    def unicode(self) -> str:
        """The name in U-labels, for people."""
        return shown(self.text)

    @property
    def tld(self) -> str:
        """The top-level domain, an A-label."""
        return self.text.rpartition(".")[2]

    def __str__(self) -> str:
        return self.text


def shown(text: str) -> str:
    """An A-label text in U-labels; a label that does not decode stays as it is."""
    if "xn--" not in text:
        return text
    return ".".join(_u_label(label) for label in text.split("."))


def _u_label(label: str) -> str:
    try:
        return idna.ulabel(label)
    except idna.IDNAError:
        return label


def _plain(raw: object) -> str | None:
    """The name, if it is as plain as nearly all are: it is long lists of these that must be quick to read."""
    if not isinstance(raw, str) or len(raw) > MAX_NAME_BYTES:
        return None
    text = raw.strip(" ").lower().removesuffix(".")
    return text if "--" not in text and _PLAIN_NAME.fullmatch(text) else None


def _clean(raw: object) -> str:
    if not isinstance(raw, str):
        raise NameRefused("not_text", f"a name must be text, not {type(raw).__name__}")
    if len(raw) > MAX_INPUT_CHARS:
        raise NameRefused("too_long", f"a name has at most {MAX_NAME_BYTES} octets, this has {len(raw)} characters")
    text = raw.strip(" \t\r\n").translate(_DOTS)
    if not text:
        raise NameRefused("empty", "the name is empty")
    if any(unicodedata.category(char) in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"} for char in text):
        raise NameRefused("control_character", "the name has a control or unassigned character in it")
    _refuse_addresses_and_urls(text)
    text = text.removesuffix(".")
    if not text:
        raise NameRefused("empty", "the name is only a dot")
    if any(not label for label in text.split(".")):
        raise NameRefused("empty_label", "the name has an empty label: two dots in a row, or one in front")
    return text


def _refuse_addresses_and_urls(text: str) -> None:
    try:
        ipaddress.ip_address(unicodedata.normalize("NFKC", text).strip("[]"))
    except ValueError:
        pass  # what is no address may be a name
    else:
        raise NameRefused("ip_address", "this is an IP address, not a domain name")
    for sign, suggestion in (("://", _host_of_url(text)), ("/", text.split("/")[0]), ("@", text.rpartition("@")[2])):
        if sign in text:
            raise NameRefused("not_a_name", f"a domain name has no {sign!r} in it", suggestion=suggestion or None)
    if text.startswith("*."):
        raise NameRefused("not_a_name", "a wildcard cannot be registered", suggestion=text[2:])


def _host_of_url(text: str) -> str:
    return text.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0]


def _a_labels(text: str) -> str:
    lowered = text.lower()
    if _ASCII_NAME.fullmatch(lowered) and "xn--" not in lowered:
        encoded = lowered  # the common case, worth its own way: UTS-46 maps plain ASCII to its lower case only
    else:
        try:
            encoded = idna.encode(text, uts46=True, transitional=False, std3_rules=True).decode("ascii")
        except UnicodeError as exc:  # idna.IDNAError is one, and so is its own punycode's
            raise _refused_label(text, str(exc)) from exc
    if len(encoded) > MAX_NAME_BYTES:
        raise NameRefused("too_long", f"the name is {len(encoded)} octets long, at most {MAX_NAME_BYTES} are allowed")
    for label in encoded.split("."):
        if len(label) > MAX_LABEL_BYTES:
            raise NameRefused("label_too_long", f"a label has at most {MAX_LABEL_BYTES} octets")
        if not _LABEL.fullmatch(label):
            raise NameRefused("malformed_label", f"{label[:80]!r} is no label: letters, digits and inner hyphens only")
        if label[2:4] == "--" and not label.startswith("xn--"):
            raise NameRefused("malformed_label", f"{label!r} has hyphens in places three and four (RFC 5891, 4.2.3.1)")
    if encoded.rpartition(".")[2].isdigit():
        raise NameRefused("ip_address", "a name whose last label is a number is read as an IP address")
    return encoded


def _refused_label(text: str, why: str) -> NameRefused:
    if any(len(label) > MAX_LABEL_BYTES for label in text.split(".")):
        return NameRefused("label_too_long", f"a label has at most {MAX_LABEL_BYTES} octets")
    return NameRefused("malformed_label", f"not a valid internationalised name: {why[:200]}")


def _public_suffix(text: str) -> str:
    found = _suffixes().publicsuffix(text)
    return found if isinstance(found, str) else text.rpartition(".")[2]


def _registrable(text: str, suffix: str) -> str:
    labels_below = text[: -len(suffix) - 1].split(".")
    return f"{labels_below[-1]}.{suffix}"
