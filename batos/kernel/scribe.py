"""The scribe: carries committed log lines from the outbox in the image to `metacognition.jsonl`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from batos.image import outbox

if TYPE_CHECKING:
    from batos.image.store import Image
    from batos.journal import Journal

_log = logging.getLogger("batos.journal")
_BATCH = 500
_RETRY_SECONDS = 5.0


class Scribe:
    """Flushes the outbox after each commit; a restart goes on without a gap or a double."""

    def __init__(self, image: Image, journal: Journal) -> None:
        self._image = image
        self._journal = journal
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._written = 0
        self._opened = False

    def statistics(self) -> dict[str, int]:
        """Lines written since the start, and the last sequence number in the file."""
        return {"lines": self._written, "seq": self._journal.last_seq}

    def wake(self) -> None:
        """Say that there may be lines to carry."""
        self._wake.set()

    async def start(self) -> None:
        """Open the file, mend a torn last line, and begin; where the disk takes no writes, begin when it does."""
        try:
            await self._open()
        except Exception:  # noqa: BLE001 - the kernel serves without its log
            _log.exception("the metacognition log cannot be opened; its lines wait in the image")
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="scribe")

    async def close(self) -> None:
        """Carry what is left, and close the file."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            try:
                await self._flush()
            except Exception:  # noqa: BLE001 - the image must still be closed
                _log.exception("the metacognition log cannot be written; its lines wait in the image")
        await self._journal.close()

    async def _open(self) -> None:
        await self._journal.start()
        await self._image.transact(outbox.resume, self._journal.last_seq, note="journal")
        self._opened = True

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                if not self._opened:
                    await self._open()
                await self._flush()
            except Exception:  # noqa: BLE001 - the log must go on, whatever one batch met
                _log.exception("the metacognition log cannot be written; its lines wait in the image")
                await asyncio.sleep(_RETRY_SECONDS)
                self._wake.set()

    async def _flush(self) -> None:
        while lines := (await self._image.read(outbox.pending, self._journal.last_seq, _BATCH)).value:
            await self._journal.write(lines)
            self._written += len(lines)
            await self._image.transact(outbox.trim, self._journal.last_seq, note="journal")
