"""Meaning for Fractal Memory: vectors from whatever embeds, and whether there is such a thing just now.

The embedding model may be missing, still on its way, or busy with a long text. A search asks for its query's vector with
little patience and goes on without it; the weaving of documents waits, and tries again.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from batos.errors import BatosError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Embed = Callable[[Sequence[str]], Awaitable[list[list[float]]]]

QUERY_SECONDS = 1.5
"""How long a search waits for its query's vector."""
RETRY_SECONDS = 60.0
"""How long a missing model is not asked for again."""
NEIGHBOUR = 0.25
"""How much of its neighbours' vectors a chunk takes on: what a passage means depends on what stands around it."""

_QUERIES = 256
_QUERY_CHARS = 1000


class Meaning:
    """Gives vectors, and knows whether it can.

    Args:
        embed: Embeds texts; its errors mean that there is no model.
        model: The model's name.
    """

    def __init__(self, embed: Embed, model: str) -> None:
        self.model = model
        self.trouble = ""
        self._embed = embed
        self._again = 0.0
        self._ready = False
        self._queries: OrderedDict[str, list[float]] = OrderedDict()

    @property
    def state(self) -> str:
        """`ready`, `missing`, or `unknown` before the first use."""
        return "ready" if self._ready else "missing" if self.trouble else "unknown"

    @property
    def waits(self) -> float:
        """Seconds until a missing model is asked for again."""
        return max(0.0, self._again - time.monotonic())

    async def of(self, texts: Sequence[str]) -> list[list[float]] | None:
        """Give a vector for each text; None while there is no model."""
        if self.waits:
            return None
        try:
            vectors = await self._embed(texts)
        except BatosError as error:
            self._ready, self.trouble = False, error.message
            self._again = time.monotonic() + RETRY_SECONDS
            return None
        self._ready, self.trouble, self._again = True, "", 0.0
        return vectors

    async def of_query(self, text: str) -> list[float] | None:
        """Give the vector of a query; None where there is none soon."""
        asked = text[:_QUERY_CHARS].strip()
        if asked in self._queries:
            self._queries.move_to_end(asked)
            return self._queries[asked]
        # A model that was never used takes long to load, and no search waits for that: the weaving loads it.
        if not asked or not self._ready:
            return None
        try:
            vectors = await asyncio.wait_for(self.of([asked]), QUERY_SECONDS)
        except TimeoutError:
            return None
        if not vectors:
            return None
        self._queries[asked] = vectors[0]
        if len(self._queries) > _QUERIES:
            self._queries.popitem(last=False)
        return vectors[0]


def in_context(vectors: Sequence[Sequence[float]]) -> list[list[float]]:
    """Give the vectors of a document's chunks, in order, with a part of their neighbours' in each; of length 1."""
    import numpy as np

    given = np.asarray(vectors, np.float32)
    mixed = given.copy()
    mixed[1:] += NEIGHBOUR * given[:-1]
    mixed[:-1] += NEIGHBOUR * given[1:]
    norms = np.linalg.norm(mixed, axis=1, keepdims=True)
    joined: list[list[float]] = (mixed / np.where(norms > 0, norms, 1)).tolist()
    return joined
