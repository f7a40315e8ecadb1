"""Fractal Memory: documents in, ranked chunks out. Everything here runs inside a unit of work.

What is stored, and where, is told in `records`; how a search ranks, in `recall`. The kernel's one writer of documents is
`service.FractalMemory`; capabilities are written by the transaction that installs their method.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from batos import codec
from batos.image import lookup
from batos.image.kept import give
from batos.memory import chunking, records
from batos.memory.records import Draft
from batos.memory.vectors import VectorIndex
from batos.memory.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batos.codec import Ref
    from batos.image.store import View
    from batos.memory.chunking import Chunk
    from batos.memory.recall import Found
    from batos.memory.records import Slots

_TITLE = 3

METHOD = "method"
"""The metadata `kind` of capabilities."""


def index_document(
    view: View, doc_id: str, text: str, metadata: dict[str, Any] | None = None, chunks: Sequence[Chunk] | None = None
) -> int:
    """Learn a document, in place of what had its name; the same text and metadata again change nothing.

    Args:
        view: The unit of work.
        doc_id: The document's name.
        text: The whole text.
        metadata: Plain data by field; what `search` filters by and gives back.
        chunks: What the text was cut into, where that was done before.

    Returns:
        The number of chunks.

    Raises:
        BadField: The name or the metadata are not fit.
    """
    return index_many(view, [draft(doc_id, text, metadata or {}, chunks)])[0]


def draft(
    doc_id: str, text: str, metadata: dict[str, Any], chunks: Sequence[Chunk] | None = None, origin: str = ""
) -> Draft:
    """Make a document ready to be stored; takes no unit of work, so that long texts are cut outside the image thread.

    Raises:
        BadField: The name or the metadata are not fit.
    """
    records.check(doc_id, metadata)
    pieces = chunking.split(text, form=form_of(metadata)) if chunks is None else chunks
    return Draft(doc_id, text, metadata, pieces, [_weighted(piece) for piece in pieces], origin)


def index_many(view: View, drafts: Iterable[Draft]) -> list[int]:
    """Learn documents; gives the number of chunks of each. See `index_document`."""
    slots = records.opened(view)
    fresh: dict[str, Draft] = {}
    counts = []
    for item in drafts:
        known = records.record(view, item.doc_id)
        if item.doc_id not in fresh and known is not None:
            if known["digest"] == records.digest(item.text, item.metadata):
                records.hand_over(view, item.doc_id, known, item.origin)
                counts.append(int(known["chunks"]))
                continue
            records.drop(view, slots, item.doc_id)
        fresh[item.doc_id] = item
        counts.append(len(item.chunks))
    if fresh:
        records.store(view, slots, fresh.values())
    return counts


def forget(view: View, doc_id: str, origin: str = "") -> int:
    """Forget a document wholly; gives how many chunks it had, 0 when there was none.

    Args:
        view: The unit of work.
        doc_id: Its name.
        origin: Forget it only while it belongs to this source; "" in any case.
    """
    slots, known = records.slots_of(view), records.record(view, doc_id)
    if slots is None or known is None or (origin and known.get("origin") != origin):
        return 0
    return records.drop(view, slots, doc_id)


def has(view: View, doc_id: str) -> bool:
    """Tell whether a document is known."""
    return records.record(view, doc_id) is not None


def names(view: View, prefix: str = "", origin: str = "", after: str = "", limit: int | None = None) -> list[str]:
    """List the names of documents, in order.

    Args:
        view: The unit of work.
        prefix: What they begin with.
        origin: The source that they belong to, "" for any.
        after: The name that they come after, to go on with a list.
        limit: At most this many; None for all.
    """
    found: list[str] = []
    start = max(prefix, after)
    for name, data in records.documents(view).items(start, None, excludemin=bool(after) and start == after):
        if len(found) == limit or not name.startswith(prefix):
            break
        if not origin or codec.unpack(data).get("origin") == origin:
            found.append(name)
    return found


def search(
    view: View,
    query: str,
    top_k: int = 5,
    filter: dict[str, Any] | None = None,  # noqa: A002  # the contract's name
    vector: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Find the chunks that say most about a query, best first.

    Args:
        view: The unit of work.
        query: Any text; nothing in it has a special meaning.
        top_k: At most this many results.
        filter: Metadata that a chunk must have, by type and value; numbers by value.
        vector: What the query means, as a vector; None searches by words alone.

    Returns:
        For each: `doc_id`, `chunk` (its index), `start` and `end` in the source, `text`, `score` (0 to 1), `likeness`
        (of the vectors alone, 0 to 1; 0 where there is none), `metadata`.
    """
    from batos.memory import recall  # it brings numpy, which a kernel need not wait for when it starts

    slots = records.slots_of(view)
    if slots is None:
        return []
    within = None if not filter else _filtered(slots, filter)
    return [_result(view, slots, hit) for hit in recall.search(view, slots, query, vector, top_k, within)]


