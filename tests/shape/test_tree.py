"""The tree keeps its shape: imports point inward, and a thing has one name in every kind of file."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "domainwatch" / "domainwatch"
FUNCTIONS = sorted((ROOT / "functions").glob("*.py"))
MODULES = sorted(PACKAGE.rglob("*.py"))

VOCABULARY = {"names", "findings", "verdicts", "phases", "events", "errors", "ports", "wire"}
# What may import third-party packages, beside the adapters.
AT_THE_EDGE = {"telemetry"}
# Pure data and text processing, allowed in the vocabulary by name: they open no connection and read no environment.
PURE_PACKAGES = {"names": {"idna", "publicsuffixlist"}}
# Inner parts and the outer ones they must not know.
LAYERS = {
    "checks": {"adapters", "ladder", "wiring", "settings", "telemetry", "api"},
    "ladder": {"adapters", "wiring", "settings", "telemetry", "api"},
    "registries": {"adapters", "wiring", "settings", "telemetry", "ladder", "api"},
    "adapters": {"wiring", "settings", "telemetry", "ladder", "api"},
    "api": {"adapters", "wiring", "settings", "telemetry"},
}


def part(module: Path) -> str:
    """The package's part a module belongs to: its folder, or its own name at the top."""
    inside = module.relative_to(PACKAGE)
    return inside.parts[0].removesuffix(".py")


def imported(module: Path, *, typing: bool = False) -> Iterator[str]:
    """The dotted names a module imports, those under `if TYPE_CHECKING` left out."""
    tree = ast.parse(module.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not typing:
            skipped.update(inner for child in node.body for inner in ast.walk(child))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            base = node.module or ""
            yield base
            if base == "domainwatch":
                yield from (f"domainwatch.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_only_the_edge_imports_third_party_packages(module: Path) -> None:
    if part(module) in {"adapters", "wiring", *AT_THE_EDGE}:
        return
    allowed = {"domainwatch", *sys.stdlib_module_names, *PURE_PACKAGES.get(part(module), set())}
    assert {name.split(".")[0] for name in imported(module)} - allowed == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_imports_point_inward(module: Path) -> None:
    forbidden = LAYERS.get(part(module), set())
    if part(module) in VOCABULARY:
        forbidden = {part(each) for each in MODULES} - VOCABULARY - {"__init__"}
    seen = {name.split(".")[1] for name in imported(module) if name.startswith("domainwatch.")}
    assert seen & forbidden == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_only_wiring_chooses_an_adapter(module: Path) -> None:
    if part(module) in {"wiring", "adapters"}:
        return
    assert not [name for name in imported(module) if name.startswith("domainwatch.adapters")]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.stem)
def test_a_handler_is_a_doorway(function: Path) -> None:
    assert {name.split(".")[0] for name in imported(function)} <= {"domainwatch", "typing", "collections"}
    [handler] = [
        node
        for node in ast.parse(function.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "handler"
    ]
    assert handler.end_lineno is not None
    assert handler.end_lineno - handler.lineno < 25


class _Loader(yaml.SafeLoader):
    """Reads the template's short intrinsic tags as plain values."""


_Loader.add_multi_constructor(
    "!",
    lambda loader, _suffix, node: (
        loader.construct_scalar(node)
        if isinstance(node, yaml.ScalarNode)
        else loader.construct_sequence(node, deep=True)
        if isinstance(node, yaml.SequenceNode)
        else loader.construct_mapping(node, deep=True)
    ),
)


def camel(name: str) -> str:
    return "".join(word.title() for word in name.split("_"))


def test_each_function_has_one_name_in_every_kind_of_file() -> None:
    template = yaml.load((ROOT / "template.yaml").read_text(), _Loader)
    resources = {
        logical_id: resource["Properties"]["Handler"]
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert resources == {f"{camel(function.stem)}Function": f"{function.stem}.handler" for function in FUNCTIONS}


def test_each_function_has_a_sample_event() -> None:
    samples = {sample.stem: json.loads(sample.read_text()) for sample in (ROOT / "events").glob("*.json")}
    assert samples.keys() == {function.stem for function in FUNCTIONS}


def test_each_rung_and_step_of_the_ladder_is_a_state_of_its_own_name() -> None:
    states = yaml.safe_load((ROOT / "statemachine" / "check_batch.asl.yaml").read_text())["States"]
    tasks = {name for name, state in states.items() if state["Type"] == "Task"}
    assert tasks <= {camel(function.stem) for function in FUNCTIONS}
    for name in tasks:
        assert states[name]["Arguments"]["FunctionName"] == f"${{{name}Function}}"


def test_no_file_speaks_of_the_machine_it_was_made_on() -> None:
    absolute = re.compile(r"(?<![A-Za-z0-9_.])/(?:home|root|Users|work)/[A-Za-z]")
    # Not below what is hidden: a local run may be coming and going there.
    shown = [top for top in ROOT.iterdir() if not top.name.startswith(".")]
    for path in [path for top in shown for path in (top, *top.rglob("*"))]:
        if "__pycache__" in path.parts or not path.is_file():
            continue
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".json", ".txt", ".in", ""}:
            assert not absolute.search(path.read_text(errors="replace")), path
