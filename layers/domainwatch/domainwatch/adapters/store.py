"""The watched names and the transactions that change them.

Names are clustered by shard; a version on each item decides who was first. A change, the events that tell it and the
shard's counts are one transaction. Nothing scans a table.

Attributes of our own on a name's item: `shard`, `name`, `version`, `write_id` (the change that made this version, so
that a transaction whose reply was lost knows itself again), `cadence_key` and `attention` (the indexes' keys).
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from domainwatch.adapters.dynamo import (
    ATTEMPTS,
    MAX_ACTIONS,
    MAX_ITEM_BYTES,
    MAX_TRANSACTION_BYTES,
    TRANSACTION_ATTEMPTS,
    Cancelled,
    Dynamo,
    Item,
    busy,
    chunks,
    from_item,
    from_value,
    plain,
    size_bytes,
    to_item,
)
from domainwatch.adapters.outbox import event_item
from domainwatch.errors import BadMessage, NameRefused, TryLater
from domainwatch.names import Name
from domainwatch.phases import Phase
from domainwatch.ports import Change, Now, Watched
from domainwatch.verdicts import Status
from domainwatch.wire import digest, dumps, shard_of

_OWN = frozenset({"shard", "name", "version", "write_id", "cadence_key", "attention"})
# An integral number comes back as an int from DynamoDB; these are floats all the same.
_FLOATS = frozenset({"confidence"})
# How many names are looked at together when they are added or removed: enough for each shard's counts to be merged.
_TOGETHER = 2000
_BY_CADENCE = "ByCadence"
_BY_ATTENTION = "ByAttention"
_FAILED = "ConditionalCheckFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What one name's change does to the tables: the action on its item, its events' actions and what it counts."""

    index: int
    name: Name
    shard: int
    action: Mapping[str, Any]
    write_id: str
    events: Mapping[str, Mapping[str, Any]]
    counts: Mapping[str, int]
    size_bytes: int


# Which step, and which of its events, an action of a transaction belongs to: (None, None) is a shard's counts.
_Owner = tuple[_Step | None, str | None]


