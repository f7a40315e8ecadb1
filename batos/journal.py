"""The metacognition log: one JSON object a line, appended by aiologger, each line once and in order of its `seq`.

Lines come from the outbox in the image, where they were committed with what they tell of. The file itself is the
memory of what was written: at the start its last whole line says where to go on, and a line that a crash tore is cut
off, because the outbox still has it. A batch counts as written when it is on the disk.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import mmap
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from aiologger import Logger
from aiologger.handlers.files import AsyncFileHandler

from batos import codec, plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger("batos.journal")
_OPENING = b'{"seq": '


class Journal:
    """Appends committed lines to the metacognition log.

    Not started, or after a write that failed, it opens the file with `start`, which also mends it.

    Args:
        file: The log; made when it is missing.

    Attributes:
        file: The log.
        last_seq: The `seq` of the last line in the file, 0 when it is empty.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.last_seq = 0
        self._lines = 0
        self._mended = 0
        self._handler: _Handler | None = None
        self._logger: Any = None
        self._turn = asyncio.Lock()

    def statistics(self) -> dict[str, Any]:
        """Figures: `lines` written since the start, `last_seq`, `mended` (torn lines cut off), `open`."""
        opened = self._handler is not None
        return {"lines": self._lines, "last_seq": self.last_seq, "mended": self._mended, "open": opened}

    async def start(self) -> int:
        """Mend the file, find where to go on, and open it; gives the last `seq` in the file.

        Raises:
            OSError: The file cannot be read or written.
        """
        async with self._turn:
            await self._close()
            await self._start()
        return self.last_seq

    async def write(self, lines: list[dict[str, Any]]) -> int:
        """Append lines and see them onto the disk; gives how many were new.

        Lines whose `seq` the file has already are left out, so that a batch may be written again. A cancelled caller
        leaves at once; the batch is written to its end all the same.

        Args:
            lines: Plain data in order of `seq`.

        Raises:
            OSError: The disk takes no writes. The next call mends the file and goes on.
        """
        task = asyncio.ensure_future(self._write(lines))
        task.add_done_callback(_heard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Close the file. Closing twice does no harm."""
        async with self._turn:
            await self._close()

    async def _write(self, lines: list[dict[str, Any]]) -> int:
        async with self._turn:
            if self._handler is None:
                await self._start()
            new = [line for line in lines if line["seq"] > self.last_seq]
            if not new:
                return 0
            try:
                await self._append("\n".join(_json_line(line) for line in new))
            except Exception:
                await self._drop()
                raise
            self.last_seq = int(new[-1]["seq"])
            self._lines += len(new)
            return len(new)

    async def _start(self) -> None:
        self._mended += await asyncio.to_thread(_mend, self.file)
        self.last_seq = await asyncio.to_thread(last_seq, self.file)
        self._handler = _Handler(str(self.file), encoding="utf-8")
        self._logger = Logger(name="metacognition")
        self._logger.add_handler(self._handler)

    async def _close(self) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            await handler.close()

    async def _append(self, text: str) -> None:
        assert self._handler is not None
        await self._logger.info(text)
        await asyncio.to_thread(os.fsync, self._handler.stream.fileno())

    async def _drop(self) -> None:
        """Let go of a file whose write failed; what is still buffered must not reach it later."""
        handler, self._handler = self._handler, None
        if handler is not None and handler.stream is not None:
            with suppress(OSError):
                await handler.stream.close()


class _Handler(AsyncFileHandler):  # type: ignore[misc]
    """aiologger's file handler, but a write that fails is its caller's to know."""

    async def handle_error(self, record: Any, exception: Exception) -> None:
        """Raise what went wrong."""
        del record
        raise exception


def last_seq(file: Path) -> int:
    """Give the `seq` of the last whole line of a log, 0 when there is none."""
    try:
        with file.open("rb") as opened, _mapped(opened.fileno()) as data:
            end = data.rfind(b"\n") + 1
            while end:
                start = data.rfind(b"\n", 0, end - 1) + 1
                seq = _seq_of(data[start:end])
                if seq is not None:
                    return seq
                end = start
    except FileNotFoundError:
        pass
    return 0


@contextmanager
def _mapped(fileno: int) -> Iterator[bytes | mmap.mmap]:
    if os.fstat(fileno).st_size == 0:
        yield b""
        return
    with mmap.mmap(fileno, 0, access=mmap.ACCESS_READ) as data:
        yield data


def _mend(file: Path) -> int:
    """Mend the end of a log; gives 1 when it needed it, else 0."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        return 0
    with file.open("r+b") as opened:
        with _mapped(opened.fileno()) as data:
            start = data.rfind(b"\n") + 1
            tail = bytes(data[start:])
        if not tail:
            return 0
        kept = _whole(tail)
        opened.truncate(start)
        opened.seek(start)
        opened.write(kept)
        opened.flush()
        os.fsync(opened.fileno())
    _log.warning("%s ended in a torn line of %d bytes; what was lost of it is still in the image", file, len(tail))
    return 1


def _whole(tail: bytes) -> bytes:
    """Give what stays of a line without an end: nothing of a torn one, else all of it with its end."""
    # After a power loss the end of a file may be zeros.
    text = tail.rstrip(b"\0")
    torn = _seq_of(text) is None and (text.startswith(_OPENING) or _OPENING.startswith(text))
    # What is not ours is not cut: the setting may name a person's own file.
    return b"" if torn else text + b"\n"


def _seq_of(line: bytes) -> int | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    seq = fields.get("seq") if isinstance(fields, dict) else None
    return seq if type(seq) is int and seq > 0 else None


def _heard(task: asyncio.Future[int]) -> None:
    """Take note of how a batch ended, whose caller may have left."""
    if not task.cancelled():
        task.exception()


def _json_line(line: dict[str, Any]) -> str:
    return json.dumps(_finite(plain.to_json(line)), allow_nan=False)


def _finite(value: Any) -> Any:
    """Replace the floats that JSON lacks by their wire form in hex."""
    if isinstance(value, float) and not math.isfinite(value):
        return codec.pack(value).hex()
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value
