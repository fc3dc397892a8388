"""The domain list API's answer on its way into the store.

A bad answer changes nothing, a bad entry is refused alone, and no single answer empties the watch list. What the list
said last is kept as a digest per shard: an unchanged list costs one request, a changed one reads only the shards it
changed. The order is crash-safe: names are added, then queued, then the digest is written; a run that died in between
is done again and queues what it had added.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from domainwatch.cadences import cadence_of, packed
from domainwatch.errors import BadMessage, DomainwatchError, Malformed, NameRefused, TryLater
from domainwatch.names import Name
from domainwatch.ports import Change, Documents, HttpPort, HttpReply, Now, QueuePort, Store, Watched, Zones
from domainwatch.wire import Message, NewName, digest, instant, instant_text, known_from, shard_of

if TYPE_CHECKING:
    from domainwatch.settings import ListSettings, ScheduleSettings

SOURCE = "list"
MAX_LIST_BYTES = 64 * 1024 * 1024
FETCH_S = 20.0
MAX_REDIRECTS = 3
LIST_KEYS = ("domains", "data", "results")
NAME_KEYS = ("domain", "name", "domainName")
MAX_REFUSED_LISTED = 100
MAX_ENTRY_CHARS = 200
# New names travel in batches of ten as long as there are few of them, and have their facts asked as long as the
# registries can be expected to answer that soon.
FEW_NEW = 100
FEW_BATCH = 10
MAX_NEW_WITH_FACTS = 1_000
# A list that would remove more than half of the names waits for a second word, unless there are hardly any names.
GUARDED_NAMES = 4
# What is known of top-level domains changes too, so even an unchanged list is read anew this often.
READ_ANEW = timedelta(hours=1)
RESERVE_S = 20.0
# The schedule comes a little early or late.
SLACK_S = 30.0

_YES = frozenset({"true", "yes", "1", "high"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEntry:
    """An entry that is no name to watch, cut to what people can read, with a stable reason."""

    entry: str
    reason: str
    suggestion: str | None = None

    def json(self) -> dict[str, Any]:
        return {"entry": self.entry, "reason": self.reason, "suggestion": self.suggestion}


@dataclass(slots=True, kw_only=True)
class ListAnswer:
    """A parsed list: A-labels with their priority, and what was refused (all counted, the first ones listed)."""

    names: dict[str, bool] = field(default_factory=dict)
    duplicates: int = 0
    refused: int = 0
    refused_entries: list[RefusedEntry] = field(default_factory=list)

    def refuse(self, entry: object, reason: str, suggestion: str | None = None) -> None:
        """Count an entry as refused, and list it while there is room."""
        self.refused += 1
        if len(self.refused_entries) < MAX_REFUSED_LISTED:
            cut = suggestion[:MAX_ENTRY_CHARS] if suggestion else None
            self.refused_entries.append(RefusedEntry(entry=_entry_text(entry), reason=reason, suggestion=cut))


def parse_list(body: bytes, content_type: str = "") -> ListAnswer:
    """Parse a list API's body: `{"domains": […]}`, or `data` or `results`; entries are names or objects with `domain`,
    `name` or `domainName`, and perhaps `priority`. Raises `Malformed` with a reason for what is no such list.
    """
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        raise Malformed("the list API answered with a web page", reason="html")
    try:
        answer = json.loads(body)
    except RecursionError as exc:
        raise Malformed("the list API's answer is nested too deeply", reason="too_deep") from exc
    except ValueError as exc:
        kind = f" ({content_type[:80]})" if content_type else ""
        raise Malformed(f"the list API's answer is no JSON{kind}: {str(exc)[:200]}", reason="not_json") from exc
    if isinstance(answer, list):
        raise Malformed('the list must be an object: {"domains": […]}', reason="root_array")
    if not isinstance(answer, dict):
        raise Malformed(f"the list must be an object, not {type(answer).__name__}", reason="wrong_type")
    key = next((key for key in LIST_KEYS if key in answer), None)
    if key is None:
        raise Malformed(f"the answer has none of {', '.join(LIST_KEYS)}", reason="no_list")
    if not isinstance(answer[key], list):
        raise Malformed(f"{key} must be a list, not {type(answer[key]).__name__}", reason="wrong_type")
    return _parse_entries(answer[key])


def _parse_entries(entries: Sequence[object]) -> ListAnswer:
    answer = ListAnswer()
    for entry in entries:
        raw: object = entry
        priority = False
        if isinstance(entry, dict):
            raw = next((entry[key] for key in NAME_KEYS if entry.get(key) is not None), None)
            priority = _is_yes(entry.get("priority"))
        if not isinstance(raw, str):
            answer.refuse(entry, "no_name" if isinstance(entry, dict) and raw is None else "not_text")
            continue
        try:
            text = Name.parse(raw).text
        except NameRefused as exc:
            answer.refuse(raw, exc.reason, exc.suggestion)
            continue
        answer.duplicates += text in answer.names
        answer.names[text] = priority or answer.names.get(text, False)
    return answer


def _is_yes(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _YES
    return isinstance(value, bool | int | float) and bool(value)


def _entry_text(entry: object) -> str:
    """The start of an entry as it came, fit to keep and to show."""
    try:
        text = entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False)
    except RecursionError:
        text = type(entry).__name__
    cut = text[:MAX_ENTRY_CHARS]
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)
    return shown[:MAX_ENTRY_CHARS]


@dataclass(slots=True, kw_only=True)
class ListState:
    """What is known of the list: the document (`list`, `state`).

    `fetched_at` is the last good answer, `tried_at` the last attempt; `error` {reason, message, at} what was wrong with
    it, `failures` how many failed in a row. `held` {reason, would_remove, digest, since} is a removal that waits for a
    second word. `names_count` are the names watched because of the list. `run_since` is when a run began that is not
    done, and `pending_shards` how many shards it has left. In `open_shards` the store may differ from what their
    digests say: they were being changed, or have removals that wait.
    """

    tried_at: datetime | None = None
    fetched_at: datetime | None = None
    parsed_at: datetime | None = None
    run_since: datetime | None = None
    accepted: int = 0
    refused: int = 0
    duplicates: int = 0
    refused_entries: list[dict[str, Any]] = field(default_factory=list)
    held: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    failures: int = 0
    names_count: int = 0
    pending_shards: int = 0
    open_shards: list[int] = field(default_factory=list)
    etag: str = ""
    body_digest: str = ""

    def json(self) -> dict[str, Any]:
        """The document."""
        return {
            "tried_at": instant_text(self.tried_at),
            "fetched_at": instant_text(self.fetched_at),
            "parsed_at": instant_text(self.parsed_at),
            "run_since": instant_text(self.run_since),
            "accepted": self.accepted,
            "refused": self.refused,
            "duplicates": self.duplicates,
            "refused_entries": self.refused_entries,
            "held": self.held,
            "error": self.error,
            "failures": self.failures,
            "names_count": self.names_count,
            "pending_shards": self.pending_shards,
            "open_shards": self.open_shards,
            "etag": self.etag,
            "body_digest": self.body_digest,
        }


def list_state(documents: Documents) -> ListState:
    """The state as stored; what was never written is empty."""
    stored = documents.read("list", "state") or {}
    return ListState(
        tried_at=instant(stored.get("tried_at")),
        fetched_at=instant(stored.get("fetched_at")),
        parsed_at=instant(stored.get("parsed_at")),
        run_since=instant(stored.get("run_since")),
        accepted=int(stored.get("accepted", 0)),
        refused=int(stored.get("refused", 0)),
        duplicates=int(stored.get("duplicates", 0)),
        refused_entries=list(stored.get("refused_entries", [])),
        held=stored.get("held"),
        error=stored.get("error"),
        failures=int(stored.get("failures", 0)),
        names_count=int(stored.get("names_count", 0)),
        pending_shards=int(stored.get("pending_shards", 0)),
        open_shards=[int(shard) for shard in stored.get("open_shards", [])],
        etag=str(stored.get("etag", "")),
        body_digest=str(stored.get("body_digest", "")),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What one refresh did. `outcome`: `no_list`, `not_due`, `refused` (nothing changed), `unchanged`, `held`
    (additions entered, removals wait), `unfinished` (the next one goes on) or `done`.
    """

    outcome: str
    reason: str = ""
    added: int = 0
    removed: int = 0
    queued: int = 0
    reprioritised: int = 0
    state: ListState = field(default_factory=ListState)

    def json(self) -> dict[str, Any]:
        """The reply of `FetchDomains`. `skipped` says why there was nothing to do."""
        if self.outcome in {"no_list", "not_due"}:
            return {"outcome": self.outcome, "skipped": self.reason}
        return {
            "outcome": self.outcome,
            "reason": self.reason,
            "added": self.added,
            "removed": self.removed,
            "queued": self.queued,
            "reprioritised": self.reprioritised,
            "accepted": self.state.accepted,
            "refused": self.state.refused,
            "names_count": self.state.names_count,
            "held": self.state.held,
            "pending_shards": self.state.pending_shards,
        }

    def outcomes(self) -> dict[str, int]:
        """What is counted, by the names of our metrics."""
        return {
            # Said at every tick for as long as it lasts: an alarm must not depend on how often the list is fetched.
            "ListRefused": int(self.state.error is not None),
            "ListHeld": int(self.state.held is not None),
            "EntriesRefused": self.state.refused if self.outcome in {"done", "held", "unfinished"} else 0,
            "NamesAdded": self.added,
            "NamesRemoved": self.removed,
        }


