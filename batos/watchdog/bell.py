"""What wakes the watchdog before its next beat: a file dropped into BATOS_HOME, or the end of the kernel."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_SLICE_SECONDS = 0.2
_DEBOUNCE_MS = 50
_CHECK_MS = 500


class Bell:
    """Rings when a file of one of these names comes or changes in a folder, and when `ring` is called.

    Where the system cannot watch folders, whoever waits looks for himself: `wait` returns often enough.

    Args:
        folder: The folder; what lies deeper is not watched.
        names: The names of the files.
    """

    def __init__(self, folder: Path, names: Collection[str]) -> None:
        self._folder = folder
        self._names = frozenset(names)
        self._rung = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch-drops", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """Wake whoever waits. Not for signal handlers: a lock may be held."""
        self._rung.set()

    def wait(self, seconds: float) -> bool:
        """Wait for a ring, at most `seconds` and at most a fifth of one; gives whether it rang."""
        rang = self._rung.wait(max(0.0, min(seconds, _SLICE_SECONDS)))
        if rang:
            self._rung.clear()
        return rang

    def close(self) -> None:
        """Stop watching."""
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        from watchfiles import watch

        def wanted(_: object, path: str) -> bool:
            return path.rpartition("/")[2].rpartition("\\")[2] in self._names

        # Without a way to watch (a network's folder, too many watches) the round looks anyway.
        with contextlib.suppress(OSError, RuntimeError):
            changes = watch(
                self._folder,
                watch_filter=wanted,
                recursive=False,
                stop_event=self._end,
                debounce=4 * _DEBOUNCE_MS,
                step=_DEBOUNCE_MS,
                rust_timeout=_CHECK_MS,
                raise_interrupt=False,
            )
            for _ in changes:
                self.ring()
