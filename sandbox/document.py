"""YAML that remembers its lines, so that a mistake in a scenario file is answered with the place it is at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml


class ScenarioError(ValueError):
    """A scenario or answers file that cannot be used; the text names file, line and field."""


Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A value of the document together with where it stands."""

    value: Any
    source: str
    path: Path
    lines: dict[Path, int]

    def wrong(self, what: str) -> ScenarioError:
        known = (self.path[:n] for n in range(len(self.path), -1, -1) if self.path[:n] in self.lines)
        line = next((self.lines[path] for path in known), 0)
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")
        place = f"{self.source}, line {line}" if line else self.source
        return ScenarioError(f"{place}: {where}: {what}" if where else f"{place}: {what}")

    def get(self, key: str) -> Field | None:
        value = self.mapping().get(key)
        return None if value is None else Field(value, self.source, (*self.path, key), self.lines)

    def need(self, key: str) -> Field:
        found = self.get(key)
        if found is None:
            raise self.wrong(f"{key!r} is missing")
        return found

    def mapping(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise self.wrong(f"should be a mapping, is {_said(self.value)}")
        return self.value

    def items(self) -> Iterator[tuple[str, Field]]:
        for key, value in self.mapping().items():
            yield key, Field(value, self.source, (*self.path, key), self.lines)

    def entries(self) -> Iterator[Field]:
        if not isinstance(self.value, list):
            raise self.wrong(f"should be a list, is {_said(self.value)}")
        for index, value in enumerate(self.value):
            yield Field(value, self.source, (*self.path, index), self.lines)

    def allow(self, *keys: str) -> None:
        for key, field in self.items():
            if key not in keys:
                raise field.wrong(f"is not known here; known are: {', '.join(keys)}")

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.wrong(f"should be a text, is {_said(self.value)}")
        return self.value

    def one_of(self, *choices: str) -> str:
        if self.value not in choices:
            raise self.wrong(f"should be one of {', '.join(choices)}, is {_said(self.value)}")
        return str(self.value)

    def number(self, *, least: float = 0.0) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            raise self.wrong(f"should be a number, is {_said(self.value)}")
        if self.value < least:
            raise self.wrong(f"should be at least {least:g}, is {self.value:g}")
        return float(self.value)

    def whole(self, *, least: int = 0) -> int:
        number = self.number(least=least)
        if number != int(number):
            raise self.wrong(f"should be a whole number, is {number:g}")
        return int(number)

    def truth(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.wrong(f"should be true or false, is {_said(self.value)}")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """A text, or a list of texts."""
        if isinstance(self.value, str):
            return (self.text(),)
        return tuple(entry.text() for entry in self.entries())


def read_yaml(text: str, source: str) -> Field:
    """Parse a YAML text; keys are always texts (`no:` is Norway, not False). Raises ScenarioError."""
    loader = yaml.SafeLoader(text)
    lines: dict[Path, int] = {}
    try:
        node = loader.get_single_node()
        value = None if node is None else _plain(loader, node, (), lines, source)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        place = f"{source}, line {mark.line + 1}" if mark else source
        raise ScenarioError(f"{place}: is not YAML: {getattr(exc, 'problem', None) or exc}") from exc
    finally:
        loader.dispose()
    return Field(value, source, (), lines)


def from_data(data: Any, source: str) -> Field:
    """The same for a document that is already in memory; keys become texts."""
    return Field(_with_text_keys(data), source, (), {})


def _plain(loader: yaml.SafeLoader, node: yaml.Node, path: Path, lines: dict[Path, int], source: str) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in found:
                raise ScenarioError(f"{source}, line {key_node.start_mark.line + 1}: {key!r} stands here twice")
            found[key] = _plain(loader, value_node, (*path, key), lines, source)
            lines[(*path, key)] = key_node.start_mark.line + 1
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, entry, (*path, index), lines, source) for index, entry in enumerate(node.value)]
    return loader.construct_object(node)


def _with_text_keys(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _with_text_keys(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_with_text_keys(value) for value in data]
    return data


def _said(value: Any) -> str:
    return "empty" if value is None else f"{str(value)[:60]!r}"
