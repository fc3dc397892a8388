"""One direct look-up at a registry, as a rung with a batch of one: the same limits, the same control questions."""

from datetime import datetime

from domainwatch.findings import Finding, Reading
from domainwatch.ladder.paced import Rung
from domainwatch.names import Name
from domainwatch.wire import Batch, RungRequest


def look_up(rung: Rung, name: Name, *, run_id: str, now: datetime) -> Finding:
    """The finding of this rung's check about the name; `no_answer` when the service has no free slot within seconds."""
    batch = Batch(run_id=run_id, reason="manual", look=True)
    reply = rung.climb(RungRequest(batch=batch, open=(name,)))
    for finding in reply.findings:
        if finding.name == name and finding.check is rung.kind:
            return finding
    return Finding(name=name, check=rung.kind, reading=Reading.NO_ANSWER, reason="no_free_slot", asked_at=now)
