"""From the outbox to the callback receiver: every event is delivered, or visibly failed, and always under the same id.

What a batch produced and what a schedule finds due take the same way: claim, send, record. A crash between any two of
these steps ends in another delivery of the same event under the same id, never in none.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta

from domainwatch import wire
from domainwatch.errors import DomainwatchError
from domainwatch.ports import CallbackPort, Documents, Now, Outbox, OutboxEvent, Outcome

ATTEMPT_S = 15.0
# Pauses after the first, second, … failed attempt; after the last of them an event is dead. 76 hours in all.
PAUSES_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.2
# A claim outlasts an attempt and the writes around it; when its holder died, the event is due again after it.
CLAIM_S = 60.0
# How long a receiver that does not even answer is left alone, once this many attempts of a run got no reply.
SILENT_ATTEMPTS = 4
SILENT_PAUSE_S = 120.0
PAGE = 500
# Clocks of two machines differ a little: what another one made a moment ago is due.
CLOCK_SLACK_S = 2.0
_IN_FLIGHT_PER_TARGET = 4
_RESERVE_S = ATTEMPT_S + 5.0
_TOTALS_ROUNDS = 5


@dataclass(slots=True, kw_only=True)
class Delivered:
    """What a run did, in events. `unwanted` had no receiver to go to; `held` wait because theirs did not answer."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    unwanted: int = 0
    held: int = 0

    def json(self) -> dict[str, int]:
        """The reply of `Notify`."""
        return {
            "delivered": self.delivered,
            "failed": self.failed,
            "dead": self.dead,
            "unwanted": self.unwanted,
            "held": self.held,
        }


def pause_s(attempts: int, *, chance: float, retry_after_s: float | None = None) -> float | None:
    """Seconds until the next attempt after `attempts` failed ones; None when there is none. `chance` is 0 to 1 and
    spreads the pause by ± 20 %. A receiver's `Retry-After` is respected up to twice the pause.
    """
    if attempts > len(PAUSES_S):
        return None
    step_s = PAUSES_S[attempts - 1]
    pause = step_s * (1 - JITTER + 2 * JITTER * chance)
    return max(pause, min(retry_after_s or 0.0, 2.0 * step_s))


