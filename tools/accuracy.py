"""How well the readers read recorded answers: `python tools/accuracy.py --whois FILE --rdap FILE [--json] [--wrong]`.

Prints for each file of labelled answers (JSON lines: `name, truth, fields, text` or `body, http_status, headers`) the
confusion table, the recall per class, the false `available` with their 95 % upper bound, how many fields were right,
and the time per answer. Nothing of a record but its text and the name asked reaches a reader; a record without a name
is asked with the one its text is about.
"""

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "layers" / "domainwatch"))

from domainwatch.checks import rdap_reader, whois_page, whois_reader
from domainwatch.checks.answer import Answer
from domainwatch.findings import Facts, Reading
from domainwatch.names import Name
from domainwatch.ports import HttpReply

_SAID = {
    Reading.REGISTERED: "registered",
    Reading.NOT_FOUND: "available",
    Reading.RESERVED: "reserved",
    Reading.NO_ANSWER: "no_answer",
}
# A label's word → the class it belongs to. Whatever is neither is a wrong time to say anything.
_CLASSES = {"registered": "registered", "available": "available", "available-weak": "available", "reserved": "reserved"}
_FIELDS = ("created", "updated", "expires", "registrar", "nameservers", "statuses")


@dataclass(slots=True)
class Tally:
    """Counts over one file."""

    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    fields: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in _FIELDS})
    ms: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    exceptions: int = 0

    def report(self) -> dict[str, Any]:
        """The figures as one JSON value; shares are fractions."""
        total = sum(self.confusion.values())
        false_available = sum(
            count for (truth, said), count in self.confusion.items() if said == "available" and truth != "available"
        )
        taken = sum(count for (truth, _), count in self.confusion.items() if truth != "available")
        return {
            "n": total,
            "exceptions": self.exceptions,
            "false_available": false_available,
            "false_available_bound95": _upper_bound(false_available, taken),
            "recall": {truth: self._recall(truth) for truth in ("available", "registered", "reserved")},
            "confusion": {f"{truth} read as {said}": count for (truth, said), count in sorted(self.confusion.items())},
            "fields": {name: _shares(counts) for name, counts in self.fields.items()},
            "ms": _percentiles(self.ms),
        }

    def _recall(self, truth: str) -> float | None:
        of_truth = {said: count for (label, said), count in self.confusion.items() if label == truth}
        total = sum(of_truth.values())
        return round(of_truth.get(truth, 0) / total, 4) if total else None


def _upper_bound(errors: int, trials: int) -> float:
    """The one-sided 95 % upper bound of an error rate (exact for none, Wilson's above)."""
    if trials == 0:
        return 1.0
    if errors == 0:
        return round(1 - float(0.05 ** (1 / trials)), 5)
    share, z = errors / trials, 1.645
    centre = share + z * z / (2 * trials)
    spread: float = z * ((share * (1 - share) + z * z / (4 * trials)) / trials) ** 0.5
    return round(min(1.0, float(centre + spread) / (1 + z * z / trials)), 5)


def _shares(counts: Counter[str]) -> dict[str, Any]:
    total = sum(counts.values())
    return {
        "n": total,
        **{kind: round(counts[kind] / total, 4) if total else None for kind in ("exact", "missing", "wrong")},
    }


def _percentiles(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p99": None, "max": None}
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 3),
        "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 3),
        "max": round(ordered[-1], 3),
    }


# --- Names ----------------------------------------------------------------------------------------------------------


def asked_name(name: str | None, text: str, tld: str | None) -> Name:
    """The name a record was asked with; where it says none, the name its text is about."""
    text_name = (name or _name_in(text, tld or "") or f"name.{tld or 'example'}").lower().strip(".")
    if not text_name.isascii():
        with contextlib.suppress(UnicodeError):
            text_name = text_name.encode("idna").decode("ascii")
    return Name(text=text_name, suffix=text_name.partition(".")[2] or text_name)


def _name_in(text: str, tld: str) -> str | None:
    """The name in a field of a domain; else the first below the zone, those beside words of a denial before any
    other.
    """
    near: list[str] = []
    anywhere: list[str] = []
    under_header = False
    for line in whois_page.Page(text, Name(text=f"name.{tld or 'example'}", suffix=tld or "example")).lines:
        entry = whois_page.entry_of(line)
        is_field = whois_page.field_of(entry.label) == ("domain", 0) if entry.label else under_header
        under_header = is_field and not entry.value
        hosts = _hosts(entry.value or line.body)
        if hosts and is_field and not line.comment:
            return hosts[0]
        below = [host for host in _hosts(line.body) if not tld or host.endswith(f".{tld}")]
        denies = any(mark in line.body.lower() for mark in ("match", "found", "domain", "exist", ">>"))
        (near if denies else anywhere).extend(below)
    return next(iter([*near, *anywhere]), None)


def _hosts(body: str) -> list[str]:
    words = (part.strip("\"'(),;:[]").rstrip(".").lower() for part in body.split())
    return [
        word
        for word in words
        if "." in word.lstrip(".") == word
        and not {"@", "/", ","}.intersection(word)
        and not word.startswith(("www.", "whois."))
    ]


# --- Fields ---------------------------------------------------------------------------------------------------------


