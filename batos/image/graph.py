"""The image as a graph of records at one moment, read raw: no object is made, so damage and foreign classes do no harm.

A record is what the storage keeps of one persistent object: its oid, the transaction that wrote it, its pickle. Raw
reads take any moment that the image still has, and never fill a connection's cache.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from ZODB.POSException import POSKeyError
from ZODB.serialize import referencesf
from ZODB.utils import p64, u64, z64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from batos.image.view import View

    Tell = Callable[[str, int, int], None]
    """Hears of progress: what is done, how much is done, of how much in all (0: not known)."""

EVERY = 500
"""Records between two words of progress."""


class Record(NamedTuple):
    """One record of the graph."""

    oid: bytes
    tid: bytes
    data: bytes

    @property
    def kind(self) -> tuple[str, str]:
        """The module and the name of its class; empty where the record does not name it plainly.

        Read as text: to unpickle it would run what a planted record asks for.
        """
        body = self.data[2:] if self.data[:1] == b"\x80" else self.data
        if body[:1] == b"(":
            body = body[1:]
        if body[:1] != b"c":
            return "", ""
        module, _, rest = body[1:].partition(b"\n")
        return module.decode("utf-8", "replace"), rest.partition(b"\n")[0].decode("utf-8", "replace")


class Dangling(NamedTuple):
    """A reference to a record that is not there."""

    oid: bytes
    holder: bytes


class Print(NamedTuple):
    """The digest of a whole graph, and how many records it has."""

    sha256: str
    records: int


def quiet(what: str, done: int, total: int) -> None:
    """Hear of progress, and say nothing."""
    del what, done, total


def load(storage: Any, oid: bytes, tid: bytes) -> Record | None:
    """Give the record of an object as it was right after a transaction; None when there was none."""
    try:
        found = storage.loadBefore(oid, p64(u64(tid) + 1))
    except POSKeyError:
        return None
    return None if found is None else Record(oid, found[1], found[0])


def references(record: Record) -> list[bytes]:
    """The oids that a record refers to, each once; weak references do not count."""
    return list(dict.fromkeys(referencesf(record.data)))


def walk(storage: Any, tid: bytes, *, start: bytes = z64, dangling: list[Dangling] | None = None) -> Iterator[Record]:
    """All records that can be reached at a moment, each once, nearest first.

    Args:
        storage: The storage.
        tid: The moment: right after this transaction.
        start: The oid to start from; the root.
        dangling: Gets the references that lead nowhere.
    """
    seen = {start}
    waiting: deque[tuple[bytes, bytes]] = deque([(start, start)])
    while waiting:
        oid, holder = waiting.popleft()
        record = load(storage, oid, tid)
        if record is None:
            if dangling is not None:
                dangling.append(Dangling(oid, holder))
            continue
        yield record
        for below in references(record):
            if below not in seen:
                seen.add(below)
                waiting.append((below, oid))


def of_view(view: View, *, dangling: list[Dangling] | None = None) -> Iterator[Record]:
    """The records of a unit of work's moment; lets go of memory on the way, and ends when the image closes."""
    storage = view.conn.db().storage
    for number, record in enumerate(walk(storage, bytes.fromhex(view.tid), dangling=dangling)):
        if number % EVERY == 0:
            view.breathe()
        yield record


def fingerprint(records: Iterable[Record], tell: Tell = quiet, total: int = 0) -> Print:
    """The digest of a graph: of each record's oid, transaction and content, whatever the order they come in.

    Two images with the same digest hold the same objects in the same state; what no path reaches does not count.
    """
    lines = []
    for record in records:
        lines.append(record.oid + record.tid + hashlib.sha256(record.data).digest())
        if len(lines) % EVERY == 0:
            tell("compare", len(lines), total)
    lines.sort()
    tell("compare", len(lines), len(lines))
    return Print(hashlib.sha256(b"".join(lines)).hexdigest(), len(lines))
