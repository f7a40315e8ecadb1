"""What Fractal Memory keeps in the image: documents, chunks, and the indexes that name chunks by number.

It lives in slots of `knowledge_catalog_obj`:

- `chunk_storage`: key `{doc_id}::{index}` → chunk object
- `text_index`: a `PersistentTextIndex` over chunk numbers
- `metadata_index`: (field, value) → chunk numbers
- `vector_index`: a `VectorIndex` by chunk number, None before the first vector
- `chunk_numbers`: number → oid of the chunk; a document's chunks have neighbouring numbers
- `document_spans`: first number of a document → its count of chunks
- `unwoven`: first numbers of documents whose chunks lack vectors

The root's `documents` has a packed record for each document: `digest` of its text and metadata, `first` number, count of
`chunks`, and `gaps`, the blanks around and between its chunks, so that the whole text can be put together again; and
`origin`, the source that handed it in last, where there was one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from BTrees.IIBTree import IIBTree, IITreeSet
from BTrees.LLBTree import LLBTree
from BTrees.OOBTree import OOBTree

from batos import codec
from batos.codec import CodecError, Ref
from batos.errors import BadField
from batos.image.kept import give, keep
from batos.image.objects import UvmObject
from batos.memory.text_index import PersistentTextIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batos.image.store import View
    from batos.memory.chunking import Chunk
    from batos.memory.vectors import VectorIndex

MAX_DOC_ID = 1024
_KEY_BYTES = 128
_FEW = 16
_MAKES: dict[str, Any] = {
    "text_index": PersistentTextIndex,
    "metadata_index": OOBTree,
    "chunk_storage": OOBTree,
    "chunk_numbers": LLBTree,
    "document_spans": IIBTree,
    "unwoven": IITreeSet,
}


class Slots(NamedTuple):
    """The indexes of the catalog."""

    text: PersistentTextIndex
    metadata: Any
    chunks: Any
    numbers: Any
    spans: Any
    unwoven: Any
    vectors: VectorIndex | None


class Draft(NamedTuple):
    """A document that is ready to be stored.

    Args:
        doc_id: Its name.
        text: The whole text.
        metadata: Plain data by field.
        chunks: What it was cut into.
        words: Of each chunk, as `words.words_of` cuts them.
        origin: The source that it came from, "" for none.
    """

    doc_id: str
    text: str
    metadata: dict[str, Any]
    chunks: Sequence[Chunk]
    words: Sequence[list[str]]
    origin: str = ""


def slots_of(view: View) -> Slots | None:
    """Give the catalog's indexes; None before the first document, and where they are of an older layout."""
    held = view.resolve("knowledge_catalog_obj")._slots
    text = held.get("text_index")
    return _slots(held) if text is not None and text.is_current and "chunk_numbers" in held else None


def opened(view: View) -> Slots:
    """Give the catalog's indexes for writing, made where they are missing."""
    found = slots_of(view)
    if found is None:
        held = view.resolve("knowledge_catalog_obj")._slots
        for name, make in _MAKES.items():
            held[name] = make()
        held["vector_index"] = None
        found = _slots(held)
    return found


def is_outdated(view: View) -> bool:
    """Tell whether the indexes were made by an older layout."""
    text = view.resolve("knowledge_catalog_obj")._slots.get("text_index")
    return text is not None and not text.is_current


def record(view: View, doc_id: str) -> dict[str, Any] | None:
    """Give what is kept of a document, None when it is not known."""
    data = documents(view).get(doc_id)
    return None if data is None else dict(codec.unpack(data))


def documents(view: View) -> Any:
    """Give the records of all documents by name."""
    return view.root["documents"]


def store(view: View, slots: Slots, drafts: Iterable[Draft]) -> None:
    """Store documents that are not there, and index their chunks."""
    texts: list[tuple[int, list[str]]] = []
    for draft in drafts:
        first = slots.numbers.maxKey() + 1 if slots.numbers else 1
        for index, piece in enumerate(draft.chunks):
            _add(view, slots, draft.doc_id, (index, first + index), piece, draft.metadata)
        texts += [(first + index, words) for index, words in enumerate(draft.words)]
        numbers = range(first, first + len(draft.chunks))
        if draft.chunks:
            slots.spans[first] = len(draft.chunks)
            slots.unwoven.insert(first)
            _index_metadata(slots, draft.metadata, numbers)
        known = {
            "digest": digest(draft.text, draft.metadata),
            "first": first,
            "chunks": len(draft.chunks),
            "gaps": _gaps(draft.text, draft.chunks),
        }
        _keep_record(view, draft.doc_id, known, draft.origin)
    slots.text.index.index_many(texts)
    slots.text.changed()


def hand_over(view: View, doc_id: str, known: dict[str, Any], origin: str) -> None:
    """Let a document that is there belong to another source; to its own again changes nothing."""
    if known.pop("origin", "") != origin:
        _keep_record(view, doc_id, known, origin)