def unwoven(view: View, count: int) -> list[tuple[str, bytes, str, dict[str, Any]]]:
    """Give documents whose chunks have no vectors yet, the newest first: name, digest, text and metadata of each."""
    slots = records.slots_of(view)
    found: list[tuple[str, bytes, str, dict[str, Any]]] = []
    for first in [] if slots is None else reversed(slots.unwoven.keys()):
        if len(found) == count:
            break
        assert slots is not None
        chunk = records.chunk_of(view, slots, first)
        known = records.record(view, chunk.document_id)
        assert known is not None
        text = records.text_of(slots, chunk.document_id, known)
        found.append((chunk.document_id, known["digest"], text, give(view, chunk.metadata)))
    return found


def weave(view: View, item: Draft, digest: bytes, vectors: Sequence[Sequence[float]], model: str) -> bool:
    """Give a document's chunks their vectors, and its borders where meaning turns.

    Args:
        view: The unit of work.
        item: The document, cut by meaning.
        digest: Of the content that was read; a document that was changed since is left alone.
        vectors: One for each chunk.
        model: What made them.

    Returns:
        Whether it was done.
    """
    slots, known = records.slots_of(view), records.record(view, item.doc_id)
    if slots is None or known is None or known["digest"] != digest:
        return False
    if known["chunks"] != len(item.chunks) or records.borders(slots, item.doc_id, known) != [
        (piece.start, piece.end) for piece in item.chunks
    ]:
        records.drop(view, slots, item.doc_id)
        records.store(view, slots, [item._replace(origin=known.get("origin", ""))])
        known = records.record(view, item.doc_id)
        assert known is not None
    index = _vectors_of(view, slots, model, len(vectors[0]))
    index.put({known["first"] + place: vector for place, vector in enumerate(vectors)})
    if known["first"] in slots.unwoven:
        slots.unwoven.remove(known["first"])
    slots.text.changed()
    return True


_DEF = re.compile(r"\bdef\s")
_DOCSTRING = re.compile(r'def\s+\w+\s*\(.*?:\s*[rR]?("""|\'\'\')(.*?)\1', re.DOTALL)


def index_capability(  # the parts of a method, in the order of their names everywhere
    view: View, target_oid: str, selector: str, signature: str, summary: str, intent: str, source: str = ""
) -> None:
    """Learn what a method is for, so that it is found by meaning; again for a new version.

    Args:
        view: The unit of work.
        target_oid: The oid in hex of the object that holds the method.
        selector: Its name.
        signature: Its parameters, in brackets.
        summary: What it says of itself.
        intent: The Architect's words that it was made from.
        source: Its source text, for all that its docstring says.
    """
    # By a pattern: generated code is parsed in workers alone. Tried at the first function only, so that it takes linear time.
    first = _DEF.search(source)
    documented = _DOCSTRING.match(source, first.start()) if first else None
    says = [summary.strip(), documented[2].strip() if documented else "", intent.strip()]
    if says[1].startswith(says[0]):
        says[0] = ""
    says = [line for line in dict.fromkeys(says) if line]
    text = "\n".join([f"{selector}{signature}", *says])
    fields = {"kind": METHOD, "target": target_oid, "selector": selector, "signature": signature, "summary": summary}
    index_document(view, _method_id(target_oid, selector), text, fields)


def forget_capability(view: View, target_oid: str, selector: str) -> int:
    """Forget a method that was removed."""
    return forget(view, _method_id(target_oid, selector))


