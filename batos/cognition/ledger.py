"""The units of work behind a cycle's steps: what a step writes, and the story so far. Everything runs inside the image's door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.cognition import acceptance
from batos.image import cycles, outbox

if TYPE_CHECKING:
    from batos.cognition.services import Record, Step
    from batos.image.store import View

Message = dict[str, Any]


class MovedOn(Exception):
    """The cycle is no longer where the step was computed from."""


def write_step(view: View, record: Record, step: Step, now: str, keep: int) -> tuple[list[Message], Message | None]:
    """Commit a step: record, events, log lines, and at the end everything that ends with it.

    Returns:
        The events with their `seq`, and the last word where this is the end.

    Raises:
        MovedOn: The cycle has gone on without this step.
    """
    stored = cycles.load(view, record["cycle_id"])
    if stored is None or stored.get("last_word") or _place(stored) != _place(record):
        raise MovedOn
    if step.to == "COMPLETE" and stored["brief"].get("approve") and not record["brief"].get("approve"):
        raise MovedOn  # somebody who wants an approval has joined meanwhile
    # A record that an older kernel wrote is written anew as a whole.
    renewed = record if stored["schema"] != record["schema"] else {}
    changes = {**renewed, **step.changes, "updated": now, "data": {**record["data"], **step.data}}
    lines, events = list(step.log), list(step.events)
    if step.to is not None:
        changes["state"] = step.to
        if step.to == "FAILED":
            changes.setdefault("failed_in", record["state"])
        lines.append(("STATE_TRANSITION", {"transition_to": step.to}))
        events.append({"event": "transition", "from": record["state"], "to": step.to})
    done = step.effect(view) if step.effect is not None else {}
    for event_type, fields in lines:
        outbox.append(view, acceptance.line(record, event_type, now, fields))
    if step.last_word is None:
        return cycles.save(view, record["cycle_id"], changes, events), None
    last_word = {**step.last_word, **done, "cycle_id": record["cycle_id"]}
    changes.update(state="IDLE", ended=last_word["status"])
    return cycles.finish(view, record["cycle_id"], changes, events, last_word, keep=keep), last_word


def story(view: View, cycle_id: str, from_seq: int) -> tuple[Record | None, list[Message]]:
    """A cycle's record, None where there is none, and its events from a `seq` on."""
    record = cycles.load(view, cycle_id)
    return record, [] if record is None else cycles.events(view, cycle_id, from_seq)


def _place(record: Record) -> tuple[str, str | None]:
    return record["state"], record.get("awaiting")
