"""`FractalMemory`: the one writer of documents, and the searches of everybody.

Documents wait in the image (`intake`). One task indexes them in batches, so that the indexes never see two writers; a
second one weaves: it cuts documents where their meaning turns and gives their chunks vectors, whenever there is an
embedding model. Searches read snapshots in threads of their own and wait for neither.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from batos.errors import BatosError, Stopping
from batos.memory import catalog, chunking, intake
from batos.memory.meaning import Meaning, in_context
from batos.memory.units import units_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.codec import Ref
    from batos.image.store import Image
    from batos.memory.meaning import Embed
    from batos.memory.records import Draft

_log = logging.getLogger("batos.memory")

BATCH = 100
BATCH_CHARS = 200_000
_WOVEN_AT_ONCE = 8
_EMBED_AT_ONCE = 16
_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_LEAST_SECONDS = 0.05


class FractalMemory:
    """Knowledge in the image: learns, forgets and finds.

    Args:
        image: The image.
        embed: Embeds texts; its errors mean that there is no model now.
        model: The embedding model's name.
    """

    def __init__(self, image: Image, embed: Embed, model: str) -> None:
        self._image = image
        self.meaning = Meaning(embed, model)
        self._handed_in = asyncio.Event()
        self._changed = asyncio.Event()
        self._handing = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._figures = {"documents": 0, "chunks": 0, "words": 0, "unwoven": 0}
        self._queued = 0

    async def start(self) -> None:
        """Make an older layout anew, and begin to index what waits."""
        renewed = (await self._image.transact(catalog.renew, note="Fractal Memory: new layout")).value
        if renewed:
            _log.info("Fractal Memory made its indexes anew: %d documents", renewed)
        await self._count()
        self._queued = (await self._image.read(intake.length)).value
        self._handed_in.set()
        self._changed.set()
        self._tasks = [asyncio.create_task(self._index(), name="index")]

    def begin_weaving(self) -> None:
        """Load the embedding model and give vectors to what has none; when the models that write are there."""
        self._tasks.append(asyncio.create_task(self._weave(), name="weave"))

    async def close(self) -> None:
        """Rest where it is; what waits in the image goes on with the next kernel."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for future in self._waiting.values():
            future.cancel()

    async def remember(
        self, doc_id: str, text: str, metadata: dict[str, Any], *, wait: bool = True, origin: str = ""
    ) -> int | None:
        """Hand in a document.

        Args:
            doc_id: Its name.
            text: The whole text.
            metadata: Plain data by field.
            wait: Whether to wait until it is found by its words; else it is safe in the queue.
            origin: The source that it comes from, "" for none.

        Returns:
            The number of chunks; None for one that was only handed in.

        Raises:
            BadField: The name or the metadata are not fit.
            Busy: Too many wait.
            Stopping: The kernel ends; the document is indexed by the next one.
        """
        return await self._hand_in(doc_id, text, metadata, origin, wait=wait)

    async def forget(self, doc_id: str, *, wait: bool = True, origin: str = "") -> int | None:
        """Forget a document, after all that was handed in before; gives how many chunks it had, None without waiting.

        With an `origin` it is forgotten only while it belongs to that source.
        """
        return await self._hand_in(doc_id, None, {}, origin, wait=wait)

    async def names(self, prefix: str, origin: str, after: str, limit: int) -> list[str]:
        """List the names of documents that are indexed; see `catalog.names`."""
        return (await self._image.study(catalog.names, prefix, origin, after, limit)).value

    async def search(self, query: str, top_k: int, filter: dict[str, Any] | None = None) -> dict[str, Any]:  # noqa: A002
        """Find what says most about a query.

        Returns:
            `results` as `catalog.search` gives them, and `by`: `words and meaning`, or `words` alone.
        """
        vector = await self.meaning.of_query(query)
        found = await self._image.study(catalog.search, query, top_k, filter, vector)
        return {"results": found.value, "by": "words" if vector is None else "words and meaning"}

    async def similar(self, target: Ref, words: str, top_k: int) -> list[dict[str, Any]]:
        """Find capabilities of a target that mean what the words say; see `catalog.similar`."""
        vector = await self.meaning.of_query(words)
        return (await self._image.study(catalog.similar, target, words, top_k, vector)).value

    def wake(self) -> None:
        """Say that others have written to the catalog: a method was installed."""
        self._changed.set()

    def statistics(self) -> dict[str, Any]:
        """Figures: `documents`, `chunks`, `words`, `queued`, `unwoven`; `meaning` (ready, missing, unknown) and why."""
        why = {"trouble": self.meaning.trouble} if self.meaning.trouble else {}
        return {**self._figures, "queued": self._queued, "meaning": self.meaning.state, **why}

    async def _hand_in(
        self, doc_id: str, text: str | None, metadata: dict[str, Any], origin: str, *, wait: bool
    ) -> int | None:
        verb = "forget" if text is None else "remember"
        future: asyncio.Future[int] | None = None
        # The writer answers under the same lock, so it never looks for a future that is not there yet.
        async with self._handing:
            note = f"{verb} {doc_id}: handed in"
            number = (await self._image.transact(intake.hand_in, doc_id, text, metadata, origin, note=note)).value
            self._queued += 1
            if wait:
                future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._handed_in.set()
        if future is None:
            return None
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                raise Stopping("The kernel ends; the document is safe, and is indexed after the restart") from None
            raise
        finally:
            self._waiting.pop(number, None)

    async def _index(self) -> None:
        """Index what waits, batch by batch, for ever."""
        while True:
            await self._handed_in.wait()
            self._handed_in.clear()
            try:
                while await self._index_batch():
                    pass
            except Stopping:
                return
            except Exception:  # noqa: BLE001 - the queue must go on, whatever one batch met
                _log.exception("documents wait, they could not be indexed; trying again")
                await asyncio.sleep(_PAUSE_SECONDS)
                self._handed_in.set()

    async def _index_batch(self) -> int:
        entries = (await self._image.read(intake.waiting, BATCH, BATCH_CHARS)).value
        if not entries:
            self._queued = 0
            return 0
        drafts = await asyncio.to_thread(intake.drafts, entries)
        counts = (
            await self._image.transact(intake.settle, entries, drafts, note=f"index {len(entries)} documents")
        ).value
        self._queued = max(0, self._queued - len(entries))
        await self._count()
        async with self._handing:
            for entry, count in zip(entries, counts, strict=True):
                future = self._waiting.get(entry.number)
                if future is not None and not future.done():
                    future.set_result(count)
        self._changed.set()
        return len(entries)

    async def _weave(self) -> None:
        """Give vectors to what has none, for ever; without a model wait for one."""
        pause = _PAUSE_SECONDS
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._weave_all()
            except Stopping:
                return
            except Exception as error:  # noqa: BLE001 - the weaver must go on, whatever one document met
                told = None if isinstance(error, BatosError) else error
                _log.warning("documents wait for their vectors; trying again: %s", error, exc_info=told)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                self._changed.set()
            else:
                pause = _PAUSE_SECONDS
                if self._figures["unwoven"] and self.meaning.state == "missing":
                    await asyncio.sleep(max(self.meaning.waits, _LEAST_SECONDS))
                    self._changed.set()

    async def _weave_all(self) -> None:
        if self.meaning.state == "unknown":
            await self._embedded(["The first words load the model."])
        while await self._weave_some():
            await self._count()
        await self._count()

    async def _weave_some(self) -> bool:
        """Weave some documents; False when there is nothing to do, or no model."""
        found = (await self._image.study(catalog.unwoven, _WOVEN_AT_ONCE)).value
        done = False
        for doc_id, digest, text, metadata in found:
            item = await self._cut_by_meaning(doc_id, text, metadata)
            vectors = None if item is None else await self._embedded(chunking.in_place(item.chunks))
            if item is None or vectors is None:
                return False
            args = catalog.weave, item, digest, in_context(vectors), self.meaning.model
            done = (await self._image.transact(*args, note=f"weave {doc_id}")).value or done
        return done

    async def _cut_by_meaning(self, doc_id: str, text: str, metadata: dict[str, Any]) -> Draft | None:
        units = await asyncio.to_thread(units_of, text, catalog.form_of(metadata))
        vectors = None
        if chunking.needs_vectors(units):
            vectors = await self._embedded([text[unit.start : unit.end] for unit in units])
            if vectors is None:
                return None
        chunks = await asyncio.to_thread(chunking.joined, text, units, vectors)
        return await asyncio.to_thread(catalog.draft, doc_id, text, metadata, chunks)

    async def _embedded(self, texts: Sequence[str]) -> list[list[float]] | None:
        """Embed texts a few at a time, so that a query in between waits little."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), _EMBED_AT_ONCE):
            some = await self.meaning.of(texts[start : start + _EMBED_AT_ONCE])
            if some is None:
                return None
            vectors += some
        return vectors

    async def _count(self) -> None:
        self._figures = (await self._image.read(catalog.statistics)).value
