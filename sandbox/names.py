"""Host names in their two written forms. Small on purpose: the sandbox must not share the product's code."""

from __future__ import annotations

import unicodedata


def to_ascii(name: str) -> str:
    """The A-label form, lower case, without a trailing dot. Never raises: odd names stay odd.

    Plain RFC 3492 after NFC and lower case, so that `straße` stays itself (IDNA 2008) and does not become `strasse`.
    """
    labels = unicodedata.normalize("NFC", name.strip().lower()).rstrip(".").split(".")
    return ".".join(_label_to_ascii(label) for label in labels)


def to_unicode(name: str) -> str:
    """The U-label form of an A-label name; a label that is not valid Punycode stays as it is."""
    return ".".join(_label_to_unicode(label) for label in name.split("."))


def parent(name: str) -> str:
    """Everything after the first label; empty for a single label."""
    return name.partition(".")[2]


def is_host(name: str) -> bool:
    """Whether an A-label name could be asked for at all: two labels or more, of letters, digits, hyphens."""
    labels = name.split(".")
    return (
        len(labels) > 1
        and len(name) <= 253
        and all(0 < len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum() for label in labels)
        and name.isascii()
    )


def suffixes(name: str) -> list[str]:
    """`a.b.c` → `["a.b.c", "b.c", "c"]`."""
    labels = name.split(".")
    return [".".join(labels[index:]) for index in range(len(labels))]


def _label_to_ascii(label: str) -> str:
    if label.isascii():
        return label
    return "xn--" + label.encode("punycode").decode("ascii")


def _label_to_unicode(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