@dataclass(slots=True, kw_only=True)
class _Wanted:
    """The accepted names by shard, those of unknown top-level domains, and the digests of all."""

    by_shard: dict[int, dict[str, bool]]
    unknown: set[str]
    digests: dict[int, str]

    @property
    def digest(self) -> str:
        return digest(*(f"{shard} {self.digests[shard]}" for shard in sorted(self.digests)))


@dataclass(slots=True, kw_only=True)
class _Diff:
    """How one shard's stored names differ from the list. `listed` counts the stored names that came from the list."""

    shard: int
    listed: int = 0
    new: list[str] = field(default_factory=list)
    unqueued: list[Name] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    gone: list[Name] = field(default_factory=list)

    @property
    def to_queue(self) -> int:
        return len(self.new) + len(self.unqueued)


@dataclass(slots=True, kw_only=True)
class _Done:
    """What applying the differences did; `shards` are as the list wants them now."""

    added: int = 0
    removed: int = 0
    queued: int = 0
    reprioritised: int = 0
    shards: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchlist:
    """Brings the list API's names into the store."""

    settings: "ListSettings"
    schedule: "ScheduleSettings"
    http: HttpPort
    store: Store
    documents: Documents
    queue: QueuePort
    zones: Zones
    shards: int
    token: Callable[[], str]
    now: Now

    def refresh(
        self, *, remaining_s: Callable[[], float], scheduled: bool = False, confirm_removal: bool = False
    ) -> Refreshed:
        """Fetch the list and apply it. `scheduled`: only if the interval has passed. `confirm_removal`: an operator's
        word that this answer may remove whatever it lacks, even everything.

        Whatever is wrong with the answer is kept in the state and changes nothing else. Raises `TryLater` when the
        store or the queue is away; the next refresh does the rest.
        """
        state = list_state(self.documents)
        if not self.settings.url:
            self._beat()
            return Refreshed(outcome="no_list", reason="no DomainApiUrl is set", state=state)
        if scheduled and not self._is_due(state):
            self._beat()
            return Refreshed(outcome="not_due", reason="the refresh interval has not passed", state=state)
        state.tried_at = self.now()
        refreshed = self._refresh(state, confirm_removal=confirm_removal, remaining_s=remaining_s)
        self._write_state(state)
        self._beat()
        return refreshed

    def _refresh(self, state: ListState, *, confirm_removal: bool, remaining_s: Callable[[], float]) -> Refreshed:
        try:
            reply = self._fetch(state, anew=confirm_removal or not self._is_settled(state))
            if reply is None or (not confirm_removal and self._is_known(state, reply)):
                state.fetched_at, state.error, state.failures = self.now(), None, 0
                return Refreshed(outcome="unchanged", state=state)
            answer = parse_list(reply.body, reply.headers.get("content-type", ""))
        except DomainwatchError as exc:
            return self._refused(state, exc.reason if isinstance(exc, TryLater) else "unreachable", str(exc))
        body_digest, etag = sha256(reply.body).hexdigest(), reply.headers.get("etag", "")
        del reply  # a list of a million names takes its memory
        wanted = self._wanted(answer)
        state.refused, state.duplicates = answer.refused, answer.duplicates
        state.refused_entries = [entry.json() for entry in answer.refused_entries]
        accepted = sum(len(names) for names in wanted.by_shard.values())
        if not accepted and not confirm_removal:
            return self._empty(state, answer)
        state.accepted, state.fetched_at, state.parsed_at = accepted, self.now(), self.now()
        state.error, state.failures = None, 0
        # What the server said of this answer counts once the answer is in.
        state.body_digest, state.etag = "", ""
        refreshed = self._apply(state, wanted, confirm_removal=confirm_removal, remaining_s=remaining_s)
        if refreshed.outcome == "done":
            state.body_digest, state.etag = body_digest, etag
        return refreshed

    # --- the answer ---------------------------------------------------------------------------------------------------

    def _is_due(self, state: ListState) -> bool:
        if state.tried_at is None or state.pending_shards:
            return True
        interval_s = self.settings.refresh_interval_s
        slack_s = min(SLACK_S, interval_s / 2)
        return self.now() - state.tried_at >= timedelta(seconds=interval_s - slack_s)

    def _is_settled(self, state: ListState) -> bool:
        """Whether the last answer is wholly in the store and was read lately, so that the same one changes nothing."""
        lately = state.parsed_at is not None and self.now() - state.parsed_at < READ_ANEW
        return lately and state.held is None and not state.pending_shards and bool(state.body_digest)

    def _is_known(self, state: ListState, reply: HttpReply) -> bool:
        return self._is_settled(state) and sha256(reply.body).hexdigest() == state.body_digest

    def _fetch(self, state: ListState, *, anew: bool) -> HttpReply | None:
        """The list API's reply; None when it says that nothing changed."""
        headers = {"accept": "application/json"}
        token = self.token()
        if token:
            headers["authorization"] = f"Bearer {token}"
        if state.etag and not anew:
            headers["if-none-match"] = state.etag
        reply = self.http.fetch(
            self.settings.url,
            headers=headers,
            timeout_s=FETCH_S,
            max_bytes=MAX_LIST_BYTES,
            redirects=MAX_REDIRECTS,
        )
        if reply.status == 304 and "if-none-match" in headers:
            return None
        if reply.status != 200:
            raise Malformed(f"the list API answered with status {reply.status}", reason=f"http_{reply.status}")
        return reply

    def _refused(self, state: ListState, reason: str, message: str) -> Refreshed:
        state.error = {"reason": reason, "message": message[:500], "at": instant_text(self.now())}
        state.failures += 1
        return Refreshed(outcome="refused", reason=reason, state=state)

    def _empty(self, state: ListState, answer: ListAnswer) -> Refreshed:
        """An answer without one name to watch. No second one like it makes it true: it takes an operator's word."""
        reason = "no_valid_entry" if answer.refused else "empty_list"
        if state.names_count:
            since = state.held["since"] if state.held and state.held["reason"] == reason else instant_text(self.now())
            state.held = {"reason": reason, "would_remove": state.names_count, "digest": "", "since": since}
        return self._refused(state, reason, "the list has no name to watch, so the last good list stays")

    def _wanted(self, answer: ListAnswer) -> _Wanted:
        """Sort the names by shard. One under a top-level domain that does not exist is refused; if it is watched
        already it stays, since what we know of zones may be what is wrong.
        """
        wanted = _Wanted(by_shard={}, unknown=set(), digests={})
        exists: dict[str, bool | None] = {}
        for text, priority in answer.names.items():
            name = Name(text=text, suffix="")
            if name.tld not in exists:
                exists[name.tld] = self.zones.exists(name.tld)
            if exists[name.tld] is False:
                answer.refuse(text, "unknown_top_level_domain")
                wanted.unknown.add(text)
            else:
                wanted.by_shard.setdefault(shard_of(name, self.shards), {})[text] = priority
        answer.names.clear()
        for shard, names in wanted.by_shard.items():
            lines = sorted(f"{text}!" if priority else text for text, priority in names.items())
            wanted.digests[shard] = digest(*lines)
        return wanted

    # --- the store ----------------------------------------------------------------------------------------------------

    def _apply(
        self, state: ListState, wanted: _Wanted, *, confirm_removal: bool, remaining_s: Callable[[], float]
    ) -> Refreshed:
        stored = {
            int(sk.removeprefix("shard#")): body
            for sk, body in self.documents.read_all("list").items()
            if sk.startswith("shard#")
        }
        still_open = set(state.open_shards)
        changed = [
            shard
            for shard in sorted(still_open | stored.keys() | wanted.digests.keys())
            if shard in still_open or (stored.get(shard) or {}).get("digest", "") != wanted.digests.get(shard, "")
        ]
        redo_since = state.run_since
        if changed:
            # Known before anything is changed, so that a run that dies halfway leaves no shard that looks done.
            state.run_since, state.open_shards = state.run_since or self.now(), changed
            self._write_state(state)
        diffs: list[_Diff] = []
        for shard in changed:
            if remaining_s() < RESERVE_S:
                break
            diffs.append(self._diff(shard, wanted, redo_since))
        would_remove = sum(len(diff.gone) for diff in diffs)
        unchanged = sum(int(body.get("names", 0)) for shard, body in stored.items() if shard not in set(changed))
        known = unchanged + sum(diff.listed for diff in diffs)
        whole = len(diffs) == len(changed)
        held = self._hold(state, wanted.digest, would_remove, known) if whole and not confirm_removal else None
        done = _Done()
        left = len(changed) - len(diffs)
        left += self._enter(diffs, wanted, done, remaining_s, may_remove=whole and held is None)
        state.open_shards = [shard for shard in changed if shard not in done.shards]
        state.names_count = max(0, known + done.added - done.removed)
        state.pending_shards = left
        # While a confirmed removal is not through, what was confirmed stays known.
        if whole and (held or not left):
            state.held = held
        if not left:
            state.run_since = None
        outcome = "unfinished" if left else "held" if held else "done" if changed else "unchanged"
        refreshed = Refreshed(
            outcome=outcome,
            added=done.added,
            removed=done.removed,
            queued=done.queued,
            reprioritised=done.reprioritised,
            state=state,
        )
        return refreshed if outcome != "unchanged" else replace(refreshed, outcome="done", reason="unchanged")

    def _diff(self, shard: int, wanted: _Wanted, redo_since: datetime | None) -> _Diff:
        names = wanted.by_shard.get(shard, {})
        diff = _Diff(shard=shard)
        present = set()
        for item in self.store.shard_items(shard):
            text, listed = item.name.text, item.attributes.get("source") == SOURCE
            diff.listed += listed
            if text in names:
                present.add(text)
                if listed and bool(item.attributes.get("priority")) != names[text]:
                    diff.changes.append(_reprioritised(item, names[text]))
                if redo_since is not None and _was_added_since(item, redo_since):
                    diff.unqueued.append(item.name)
            elif listed and text not in wanted.unknown:
                diff.gone.append(item.name)
        diff.new = [text for text in names if text not in present]
        return diff

    def _hold(self, state: ListState, list_digest: str, would_remove: int, known: int) -> dict[str, Any] | None:
        """The hold on a mass removal, or None when it may happen: it is none, or the very same answer came before."""
        if known < GUARDED_NAMES or would_remove * 2 <= known:
            return None
        if state.held and state.held.get("digest") == list_digest:
            return None
        return {
            "reason": "mass_removal",
            "would_remove": would_remove,
            "digest": list_digest,
            "since": instant_text(self.now()),
        }

    def _enter(
        self,
        diffs: Sequence[_Diff],
        wanted: _Wanted,
        done: _Done,
        remaining_s: Callable[[], float],
        *,
        may_remove: bool,
    ) -> int:
        """Apply the differences shard by shard, queueing when a batch is full; returns how many shards are left."""
        to_queue = sum(diff.to_queue for diff in diffs)
        size = self.schedule.batch_size if to_queue > FEW_NEW else min(FEW_BATCH, self.schedule.batch_size)
        message = Message(
            run_id=f"list-{wanted.digest[:16]}", reason="new", names=(), facts=to_queue <= MAX_NEW_WITH_FACTS
        )
        entered: list[_Diff] = []
        names: list[Name] = []
        lost: set[int] = set()
        settle = partial(
            self._settle, message=message, size=size, wanted=wanted, lost=lost, done=done, may_remove=may_remove
        )
        left = 0
        for index, diff in enumerate(diffs):
            if remaining_s() < RESERVE_S:
                left = len(diffs) - index
                break
            names += diff.unqueued
            names += self._add(diff, wanted.by_shard.get(diff.shard, {}), done)
            unwritten = self.store.commit(diff.changes) if diff.changes else []
            done.reprioritised += len(diff.changes) - len(unwritten)
            if unwritten:
                lost.add(diff.shard)  # somebody changed the name meanwhile; the next refresh sees it
            if may_remove and diff.gone:
                done.removed += self.store.remove(diff.gone, source=SOURCE)
            entered.append(diff)
            if len(names) >= self.schedule.batch_size:
                settle(entered, names)
                entered, names = [], []
        settle(entered, names)
        return left + len(lost)

    def _add(self, diff: _Diff, priorities: Mapping[str, bool], done: _Done) -> list[Name]:
        at = self.now()
        new = [NewName(name=Name.parse(text), source=SOURCE, priority=priorities[text]) for text in diff.new]
        added = self.store.add(Watched(name=each.name, attributes=each.attributes(at=at)) for each in new)
        done.added += len(added)
        return added

    def _settle(
        self,
        entered: Iterable[_Diff],
        names: Sequence[Name],
        *,
        message: Message,
        size: int,
        wanted: _Wanted,
        lost: set[int],
        done: _Done,
        may_remove: bool,
    ) -> None:
        """Queue the names that were added, then note that their shards are as the list wants them."""
        messages = [replace(message, names=chunk) for chunk in packed(names, size)]
        if messages:
            self.queue.send([(each.json(), 0) for each in messages])
        done.queued += len(names)
        for diff in entered:
            withheld = diff.gone and not may_remove
            if withheld or diff.shard in lost:
                continue
            body = {
                "digest": wanted.digests.get(diff.shard, ""),
                "names": len(wanted.by_shard.get(diff.shard, {})),
            }
            self.documents.write("list", f"shard#{diff.shard}", body)
            done.shards.add(diff.shard)

    # --- documents ----------------------------------------------------------------------------------------------------

    def _write_state(self, state: ListState) -> None:
        self.documents.write("list", "state", state.json())

    def _beat(self) -> None:
        self.documents.write("heartbeat", "fetch_domains", {"at": instant_text(self.now())})


def _reprioritised(item: Watched, priority: bool) -> Change:
    try:
        known = known_from(item.attributes)
        cadence = cadence_of(known.status, known.phase, priority=priority)
    except BadMessage:
        cadence = "priority" if priority else "normal"
    attributes = {**item.attributes, "priority": priority, "cadence": cadence}
    return Change(before=item, after=Watched(name=item.name, attributes=attributes, version=item.version))


def _was_added_since(item: Watched, moment: datetime) -> bool:
    """Whether an unfinished run may have added the name without queueing it."""
    if item.attributes.get("reason") != "not_checked_yet":
        return False
    added_at = instant(item.attributes.get("added_at"))
    return added_at is not None and added_at >= moment
