"""The two tables in an account in memory, made from the template's own words, so that the two cannot drift."""

import functools
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
# What CloudFormation states beside the shape of a table, in words of its own.
_BESIDE = {
    "PointInTimeRecoverySpecification",
    "SSESpecification",
    "TimeToLiveSpecification",
    "DeletionProtectionEnabled",
}


class _Loader(yaml.SafeLoader):
    """Reads a template whose short functions (`!Ref`) do not matter."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: f"!{suffix}")


@functools.cache
def _resources() -> dict[str, Any]:
    loaded = yaml.load(TEMPLATE.read_text(encoding="utf-8"), Loader=_Loader)
    resources: dict[str, Any] = loaded["Resources"]
    return resources


def create_table(client: Any, logical_id: str, name: str) -> str:
    """Make the table that the template calls `logical_id`; returns its name."""
    properties = _resources()[logical_id]["Properties"]
    client.create_table(TableName=name, **{key: value for key, value in properties.items() if key not in _BESIDE})
    if "TimeToLiveSpecification" in properties:
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=properties["TimeToLiveSpecification"])
    return name


def create_tables(client: Any, suffix: str = "") -> tuple[str, str]:
    """The names table and the ledger: their names."""
    return (
        create_table(client, "NamesTable", f"names{suffix}"),
        create_table(client, "LedgerTable", f"ledger{suffix}"),
    )
