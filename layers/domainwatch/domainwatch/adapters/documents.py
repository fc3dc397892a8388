"""The ledger's documents: small shared JSON bodies under (pk, sk), the larger ones compressed.

An item holds its body's fields as attributes of their own, so items that others write there read back the same way. Of
a body above `PACK_ABOVE_BYTES` only the short values stay attributes (a condition can see them); the rest is JSON,
compressed with zlib, in the attribute `packed`.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from domainwatch.adapters.dynamo import ConditionFailed, Dynamo, Item, from_item, plain, size_bytes, to_item, to_value
from domainwatch.errors import BadMessage
from domainwatch.ports import Now
from domainwatch.wire import dumps

PACK_ABOVE_BYTES = 2_048
# An item holds 400 KB, names and numbers included.
MAX_PACKED_BYTES = 380_000
MAX_SHORT_TEXT_CHARS = 256
# What a compressed document may grow to when it is read: far above any of ours, far below the function's memory.
MAX_UNPACKED_BYTES = 64 * 1024 * 1024
_RESERVED = frozenset({"pk", "sk", "ttl", "packed"})


class DynamoDocuments:
    """`ports.Documents` in the ledger table. Reads are consistent; what outlived its `ttl` is gone, deleted or not."""

    def __init__(self, client: Any, *, ledger_table: str, now: Now, dynamo: Callable[[Any], Dynamo] = Dynamo) -> None:
        self._dynamo = dynamo(client)
        self._table = ledger_table
        self._now = now

    def read(self, pk: str, sk: str) -> Mapping[str, Any] | None:
        """The body, or None."""
        reply = self._dynamo.call("get_item", TableName=self._table, Key=_key(pk, sk), ConsistentRead=True)
        return self._body(reply["Item"]) if reply.get("Item") else None

    def read_all(self, pk: str) -> dict[str, Mapping[str, Any]]:
        """Every document under `pk`, by its `sk`."""
        items = self._dynamo.query(
            self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
            ConsistentRead=True,
        )
        bodies = ((item["sk"]["S"], self._body(item)) for item in items)
        return {sk: body for sk, body in bodies if body is not None}

    def write(self, pk: str, sk: str, body: Mapping[str, Any], *, ttl_s: int | None = None) -> None:
        """Put the body in place of what was there; with `ttl_s` it is gone after so many seconds."""
        item = _item(pk, sk, body)
        if ttl_s is not None:
            item["ttl"] = {"N": str(int(self._now().timestamp()) + ttl_s)}
        self._dynamo.call("put_item", TableName=self._table, Item=item)

    def swap(self, pk: str, sk: str, *, field_name: str, expected: Any, body: Mapping[str, Any]) -> bool:
        """Put the body if the stored `field_name`, a short value, equals `expected` (None: it is absent or null)."""
        if not _is_short(expected) or not _is_short(body.get(field_name)):
            raise BadMessage(f"a condition sees short values only, and {field_name!r} is none")
        request: dict[str, Any] = {
            "ConditionExpression": "#field = :expected",
            "ExpressionAttributeNames": {"#field": field_name},
            "ExpressionAttributeValues": {":expected": to_value(plain(expected))},
        }
        if expected is None:
            request["ConditionExpression"] = "attribute_not_exists(#field) OR #field = :expected"
        try:
            self._dynamo.call("put_item", TableName=self._table, Item=_item(pk, sk, body), **request)
        except ConditionFailed:
            return False
        return True

    def _body(self, item: Item) -> dict[str, Any] | None:
        if "ttl" in item and int(item["ttl"]["N"]) <= self._now().timestamp():
            return None
        body = from_item({key: value for key, value in item.items() if key not in _RESERVED})
        return body | _unpacked(item["packed"]["B"]) if "packed" in item else body


def _key(pk: str, sk: str) -> Item:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _item(pk: str, sk: str, body: Mapping[str, Any]) -> Item:
    if clash := _RESERVED & body.keys():
        raise BadMessage(f"a document cannot have a field {sorted(clash)[0]!r}")
    body = plain(body)
    if size_bytes(body) <= PACK_ABOVE_BYTES:
        return _key(pk, sk) | to_item(body)
    short = {key: value for key, value in body.items() if _is_short(value)}
    packed = zlib.compress(dumps({key: value for key, value in body.items() if key not in short}).encode(), 9)
    item = _key(pk, sk) | to_item(short) | {"packed": {"B": packed}}
    size = len(packed) + size_bytes(short)
    if size > MAX_PACKED_BYTES:
        raise BadMessage(f"document {pk}/{sk} takes {size} bytes compressed, at most {MAX_PACKED_BYTES} fit")
    return item


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_SHORT_TEXT_CHARS
    return value is None or isinstance(value, bool | int | float)


def _unpacked(packed: bytes) -> dict[str, Any]:
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(bytes(packed), MAX_UNPACKED_BYTES)
        body = json.loads(text)
    except (zlib.error, ValueError) as exc:
        raise BadMessage("a stored document does not unpack") from exc
    if not isinstance(body, dict):
        raise BadMessage("a stored document does not unpack to an object")
    return body