def drop(view: View, slots: Slots, doc_id: str) -> int:
    """Take a document out of storage and all indexes; gives how many chunks it had, 0 when there was none."""
    known = record(view, doc_id)
    if known is None:
        return 0
    count, first = known["chunks"], known["first"]
    numbers = range(first, first + count)
    if count:
        _unindex_metadata(slots, give(view, slots.chunks[key_of(doc_id, 0)].metadata), numbers)
        del slots.spans[first]
        if first in slots.unwoven:
            slots.unwoven.remove(first)
    for index, number in enumerate(numbers):
        slots.text.index.unindex_doc(number)
        del slots.numbers[number], slots.chunks[key_of(doc_id, index)]
    if slots.vectors is not None:
        slots.vectors.drop(numbers)
    del documents(view)[doc_id]
    slots.text.changed()
    return int(count)


def chunk_of(view: View, slots: Slots, number: int) -> UvmObject:
    """Give the chunk object of a number."""
    return view.get(Ref(slots.numbers[number].to_bytes(8, "big")))


def text_of(slots: Slots, doc_id: str, known: dict[str, Any]) -> str:
    """Put a document's whole text together again."""
    gaps = known["gaps"]
    pieces = [slots.chunks[key_of(doc_id, index)].text for index in range(known["chunks"])]
    return "".join(gap + piece for gap, piece in zip(gaps, [*pieces, ""], strict=True))


def borders(slots: Slots, doc_id: str, known: dict[str, Any]) -> list[tuple[int, int]]:
    """Give start and end of a document's chunks."""
    chunks = [slots.chunks[key_of(doc_id, index)] for index in range(known["chunks"])]
    return [(chunk.start, chunk.end) for chunk in chunks]


def numbers_with(slots: Slots, field: str, value: Any) -> set[int]:
    """Give the numbers of the chunks whose metadata has a value in a field.

    Raises:
        BadField: The value is not plain data.
    """
    try:
        held = slots.metadata.get(field_key(field, value), ())
    except CodecError as error:
        raise BadField(f"The filter is not plain data: {error}") from None
    return set(held)


def check(doc_id: str, metadata: dict[str, Any]) -> None:
    """See that a document's name and metadata can be stored.

    Raises:
        BadField: They cannot.
    """
    if not doc_id or len(doc_id) > MAX_DOC_ID:
        raise BadField(f"A document's name has 1 to {MAX_DOC_ID} characters")
    try:
        codec.pack([doc_id, metadata])
    except CodecError as error:
        raise BadField(f"The document's name or metadata is not plain data: {error}") from None
    if not all(isinstance(field, str) for field in metadata):
        raise BadField("The fields of metadata are named by texts")


def digest(text: str, metadata: dict[str, Any]) -> bytes:
    """Give the digest of a document's content; equal metadata gives an equal one, whatever its order."""
    body = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return hashlib.sha256(body + _canonical(metadata)).digest()


def key_of(doc_id: str, index: int) -> str:
    """Give the key of a chunk."""
    return f"{doc_id}::{index}"


def _slots(held: Any) -> Slots:
    return Slots(*(held[name] for name in _IN_ORDER))


_IN_ORDER = (
    "text_index",
    "metadata_index",
    "chunk_storage",
    "chunk_numbers",
    "document_spans",
    "unwoven",
    "vector_index",
)


def _keep_record(view: View, doc_id: str, known: dict[str, Any], origin: str) -> None:
    documents(view)[doc_id] = codec.pack({**known, "origin": origin} if origin else known)


def _add(view: View, slots: Slots, doc_id: str, place: tuple[int, int], piece: Chunk, metadata: dict[str, Any]) -> None:
    index, number = place
    chunk = UvmObject(
        parents=[view.root["traits_obj"]],
        document_id=doc_id,
        chunk_index=index,
        number=number,
        start=piece.start,
        end=piece.end,
        text=piece.text,
        metadata=keep(metadata),
    )
    slots.chunks[key_of(doc_id, index)] = chunk
    slots.numbers[number] = int.from_bytes(view.ref(chunk).oid, "big")


def _gaps(text: str, chunks: Sequence[Chunk]) -> list[str]:
    ends = [0, *(chunk.end for chunk in chunks)]
    starts = [*(chunk.start for chunk in chunks), len(text)]
    return [text[end:start] for end, start in zip(ends, starts, strict=True)]


def _index_metadata(slots: Slots, metadata: dict[str, Any], numbers: range) -> None:
    """Few numbers are kept as a tuple in the tree itself, many as a set of their own."""
    for field, value in metadata.items():
        key = field_key(field, value)
        held = slots.metadata.get(key, ())
        if isinstance(held, tuple):
            joined = (*held, *numbers)
            slots.metadata[key] = joined if len(joined) <= _FEW else IITreeSet(joined)
        else:
            held.update(numbers)


def _unindex_metadata(slots: Slots, metadata: dict[str, Any], numbers: range) -> None:
    for field, value in metadata.items():
        key = field_key(field, value)
        held = slots.metadata[key]
        if not isinstance(held, tuple):
            for number in numbers:
                held.remove(number)
            if len(held) > _FEW:
                continue
        left = tuple(number for number in held if number not in numbers)
        if left:
            slots.metadata[key] = left
        else:
            del slots.metadata[key]


def field_key(field: str, value: Any) -> tuple[str, bytes]:
    """Give the key of a field and its value in the metadata index."""
    data = _canonical(value)
    return field, data if len(data) <= _KEY_BYTES else hashlib.sha256(data).digest()


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
