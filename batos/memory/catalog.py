"""Fractal Memory: documents and capabilities in chunks, indexed and searched. Everything runs inside a unit of work.

It lives in the slots of `knowledge_catalog_obj`: `chunk_storage` (key `{doc_id}::{index}` → chunk object),
`text_index`, and `metadata_index` ((field, value) → chunk ids). A chunk's id in the indexes is its oid as an integer.
The root's `documents` says of each document what was indexed, so that the same text again changes nothing.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from BTrees.LLBTree import LLTreeSet, intersection, multiunion
from BTrees.OOBTree import OOBTree

from batos import codec
from batos.codec import CodecError, Ref
from batos.errors import BadField
from batos.image import lookup
from batos.image.kept import give, keep
from batos.image.objects import UvmObject
from batos.memory import chunking
from batos.memory.chunking import Chunk
from batos.memory.text_index import Hit, PersistentTextIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.image.store import View

MAX_DOC_ID = 1024
METHOD = "method"
"""The metadata `kind` of capabilities."""

_DOCUMENTS = "documents"
_KEY_BYTES = 128


class _Slots(NamedTuple):
    text: PersistentTextIndex
    metadata: Any
    chunks: Any


def index_document(
    view: View, doc_id: str, text: str, metadata: dict[str, Any] | None = None, chunks: Sequence[Chunk] | None = None
) -> int:
    """Learn a document, in place of what had its name; the same text and metadata again change nothing.

    Args:
        view: The unit of work.
        doc_id: The document's name.
        text: The whole text.
        metadata: Plain data by field; what `search` filters by and gives back.
        chunks: `chunking.split(text)`, where it was done before: a long text is better cut outside the image thread.

    Returns:
        The number of chunks.

    Raises:
        BadField: The name or the metadata are not fit.
    """
    fields = metadata or {}
    _check(doc_id, fields)
    digest = _digest(text, fields)
    documents = _documents(view)
    known = _document(view, doc_id)
    if known is not None:
        if known["digest"] == digest:
            return int(known["chunks"])
        forget(view, doc_id)
    pieces = chunking.split(text) if chunks is None else chunks
    slots = _opened(view)
    for index, piece in enumerate(pieces):
        _add(view, slots, (doc_id, index), piece, fields)
    documents[doc_id] = codec.pack({"digest": digest, "text_sha": text_sha(text), "chunks": len(pieces)})
    return len(pieces)


def forget(view: View, doc_id: str) -> int:
    """Forget a document wholly; gives how many chunks it had, 0 when there was none."""
    known = _document(view, doc_id)
    if known is None:
        return 0
    slots = _opened(view)
    for index in range(known["chunks"]):
        _drop(view, slots, _key(doc_id, index))
    del _documents(view)[doc_id]
    return int(known["chunks"])


def has(view: View, doc_id: str, text_sha: str | None = None) -> bool:
    """Tell whether a document is known, and with this digest of its text where one is given."""
    known = _document(view, doc_id)
    return known is not None and text_sha in (None, known["text_sha"])


def text_sha(text: str) -> str:
    """The digest of a text, as `has` takes it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def search(view: View, query: str, top_k: int = 5, filter: dict[str, Any] | None = None) -> list[dict[str, Any]]:  # noqa: A002  # the contract's name
    """Find the chunks that say most about a query, best first.

    Args:
        view: The unit of work.
        query: Any text; its words are joined by OR.
        top_k: At most this many results.
        filter: Metadata that a chunk must have, by type and value; numbers by value.

    Returns:
        For each: `doc_id`, `chunk` (its index), `start` and `end` in the source, `text`, `score` (0 to 1), `metadata`.
    """
    slots = _slots(view)
    if slots is None:
        return []
    within = None if not filter else _filtered(slots, filter)
    return [_result(view, hit) for hit in slots.text.best(query, within)[:top_k]]


def index_capability(  # the parts of a method, in the order of their names everywhere
    view: View, target_oid: str, selector: str, signature: str, summary: str, intent: str
) -> None:
    """Learn what a method is for, so that it is found by meaning; again for a new version.

    Args:
        view: The unit of work.
        target_oid: The oid in hex of the object that holds the method.
        selector: Its name.
        signature: Its parameters, in brackets.
        summary: What it says of itself.
        intent: The Architect's words that it was made from.
    """
    says = [line for line in dict.fromkeys([summary.strip(), intent.strip()]) if line]
    text = "\n".join([f"{selector}{signature}", *says])
    fields = {"kind": METHOD, "target": target_oid, "selector": selector, "signature": signature, "summary": summary}
    index_document(view, _method_id(target_oid, selector), text, fields, [Chunk(0, len(text), text)])


def forget_capability(view: View, target_oid: str, selector: str) -> int:
    """Forget a method that was removed."""
    return forget(view, _method_id(target_oid, selector))


def similar(view: View, target: Ref, words: str, top_k: int) -> list[dict[str, Any]]:
    """Find capabilities, of a target and of what it delegates to, that mean what the words say; best first.

    Returns:
        For each: `selector`, `score` and `summary`. A score of 1 means that the method's name, summary or intent has
        each word that matters.
    """
    slots = _slots(view)
    if slots is None:
        return []
    obj = view.get(target)
    holders = [view.ref(holder).hex for holder in lookup.chain(obj)]
    held = multiunion([_ids(slots, "target", holder) for holder in holders])
    within = intersection(_ids(slots, "kind", METHOD), held)
    found = []
    for hit in slots.text.best(words, within):
        fields = give(view, _chunk(view, hit.docid).metadata)
        # A nearer object may answer the selector by something else, or the method may be gone.
        holder = lookup.find(obj, fields["selector"])
        if holder is not None and view.ref(holder.holder).hex == fields["target"]:
            score = slots.text.coverage(words, hit.docid)
            found.append({"selector": fields["selector"], "score": score, "summary": fields["summary"]})
    return sorted(found, key=lambda item: -item["score"])[:top_k]


