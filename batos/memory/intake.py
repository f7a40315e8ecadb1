"""The queue of documents in the image: what was handed in and is not indexed yet, in the order in which it came.

`root["intake"]` is an `Intake`. Whoever hands a document in waits for one small commit; the one writer
(`service`) takes many at once, and what it has indexed leaves the queue in the same transaction. A crash in between loses
nothing: what is queued is indexed by the next kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from BTrees.LOBTree import LOBTree
from persistent import Persistent

from batos import codec
from batos.errors import Busy
from batos.memory import catalog, records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.image.store import View
    from batos.memory.records import Draft

LIMIT = 10_000
"""Entries that may wait."""

_INTAKE = "intake"


class Queued(Persistent):  # type: ignore[misc]
    """One entry: a document to learn, or the name of one to forget, packed."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class Intake(Persistent):  # type: ignore[misc]
    """The queue itself: entries by number, the last number given, and how many wait."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = LOBTree()
        self.last = 0
        self.waiting = 0


class Entry(NamedTuple):
    """What waits: a document, or with `text` None the name of one to forget."""

    number: int
    doc_id: str
    text: str | None
    metadata: dict[str, Any]
    origin: str


def hand_in(view: View, doc_id: str, text: str | None, metadata: dict[str, Any], origin: str = "") -> int:
    """Put a document, or the wish to forget one, into the queue; gives its number.

    Args:
        view: The unit of work.
        doc_id: Its name.
        text: The whole text; None to forget the document.
        metadata: Plain data by field.
        origin: The source that hands it in, or that the document to forget must belong to; "" for none.

    Raises:
        BadField: The name or the metadata are not fit.
        Busy: `LIMIT` entries wait.
    """
    records.check(doc_id, metadata)
    intake = view.root.get(_INTAKE)
    if intake is None:
        intake = view.root[_INTAKE] = Intake()
    if intake.waiting >= LIMIT:
        raise Busy(f"{LIMIT} documents wait to be indexed", "Hand in more when some of them are done.")
    intake.last += 1
    intake.waiting += 1
    intake.entries[intake.last] = Queued(codec.pack([doc_id, text, metadata, origin]))
    return int(intake.last)


def waiting(view: View, entries: int, characters: int) -> list[Entry]:
    """Give the oldest entries: at most so many, and no more once their texts have so many characters."""
    found: list[Entry] = []
    intake = view.root.get(_INTAKE)
    for number, queued in () if intake is None else intake.entries.items():
        if len(found) == entries or characters <= 0:
            break
        doc_id, text, metadata, *more = codec.unpack(queued.data)
        # What an older kernel has queued names no source.
        found.append(Entry(number, doc_id, text, metadata, more[0] if more else ""))
        characters -= len(text or "")
    return found


def length(view: View) -> int:
    """Give the number of entries that wait."""
    intake = view.root.get(_INTAKE)
    return 0 if intake is None else int(intake.waiting)


def drafts(entries: Sequence[Entry]) -> list[Draft | None]:
    """Make documents ready to be indexed, None for one to forget; takes no unit of work."""
    return [
        None if entry.text is None else catalog.draft(entry.doc_id, entry.text, entry.metadata, origin=entry.origin)
        for entry in entries
    ]


def settle(view: View, entries: Sequence[Entry], ready: Sequence[Draft | None]) -> list[int]:
    """Index entries and take them out of the queue, in one transaction.

    Args:
        view: The unit of work.
        entries: What was waiting.
        ready: Each entry's document; None for one to forget.

    Returns:
        For each the number of chunks that it has now, or had.
    """
    counts: list[int] = []
    batch: list[Draft] = []
    for entry, draft in zip(entries, ready, strict=True):
        if draft is not None:
            batch.append(draft)
            continue
        counts += catalog.index_many(view, batch)
        batch.clear()
        counts.append(catalog.forget(view, entry.doc_id, entry.origin))
    counts += catalog.index_many(view, batch)
    intake = view.root[_INTAKE]
    for entry in entries:
        del intake.entries[entry.number]
    intake.waiting -= len(entries)
    return counts