def _count_fields(tally: Tally, truth: Mapping[str, Any], facts: Facts, label: str) -> None:
    for name, said in (
        ("created", facts.created_at),
        ("updated", facts.updated_at),
        ("expires", facts.expires_at),
        ("registrar", facts.registrar),
        ("nameservers", facts.nameservers),
        ("statuses", facts.statuses),
    ):
        want = truth.get(name)
        if not want:
            continue
        kind = "missing" if not said else "exact" if _same(want, said) else "wrong"
        tally.fields[name][kind] += 1
        if kind != "exact":
            tally.wrong.append(f"{label}: {name} is {want!r}, read {said!s}")


def _same(want: Any, said: Any) -> bool:
    if isinstance(said, datetime):
        return _same_date(str(want), said)
    if isinstance(said, tuple):
        return _plain_set(want) == _plain_set(said)
    return _plain(str(want)) == _plain(str(said))


def _same_date(want: str, said: datetime) -> bool:
    if len(want) <= 10:
        return said.astimezone(UTC).date().isoformat() == want
    return abs((datetime.fromisoformat(want.replace("Z", "+00:00")).astimezone(UTC) - said).total_seconds()) < 1


def _plain(text: str) -> str:
    """A name without remarks in brackets, marks and case."""
    return "".join(char for char in text.casefold().partition(" (")[0].partition(" [")[0] if char.isalnum())


def _plain_set(values: Iterable[str]) -> set[str]:
    return {"".join(char for char in str(value).casefold().partition(" (")[0] if char.isalnum()) for value in values}


# --- Files ----------------------------------------------------------------------------------------------------------


def _tally(records: Iterable[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], Answer]) -> Tally:
    tally = Tally()
    for record in records:
        label = str(record.get("id", "?"))
        truth = _CLASSES.get(str(record["truth"]), "neither")
        started = time.thread_time()
        try:
            answer = read(record)
        except Exception as exc:  # counted, not hidden: a reader must never raise
            tally.exceptions += 1
            tally.wrong.append(f"{label}: raised {exc!r}")
            continue
        tally.ms.append((time.thread_time() - started) * 1000)
        said = _SAID[answer.reading]
        tally.confusion[truth, said] += 1
        if said != (truth if truth != "neither" else "no_answer"):
            tally.wrong.append(f"{label}: {record['truth']} read as {said} ({answer.reason}) {answer.evidence[:80]!r}")
        if truth == "registered":
            _count_fields(tally, record.get("fields") or {}, answer.facts, label)
    return tally


def read_whois(record: Mapping[str, Any]) -> Answer:
    return whois_reader.read(record["text"], asked_name(record.get("name"), record["text"], record.get("tld")))


def read_rdap(record: Mapping[str, Any]) -> Answer:
    body = record["body"] if isinstance(record["body"], str) else json.dumps(record["body"])
    headers = {str(key).lower(): str(value) for key, value in (record.get("headers") or {}).items()}
    if record.get("content_type"):
        headers.setdefault("content-type", record["content_type"])
    reply = HttpReply(status=record["http_status"], headers=headers, body=body.encode(), url="https://rdap.example/")
    return rdap_reader.read(reply, _rdap_name(record, body))


def _rdap_name(record: Mapping[str, Any], body: str) -> Name:
    """The name asked: the record's own, else the one its body is about, unless the notes say that it is about
    another.
    """
    name = record.get("name")
    if name is None and "mismatch" not in str(record.get("notes", "")):
        try:
            found = json.loads(body)
            name = found.get("ldhName") or found.get("unicodeName")
        except (ValueError, AttributeError):
            name = None
    return asked_name(name, "", None)


def _load(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _print(kind: str, report: Mapping[str, Any]) -> None:
    print(f"{kind}: {report['n']} answers, {report['exceptions']} exceptions")
    for words, count in report["confusion"].items():
        print(f"  {count:6}  {words}")
    print(f"  false available: {report['false_available']} (95 % bound {report['false_available_bound95']:.3%})")
    for truth, share in report["recall"].items():
        print(f"  recall of {truth}: " + ("-" if share is None else f"{share:.2%}"))
    for name, shares in report["fields"].items():
        if shares["n"]:
            print(
                f"  {name:12} exact {shares['exact']:7.2%}  missing {shares['missing']:7.2%}"
                f"  wrong {shares['wrong']:7.2%}  of {shares['n']}"
            )
    print(f"  ms per answer: p50 {report['ms']['p50']}, p99 {report['ms']['p99']}, max {report['ms']['max']}\n")


def main() -> int:
    """Exit status 1 when any answer was read as a false `available` or raised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whois", type=Path)
    parser.add_argument("--rdap", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--wrong", action="store_true", help="list every answer and field that was read wrong")
    args = parser.parse_args()
    reports = {}
    for kind, path, read in (("whois", args.whois, read_whois), ("rdap", args.rdap, read_rdap)):
        if path is None:
            continue
        tally = _tally(_load(path), read)
        reports[kind] = tally.report()
        if not args.json:
            _print(kind, reports[kind])
        if args.wrong:
            print("\n".join(tally.wrong), file=sys.stderr)
    if args.json:
        print(json.dumps(reports, indent=2))
    return 1 if any(report["false_available"] or report["exceptions"] for report in reports.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
