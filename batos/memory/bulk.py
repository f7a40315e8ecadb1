"""Many documents at once, straight into an image that no kernel serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batos.memory import catalog, intake

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batos.image.store import Image, View
    from batos.memory.readers import Document
    from batos.memory.records import Draft
    from batos.memory.sources import Source

BATCH = 100
BATCH_CHARS = 1_000_000


def learn(image: Image, documents: Iterable[Document]) -> None:
    """Index documents in batches, each in one transaction; vectors come with the next kernel.

    What a kernel has left in the queue is older, so it is indexed first.

    Raises:
        BadField: A name or metadata are not fit; the batches before it are learned.
    """
    image.transact_now(catalog.renew, note="Fractal Memory: new layout")
    while entries := image.read_now(intake.waiting, BATCH, BATCH_CHARS).value:
        image.transact_now(intake.settle, entries, intake.drafts(entries), note=f"index {len(entries)} documents")
    batch: list[Draft] = []
    size = 0
    for doc_id, text, metadata, origin in documents:
        batch.append(catalog.draft(doc_id, text, metadata, origin=origin))
        size += len(text)
        if len(batch) == BATCH or size > BATCH_CHARS:
            image.transact_now(catalog.index_many, batch, note=f"ingest {len(batch)} documents")
            batch, size = [], 0
    if batch:
        image.transact_now(catalog.index_many, batch, note=f"ingest {len(batch)} documents")


def remove_gone(image: Image, source: Source) -> int:
    """Forget the documents of a source that it has not any more, in batches; gives how many that were."""
    gone = source.gone(image.study_now(catalog.names, source.prefix, source.origin).value)
    for start in range(0, len(gone), BATCH):
        batch = gone[start : start + BATCH]
        image.transact_now(_forget, batch, source.origin, note=f"ingest removes {len(batch)} documents")
    return len(gone)


def _forget(view: View, doc_ids: Sequence[str], origin: str) -> None:
    for doc_id in doc_ids:
        catalog.forget(view, doc_id, origin)