def statistics(view: View) -> dict[str, int]:
    """Figures: `documents`, `chunks`, `words`."""
    slots = _slots(view)
    chunks, words = (0, 0) if slots is None else (slots.text.documentCount(), slots.text.wordCount())
    return {"documents": len(view.root.get(_DOCUMENTS, ())), "chunks": chunks, "words": words}


def _check(doc_id: str, metadata: dict[str, Any]) -> None:
    if not doc_id or len(doc_id) > MAX_DOC_ID:
        raise BadField(f"A document's name has 1 to {MAX_DOC_ID} characters")
    try:
        codec.pack([doc_id, metadata])
    except CodecError as error:
        raise BadField(f"The document's name or metadata is not plain data: {error}") from None
    if not all(isinstance(field, str) for field in metadata):
        raise BadField("The fields of metadata are named by texts")


def _digest(text: str, metadata: dict[str, Any]) -> str:
    return hashlib.sha256(text_sha(text).encode() + _canonical(metadata)).hexdigest()


def _canonical(value: Any) -> bytes:
    """Give plain data as bytes that are the same for equal values: maps and sets sorted, whole floats as integers."""
    if isinstance(value, dict):
        return b"m" + codec.pack(sorted([_canonical(key), _canonical(item)] for key, item in value.items()))
    if isinstance(value, (set, frozenset)):
        return b"s" + codec.pack(sorted(map(_canonical, value)))
    if isinstance(value, (list, tuple)) and not isinstance(value, Ref):
        return b"l" + codec.pack([_canonical(item) for item in value])
    whole = isinstance(value, float) and value.is_integer()
    return b"v" + codec.pack(int(value) if whole else value)


def _field_key(field: str, value: Any) -> tuple[str, bytes]:
    data = _canonical(value)
    return field, data if len(data) <= _KEY_BYTES else hashlib.sha256(data).digest()


def _documents(view: View) -> Any:
    return view.root.setdefault(_DOCUMENTS, OOBTree())


def _document(view: View, doc_id: str) -> dict[str, Any] | None:
    data = view.root.get(_DOCUMENTS, {}).get(doc_id)
    return None if data is None else dict(codec.unpack(data))


def _slots(view: View) -> _Slots | None:
    """Give the catalog's indexes, None before the first document."""
    slots = view.resolve("knowledge_catalog_obj")._slots
    if slots.get("text_index") is None:
        return None
    return _Slots(slots["text_index"], slots["metadata_index"], slots["chunk_storage"])


def _opened(view: View) -> _Slots:
    slots = view.resolve("knowledge_catalog_obj")._slots
    for name, make in (("text_index", PersistentTextIndex), ("metadata_index", OOBTree), ("chunk_storage", OOBTree)):
        if slots.get(name) is None:
            slots[name] = make()
    return _Slots(slots["text_index"], slots["metadata_index"], slots["chunk_storage"])


def _add(view: View, slots: _Slots, place: tuple[str, int], piece: Chunk, metadata: dict[str, Any]) -> None:
    doc_id, index = place
    chunk = UvmObject(
        parents=[view.root["traits_obj"]],
        document_id=doc_id,
        chunk_index=index,
        start=piece.start,
        end=piece.end,
        text=piece.text,
        metadata=keep(metadata),
    )
    slots.chunks[_key(doc_id, index)] = chunk
    docid = int.from_bytes(view.ref(chunk).oid, "big")
    slots.text.index_doc(docid, piece.text)
    for field, value in metadata.items():
        key = _field_key(field, value)
        if key not in slots.metadata:
            slots.metadata[key] = LLTreeSet()
        slots.metadata[key].insert(docid)


def _drop(view: View, slots: _Slots, key: str) -> None:
    chunk = slots.chunks[key]
    docid = int.from_bytes(view.ref(chunk).oid, "big")
    slots.text.unindex_doc(docid)
    for field, value in give(view, chunk.metadata).items():
        name = _field_key(field, value)
        slots.metadata[name].remove(docid)
        if not slots.metadata[name]:
            del slots.metadata[name]
    del slots.chunks[key]


def _key(doc_id: str, index: int) -> str:
    return f"{doc_id}::{index}"


def _method_id(target_oid: str, selector: str) -> str:
    return f"method:{target_oid}:{selector}"


def _ids(slots: _Slots, field: str, value: Any) -> Any:
    """Give the ids of the chunks whose metadata has a value in a field."""
    return slots.metadata.get(_field_key(field, value), LLTreeSet())


def _filtered(slots: _Slots, filter: dict[str, Any]) -> Any:  # noqa: A002
    try:
        sets = [_ids(slots, field, value) for field, value in filter.items()]
    except CodecError as error:
        raise BadField(f"The filter is not plain data: {error}") from None
    return functools.reduce(intersection, sets)


def _chunk(view: View, docid: int) -> UvmObject:
    return view.get(Ref(docid.to_bytes(8, "big")))


def _result(view: View, hit: Hit) -> dict[str, Any]:
    chunk = _chunk(view, hit.docid)
    return {
        "doc_id": chunk.document_id,
        "chunk": chunk.chunk_index,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "score": hit.score,
        "metadata": give(view, chunk.metadata),
    }
