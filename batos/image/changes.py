"""The change log of the image: who changed it, when, why and what, newest first. It is what the transactions tell.

Pack drops old transactions, so the log reaches as far back as history does; what must last stands in objects (the
provenance of methods).
"""

from __future__ import annotations

import base64
import time
from collections import deque
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ZODB.POSException import UndoError

from batos.codec import Ref
from batos.errors import UnknownTarget
from batos.image import graph, registry
from batos.image.graph import Record
from batos.image.methods import MethodVersion
from batos.image.objects import UvmObject
from batos.image.snapshots import time_of

if TYPE_CHECKING:
    from batos.image.view import View

Entry = dict[str, Any]

_TRIES, _PAUSE_SECONDS = 50, 0.002


class Transaction:
    """One transaction as the storage keeps it.

    Attributes:
        tid: 16 hex digits.
        user: On whose behalf, "" when it does not say.
        note: What it was for.
        why: More plain data about it.
        records: What it wrote.
    """

    def __init__(self, stored: Any) -> None:
        self.tid: str = stored.tid.hex()
        self.user = _words(stored.user)
        self.note = _words(stored.description)
        self.why: dict[str, Any] = dict(stored.extension or {})
        # A record without data takes back the making of an object.
        self.records = [Record(item.oid, item.tid, item.data) for item in stored if item.data is not None]


def listing(view: View, limit: int) -> list[Entry]:
    """The newest transactions: `tid`, `time`, `user`, `note`, `why`, `objects`, `methods`, `records`, `bytes` each.

    `objects` are those that it wrote: `oid`, `name`, and the names of slots `added`, `changed`, `removed`; `methods`
    are the versions that came: `selector`, `version`, `sha256`. What was written besides counts in `records`.

    Args:
        view: The unit of work.
        limit: At most so many.
    """
    named = registry.names(view)
    rows = []
    for transaction in newest(view, limit):
        rows.append(_entry(view, transaction, named))
        view.breathe()
    return rows


def newest(view: View, limit: int, *, unpacked: bool = False) -> list[Transaction]:
    """The newest transactions up to a unit of work's moment, newest first.

    Args:
        view: The unit of work.
        limit: At most so many.
        unpacked: Only those that no pack has rewritten; without them the whole file may have to be read.
    """
    storage, last = view.conn.db().storage, bytes.fromhex(view.tid)
    # Undo's list is read from the end of the file; it ends where a pack has been.
    try:
        ends = [base64.decodebytes(row["id"] + b"\n") for row in storage.undoLog(0, -limit)]
    except UndoError:  # while it is packed there is no such list, and the whole file is read
        ends = []
    if unpacked and not ends:
        return []
    first = ends[-1] if unpacked or len(ends) == limit else None
    with closing(_iterator(storage, first, last)) as found:
        # Each is read at once: the iterator's file is closed behind the last.
        return list(reversed(deque(map(Transaction, found), maxlen=limit)))


def _iterator(storage: Any, first: bytes | None, last: bytes) -> Any:
    """The transactions between two; beside a writer the file's end is not whole for moments, which ZODB's search trips over."""
    for _ in range(_TRIES):
        try:
            return storage.iterator(first, last)
        except AttributeError:
            time.sleep(_PAUSE_SECONDS)
    return storage.iterator(None, last)


def at(view: View, tid: str) -> Transaction:
    """One transaction.

    Raises:
        UnknownTarget: There is none with this tid, or pack has dropped it.
    """
    one = bytes.fromhex(tid)
    with closing(_iterator(view.conn.db().storage, one, one)) as found:
        for stored in found:
            if stored.tid == one:
                return Transaction(stored)
    raise UnknownTarget(f"There is no transaction {tid}", "`changes` lists them.")


def previous(view: View, record: Record) -> Record | None:
    """What an object was before a record; None when it was made by it, or when pack has dropped that."""
    return graph.load(view.conn.db().storage, record.oid, (int.from_bytes(record.tid, "big") - 1).to_bytes(8, "big"))


def state_of(view: View, record: Record) -> Any:
    """The state in a record, its references made objects of the unit of work's connection."""
    return view.conn._reader.getState(record.data)


def same(new: Any, old: Any) -> bool:
    """Compare by type and value; objects by identity: one connection has each only once."""
    if type(new) is not type(old):
        return False
    if isinstance(new, dict):
        return list(new) == list(old) and all(same(new[key], old[key]) for key in new)
    if isinstance(new, (list, tuple)):
        return len(new) == len(old) and all(map(same, new, old))
    return bool(new is old or new == old)


def _entry(view: View, transaction: Transaction, named: dict[bytes, str]) -> Entry:
    objects, methods = [], []
    for record in transaction.records:
        kind = record.kind[1]
        if kind == UvmObject.__name__:
            objects.append({"oid": Ref(record.oid), "name": named.get(record.oid), **_slots(view, record)})
        elif kind == MethodVersion.__name__:
            state = state_of(view, record)
            methods.append({key: state[key] for key in ("selector", "version", "sha256")})
    return {
        "tid": transaction.tid,
        "time": time_of(transaction.tid),
        "user": transaction.user,
        "note": transaction.note,
        "why": transaction.why,
        "objects": objects,
        "methods": methods,
        "records": len(transaction.records),
        "bytes": sum(len(record.data) for record in transaction.records),
    }


def _slots(view: View, record: Record) -> dict[str, list[str]]:
    before = previous(view, record)
    old = {} if before is None else state_of(view, before)
    new = state_of(view, record)
    return {
        "added": sorted(new.keys() - old.keys()),
        "changed": sorted(name for name in new.keys() & old.keys() if not same(new[name], old[name])),
        "removed": sorted(old.keys() - new.keys()),
    }


def _words(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
