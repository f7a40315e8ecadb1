"""The durable records of cognitive cycles: active ones, the archive, their events, request ids, remembered words.

A cycle is a `UvmObject` in `active_cycles` until it ends, then in `cycle_archive`. What people look for has slots of
its own (`mission_brief`, `target_oid`, `synthesis_state`, `_tmp_synthesis_data`); the rest of the record is one packed
value. Of a record's keys this module reads `target` (a `Ref`), `selector`, `brief`, `state`, `data`, `ended` and
`last_word`; all others are cognition's business. Everything here runs inside a unit of work.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from itertools import islice
from typing import TYPE_CHECKING, Any

from BTrees.IOBTree import IOBTree
from BTrees.Length import Length
from BTrees.LOBTree import LOBTree
from BTrees.OOBTree import OOBTree

from batos import codec
from batos.codec import Ref
from batos.errors import BadField, UnknownTarget
from batos.image.kept import give, keep
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.image.store import View

Record = dict[str, Any]
Event = dict[str, Any]

SCHEMA = 1
"""Version of the stored form."""

KEEP = 10_000
"""Ended cycles kept by default."""

_APART = {"brief": "mission_brief", "state": "synthesis_state", "data": "_tmp_synthesis_data"}
_ENDED = "archived_count"
_ORDER = "cycle_order"
_WORDS = "remembered_words"


def open_cycle(view: View, cycle_id: str, record: Record, events: list[Event]) -> list[Event]:
    """Make a cycle durable; gives its first events with their `seq`.

    Raises:
        BadField: There is such a cycle already.
    """
    if _find(view, cycle_id) is not None:
        raise BadField(f"There is a cycle {cycle_id!r} already")
    target: Ref = record["target"]
    order = _tree(view, _ORDER, LOBTree)
    number = int(order.maxKey()) + 1 if order else 1
    cycle = UvmObject(
        parents=[view.root["traits_obj"]] if "traits_obj" in view.root else [],
        schema=SCHEMA,
        target_oid=target.hex,
        selector=record["selector"],
        number=number,
        requests=[],
        events=IOBTree(),
    )
    order[number] = cycle_id
    _tree(view, "active_cycles", OOBTree)[cycle_id] = cycle
    _write(cycle, record)
    return _extend(cycle, events)


def load(view: View, cycle_id: str) -> Record | None:
    """Give the record of a cycle, active or archived (then with its `last_word`); None when there is none."""
    cycle = _find(view, cycle_id)
    return None if cycle is None else _read(view, cycle)


def save(view: View, cycle_id: str, changes: Record, events: list[Event]) -> list[Event]:
    """Change a cycle's record and add events; gives them with their `seq`.

    Raises:
        UnknownTarget: No such cycle is active.
    """
    cycle = _active(view, cycle_id)
    _write(cycle, {**_read(view, cycle), **changes})
    return _extend(cycle, events)


def finish(
    view: View, cycle_id: str, changes: Record, events: list[Event], last_word: Record, *, keep: int = KEEP
) -> list[Event]:
    """End a cycle: it moves to the archive with its last word; gives the events with their `seq`.

    Args:
        view: The unit of work.
        cycle_id: An active cycle.
        changes: Changes of its record.
        events: Its last events.
        last_word: What its requesters get.
        keep: How many ended cycles stay; the oldest leave.

    Raises:
        UnknownTarget: No such cycle is active.
    """
    cycle = _active(view, cycle_id)
    _write(cycle, {**_read(view, cycle), **changes, "last_word": last_word})
    given = _extend(cycle, events)
    del view.root["active_cycles"][cycle_id]
    _tree(view, "cycle_archive", OOBTree)[cycle_id] = cycle
    _tree(view, _ENDED, Length).change(1)
    _forget_oldest(view, keep)
    return given


def active(view: View) -> list[Record]:
    """Give the records of the cycles that have not ended, oldest first."""
    cycles = sorted(view.root.get("active_cycles", {}).values(), key=lambda cycle: int(cycle.number))
    return [_read(view, cycle) for cycle in cycles]


def listing(view: View, state: str | None, limit: int) -> list[Record]:
    """Give records, newest first: all, or those in a state; COMPLETE and FAILED are how ended cycles ended."""
    found: list[Record] = []
    for cycle in _newest(view):
        if len(found) >= limit:
            break
        if state is None or (state in (cycle.synthesis_state, cycle._slots.get("ended"))):
            found.append(_read(view, cycle))
    return found


def events(view: View, cycle_id: str, from_seq: int) -> list[Event]:
    """Give a cycle's events from a `seq` on, in order.

    Raises:
        UnknownTarget: There is no such cycle.
    """
    cycle = _find(view, cycle_id)
    if cycle is None:
        raise _unknown(cycle_id)
    # Numbers outside of what the tree can hold are no numbers of events.
    first = min(max(from_seq, 1), 2**31 - 1)
    return [{**codec.unpack(data), "seq": int(seq)} for seq, data in cycle.events.items(first)]


def request(view: View, request_id: str) -> Record | None:
    """Give the `cycle_id` and the `body` (its digest) that a request id is bound to, or None."""
    bound = view.root.get("requests", {}).get(request_id)
    return None if bound is None else dict(codec.unpack(bound))


def bind_request(view: View, request_id: str, cycle_id: str, body_hash: str) -> None:
    """Bind a request id to a cycle for as long as the cycle is kept.

    Raises:
        BadField: It is bound to another cycle or body.
        UnknownTarget: There is no such cycle.
    """
    wanted = {"cycle_id": cycle_id, "body": body_hash}
    bound = request(view, request_id)
    if bound == wanted:
        return
    if bound is not None:
        raise BadField(f"The request_id {request_id!r} is bound to another request")
    cycle = _find(view, cycle_id)
    if cycle is None:
        raise _unknown(cycle_id)
    _tree(view, "requests", OOBTree)[request_id] = codec.pack(wanted)
    cycle.requests = [*cycle.requests, request_id]


def alike(view: View, target: Ref | str, selector: str) -> list[Record]:
    """Give the active cycles for the same target (a reference, or its oid in hex) and selector, oldest first."""
    oid = target.hex if isinstance(target, Ref) else target
    found = [
        cycle
        for cycle in view.root.get("active_cycles", {}).values()
        if cycle.selector == selector and cycle.target_oid == oid
    ]
    return [_read(view, cycle) for cycle in sorted(found, key=lambda cycle: int(cycle.number))]


def remember_words(view: View, words: str, target_oid: Ref | str, brief: Record) -> None:
    """Remember the brief of a mission that completed by the words it was made from."""
    _tree(view, _WORDS, OOBTree)[_words_key(words, target_oid)] = codec.pack(brief)


def recall_words(view: View, words: str, target_oid: Ref | str) -> Record | None:
    """Give the brief that the same words led to before, for the same target, or None.

    Case, runs of blanks and punctuation at the end make no difference.
    """
    data = view.root.get(_WORDS, {}).get(_words_key(words, target_oid))
    return None if data is None else dict(codec.unpack(data))


def normalised(words: str) -> str:
    """Give words in the form in which they are compared."""
    folded = unicodedata.normalize("NFKC", words).casefold()
    return re.sub(r"\s+", " ", folded).strip(" .,;:!?…")


def _words_key(words: str, target_oid: Ref | str) -> str:
    oid = target_oid.hex if isinstance(target_oid, Ref) else target_oid
    return f"{oid}:{hashlib.sha256(normalised(words).encode('utf-8', 'surrogatepass')).hexdigest()}"


def _tree(view: View, key: str, make: Any) -> Any:
    if key not in view.root:
        view.root[key] = make()
    return view.root[key]


def _find(view: View, cycle_id: str) -> UvmObject | None:
    for where in ("active_cycles", "cycle_archive"):
        cycle = view.root.get(where, {}).get(cycle_id)
        if cycle is not None:
            assert isinstance(cycle, UvmObject)
            return cycle
    return None


def _active(view: View, cycle_id: str) -> UvmObject:
    cycle = view.root.get("active_cycles", {}).get(cycle_id)
    if cycle is None:
        raise _unknown(cycle_id)
    assert isinstance(cycle, UvmObject)
    return cycle


def _unknown(cycle_id: str) -> UnknownTarget:
    return UnknownTarget(f"There is no cycle {cycle_id!r}", "The command `cycles` lists them.")


def _newest(view: View) -> Iterator[UvmObject]:
    order = view.root.get(_ORDER)
    number = int(order.maxKey()) if order else 0
    while number:
        cycle = _find(view, order[number])
        if cycle is not None:
            yield cycle
        number = _next_below(order, number)


def _next_below(order: Any, number: int) -> int:
    """Give the next smaller number that is in use, 0 when there is none; a tree can't be walked backwards cheaply."""
    try:
        return int(order.maxKey(number - 1))
    except ValueError:
        return 0