class DynamoStore:
    """The store over DynamoDB; what is promised is said in `ports.Store`."""

    def __init__(
        self,
        client: Any,
        *,
        names_table: str,
        ledger_table: str,
        shards: int,
        now: Now,
        dynamo: Callable[[Any], Dynamo] = Dynamo,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._dynamo = dynamo(client)
        self._names = names_table
        self._ledger = ledger_table
        self._shards = shards
        self._now = now
        self._new_id = new_id

    # --- reading ------------------------------------------------------------------------------------------------------

    def get(self, name: Name) -> Watched | None:
        """The name as stored, read consistently; None when it is not watched."""
        reply = self._dynamo.call("get_item", TableName=self._names, Key=self._key(name), ConsistentRead=True)
        item = reply.get("Item")
        return _watched(item, name) if item else None

    def get_many(self, names: Sequence[Name]) -> dict[Name, Watched]:
        """Those of the names that are watched, in the order asked."""
        wanted = {name.text: name for name in names}
        items = self._dynamo.get_all(self._names, [self._key(name) for name in wanted.values()])
        found = {item["name"]["S"]: item for item in items}
        return {name: _watched(found[text], name) for text, name in wanted.items() if text in found}

    def due_names(self, shard: int, cadence: str | None) -> Iterator[Name]:
        """The names of a shard with that cadence (None: all), in order. One that is no registrable name any more,
        because the public suffix list moved on, is left out: it could not be checked.
        """
        if cadence is None:
            query = {"ProjectionExpression": "#name", **self._in_shard(shard)}
            query["ExpressionAttributeNames"]["#name"] = "name"
        else:
            query = _in_index(_BY_CADENCE, "cadence_key", _cadence_key(shard, cadence))
        for item in self._dynamo.query(self._names, **query):
            try:
                yield Name.parse(item["name"]["S"])
            except NameRefused:
                continue

    def shard_items(self, shard: int) -> Iterator[Watched]:
        """All of a shard, in the order of the names, read consistently."""
        for item in self._dynamo.query(self._names, ConsistentRead=True, **self._in_shard(shard)):
            yield _watched(item)

    def page(
        self, *, status: str | None, phase: str | None, after: Mapping[str, Any] | None, limit: int
    ) -> tuple[list[Watched], Mapping[str, Any] | None]:
        """One page and the position after it. Only a registered name has a phase. Raises `BadMessage` for a malformed
        position.
        """
        if phase is not None and status not in {None, Status.REGISTERED}:
            return [], None
        if limit < 1:
            raise BadMessage("a page has at least one name")
        start = None if after is None else _position(after)
        attention = _attention(status or Status.REGISTERED, phase)
        if attention is not None:
            items = self._page_of_index(attention, start, limit)
        else:
            wanted = {"status": Status.REGISTERED.value} if status or phase else {}
            items = self._page_of_shards(wanted | ({"phase": phase} if phase else {}), start, limit)
        found = [_watched(item) for item in islice(items, limit + 1)]
        if len(found) <= limit:
            return found, None
        last = found[limit - 1].name
        return found[:limit], {"shard": shard_of(last, self._shards), "name": last.text}

    def _page_of_index(self, attention: str, start: tuple[int, str] | None, limit: int) -> Iterator[Item]:
        query = _in_index(_BY_ATTENTION, "attention", attention)
        if start is not None:
            shard, name = start
            query["ExclusiveStartKey"] = {
                "attention": {"S": attention},
                "name": {"S": name},
                "shard": {"S": str(shard)},
            }
        return self._dynamo.query(self._names, Limit=limit + 1, **query)

    def _page_of_shards(self, wanted: Mapping[str, str], start: tuple[int, str] | None, limit: int) -> Iterator[Item]:
        first = start[0] if start else 0
        # Most shards of a short watch list are empty, and the counts know which.
        for shard in sorted(shard for shard in self._populated() if shard >= first):
            query = {**self._in_shard(shard), "Limit": max(limit + 1, 25)}
            if wanted:
                query["FilterExpression"] = " AND ".join(f"#{key} = :{key}" for key in wanted)
                query["ExpressionAttributeNames"].update({f"#{key}": key for key in wanted})
                query["ExpressionAttributeValues"].update({f":{key}": {"S": value} for key, value in wanted.items()})
            if start and shard == first:
                query["ExclusiveStartKey"] = {"shard": {"S": str(shard)}, "name": {"S": start[1]}}
            yield from self._dynamo.query(self._names, **query)

    def _populated(self) -> Iterator[int]:
        for shard, counted in self._counts():
            if sum(number for key, number in counted.items() if key.startswith("status#")) > 0:
                yield shard

    def counts(self) -> dict[str, dict[str, int]]:
        """How many names have each status, each phase (registered ones), and high priority; zeros are left out."""
        total: Counter[str] = Counter()
        for _, counted in self._counts():
            total.update(counted)
        grouped: dict[str, dict[str, int]] = {"status": {}, "phase": {}, "priority": {}}
        for key, number in sorted(total.items()):
            group, _, word = key.partition("#")
            if number:
                grouped[group][word] = number
        return grouped

    def _counts(self) -> Iterator[tuple[int, dict[str, int]]]:
        items = self._dynamo.query(
            self._ledger,
            ConsistentRead=True,
            KeyConditionExpression="#pk = :pk",
            ExpressionAttributeNames={"#pk": "pk"},
            ExpressionAttributeValues={":pk": {"S": "counts"}},
        )
        for item in items:
            yield int(item["sk"]["S"]), {key: from_value(value) for key, value in item.items() if "#" in key}

    # --- changing -----------------------------------------------------------------------------------------------------

    def add(self, items: Iterable[Watched]) -> list[Name]:
        """Watch new names, many to a transaction; returns those that were really new. Versions start at 1."""
        added: list[Name] = []
        for chunk in chunks(items, _TOGETHER):
            new = {item.name: item for item in reversed(chunk)}  # the first of two wins
            present = self._present(list(new))
            steps = [self._adding(index, item) for index, item in enumerate(new.values()) if item.name not in present]
            refused = {step.name for step in self._write(steps)}
            added += [item.name for item in _unique(chunk) if item.name not in present | refused]
        return added

    def _present(self, names: Sequence[Name]) -> set[Name]:
        wanted = {name.text: name for name in names}
        keys = [self._key(name) for name in names]
        items = self._dynamo.get_all(
            self._names, keys, ProjectionExpression="#name", ExpressionAttributeNames={"#name": "name"}
        )
        return {wanted[item["name"]["S"]] for item in items}

    def _adding(self, index: int, item: Watched) -> _Step:
        # A fresh id for each call, so that only the call's own repetition is taken for its own.
        write_id = self._new_id()
        stored, attributes = self._item(item.name, item.attributes, version=1, write_id=write_id)
        put = {
            "TableName": self._names,
            "Item": stored,
            "ConditionExpression": "attribute_not_exists(#shard)",
            "ExpressionAttributeNames": {"#shard": "shard"},
        }
        return self._step(index, item.name, {"Put": put}, write_id, counts=_counted(attributes))

    def remove(self, names: Iterable[Name], *, source: str | None = None) -> int:
        """Stop watching; with `source` only what came from it. Returns how many went."""
        return sum(self._remove(_unique_names(chunk), source) for chunk in chunks(names, _TOGETHER))

    def _remove(self, names: list[Name], source: str | None) -> int:
        removed = 0
        for attempt in range(ATTEMPTS):
            present = [
                watched
                for watched in self.get_many(names).values()
                if source is None or watched.attributes.get("source") == source
            ]
            refused = self._write([self._removing(index, watched) for index, watched in enumerate(present)])
            removed += len(present) - len(refused)
            names = [step.name for step in refused]
            if not names:
                return removed
            self._dynamo.pause(attempt)  # somebody changed them between reading and deleting
        raise TryLater(f"{len(names)} names kept changing while they were removed", reason="conflict")

    def _removing(self, index: int, watched: Watched) -> _Step:
        condition, names, values = _unchanged(watched)
        delete = {
            "TableName": self._names,
            "Key": self._key(watched.name),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
        counts = Counter({key: -number for key, number in _counted(watched.attributes).items()})
        return self._step(index, watched.name, {"Delete": delete}, self._new_id(), counts=counts)

    def commit(self, changes: Sequence[Change]) -> list[Change]:
        """Write the changes; returns those whose item moved on or is gone. `before` must be as it was read: its version
        is the condition and its attributes are what the counts lose. What is written has version `before.version + 1`,
        whatever `after` says. An event that exists already was told before: the change is written without it.

        Raises `TryLater` when DynamoDB stays busy (some may be written by then) and, when all others are written,
        `BadMessage` for changes that can never be.
        """
        now = self._now()
        steps: list[_Step] = []
        unfit: list[BadMessage] = []
        for index, change in enumerate(changes):
            try:
                steps.append(self._changing(index, change, now))
            except BadMessage as exc:
                unfit.append(exc)
        refused = self._write(steps, unfit)
        return [changes[index] for index in sorted(step.index for step in refused)]

    def _changing(self, index: int, change: Change, now: datetime) -> _Step:
        name = change.before.name
        if change.after.name != name:
            raise BadMessage(f"a change of {name} cannot become {change.after.name}")
        events = {event.id: event_item(event, now=now) for event in change.events}
        attributes = _plain_attributes(change.after.attributes)
        # The same change of the same version is the same write, whoever repeats it.
        write_id = digest(name.text, str(change.before.version), dumps(attributes), *events)[:32]
        stored, _ = self._item(name, attributes, version=change.before.version + 1, write_id=write_id)
        condition, names, values = _unchanged(change.before)
        put = {
            "TableName": self._names,
            "Item": stored,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
        counts = _counted(attributes)
        counts.subtract(_counted(change.before.attributes))
        event_puts = {
            event_id: {
                "Put": {
                    "TableName": self._ledger,
                    "Item": item,
                    "ConditionExpression": "attribute_not_exists(#pk)",
                    "ExpressionAttributeNames": {"#pk": "pk"},
                }
            }
            for event_id, item in events.items()
        }
        return self._step(index, name, {"Put": put}, write_id, counts=counts, events=event_puts)

    def _step(
        self,
        index: int,
        name: Name,
        action: dict[str, dict[str, Any]],
        write_id: str,
        *,
        counts: Mapping[str, int],
        events: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> _Step:
        for inner in action.values():
            inner["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        events = events or {}
        sizes = [size_bytes(part) for part in (action, *events.values())]
        if max(sizes) > MAX_ITEM_BYTES or sum(sizes) > MAX_TRANSACTION_BYTES or len(events) + 2 > MAX_ACTIONS:
            raise BadMessage(f"the change of {name} is too large to store: {sum(sizes)} bytes, {len(events)} events")
        return _Step(
            index=index,
            name=name,
            shard=shard_of(name, self._shards),
            action=action,
            write_id=write_id,
            events=events,
            counts={key: number for key, number in counts.items() if number},
            size_bytes=sum(sizes),
        )

    # --- transactions -------------------------------------------------------------------------------------------------

    def _write(self, steps: Sequence[_Step], unfit: list[BadMessage] | None = None) -> list[_Step]:
        """Do the steps, packed by shard so that its counts are written once; returns those their condition refused."""
        unfit = unfit if unfit is not None else []
        refused: list[_Step] = []
        for pack in _packs(sorted(steps, key=lambda step: step.shard)):
            refused += self._write_pack(pack, unfit)
        if unfit:
            raise BadMessage(f"{len(unfit)} of {len(steps)} changes cannot be stored: {unfit[0]}") from unfit[0]
        return refused

    def _write_pack(self, waiting: list[_Step], unfit: list[BadMessage]) -> list[_Step]:
        refused: list[_Step] = []
        told: set[str] = set()
        attempt = 0
        while waiting:
            actions, owners = self._actions(waiting, told)
            # Derived from all that is asked, so that a repetition is the same transaction for ten minutes.
            token = digest(dumps(actions), *(step.write_id for step in waiting))[:36]
            try:
                self._dynamo.call("transact_write_items", TransactItems=actions, ClientRequestToken=token)
                break
            except Cancelled as exc:
                outcome = _outcome(exc.reasons, owners)
                message = str(exc)
            except BadMessage as exc:
                if len(waiting) == 1:
                    unfit.append(exc)
                    break
                # One of them is unacceptable and the reply does not say which: each for itself.
                for step in waiting:
                    refused += self._write_pack([step], unfit)
                break
            told |= outcome.told
            refused += [step for step in waiting if step.index in outcome.refused]
            unfit += [BadMessage(f"{step.name}: {message}") for step in waiting if step.index in outcome.unfit]
            done = outcome.refused | outcome.written | outcome.unfit
            waiting = [step for step in waiting if step.index not in done]
            if not done and not outcome.told:
                attempt += 1
                if attempt == TRANSACTION_ATTEMPTS:
                    raise TryLater("DynamoDB kept cancelling a transaction", reason="conflict")
                self._dynamo.pause(attempt)
        return refused

    def _actions(self, steps: Sequence[_Step], told: set[str]) -> tuple[list[Mapping[str, Any]], list[_Owner]]:
        actions: list[Mapping[str, Any]] = []
        owners: list[_Owner] = []
        counts: dict[int, Counter[str]] = {}
        for step in steps:
            actions.append(step.action)
            owners.append((step, None))
            for event_id, action in step.events.items():
                if event_id not in told:
                    actions.append(action)
                    owners.append((step, event_id))
            counts.setdefault(step.shard, Counter()).update(step.counts)
        for shard, counter in counts.items():
            changed = {key: number for key, number in counter.items() if number}
            if changed:
                actions.append(self._counting(shard, changed))
                owners.append((None, None))
        return actions, owners

    def _counting(self, shard: int, changed: Mapping[str, int]) -> dict[str, Any]:
        keys = sorted(changed)
        return {
            "Update": {
                "TableName": self._ledger,
                "Key": {"pk": {"S": "counts"}, "sk": {"S": str(shard)}},
                "UpdateExpression": "ADD " + ", ".join(f"#n{index} :n{index}" for index in range(len(keys))),
                "ExpressionAttributeNames": {f"#n{index}": key for index, key in enumerate(keys)},
                "ExpressionAttributeValues": {f":n{index}": {"N": str(changed[key])} for index, key in enumerate(keys)},
            }
        }

    # --- items --------------------------------------------------------------------------------------------------------

    def _key(self, name: Name) -> Item:
        return {"shard": {"S": str(shard_of(name, self._shards))}, "name": {"S": name.text}}

    def _in_shard(self, shard: int) -> dict[str, Any]:
        return {
            "KeyConditionExpression": "#shard = :shard",
            "ExpressionAttributeNames": {"#shard": "shard"},
            "ExpressionAttributeValues": {":shard": {"S": str(shard)}},
        }

    def _item(
        self, name: Name, attributes: Mapping[str, Any], *, version: int, write_id: str
    ) -> tuple[Item, dict[str, Any]]:
        shown = _plain_attributes(attributes)
        own: dict[str, Any] = {
            "version": version,
            "write_id": write_id,
            "cadence_key": _cadence_key(shard_of(name, self._shards), str(shown.get("cadence") or "normal")),
        }
        attention = _attention(_status(shown), _phase(shown))
        if attention is not None:
            own["attention"] = attention
        return {**to_item({**shown, **own}), **self._key(name)}, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What a cancelled transaction's reasons say: indexes of steps, and ids of events that had been told before."""

    refused: set[int]
    written: set[int]
    unfit: set[int]
    told: set[str]


def _outcome(reasons: Sequence[tuple[str, Item]], owners: Sequence[_Owner]) -> _Outcome:
    outcome = _Outcome(refused=set(), written=set(), unfit=set(), told=set())
    for (code, there), (step, event_id) in zip(reasons, owners, strict=True):
        if step is None or code == "None" or busy(code):
            continue
        if code != _FAILED:
            outcome.unfit.add(step.index)
        elif event_id is not None:
            outcome.told.add(event_id)
        elif there.get("write_id", {}).get("S") == step.write_id:
            outcome.written.add(step.index)  # by this very call, whose reply was lost
        else:
            outcome.refused.add(step.index)
    return outcome


def _packs(steps: Iterable[_Step]) -> Iterator[list[_Step]]:
    """The steps in transactions: at most 100 actions and 4 MB each, and no item twice in one."""
    pack: list[_Step] = []
    actions = total_bytes = 0
    keys: set[str] = set()
    shards: set[int] = set()
    for step in steps:
        its_keys = {step.name.text, *(f"event {event_id}" for event_id in step.events)}
        # Each shard's counts take an action of their own.
        more = len(its_keys) + (step.shard not in shards)
        full = actions + more > MAX_ACTIONS or total_bytes + step.size_bytes > MAX_TRANSACTION_BYTES
        if pack and (full or its_keys & keys):
            yield pack
            pack, actions, total_bytes, keys, shards = [], 0, 0, set(), set()
            more = len(its_keys) + 1
        pack.append(step)
        actions += more
        total_bytes += step.size_bytes
        keys |= its_keys
        shards.add(step.shard)
    if pack:
        yield pack


def _unchanged(watched: Watched) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The condition that the item is still the one that was read; `added_at` tells a name from its re-added self."""
    names, values = {"#version": "version"}, {":version": {"N": str(watched.version)}}
    added_at = watched.attributes.get("added_at")
    if not isinstance(added_at, str):
        return "#version = :version", names, values
    return (
        "#version = :version AND #added = :added",
        {**names, "#added": "added_at"},
        {**values, ":added": {"S": added_at}},
    )


def _plain_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: plain(value) for key, value in attributes.items() if key not in _OWN}


def _watched(item: Item, name: Name | None = None) -> Watched:
    values = from_item(item)
    attributes = {
        key: float(value) if key in _FLOATS and isinstance(value, int) else value
        for key, value in values.items()
        if key not in _OWN
    }
    return Watched(name=name or _stored_name(values["name"]), attributes=attributes, version=values["version"])


def _stored_name(text: str) -> Name:
    """The name that was parsed when it was stored, even if the public suffix list has moved on since."""
    try:
        return Name.parse(text)
    except NameRefused:
        return Name(text=text, suffix=text.partition(".")[2] or text)


def _status(attributes: Mapping[str, Any]) -> str:
    return str(attributes.get("status") or Status.UNKNOWN)


def _phase(attributes: Mapping[str, Any]) -> str | None:
    """The phase that counts: a name that is not registered has none."""
    phase = attributes.get("phase")
    return str(phase) if phase and _status(attributes) == Status.REGISTERED else None


def _attention(status: str, phase: str | None) -> str | None:
    if status != Status.REGISTERED:
        return str(status)
    return None if phase in {None, Phase.ACTIVE} else phase


def _cadence_key(shard: int, cadence: str) -> str:
    return f"{shard}#{cadence}"


def _counted(attributes: Mapping[str, Any]) -> Counter[str]:
    keys = [f"status#{_status(attributes)}"]
    phase = _phase(attributes)
    if phase:
        keys.append(f"phase#{phase}")
    if attributes.get("priority"):
        keys.append("priority#high")
    return Counter(keys)


def _in_index(index: str, attribute: str, value: str) -> dict[str, Any]:
    return {
        "IndexName": index,
        "KeyConditionExpression": "#key = :key",
        "ExpressionAttributeNames": {"#key": attribute},
        "ExpressionAttributeValues": {":key": {"S": value}},
    }


def _position(after: Mapping[str, Any]) -> tuple[int, str]:
    shard, name = after.get("shard"), after.get("name")
    if not isinstance(shard, int) or not isinstance(name, str) or not name:
        raise BadMessage("malformed position in the list of names")
    return shard, name


def _unique(items: Iterable[Watched]) -> list[Watched]:
    return list({item.name: item for item in items}.values())


def _unique_names(names: Iterable[Name]) -> list[Name]:
    return list(dict.fromkeys(names))
