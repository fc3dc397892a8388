"""Turns answers files into a world: each answer's name is watched, and its service answers with the very bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .document import ScenarioError
from .names import is_host, parent, suffixes, to_ascii
from .scenario import Answer, Expect, LeftOut, NamePlan, Scenario, ServicePlan, State, ZonePlan

RATE_PER_S = 50.0
MADE_ZONES = ("page", "new", "how", "foo", "soy", "ing", "meme", "dad", "phd", "prof", "esq", "nexus", "rsvp", "boo",
              "day", "fly", "zip", "mov", "channel", "eat", "here", "app", "dev")  # fmt: skip
"""Zones for RDAP answers that name no domain, each its own: a 429 slows down whatever shares its service."""
STATUSES_OF: Mapping[str, tuple[str, ...]] = {
    "registered": ("registered",),
    "available": ("available",),
    "reserved": ("reserved",),
    "transient": ("unknown",),
    # "Cannot be registered because …": whoever reads that as reserved is not wrong, and announces nothing.
    "invalid": ("unknown", "reserved"),
    "unknown": ("unknown",),
    # One witness that may be right: to be believed only together with a second one, and there is none here.
    "available-weak": ("unknown", "likely_available"),
}
"""What a label of an answers file means for the final status."""
HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "content-encoding", "content-type", "keep-alive"}
ABOUT = re.compile(
    r"(?:domain(?:[ _-]?name)?\s*[:=]?|no match for|not found\s*:|entries found for|error for|request\]? *>>|query *:|"
    r"\bdomain)\s*[\"'\[]?(?P<name>[\w-]+(?:\.[\w-]+)+)"
    r"|^(?P<first>[\w-]+(?:\.[\w-]+)+) (?:- )?no match",
    re.IGNORECASE | re.MULTILINE,
)


def with_answers(plan: Scenario, files: Sequence[Path]) -> Scenario:
    """The scenario with every zone, service and name the answers need. Raises ScenarioError."""
    answers: dict[str, Answer] = {}
    names: dict[str, NamePlan] = {}
    left_out: list[LeftOut] = []
    service_zones: dict[str, str] = {}
    for number, (place, entry) in enumerate(_entries(files), start=1):
        answer, named, zone = _answer(place, entry, number)
        if answer is None:
            why = "has neither a name nor a zone"
            left_out.append(LeftOut(id=named, name=None, why=why))
        elif answer.name in answers:
            why = f"the name is {answers[answer.name].id}'s already"
            left_out.append(LeftOut(id=answer.id, name=answer.name, why=why))
        else:
            answers[answer.name] = answer
            names[answer.name] = _name_plan(answer, named, entry.get("name"))
            service_zones[answer.name] = zone
    zones, services = _zones(answers, service_zones)
    return replace(
        plan,
        zones=(*plan.zones, *zones),
        services=(*plan.services, *services),
        names=(*plan.names, *names.values()),
        answers=answers,
        left_out=tuple(left_out),
    )


def _entries(files: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in files:
        try:
            lines = path.read_text("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as exc:
            raise ScenarioError(f"{path}: the answers file cannot be read ({exc})") from exc
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            place = f"{path.name}, line {number}"
            try:
                entry = json.loads(line)
            except ValueError as exc:
                raise ScenarioError(f"{place}: is not JSON: {exc}") from exc
            if not isinstance(entry, dict):
                raise ScenarioError(f"{place}: should be an object")
            yield place, entry


def _answer(place: str, entry: dict[str, Any], number: int) -> tuple[Answer | None, str, str]:
    """The answer, how its name was found (`given`, `text` or `made`; the id if there is no answer), and its zone."""
    truth = str(entry.get("truth"))
    if truth not in STATUSES_OF:
        raise ScenarioError(f"{place}: truth should be one of {', '.join(STATUSES_OF)}, is {truth!r}")
    entry_id = str(entry.get("id") or place)
    if "http_status" in entry:
        return _rdap_answer(place, entry, entry_id, number)
    if not isinstance(entry.get("text"), str):
        raise ScenarioError(f"{place}: has neither text (a WHOIS answer) nor http_status (an RDAP answer)")
    text: str = entry["text"]
    tld = to_ascii(str(entry.get("tld") or ""))
    name, named = to_ascii(str(entry.get("name") or "")), "given"
    if not name:
        if not tld:
            return None, entry_id, ""
        name, named = _name_in_text(text, tld), "text"
        if not name:
            name, named = f"answer-{number}.{tld}", "made"
    zone = tld if tld and name.endswith(f".{tld}") else name.rpartition(".")[2]
    answer = Answer(id=entry_id, kind="whois", name=name, truth=truth, body=text.encode("utf-8"))
    return answer, named, zone


def _rdap_answer(place: str, entry: dict[str, Any], entry_id: str, number: int) -> tuple[Answer, str, str]:
    status, body, headers = entry["http_status"], entry.get("body", ""), entry.get("headers") or {}
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
        raise ScenarioError(f"{place}: http_status should be an HTTP status, is {status!r}")
    if not isinstance(headers, dict):
        raise ScenarioError(f"{place}: headers should be an object")
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    name, named = to_ascii(str(entry.get("name") or "")), "given"
    # An answer that proves nothing although it names a domain proves nothing because it names another one.
    if not name and entry["truth"] != "unknown":
        name, named = _name_in_body(text), "text"
    if not name:
        name, named = f"answer-{number}.{MADE_ZONES[number % len(MADE_ZONES)]}", "made"
    answer = Answer(
        id=entry_id,
        kind="rdap",
        name=name,
        truth=entry["truth"],
        body=text.encode("utf-8"),
        http_status=status,
        content_type=str(entry.get("content_type") or ""),
        headers={str(key): str(value) for key, value in headers.items() if str(key).lower() not in HOP_BY_HOP},
    )
    return answer, named, name.rpartition(".")[2]


def _name_in_text(text: str, tld: str) -> str:
    """The name a WHOIS text is about, if it says so; empty otherwise."""
    for found in ABOUT.finditer(text):
        name = to_ascii(found["name"] or found["first"])
        if name.endswith(f".{tld}") and is_host(name) and not name.startswith(("www.", "whois.", "-")):
            return name
    return ""


def _name_in_body(text: str) -> str:
    try:
        body = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(body, dict) or body.get("objectClassName") != "domain":
        return ""
    name = to_ascii(str(body.get("ldhName") or body.get("unicodeName") or ""))
    return name if is_host(name) else ""


def _name_plan(answer: Answer, named: str, written: Any) -> NamePlan:
    statuses = STATUSES_OF[answer.truth]
    if not is_host(answer.name):
        statuses = ("refused", "unknown")
    elif named == "made":
        # The text names no domain, so it need not be believed about this one.
        statuses = (*statuses, *(("unknown",) if "unknown" not in statuses else ()))
    note = {"given": "", "text": "; name found in the text", "made": "; name made up"}[named]
    state = State.AVAILABLE if answer.truth == "available" else State.REGISTERED
    return NamePlan(
        name=answer.name,
        listed_as=written if isinstance(written, str) else answer.name,
        timeline=((0.0, state),),
        expect=Expect(statuses=statuses, announced=None if answer.truth == "available" else 0),
        note=answer.id + note,
    )


def _zones(answers: Mapping[str, Answer], service_zones: Mapping[str, str]) -> tuple[list[ZonePlan], list[ServicePlan]]:
    """One service for each kind of answer in each zone; the suffixes between zone and name have zones of their own."""
    kinds: dict[str, set[str]] = {}
    for name, answer in answers.items():
        if not is_host(name):
            continue
        zone = service_zones[name]
        kinds.setdefault(zone, set()).add(answer.kind)
        for suffix in suffixes(parent(name)):
            # A watched name is no zone: it must not be found in DNS.
            if suffix not in answers:
                kinds.setdefault(suffix, set())
    zones: list[ZonePlan] = []
    services: list[ServicePlan] = []
    for zone, found in sorted(kinds.items()):
        control = next(
            candidate
            for candidate in (f"nic.{zone}", f"registry.{zone}", f"known-to-be-registered.{zone}")
            if candidate not in answers
        )
        ids = {kind: f"{kind}.{zone}" for kind in found}
        zones.append(ZonePlan(name=zone, control=control, rdap=ids.get("rdap"), whois=ids.get("whois")))
        for kind in sorted(found):
            form = "verisign" if kind == "whois" else "generic"
            services.append(ServicePlan(id=ids[kind], kind=kind, format=form, rate_per_s=RATE_PER_S))
    return zones, services
