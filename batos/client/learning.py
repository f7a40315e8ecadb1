"""`/learn PATH`: a file or a folder becomes documents of Fractal Memory, and what it holds no more is removed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.errors import Busy, RequestError
from batos.memory import readers
from batos.memory.sources import Source

if TYPE_CHECKING:
    from batos.client.session import Session

_BUSY_SECONDS = 0.5
_TELL_SECONDS = 1.0
_NAMES = 1000


async def learn(session: Session, args: list[str]) -> bool:
    """Learn a file, or all of a folder that can be read, saying how far it is; what could not be read is told."""
    source = await asyncio.to_thread(_source, args[0])
    files = await asyncio.to_thread(source.files)
    for name, why in source.unread.items():
        session.show.notice(f"{readers.shown(Path(name))} {why}")
    learner = _Learner(session, source, len(files))
    for number, (file, name) in enumerate(files, 1):
        await learner.file(number, file, name)
    await learner.settle()
    removed = await learner.remove_gone()
    said = f"Fractal Memory learned {_many(learner.count, 'document')} from {_many(len(files), 'file')}"
    session.show.notice(f"{said}, and removed {removed} that are gone." if removed else f"{said}.")
    return learner.well and not source.unread


class _Learner:
    """Hands in what a source gives.

    Attributes:
        count: The documents that were handed in.
        well: Whether the kernel took all.
    """

    def __init__(self, session: Session, source: Source, files: int) -> None:
        self.count = 0
        self.well = True
        self._session = session
        self._source = source
        self._files = files
        self._told = time.monotonic()
        self._last: readers.Document | None = None

    async def file(self, number: int, file: Path, name: str) -> None:
        """Hand in a file's documents; one that the kernel does not take costs no other."""
        documents = self._source.read(file, name)
        try:
            while (document := await asyncio.to_thread(next, documents, None)) is not None:
                try:
                    await self._ask("remember", wait=False, **document._asdict())
                except RequestError as error:
                    self._failed(number, document.doc_id, error)
                else:
                    self.count, self._last = self.count + 1, document
        except RequestError as error:
            self._failed(number, readers.shown(file), error)
        if number < self._files and time.monotonic() - self._told >= _TELL_SECONDS:
            self._told = time.monotonic()
            self._session.show.notice(f"{number}/{self._files} files, {_many(self.count, 'document')}")

    async def settle(self) -> None:
        """Wait until all are found: they are indexed in the order in which they came."""
        if self._last is not None:
            await self._ask("remember", wait=True, **self._last._asdict())

    async def remove_gone(self) -> int:
        """Forget the documents that the source has not any more; gives how many that were."""
        source, after, gone = self._source, "", list[str]()
        while True:
            asked = {"prefix": source.prefix, "origin": source.origin, "after": after, "limit": _NAMES}
            names = (await self._ask("documents", **asked))["documents"]
            gone += source.gone(names)
            if len(names) < _NAMES:
                break
            after = names[-1]
        for place, doc_id in enumerate(gone, 1):
            await self._ask("forget", doc_id=doc_id, origin=source.origin, wait=place == len(gone))
        return len(gone)

    async def _ask(self, command: str, **fields: Any) -> dict[str, Any]:
        """Ask the kernel; while too many documents wait, again."""
        while True:
            try:
                return await self._session.client.call(command, **fields)
            except Busy:
                await asyncio.sleep(_BUSY_SECONDS)

    def _failed(self, number: int, what: str, error: RequestError) -> None:
        self.well = False
        self._session.show.notice(f"{number}/{self._files} {what} was not learned: {error.message}")


def _source(path: str) -> Source:
    return Source(Path(path).expanduser())


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"
