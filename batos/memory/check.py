"""Whether Fractal Memory agrees with itself: documents, chunks, text index, metadata and vectors name the same chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.image.kept import give
from batos.memory import records
from batos.memory.records import key_of

if TYPE_CHECKING:
    from batos.image.store import View
    from batos.memory.records import Slots


def check(view: View) -> dict[str, Any]:
    """Read all of Fractal Memory and report what does not agree.

    Args:
        view: The unit of work, a study.

    Returns:
        `documents`, `chunks`, `vectors` (counts), and `bad`: a sentence for each finding.
    """
    slots = records.slots_of(view)
    if slots is None:
        # An older layout is made anew when a kernel starts; there is nothing to compare.
        return {"documents": 0, "chunks": 0, "vectors": 0, "bad": []}
    bad: list[str] = []
    numbers, keys = _documents(view, slots, bad)
    held = set(slots.numbers)
    vectors = set(slots.vectors.numbers()) if slots.vectors is not None else set[int]()
    unwoven = {first + place for first in slots.unwoven for place in range(slots.spans.get(first, 0))}
    bad += [f"the chunk {key!r} belongs to no document" for key in slots.chunks if key not in keys]
    _compare(bad, "the numbers of chunks", held, numbers)
    _compare(bad, "the text index", set(slots.text.index.lengths()), numbers)
    _compare(bad, "the spans of documents", _spans(slots), numbers)
    _compare(bad, "vectors and the wish for them", vectors | unwoven, numbers)
    if vectors & unwoven:
        bad.append(f"{len(vectors & unwoven)} chunks have vectors and wait for them too")
    _compare(bad, "the metadata index", _in_metadata(slots), _with_metadata(view, slots))
    _postings(slots, bad)
    return {"documents": len(records.documents(view)), "chunks": len(held), "vectors": len(vectors), "bad": bad}


def _documents(view: View, slots: Slots, bad: list[str]) -> tuple[set[int], set[str]]:
    """Look at each document: its chunks are there, in order, and are its text."""
    numbers, keys = set[int](), set[str]()
    for doc_id in records.documents(view):
        known = records.record(view, doc_id)
        assert known is not None
        places = range(known["chunks"])
        numbers.update(known["first"] + place for place in places)
        keys.update(key_of(doc_id, place) for place in places)
        chunks = [slots.chunks.get(key_of(doc_id, place)) for place in places]
        if any(chunk is None for chunk in chunks):
            bad.append(f"{doc_id!r} lacks chunks")
            continue
        metadata = give(view, chunks[0].metadata) if chunks else {}
        if chunks and records.digest(records.text_of(slots, doc_id, known), metadata) != known["digest"]:
            bad.append(f"the text of {doc_id!r} is not the one that was learned")
        if [chunk.number for chunk in chunks] != [known["first"] + place for place in places]:
            bad.append(f"the chunks of {doc_id!r} have other numbers")
    return numbers, keys


def _spans(slots: Slots) -> set[int]:
    return {first + place for first, count in slots.spans.items() for place in range(count)}


def _in_metadata(slots: Slots) -> set[tuple[tuple[str, bytes], int]]:
    return {(key, number) for key, held in slots.metadata.items() for number in held}


def _with_metadata(view: View, slots: Slots) -> set[tuple[tuple[str, bytes], int]]:
    return {
        (records.field_key(field, value), chunk.number)
        for chunk in slots.chunks.values()
        for field, value in give(view, chunk.metadata).items()
    }


def _postings(slots: Slots, bad: list[str]) -> None:
    """Compare the two directions of the text index: words of each chunk, and chunks of each word."""
    index = slots.text.index
    forward = {(wid, number) for number in index.lengths() for wid in index.get_words(number)}
    backward = {(wid, number) for wid, held in index._wordinfo.items() for number in held}  # noqa: SLF001
    _compare(bad, "the postings", backward, forward)


def _compare(bad: list[str], what: str, found: set[Any], wanted: set[Any]) -> None:
    if found != wanted:
        more, less = found - wanted, wanted - found
        bad.append(f"{what} and the documents do not agree: {len(more)} too many, {len(less)} missing")
