"""Many documents at once, straight into an image that no kernel serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batos.memory import catalog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batos.image.store import Image
    from batos.memory.readers import Document
    from batos.memory.records import Draft

BATCH = 100
BATCH_CHARS = 1_000_000


def learn(image: Image, documents: Iterable[Document]) -> None:
    """Index documents in batches, each in one transaction; vectors come with the next kernel.

    Raises:
        BadField: A name or metadata are not fit; the batches before it are learned.
    """
    image.transact_now(catalog.renew, note="Fractal Memory: new layout")
    batch: list[Draft] = []
    size = 0
    for document in documents:
        batch.append(catalog.draft(*document))
        size += len(document.text)
        if len(batch) == BATCH or size > BATCH_CHARS:
            image.transact_now(catalog.index_many, batch, note=f"ingest {len(batch)} documents")
            batch, size = [], 0
    if batch:
        image.transact_now(catalog.index_many, batch, note=f"ingest {len(batch)} documents")