class Delivery:
    """Delivers from an outbox through a callback port. All reads and writes happen on the caller's thread; only the
    attempts run beside each other, a few for each target, so that a slow receiver delays no other.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        callback: CallbackPort,
        documents: Documents,
        now: Now,
        chance: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._callback = callback
        self._documents = documents
        self._now = now
        self._chance = chance

    def deliver(self, ids: Sequence[str] | None, *, remaining_s: Callable[[], float]) -> Delivered:
        """Deliver these events, or everything that is due when `ids` is None. Starts no attempt that could outlast
        `remaining_s`; what is left stays due.
        """
        run = _Run(self._outbox, self._callback, self._now, self._chance, remaining_s)
        if ids is not None:
            run.deliver(self._outbox.get_events(list(dict.fromkeys(ids))))
        else:
            self._deliver_due(run, remaining_s)
        self._add_to_totals(run.counts)
        return run.end()

    def _deliver_due(self, run: "_Run", remaining_s: Callable[[], float]) -> None:
        self._documents.write("heartbeat", "notify", {"at": wire.instant_text(self._now())})
        seen: set[str] = set()
        while remaining_s() > _RESERVE_S:
            # An index lags behind its table, so what was just done may show up once more.
            page = [event for event in self._outbox.due(now=self._now(), limit=PAGE) if event.id not in seen]
            if not page:
                break
            seen.update(event.id for event in page)
            run.deliver(page)

    def _add_to_totals(self, counts: Delivered) -> None:
        """Add to the totals that `/metrics` shows. Should others keep winning the race, these counts are lost to it."""
        new = {outcome: number for outcome, number in counts.json().items() if number}
        for _ in range(_TOTALS_ROUNDS if new else 0):
            totals = self._documents.read("totals", "callbacks") or {}
            version = totals.get("version")
            body = {**totals, **{key: totals.get(key, 0) + number for key, number in new.items()}}
            body["version"] = (version or 0) + 1
            if self._documents.swap("totals", "callbacks", field_name="version", expected=version, body=body):
                return


class _Run:
    """One run: its counts, which receivers keep silent, and what went wrong in the ledger meanwhile."""

    def __init__(
        self,
        outbox: Outbox,
        callback: CallbackPort,
        now: Now,
        chance: Callable[[], float],
        remaining_s: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._callback = callback
        self._now = now
        self._chance = chance
        self._remaining_s = remaining_s
        self.counts = Delivered()
        self._unanswered: dict[str, int] = {}
        self._first_error: DomainwatchError | None = None

    def end(self) -> Delivered:
        """The counts; raises the first trouble with the outbox, now that everything else is done."""
        if self._first_error is not None:
            raise self._first_error
        return self.counts

    def deliver(self, events: Iterable[OutboxEvent]) -> None:
        waiting = _by_target(events)
        attempts: dict[Future[Outcome], OutboxEvent] = {}
        with ThreadPoolExecutor(max_workers=max(1, _IN_FLIGHT_PER_TARGET * len(waiting))) as pool:
            while True:
                self._start(waiting, attempts, pool)
                if not attempts:
                    break
                done, _ = wait(attempts, return_when=FIRST_COMPLETED)
                for attempt in done:
                    self._record(attempts.pop(attempt), _outcome(attempt))

    def _start(
        self,
        waiting: Mapping[str, deque[OutboxEvent]],
        attempts: dict[Future[Outcome], OutboxEvent],
        pool: ThreadPoolExecutor,
    ) -> None:
        for target, events in waiting.items():
            in_flight = sum(1 for event in attempts.values() if event.target == target)
            while events and in_flight < _IN_FLIGHT_PER_TARGET and self._remaining_s() > _RESERVE_S:
                event = events.popleft()
                if not self._claim(event):
                    continue
                attempts[pool.submit(self._callback.deliver, event)] = event
                in_flight += 1

    def _claim(self, event: OutboxEvent) -> bool:
        """Whether this run shall send the event now."""
        now = self._now()
        if event.due_at > now + timedelta(seconds=CLOCK_SLACK_S):
            return False  # another run has it, or a failed attempt gave it a later time
        silent = self._unanswered.get(event.target, 0) >= SILENT_ATTEMPTS
        hold_s = SILENT_PAUSE_S if silent else CLAIM_S
        try:
            if not self._outbox.claim(event, until=now + timedelta(seconds=hold_s)):
                return False
            if not self._callback.has_receiver(event.target):
                self._outbox.delivered(event, at=now, status=0)
                self.counts.unwanted += 1
                return False
        except DomainwatchError as exc:
            self._first_error = self._first_error or exc
            return False
        if silent:
            self.counts.held += 1
        return not silent

    def _record(self, event: OutboxEvent, outcome: Outcome) -> None:
        try:
            if outcome.delivered:
                self._outbox.delivered(event, at=self._now(), status=outcome.status)
                self.counts.delivered += 1
                self._unanswered[event.target] = 0
                return
            if outcome.status == 0:
                self._unanswered[event.target] = self._unanswered.get(event.target, 0) + 1
            pause = None
            if not outcome.gone:
                pause = pause_s(event.attempts + 1, chance=self._chance(), retry_after_s=outcome.retry_after_s)
            next_at = None if pause is None else self._now() + timedelta(seconds=pause)
            self._outbox.failed(event, next_at=next_at, error=outcome.error)
            if next_at is None:
                self.counts.dead += 1
            else:
                self.counts.failed += 1
        except DomainwatchError as exc:
            # Not recorded: the claim runs out and the event is sent once more, under the same id.
            self._first_error = self._first_error or exc


def _by_target(events: Iterable[OutboxEvent]) -> dict[str, deque[OutboxEvent]]:
    waiting: dict[str, deque[OutboxEvent]] = {}
    for event in events:
        waiting.setdefault(event.target, deque()).append(event)
    return waiting


def _outcome(attempt: Future[Outcome]) -> Outcome:
    error = attempt.exception()
    if error is not None:  # a fault of ours: it must not keep the other events from their receivers
        return Outcome(error=f"internal: {type(error).__name__}")
    return attempt.result()
