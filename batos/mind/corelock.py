"""File locks between processes, and the one that lets a single generation at a time use a machine's cores.

Two llama.cpp processes on the same cores do not share them: their threads spin while they wait for each other, and both
nearly stop. So every engine that computes on cores takes `core_lock()` for each request and releases it between
requests. A process that dies releases what it held.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import platformdirs

from batos.errors import Busy, Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

POLL_SECONDS = 0.01


class FileLock:
    """An exclusive lock on a file, between processes and between threads.

    A waiter first takes a turnstile beside the lock, so that a holder that releases and asks again at once cannot
    overtake it.

    Args:
        file: The file to lock; made where it is missing, never removed.
        timeout: Seconds to wait at most; None waits for ever.
        cancelled: Asked while waiting; True gives up.
    """

    def __init__(
        self, file: Path, *, timeout: float | None = None, cancelled: Callable[[], bool] | None = None
    ) -> None:
        self._file = file
        self._timeout = timeout
        self._cancelled = cancelled
        self._held: int | None = None

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            Busy: It was not free in time.
            Cancelled: `cancelled` said so.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        turnstile = self._take(self._file.with_name(self._file.name + ".turn"), deadline)
        try:
            self._held = self._take(self._file, deadline)
        finally:
            _release(turnstile)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Release the lock."""
        if self._held is not None:
            _release(self._held)
            self._held = None

    def _take(self, file: Path, deadline: float | None) -> int:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            while not _try_lock(descriptor):
                if self._cancelled is not None and self._cancelled():
                    raise Cancelled("the request was cancelled while it waited for its turn")
                if deadline is not None and time.monotonic() >= deadline:
                    raise Busy(f"{file.name} is held by another process", "Wait until that process is done.")
                time.sleep(POLL_SECONDS)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def core_lock(*, timeout: float | None = None, cancelled: Callable[[], bool] | None = None) -> FileLock:
    """The lock of this user's processes on this machine's cores."""
    return FileLock(core_lock_file(), timeout=timeout, cancelled=cancelled)


def core_lock_file() -> Path:
    """Where the lock on the cores lies; the machine's name is in it because a home folder may be shared by several."""
    folder = platformdirs.user_cache_path("batos", appauthor=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir())
    if not os.access(folder, os.W_OK):
        folder = Path(tempfile.gettempdir())
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    return folder / f"cores-{platform.node() or 'machine'}-{user}.lock"


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True

    def _release(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        os.close(descriptor)
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise
        return True

    def _release(descriptor: int) -> None:
        os.close(descriptor)