def _write(cycle: UvmObject, record: Record) -> None:
    slots = cycle._slots
    for key, slot in _APART.items():
        if key in record:
            slots[slot] = keep(record[key])
    if record.get("ended"):
        slots["ended"] = record["ended"]
    slots["record"] = codec.pack({key: value for key, value in record.items() if key not in _APART})


def _read(view: View, cycle: UvmObject) -> Record:
    slots = cycle._slots
    record: Record = dict(codec.unpack(slots["record"]))
    for key, slot in _APART.items():
        if slot in slots:
            record[key] = give(view, slots[slot])
    return record


def _extend(cycle: UvmObject, new: list[Event]) -> list[Event]:
    kept = cycle.events
    seq = int(kept.maxKey()) if kept else 0
    for event in new:
        seq += 1
        event["seq"] = seq
        kept[seq] = codec.pack(event)
    return new


def _forget_oldest(view: View, keep: int) -> None:
    archive, count, order = view.root["cycle_archive"], view.root[_ENDED], view.root[_ORDER]
    if count() <= keep:
        return
    leaving = islice(((n, i) for n, i in order.items() if i in archive), count() - keep)
    for number, cycle_id in list(leaving):
        for request_id in archive[cycle_id].requests:
            view.root["requests"].pop(request_id, None)
        del archive[cycle_id], order[number]
        count.change(-1)
