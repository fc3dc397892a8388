"""How often a name is due, and the due names on their way to the queue.

Every shard has its own next moment for each cadence; a cadence's moments lie in one document, so a minute in which
little is due costs a handful of calls however many shards there are. What is due is queued first and the moment moved
on afterwards: a crash between the two repeats the same messages, and those are the same executions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from domainwatch.errors import BadSettings
from domainwatch.names import Name
from domainwatch.phases import Phase
from domainwatch.ports import Documents, Now, QueuePort, Store
from domainwatch.verdicts import Status
from domainwatch.wire import Message, digest, epoch_ms, from_epoch_ms, instant_text

if TYPE_CHECKING:
    from domainwatch.settings import ScheduleSettings

# In the order they are served: what is near its drop never waits for what is merely watched.
CADENCES = ("hot", "priority", "normal", "slow")
DEFAULTS_S = {"hot": 60.0, "priority": 300.0, "normal": 3600.0, "slow": 86_400.0}
LONGEST_S = 90 * 86_400.0

# Hot names travel almost alone, so that each is easy to find among the executions, unless there are many of them.
HOT_BATCH = 10
FEW_HOT = 100
# The schedule comes a little early or late; without this a name due each minute would be checked every other one.
SLACK_MS = 30_000
# After an outage everything is due at once. Beyond so many names one tick serves only a few times its usual share of
# shards, and the next ticks serve the rest.
UNHURRIED_NAMES = 5_000
CATCH_UP = 4
TICK_MS = 60_000
# Left for queueing what was read and for moving the moments on.
RESERVE_S = 10.0


def parse_cadences(text: str) -> dict[str, float]:
    """Seconds per cadence from `hot=60,priority=300,normal=3600,slow=86400`; one left out keeps its default. Raises
    `BadSettings`.
    """
    cadences = dict(DEFAULTS_S)
    for part in filter(None, (part.strip() for part in text.split(","))):
        cadence, _, number = (piece.strip() for piece in part.partition("="))
        if cadence not in CADENCES:
            raise BadSettings(f"{cadence[:40]!r} is no cadence; there are {', '.join(CADENCES)}")
        try:
            seconds = float(number)
        except ValueError:
            raise BadSettings(f"the cadence {cadence} needs a number of seconds, not {number[:40]!r}") from None
        if not 0 < seconds <= LONGEST_S:
            raise BadSettings(f"the cadence {cadence} must be above 0 and at most {LONGEST_S:g} seconds")
        cadences[cadence] = seconds
    return cadences


def cadence_of(status: Status, phase: Phase | None, *, priority: bool) -> str:
    """How often a name is due, from what is known of it and whether its owner flagged it.

    `hot`: it can become available any moment now (pending deletion), or looks so and awaits its confirmation.
    `priority`: the owner said so, or it is in redemption, from where some registries let a name go without a further
    stage. `slow`: reserved names, which change once in years. `normal`: all others. A renewal's grace period is one of
    them: at any time one name in eight is in it and nearly all of them stay. So are available names: each look at one
    asks its registry, and what is free has been told already. Every name has its `slow` run as well, for its facts.
    """
    if status is Status.LIKELY_AVAILABLE or (status is Status.REGISTERED and phase is Phase.PENDING_DELETE):
        return "hot"
    if priority or (status is Status.REGISTERED and phase is Phase.REDEMPTION):
        return "priority"
    return "slow" if status is Status.RESERVED else "normal"


def next_check_at(documents: Documents, shard: int, cadence: str) -> datetime | None:
    """When names of this shard and cadence are due next; None before the first schedule."""
    runs = documents.read_all("shards")
    moments = [_moments(runs.get(each)).get(shard) for each in (cadence, "slow")]
    known = [moment for moment in moments if moment is not None]
    return from_epoch_ms(min(known)) if known else None


def packed(names: Iterable[Name], size: int) -> Iterator[tuple[Name, ...]]:
    """The names in tuples of at most `size`."""
    iterator = iter(names)
    while chunk := tuple(islice(iterator, size)):
        yield chunk


@dataclass(slots=True, kw_only=True)
class Scheduled:
    """What one tick did. `left` counts the shards that are due and wait for the next tick."""

    names: dict[str, int] = field(default_factory=dict)
    messages: int = 0
    shards: int = 0
    left: int = 0

    def json(self) -> dict[str, Any]:
        """The reply of `ScheduleChecks`."""
        return {"names": self.names, "messages": self.messages, "shards": self.shards, "left": self.left}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """Queues what is due."""

    settings: "ScheduleSettings"
    store: Store
    documents: Documents
    queue: QueuePort
    shards: int
    now: Now

    def schedule(self, *, remaining_s: Callable[[], float]) -> Scheduled:
        """One tick: each due shard's names go to the queue, then its next moment is written. Stops between shards when
        little time is left. Raises `TryLater`; the same tick again sends the same messages.
        """
        done = Scheduled()
        runs = self.documents.read_all("shards")
        counts = self._counts()
        for cadence in CADENCES:
            plan = _plan(
                runs.get(cadence),
                cadence,
                shards=self.shards,
                interval_ms=max(1, round(self.settings.cadences[cadence] * 1000)),
                now_ms=epoch_ms(self.now()),
            )
            self._run(cadence, plan, counts, done, remaining_s)
            if plan.changed:
                self.documents.swap("shards", cadence, field_name="version", expected=plan.version, body=plan.body())
        self.documents.write("heartbeat", "schedule_checks", {"at": instant_text(self.now())})
        return done

    def _run(
        self,
        cadence: str,
        plan: "_Plan",
        counts: Mapping[int, Mapping[str, int]] | None,
        done: Scheduled,
        remaining_s: Callable[[], float],
    ) -> None:
        waiting: list[_Due] = []
        served: list[int] = []
        names = 0
        due = plan.due()
        for shard in due:
            hurried = names <= UNHURRIED_NAMES or len(served) < plan.usual_share() * CATCH_UP
            if remaining_s() < RESERVE_S or not hurried:
                break
            if counts is None or cadence == "slow" or _count(counts.get(shard, {}), cadence):
                found = self.store.due_names(shard, None if cadence == "slow" else cadence)
                for name in found:
                    waiting.append(_Due(name=name, shard=shard, at_ms=plan.next_ms[shard]))
                    names += 1
                    # Hot names wait for the last of them: their number decides how they are packed.
                    if cadence != "hot" and len(waiting) == self.settings.batch_size:
                        done.messages += self._send(cadence, waiting, self.settings.batch_size)
                        waiting = []
            served.append(shard)
        size = min(HOT_BATCH, self.settings.batch_size) if cadence == "hot" and names <= FEW_HOT else None
        done.messages += self._send(cadence, waiting, size or self.settings.batch_size)
        plan.served(served)
        done.shards += len(served)
        done.left += len(due) - len(served)
        if names:
            done.names[cadence] = names

    def _send(self, cadence: str, due: Sequence["_Due"], size: int) -> int:
        chunks = [due[start : start + size] for start in range(0, len(due), size)]
        messages = [
            Message(
                run_id=_run_id(cadence, chunk),
                reason="due",
                names=tuple(each.name for each in chunk),
                facts=cadence == "slow",
                patience_s=self.settings.cadences[cadence],
            )
            for chunk in chunks
        ]
        if messages:
            self.queue.send([(message.json(), 0) for message in messages])
        return len(messages)

    def _counts(self) -> Mapping[int, Mapping[str, int]] | None:
        """How many names of each sort the shards have, from the counts that the store keeps in its own transactions:
        a shard without a hot name need not be asked for hot names each minute. None: not known here, so ask.

        The `slow` run goes by no count, so that a name is looked at daily even if they were wrong.
        """
        counts = {int(shard): numbers for shard, numbers in self.documents.read_all("counts").items()}
        return counts if counts or not any(self.store.counts().get("status", {}).values()) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """A due name, its shard and the moment it was due at."""

    name: Name
    shard: int
    at_ms: int


@dataclass(slots=True, kw_only=True)
class _Plan:
    """A cadence's next moments by shard (epoch milliseconds), as read and as they will be written."""

    version: int | None
    interval_ms: int
    now_ms: int
    next_ms: dict[int, int]
    changed: bool

    def due(self) -> list[int]:
        """The due shards, the longest waiting first."""
        until_ms = self.now_ms + min(SLACK_MS, self.interval_ms // 2)
        return sorted((s for s, at in self.next_ms.items() if at <= until_ms), key=lambda s: (self.next_ms[s], s))

    def usual_share(self) -> int:
        """How many shards are due in an ordinary tick."""
        return max(1, -(-len(self.next_ms) * TICK_MS // self.interval_ms))

    def served(self, shards: Iterable[int]) -> None:
        """Move on to each shard's next moment that is still to come: what was missed is made up for once."""
        for shard in shards:
            at_ms = self.next_ms[shard]
            missed = max(0, self.now_ms - at_ms) // self.interval_ms
            self.next_ms[shard] = at_ms + (missed + 1) * self.interval_ms
            self.changed = True

    def body(self) -> dict[str, Any]:
        return {
            "version": (self.version or 0) + 1,
            "interval_ms": self.interval_ms,
            "next_ms": {str(shard): at for shard, at in self.next_ms.items()},
            "ran_at": instant_text(from_epoch_ms(self.now_ms)),
        }


def _plan(stored: Mapping[str, Any] | None, cadence: str, *, shards: int, interval_ms: int, now_ms: int) -> _Plan:
    """The plan as stored. A shard without a moment gets its first one: at once where waiting would hurt, else spread
    over the interval. When the interval was changed the moments stay spread, within the new one.
    """
    at_once = cadence in {"hot", "priority"}
    moments = _moments(stored)
    stretched = stored is not None and stored.get("interval_ms") != interval_ms
    next_ms = {}
    for shard in range(shards):
        first = now_ms if at_once else now_ms + interval_ms * (shard + 1) // shards
        at_ms = moments.get(shard, first)
        if stretched and at_ms > now_ms + interval_ms:
            at_ms = now_ms + (at_ms - now_ms) % interval_ms
        next_ms[shard] = at_ms
    return _Plan(
        version=int(stored["version"]) if stored else None,
        interval_ms=interval_ms,
        now_ms=now_ms,
        next_ms=next_ms,
        changed=stretched or moments.keys() != next_ms.keys(),
    )


def _moments(stored: Mapping[str, Any] | None) -> dict[int, int]:
    return {int(shard): int(at_ms) for shard, at_ms in stored["next_ms"].items()} if stored else {}


def _count(numbers: Mapping[str, int], cadence: str) -> int:
    """At least how many names of the cadence there may be, by `cadence_of`."""
    if cadence == "hot":
        return numbers.get("status#likely_available", 0) + numbers.get("phase#pending_delete", 0)
    if cadence == "priority":
        return numbers.get("priority#high", 0) + numbers.get("phase#redemption", 0)
    return sum(number for key, number in numbers.items() if key.startswith("status#"))


def _run_id(cadence: str, due: Sequence[_Due]) -> str:
    """Which run this is: the same for the same moments, however often it is tried."""
    moments = sorted({f"{each.shard}@{each.at_ms}" for each in due})
    first = from_epoch_ms(min(each.at_ms for each in due))
    return f"{cadence}-{first:%Y%m%dT%H%M%SZ}-{digest(cadence, *moments)[:12]}"
