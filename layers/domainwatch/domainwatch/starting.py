"""From the queue to the state machine: one message is one execution, however often it is delivered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from domainwatch import wire
from domainwatch.errors import BadMessage, TryLater
from domainwatch.names import Name
from domainwatch.ports import Now, QueuePort, Store, Watched
from domainwatch.verdicts import Known
from domainwatch.wire import Message, NewName, epoch_ms

# A message that came earlier than this before its moment waits on the queue again.
EARLY_S = 1.0
MAX_QUEUE_DELAY_S = 900
# DNS findings older than this are asked for anew when a deferred batch goes on.
DNS_FRESH_MS = 30_000
_FAST_CHECKS = (("dns",), ("http",))
# What a name's finding takes on its way through an execution beside the name, at the least; below it a batch is split.
ROOM_PER_NAME_BYTES = 75


class Machine(Protocol):
    """The state machine."""

    def start(self, name: str, body: Mapping[str, Any]) -> bool:
        """Start an execution under this name; False when there was one already. Raises `TryLater`."""
        ...


class DeadLetters(Protocol):
    """Where a message goes that no retry can cure."""

    def bury(self, body: str, reason: str) -> None:
        """Put the message aside with its reason. Raises `TryLater`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One delivery from the queue."""

    message_id: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What became of a delivery of several messages: `failed` are the ids to deliver again, `errors` why."""

    executions: int = 0
    repeated: int = 0
    put_back: int = 0
    buried: int = 0
    failed: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def failing(self, message_id: str, exc: Exception) -> "Started":
        """The same, with one more message to deliver again, and why."""
        return replace(self, failed=(*self.failed, message_id), errors=(*self.errors, f"{type(exc).__name__}: {exc}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """Starts an execution per message; each message succeeds or fails alone."""

    store: Store
    queue: QueuePort
    dead_letters: DeadLetters
    machine: Machine
    now: Now

    def start(self, received: Sequence[Received]) -> Started:
        """Start what was delivered. Malformed messages are buried at once with their reason: delivering them again
        cures nothing.
        """
        done = Started()
        for each in received:
            try:
                done = self._start_one(each.body, done)
            except BadMessage as exc:
                try:
                    self.dead_letters.bury(each.body, str(exc))
                    done = replace(done, buried=done.buried + 1)
                except TryLater as again:
                    done = done.failing(each.message_id, again)
            except Exception as exc:  # whatever it is, it is this message's alone: the others must start
                done = done.failing(each.message_id, exc)
        return done

    def _start_one(self, body: str, done: Started) -> Started:
        message = wire.message_from(body)
        wait_s = message.continue_at - self.now().timestamp()
        if wait_s > EARLY_S:
            self.queue.send([(message.json(), min(MAX_QUEUE_DELAY_S, int(wait_s) + 1))])
            return replace(done, put_back=done.put_back + 1)
        known = self._known(message)
        if not known:
            return done  # none of them is watched any more
        execution = wire.execution_input(_with_dns_anew(message, self.now()), known)
        if execution["batch"]["room"] < _room_wanted(known) and len(message.names) > 1:
            self.queue.send([(half.json(), 0) for half in _halves(message)])
            return replace(done, put_back=done.put_back + 1)
        started = self.machine.start(message.execution_name, execution)
        return replace(done, executions=done.executions + int(started), repeated=done.repeated + int(not started))

    def _known(self, message: Message) -> dict[Name, Known]:
        """What is known of each watched name of the message. A name asked for by hand becomes a watched one."""
        stored = self.store.get_many(message.names)
        missing = [name for name in message.names if name not in stored]
        if message.reason == "manual" and missing:
            at = self.now()
            self.store.add(
                Watched(name=name, attributes=NewName(name=name, source="queue").attributes(at=at)) for name in missing
            )
            stored |= self.store.get_many(missing)
        return {
            name: replace(wire.known_from(stored[name].attributes), version=stored[name].version)
            for name in message.names
            if name in stored
        }


def _room_wanted(names: Iterable[Name]) -> int:
    return sum(ROOM_PER_NAME_BYTES + len(name.text) for name in names)


def _with_dns_anew(message: Message, now: datetime) -> Message:
    """A deferred batch whose DNS findings have grown old asks DNS once more on its way: it costs next to nothing, and
    a name that was registered meanwhile is seen. The rungs it has answers of are not asked again.
    """
    old = epoch_ms(now) - DNS_FRESH_MS
    kept = tuple(each for each in message.findings if each[1:2] not in _FAST_CHECKS or each[5] >= old)
    fresh = bool(message.findings) and len(kept) == len(message.findings)
    if message.reason != "deferred" or message.rung == "fast" or fresh:
        return message
    return replace(message, rung="fast", findings=kept)


def _halves(message: Message) -> tuple[Message, Message]:
    middle = len(message.names) // 2
    first, second = message.names[:middle], message.names[middle:]
    return (
        replace(message, names=first, findings=_findings_of(message, first)),
        replace(message, names=second, findings=_findings_of(message, second), lease=None),
    )


def _findings_of(message: Message, names: Sequence[Name]) -> tuple[tuple[Any, ...], ...]:
    texts = {name.text for name in names}
    return tuple(finding for finding in message.findings if finding and finding[0] in texts)
