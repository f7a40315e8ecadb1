"""Undo for operators: the last change of the image is taken back, in a new transaction; the record of it stays.

The last change is the last transaction that changed more than records of what happened: the log's lines, cycles and
their events, post-mortems, calls that came out well, and the indexes of Fractal Memory. Those stay as they are, so that the
log has no gap and no ended cycle runs again. What is undone can be undone: the second `undo` does the change again.

It takes two steps: `find` reads what would be taken back (long, so it is a study), `take_back` does it, and refuses
when something came between.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from persistent import Persistent
from ZODB.utils import z64

from batos.codec import Ref
from batos.errors import Conflict, NotAllowed, UnknownTarget
from batos.image import changes, graph, migrations, moments, registry
from batos.image.methods import MethodVersion
from batos.image.objects import UvmObject, own
from batos.image.snapshots import SNAPSHOTS, time_of

if TYPE_CHECKING:
    from batos.image.changes import Transaction
    from batos.image.graph import Record
    from batos.image.view import View

RECORDS = (
    "active_cycles",
    "archived_count",
    "cycle_archive",
    "cycle_order",
    "documents",
    "failures",
    "intake",
    "journal_outbox",
    "journal_seq",
    "requests",
    SNAPSHOTS,
)
"""Root keys of records of what happened, and of Fractal Memory: `undo` leaves them alone."""

_MEMORY = "knowledge_catalog_obj"
_TAKEN_BACK_BY = {"remember": "`forget` takes a document back.", "forget": "`remember` brings a document back."}

RECORD = {"record": True}
"""The `why` of a transaction that is a record of what happened as a whole, wherever it writes."""

_SEARCH = 2000
_OBJECTS = (UvmObject, MethodVersion)
_APART = tuple(kind.__name__ for kind in _OBJECTS)


class Plan(NamedTuple):
    """What would be taken back.

    Attributes:
        tid: The transaction.
        oids: The objects that it changed and that go back.
    """

    tid: str
    oids: tuple[bytes, ...]


def find(view: View) -> Plan:
    """Find the last change.

    Raises:
        UnknownTarget: There is none in reach.
        NotAllowed: It was a document that was remembered or forgotten.
        Conflict: A part of the system has written over it since.
    """
    records = _records(view, view.tid)
    for transaction in changes.newest(view, _SEARCH, unpacked=True):
        if _changed(view, transaction, records):
            # A tree of records may have lost a part since.
            records |= _records(view, transaction.tid) | _records(view, moments.before(transaction.tid))
        if (command := transaction.why.get("command")) in _TAKEN_BACK_BY:
            raise NotAllowed(f"The last change is one of Fractal Memory: {transaction.note}", _TAKEN_BACK_BY[command])
        oids = () if transaction.why.get("record") else _changed(view, transaction, records)
        if oids:
            _check_current(view, transaction, oids)
            return Plan(transaction.tid, oids)
        view.breathe()
    raise UnknownTarget("There is no change that could be undone", "`changes` shows the image's transactions.")


def take_back(view: View, plan: Plan) -> dict[str, Any]:
    """Take a change back.

    Returns:
        What was undone: `tid`, `time`, `note`, `user`, `why`, and `objects`: `oid` and `name` each.

    Raises:
        NotAllowed: It was the awakening or a migration.
        Conflict: Something has changed since it was looked for.
    """
    transaction = changes.at(view, plan.tid)
    _refuse_migration(view, transaction)
    named = registry.names(view)
    by_oid = {item.oid: item for item in transaction.records}
    for oid in plan.oids:
        _restore(view, by_oid[oid])
    refs = [Ref(oid) for oid in plan.oids if by_oid[oid].kind[1] == UvmObject.__name__]
    return {
        "tid": transaction.tid,
        "time": time_of(transaction.tid),
        "note": transaction.note,
        "user": transaction.user,
        "why": transaction.why,
        "objects": [{"oid": ref, "name": named.get(ref.oid)} for ref in refs],
    }


def _check_current(view: View, transaction: Transaction, oids: tuple[bytes, ...]) -> None:
    for oid in oids:
        current = graph.load(view.conn.db().storage, oid, bytes.fromhex(view.tid))
        if oid != z64 and current is not None and current.tid.hex() != transaction.tid:
            raise Conflict(
                f"What the last change ({transaction.note}) wrote has been written over since",
                "Use `rollback`, `set` or `remove` instead.",
            )


def _restore(view: View, record: Record) -> None:
    before = changes.previous(view, record)
    if before is None:
        raise Conflict("What was there before has been packed away")
    obj = view.conn.get(record.oid)
    old = changes.state_of(view, before)
    if record.oid == z64:
        _restore_root(view, changes.state_of(view, record)["data"], old["data"])
        return
    obj._p_activate()
    if obj._p_serial != record.tid:
        raise Conflict("The object has changed since", "Try again.")
    if isinstance(obj, UvmObject):
        _restore_slots(obj, old)
    else:
        obj.__setstate__(old)
        obj._p_changed = True


def _restore_slots(obj: UvmObject, old: dict[str, Any]) -> None:
    for name in [name for name in own(obj) if name not in old and not name.startswith("_v_")]:
        delattr(obj, name)
    for name, value in old.items():
        setattr(obj, name, value)


def _restore_root(view: View, new: dict[str, Any], old: dict[str, Any]) -> None:
    """Later transactions may have put records into the root: only what this one changed goes back."""
    for name in _changed_keys(new, old):
        if name in old:
            view.root[name] = old[name]
        else:
            view.root.pop(name, None)


def _root_changes(view: View, record: Record) -> list[str]:
    before = changes.previous(view, record)
    if before is None:
        return []
    return _changed_keys(changes.state_of(view, record)["data"], changes.state_of(view, before)["data"])


def _changed_keys(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    return [name for name in {*new, *old} if name not in RECORDS and not changes.same(new.get(name), old.get(name))]


def _refuse_migration(view: View, transaction: Transaction) -> None:
    roots = [item for item in transaction.records if item.oid == z64]
    if roots and migrations.APPLIED in _root_changes(view, roots[0]):
        raise NotAllowed(
            f"The last change is a step of the image itself ({transaction.note}), which cannot be undone",
            "Restore a backup that was taken before it.",
        )


def _changed(view: View, transaction: Transaction, records: set[bytes]) -> tuple[bytes, ...]:
    """The objects that a transaction changed, records of what happened and new objects left out."""
    there = [item for item in transaction.records if item.oid not in records]
    old = [item for item in there if changes.previous(view, item) is not None]
    return tuple(item.oid for item in old if item.oid != z64 or _root_changes(view, item))


def _records(view: View, at: str) -> set[bytes]:
    """The oids of records of what happened: the trees under their root keys, cycles, and the trees of their events."""
    storage, tid = view.conn.db().storage, bytes.fromhex(at)
    roots = [view.root.get(name) for name in RECORDS]
    memory = view.root.get(_MEMORY)
    if memory is not None:
        # The indexes follow what they index in transactions of their own, later.
        roots += [value for value in own(memory).values() if isinstance(value, Persistent)]
    waiting = deque(obj._p_oid for obj in roots if obj is not None and not isinstance(obj, _OBJECTS))
    seen = {*waiting, *([] if memory is None else [memory._p_oid])}
    while waiting:
        record = graph.load(storage, waiting.popleft(), tid)
        if record is None:
            continue
        inside = record.kind[1] in _APART
        for oid in graph.references(record):
            below = None if oid in seen else graph.load(storage, oid, tid)
            # From a cycle its own trees are followed, its parents are not.
            if below is not None and not (inside and below.kind[1] in _APART):
                seen.add(oid)
                waiting.append(oid)
    return seen
