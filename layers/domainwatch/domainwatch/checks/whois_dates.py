"""Dates as WHOIS servers write them. Every text is cut short before it is looked at, so no pattern can run long."""

import re
from datetime import UTC, datetime, timedelta, timezone

# Longer than any date with a clock and a zone; what follows is a remark.
_MAX_CHARS = 64
_OLDEST_YEAR, _NEWEST_YEAR = 1980, 2200

_YEAR_FIRST = re.compile(r"(?<!\d)(\d{4})\s?[-./]\s?(\d{1,2})\s?[-./]\s?(\d{1,2})(?!\d)")
_COMPACT = re.compile(r"(?<!\d)(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2}))?(?!\d)")
_YEAR_LAST = re.compile(r"(?<!\d)(\d{1,2})\s?[-./]\s?(\d{1,2})\s?[-./]\s?(\d{4})(?!\d)")
_DAY_WORD_YEAR = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)?(?:\.?\s|[-./]|\sde\s){1,2}([^\W\d_]{3,12})(?:\.?,?\s|[-./]|\sdel?\s){1,2}(\d{4}|\d{2})(?!\d)"
)
_YEAR_WORD_DAY = re.compile(r"(?<!\d)(\d{4})[\s-]([^\W\d_]{3,12})[\s-](\d{1,2})(?!\d)")
_WORD_DAY = re.compile(r"([^\W\d_]{3,12})\.?[\s-]{1,3}(\d{1,2})(?:st|nd|rd|th)?(?![\d:])")
_WORD_YEAR = re.compile(r"([^\W\d_]{3,12})[\s-](\d{4})(?!\d)")
_YEAR = re.compile(r"(?<!\d)((?:19|20|21)\d{2})(?![\d:])")
_CLOCK = re.compile(r"(?<!\d)(\d{1,2}):(\d{2})(?::(\d{2}))?(?:[.,]\d{1,9})?\s?(am\b|pm\b)?")
_OFFSET = re.compile(r"(?:\d|gmt|utc|\s|\()([+-])(\d{1,2}):?(\d{2})?\b")
_ZONE_WORD = re.compile(r"\b([a-z]{1,4})\b")

_MONTHS = {
    month: number
    for number, months in enumerate(
        (
            "jan january januar janvier enero ene janeiro januari styczen",
            "feb february februar fevrier février febrero fevereiro fev february februari",
            "mar march marz märz mars marzo março marco maart mrt mrz",
            "apr april avril abril abr avr",
            "may mai mayo maio mei maj",
            "jun june juni juin junio junho",
            "jul july juli juillet julio julho",
            "aug august aout août agosto ago augustus",
            "sep sept september septembre septiembre setembro set",
            "oct october oktober octobre octubre outubro okt out",
            "nov november novembre noviembre novembro",
            "dec december dezember decembre décembre diciembre dezembro dez dic",
        ),
        start=1,
    )
    for month in months.split()
}

# Hours east of UTC. Only words that mean one zone; one that does not is read as UTC.
_ZONES = {
    "jst": 9, "kst": 9, "hkt": 8, "sgt": 8, "msk": 3, "eet": 2, "eest": 3, "cet": 1, "cest": 2, "bst": 1, "wat": 1,
    "eat": 3, "cat": 2, "sast": 2, "est": -5, "edt": -4, "pst": -8, "pdt": -7, "clt": -4, "clst": -3, "nzst": 12,
    "nzdt": 13, "aest": 10,
}  # fmt: skip


def instant_of(text: str, *, month_first: bool = False) -> datetime | None:
    """The instant a date text names, in UTC; None when it names none. A date without a clock is its midnight, a clock
    without a zone is UTC. `month_first`: how to read `03/04/2013`; a part above 12 settles it anyway.
    """
    text = text[:_MAX_CHARS].strip().lower()
    found = _day_of(text, month_first)
    if found is None:
        return None
    (year, month, day, clock), rest = found
    if clock is None:
        clock = _clock_of(rest)
    hour, minute, second = clock or (0, 0, 0)
    if not _OLDEST_YEAR <= year <= _NEWEST_YEAR:
        return None
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=_zone_of(rest) if clock else UTC)
    except ValueError:
        return None
    return at.astimezone(UTC)


_Day = tuple[int, int, int, tuple[int, int, int] | None]


def _day_of(text: str, month_first: bool) -> tuple[_Day, str] | None:
    """(year, month, day, clock or None) and the text after the date."""
    if match := _YEAR_FIRST.search(text):
        year, month, day = map(int, match.groups())
        return ((year, day, month) if month > 12 else (year, month, day)) + (None,), text[match.end() :]
    if match := _YEAR_LAST.search(text):
        first, second, year = map(int, match.groups())
        if (month_first and first <= 12) or second > 12:
            first, second = second, first
        return (year, second, first, None), text[match.end() :]
    if (match := _DAY_WORD_YEAR.search(text)) and match[2] in _MONTHS:
        year = int(match[3])
        if len(match[3]) == 2:
            year += 1900 if year >= 80 else 2000
        return (year, _MONTHS[match[2]], int(match[1]), None), text[match.end() :]
    if (match := _YEAR_WORD_DAY.search(text)) and match[2] in _MONTHS:
        return (int(match[1]), _MONTHS[match[2]], int(match[3]), None), text[match.end() :]
    if match := _COMPACT.search(text):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
        clock = (int(match[4]), int(match[5]), int(match[6])) if match[4] else None
        return (year, month, day, clock), text[match.end() :]
    return _worded(text)


def _worded(text: str) -> tuple[_Day, str] | None:
    """`Tue Feb 10 09:42:42 2004`, `May 22 2002`, `Aug-1996`."""
    for match in _WORD_DAY.finditer(text):
        if match[1] in _MONTHS and (year := _YEAR.search(text, match.end())):
            return (int(year[1]), _MONTHS[match[1]], int(match[2]), None), text[match.end() :]
    for match in _WORD_YEAR.finditer(text):
        if match[1] in _MONTHS:
            return (int(match[2]), _MONTHS[match[1]], 1, None), ""
    return None


def _clock_of(text: str) -> tuple[int, int, int] | None:
    match = _CLOCK.search(text)
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if match[4] and hour <= 12:
        hour = hour % 12 + (12 if match[4] == "pm" else 0)
    return (hour, minute, second) if hour < 24 and minute < 60 and second < 60 else None


def _zone_of(text: str) -> timezone:
    if match := _OFFSET.search(text):
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        if minutes <= 14 * 60:
            return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    for word in _ZONE_WORD.findall(text):
        if word in _ZONES:
            return timezone(timedelta(hours=_ZONES[word]))
    return UTC