def similar(
    view: View, target: Ref, words: str, top_k: int, vector: Sequence[float] | None = None
) -> list[dict[str, Any]]:
    """Find capabilities, of a target and of what it delegates to, that mean what the words say; best first.

    Args:
        view: The unit of work.
        target: The object that is to answer.
        words: What is wanted.
        top_k: At most this many.
        vector: What the words mean, as a vector; None compares words alone.

    Returns:
        For each: `selector`, `score` and `summary`. A score of 1 means that the method's name, summary or intent has
        each word that matters, or means just that.
    """
    from batos.memory import recall

    obj = view.get(target)
    slots = records.slots_of(view)
    if slots is None:
        return []
    holders = [view.ref(holder).hex for holder in lookup.chain(obj)]
    held = set[int]().union(*(records.numbers_with(slots, "target", holder) for holder in holders))
    within = records.numbers_with(slots, "kind", METHOD) & held
    found: dict[str, dict[str, Any]] = {}
    for hit in recall.search(view, slots, words, vector, len(within), within):
        fields = give(view, records.chunk_of(view, slots, hit.number).metadata)
        # A nearer object may answer the selector by something else, or the method may be gone.
        holder = lookup.find(obj, fields["selector"])
        if holder is not None and view.ref(holder.holder).hex == fields["target"]:
            score = max(slots.text.coverage(words, hit.number), hit.likeness)
            told = {"selector": fields["selector"], "score": score, "summary": fields["summary"]}
            if score > found.get(fields["selector"], {"score": 0})["score"]:
                found[fields["selector"]] = told
    return sorted(found.values(), key=lambda item: -item["score"])[:top_k]


def form_of(metadata: dict[str, Any]) -> str:
    """Give the form of a document by its metadata, as `chunking.split` takes it."""
    return str(metadata.get("format") or "markdown")


def statistics(view: View) -> dict[str, int]:
    """Figures: `documents`, `chunks`, `words`, and `unwoven` documents, which have no vectors yet."""
    slots = records.slots_of(view)
    if slots is None:
        return {"documents": len(records.documents(view)), "chunks": 0, "words": 0, "unwoven": 0}
    return {
        "documents": len(records.documents(view)),
        "chunks": slots.text.documentCount(),
        "words": slots.text.wordCount(),
        "unwoven": len(slots.unwoven),
    }


def renew(view: View) -> int:
    """Make indexes of an older layout anew from the chunks; gives how many documents that were, 0 mostly."""
    if not records.is_outdated(view):
        return 0
    old: dict[str, list[Any]] = {}
    held = view.resolve("knowledge_catalog_obj")._slots
    for chunk in held["chunk_storage"].values():
        old.setdefault(chunk.document_id, []).append(chunk)
    held["text_index"] = None
    records.documents(view).clear()
    slots = records.opened(view)
    for doc_id, chunks in old.items():
        chunks.sort(key=lambda chunk: int(chunk.chunk_index))
        text = _with_blanks(chunks)
        pieces = [chunking.Chunk(chunk.start, chunk.end, chunk.text) for chunk in chunks]
        records.store(view, slots, [draft(doc_id, text, give(view, chunks[0].metadata), pieces)])
    return len(old)


def _weighted(piece: Chunk) -> list[str]:
    """Give the words of a chunk; those of its title count more: a document's short first line, or a heading."""
    words = words_of(piece.text)
    return words + words_of(chunking.heading(piece.text, opens=piece.start == 0)) * (_TITLE - 1)


def _method_id(target_oid: str, selector: str) -> str:
    return f"method:{target_oid}:{selector}"


def _with_blanks(chunks: list[Any]) -> str:
    """Put a text together from chunks alone; an older layout did not keep what blanks lay between them."""
    text = ""
    for chunk in chunks:
        text = text.ljust(chunk.start, "\n") + chunk.text
    return text


def _vectors_of(view: View, slots: Slots, model: str, dims: int) -> VectorIndex:
    """Give the index of vectors; one of another model begins anew, and every document waits for vectors again."""
    if slots.vectors is not None and (slots.vectors.model, slots.vectors.dims) == (model, dims):
        return slots.vectors
    made = VectorIndex(model, dims)
    view.resolve("knowledge_catalog_obj")._slots["vector_index"] = made
    if slots.vectors is not None:
        slots.unwoven.update(slots.spans.keys())
    return made


def _filtered(slots: Slots, filter: dict[str, Any]) -> set[int]:  # noqa: A002
    sets = [records.numbers_with(slots, field, value) for field, value in filter.items()]
    return functools.reduce(set.intersection, sets)


def _result(view: View, slots: Slots, hit: Found) -> dict[str, Any]:
    chunk = records.chunk_of(view, slots, hit.number)
    return {
        "doc_id": chunk.document_id,
        "chunk": chunk.chunk_index,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "score": hit.score,
        "likeness": hit.likeness,
        "metadata": give(view, chunk.metadata),
    }
