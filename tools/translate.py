"""The template as CloudFormation sees it: includes inserted, the SAM transform applied.

Linting only the SAM form misses what the transform makes of it, so `make lint` lints this form too:

    python -m tools.translate > .local/translated.json
"""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]
from samtranslator.translator.transform import transform  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent
# The transform only writes the region into names that we never read.
REGION = "us-east-1"


def template(path: Path = ROOT / "template.yaml") -> dict[str, Any]:
    """The SAM template with every `AWS::Include` replaced by the file it names, short functions in their long form."""
    loaded: dict[str, Any] = _plain(yaml_parse(path.read_text(encoding="utf-8")))
    return {key: _included(value, path.parent) for key, value in loaded.items()}


def translated(path: Path = ROOT / "template.yaml") -> dict[str, Any]:
    """The same as plain CloudFormation. Layers and code count as uploaded."""
    sam = template(path)
    for resource in sam["Resources"].values():
        for key in ("CodeUri", "ContentUri"):
            if key in resource.get("Properties", {}):
                resource["Properties"][key] = "s3://bucket/key"
    sam["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    result: dict[str, Any] = transform(sam, {}, SimpleNamespace(load=dict))
    return result


def _plain(node: Any) -> Any:
    """Ordinary dicts and lists instead of the parser's own kinds."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    return node


def _included(node: Any, folder: Path) -> Any:
    if isinstance(node, list):
        return [_included(value, folder) for value in node]
    if not isinstance(node, dict):
        return node
    include = node.get("Fn::Transform")
    if isinstance(include, dict) and include.get("Name") == "AWS::Include":
        return yaml.safe_load((folder / include["Parameters"]["Location"]).read_text(encoding="utf-8"))
    return {key: _included(value, folder) for key, value in node.items()}


if __name__ == "__main__":
    json.dump(translated(), sys.stdout, indent=1)
