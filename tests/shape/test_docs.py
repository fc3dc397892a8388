"""What the documents say is there is there: parameters, make targets, links, routes, bodies, the example receiver."""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from domainwatch import events
from domainwatch.adapters.callback import sign
from domainwatch.findings import Check, Finding, Reading
from domainwatch.verdicts import Status
from domainwatch.watchlist import ListState, Refreshed
from domainwatch.wire import finding_json
from sandbox.scenario import load
from tests.builders import START, finding, name
from tests.fakes_api import ApiWorld
from tools.translate import template

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("sandbox/**/*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(text: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row, without backticks."""
    for line in prose(text).splitlines():
        if line.startswith("|"):
            yield [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]


# --- the README against the template and the Makefile -----------------------------------------------------------------


def test_the_readme_lists_every_parameter_with_its_default() -> None:
    parameters = {key: str(fields["Default"]) for key, fields in template()["Parameters"].items()}
    listed = {row[0]: row[2] for row in rows(README) if len(row) == 4 and row[0] in parameters}
    assert listed == {key: default or "empty" for key, default in parameters.items()}


def test_the_readme_names_the_variables_that_users_know() -> None:
    known = {row[1]: row[0] for row in rows(README) if len(row) == 4 and re.fullmatch(r"[A-Z_]+", row[1])}
    assert known == {
        "DOMAIN_API_URL": "DomainApiUrl",
        "DOMAIN_API_REFRESH_INTERVAL": "DomainApiRefreshIntervalS",
        "API_CALLBACK_URL": "ApiCallbackUrl",
        "API_AVAILABLE_CALLBACK_URL": "ApiAvailableCallbackUrl",
        "API_AUTH_TOKEN": "ApiAuthToken",
        "AVAILABILITY_THRESHOLD": "AvailabilityThreshold",
    }
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    assert known.keys() - variables.keys() == {"API_AUTH_TOKEN"}  # a secret: functions are told where it is kept


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_make_target_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|\s)make ([a-z]+)(?=[\s`])", _commands(page.read_text(encoding="utf-8"))))
    assert named <= targets


def _commands(text: str) -> str:
    """The code blocks and the code between backticks, a line each."""
    blocks = re.findall(r"^```.*?\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", prose(text))]) + "\n"


# --- links ------------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert ROOT in (target, *target.parents), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = {page.name: page.read_text(encoding="utf-8") for page in folder.glob("0*.md")}
    assert re.findall(r"\]\((0[^)]+)\)", index) == sorted(pages)
    for file, text in pages.items():
        title = text.splitlines()[0].removeprefix("# ")
        assert title.startswith(file[:4])
        assert f"[{title}]" in index
        for part in ("**Context.**", "**Decision.**", "**Consequences.**"):
            assert part in text, file


# --- the API's page against the code ----------------------------------------------------------------------------------


def test_the_api_page_names_every_route_and_no_other() -> None:
    routes = {f"{route.method} {'/v1' if route.v1_only else ''}{route.path}" for route in ApiWorld().api._routes}
    named = [
        route
        for heading in re.findall(r"^### (.*)$", prose(API), re.MULTILINE)
        for route in re.findall(r"`([A-Z]+ /[^`]*)`", heading)
    ]
    assert sorted(named) == sorted(routes)


def test_the_api_page_names_the_scope_that_a_route_asks_for() -> None:
    scopes = {
        f"{route.method} {'/v1' if route.v1_only else ''}{route.path}": route.scope.name.lower() if route.scope else ""
        for route in ApiWorld().api._routes
    }
    # "`GET /metrics` · read, `POST /metrics/reset` · write": a scope holds for the routes before it.
    said: dict[str, str] = {}
    for heading in re.findall(r"^### (`[A-Z]+ /.*)$", prose(API), re.MULTILINE):
        waiting: list[str] = []
        for route, scope in re.findall(r"`([A-Z]+ /[^`]*)`|· ([a-z]+)", heading):
            if route:
                waiting.append(route)
            else:
                said |= dict.fromkeys(waiting, scope)
                waiting = []
        said |= dict.fromkeys(waiting, "")
    assert said == scopes


def examples() -> Iterator[Any]:
    for block in re.findall(r"^```json\n(.*?)^```$", API, flags=re.DOTALL | re.MULTILINE):
        yield json.loads(block)


def example(*keys: str) -> Any:
    """The first example that has these keys."""
    return next(body for body in examples() if set(keys) <= body.keys())


def same_keys(said: object, real: object, path: str = "") -> None:
    """Asserts that objects have the same keys, at every depth where both sides have them."""
    if isinstance(said, dict) and isinstance(real, dict):
        if path not in OPEN:
            assert said.keys() == real.keys(), path
        for key in said.keys() & real.keys():
            same_keys(said[key], real[key], f"{path}.{key}")
    elif isinstance(said, list) and isinstance(real, list):
        for left, right in zip(said, real, strict=False):
            same_keys(left, right, f"{path}[]")


# Where the keys depend on what there is.
OPEN = {
    ".counts.status",
    ".counts.phase",
    ".services",
    ".queues",
    ".facts",
    ".checks",
    ".checks.dns.facts",
    ".findings[].facts",
    ".counters",
    ".domains.status",
    ".domains.phase",
    ".domains.priority",
}


@pytest.fixture
def world() -> ApiWorld:
    world = ApiWorld()
    for function in ("fetch_domains", "schedule_checks", "notify", "refresh_registries"):
        world.documents.write("heartbeat", function, {"at": "2026-03-01T11:59:00.000Z"})
    refused = {"entry": "www.example.com", "reason": "sub_domain", "suggestion": "example.com"}
    world.documents.write("list", "state", {"fetched_at": "2026-03-01T11:58:12.000Z", "refused_entries": [refused]})
    looked = events_of(finding(Check.DNS, Reading.REGISTERED))
    world.watch("bücher.de", status="registered", phase="active", findings=looked)
    world.runner.output = {
        "results": [
            {
                "watched": True,
                "attributes": {"status": "available"},
                "verdict": {"status": "available", "confidence": 0.98, "reason": "two_witnesses", "why": []},
                "findings": list(looked.values()),
            }
        ]
    }
    world.refresher.result = Refreshed(outcome="done", state=ListState()).json()
    return world


def events_of(*findings: Finding) -> dict[str, Any]:
    return {each.check.value: finding_json(each) for each in findings}


@pytest.mark.parametrize(
    ("keys", "method", "path", "body"),
    [
        (("heartbeats",), "GET", "/health", None),
        (("services",), "GET", "/status", None),
        (("counters",), "GET", "/metrics", None),
        (("status", "at"), "POST", "/metrics/reset", None),
        (("result",), "POST", "/refresh", {}),
        (("high_priority", "next"), "GET", "/v1/domains", None),
        (("next_check_at",), "GET", "/v1/domains/bücher.de", None),
        (("run_id",), "POST", "/v1/checks:bulk", {"domains": ["example.com", "www.example.com"]}),
        (("reading",), "GET", "/v1/whois/example.com", None),
        (("suggestion", "detail"), "GET", "/v1/domains/www.example.com", None),
    ],
)
def test_an_example_has_the_keys_of_the_real_body(
    world: ApiWorld, keys: tuple[str, ...], method: str, path: str, body: Any
) -> None:
    _, real, _ = world.call(method, path, body)
    same_keys(example(*keys), real)


def test_the_example_of_a_look_has_what_it_adds_to_a_name(world: ApiWorld) -> None:
    _, looked, _ = world.call("POST", "/v1/checks", {"domain": "example.com"})
    _, watched, _ = world.call("GET", "/domain/bücher.de")
    same_keys(example("verdict"), {key: looked[key] for key in looked.keys() - watched.keys()})


def test_the_examples_of_callbacks_have_the_keys_of_the_real_bodies() -> None:
    denied = [finding(check, Reading.NOT_FOUND) for check in (Check.DNS, Check.RDAP, Check.WHOIS)]
    real = events.available_body(name(), denied, confidence=0.98, at=START)
    same_keys(example("domain", "confidence", "checks", "timestamp"), real)
    same_keys(example("check_type", "duration_ms"), events.result_body(denied[1], Status.AVAILABLE))


def test_the_types_of_event_on_the_page_are_those_that_settling_makes() -> None:
    code = (ROOT / "layers" / "domainwatch" / "domainwatch" / "settling.py").read_text(encoding="utf-8")
    made = set(re.findall(r'"(domain\.[a-z_]+)"', code)) | {events.DOMAIN_AVAILABLE}
    listed = {word for row in rows(API.partition("### Further types of event")[2]) for word in row[0].split(", ")}
    assert {word for word in listed if word.startswith("domain.")} == made


# --- the example receiver ---------------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> ModuleType:
    path = ROOT / "docs" / "examples" / "receiver.py"
    spec = importlib.util.spec_from_file_location("example_receiver", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def delivery(secret: str, body: bytes) -> Mapping[str, str]:
    at_s = int(datetime.now(UTC).timestamp())  # the library compares with the real clock
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(at_s),
        "webhook-signature": sign([secret], "evt_1", at_s, body),
    }


def test_the_example_receiver_takes_what_we_sign_and_nothing_else(
    receiver: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = yaml.safe_load((ROOT / "docs" / "examples" / "own_receiver.yaml").read_text(encoding="utf-8"))
    secret = scenario["parameters"]["WebhookSecret"]
    assert secret in README
    denied = [finding(check, Reading.NOT_FOUND) for check in (Check.RDAP, Check.WHOIS)]
    body = json.dumps(events.available_body(name(), denied, confidence=0.98, at=START)).encode()
    assert receiver.take(secret, delivery(secret, body), body) == 204
    assert capsys.readouterr().out == "example.com is available, confidence 0.98\n"
    assert receiver.take(secret, delivery(secret, body), body) == 204
    assert capsys.readouterr().out == ""
    assert receiver.take(secret, delivery(secret, body), body + b" ") == 401


def test_the_readmes_python_example_knows_our_signature() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    namespace: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), namespace)
    secret = "whsec_dGhpcyBzZWNyZXQgaXMgb25seSBmb3IgdHJ5aW5n"
    assert namespace["is_ours"](secret, delivery(secret, b"{}"), b"{}") is True
    assert namespace["is_ours"](secret, delivery(secret, b"{}"), b"[]") is False


def test_the_scenario_of_the_example_is_one_the_sandbox_takes() -> None:
    assert load(ROOT / "docs" / "examples" / "own_receiver.yaml").parameters["ApiCallbackUrl"].startswith("http://127.")
