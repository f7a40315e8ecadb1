"""The mind host as the kernel sees it: a child process with threads that carry its frames to the event loop.

Plain pipes and threads, because they work alike with every event loop on every system.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.codec import CodecError
from batos.errors import ModelError
from batos.mind.courtesy import step_back
from batos.mind.device import SPIN_COUNT
from batos.mind.frames import read_frame, write_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ROOT = Path(__file__).resolve().parents[2]
_LAST_LINES = 20


class HostProcess:
    """One run of the mind host.

    Args:
        arguments: Arguments of `batos.mind.host`, or a whole command with `command`.
        on_frame: Hears each frame, in a thread.
        on_end: Hears once, in a thread, why the process ended.
        command: Another program than the mind host; for tests.

    Raises:
        ModelError: The process cannot be started.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        on_frame: Callable[[Any], None],
        on_end: Callable[[str], None],
        *,
        command: Sequence[str] | None = None,
    ) -> None:
        self._on_frame = on_frame
        self._on_end = on_end
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        program = list(command) if command is not None else [sys.executable, "-m", "batos.mind.host"]
        try:
            self._child = subprocess.Popen(
                [*program, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(),
            )
        except OSError as error:
            raise ModelError(f"the mind host cannot be started: {error}") from None
        step_back(self._child.pid)
        self._threads = [
            threading.Thread(target=run, name=f"batos-mind-{name}", daemon=True)
            for name, run in (("in", self._read), ("out", self._write), ("log", self._log))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def send(self, frame: Any) -> None:
        """Queue a frame; never blocks."""
        self._outgoing.put(frame)

    def kill(self) -> None:
        """End the process at once; it may be deep in native code, or stopped."""
        self._child.kill()

    def close(self, grace: float = 2.0) -> None:
        """Let the process end by itself, kill it after some seconds, and wait for its threads. Blocks."""
        self._outgoing.put(None)
        try:
            self._child.wait(grace)
        except subprocess.TimeoutExpired:
            self._child.kill()
        for thread in self._threads:
            thread.join()

    def memory_bytes(self) -> int:
        """Bytes of memory that the process has resident; 0 where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _read(self) -> None:
        assert self._child.stdout is not None
        with self._child.stdout as stream, contextlib.suppress(EOFError, OSError, CodecError, ValueError):
            while True:
                self._on_frame(read_frame(stream))
        self._child.kill()  # without its answers it is of no use
        code = self._child.wait()
        self._outgoing.put(None)
        self._on_end(self._obituary(code))

    def _write(self) -> None:
        assert self._child.stdin is not None
        with contextlib.suppress(OSError, ValueError), self._child.stdin as stream:
            while (frame := self._outgoing.get()) is not None:
                write_frame(stream, frame)

    def _log(self) -> None:
        assert self._child.stderr is not None
        with self._child.stderr as stream:
            for line in stream:
                self._last_lines.append(line.decode("utf-8", "replace").rstrip())

    def _obituary(self, code: int) -> str:
        self._threads[2].join(1.0)
        how = f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        words = [line for line in self._last_lines if line]
        return f"the mind host {how}" + (f"; its last words: {words[-1][:300]}" if words else "")


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name} (killed, or out of memory)" if name == "SIGKILL" else name


def _environment() -> dict[str, str]:
    """The host reads local files only, and finds this very package wherever it was started from."""
    search = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if part)
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {"GOMP_SPINCOUNT": SPIN_COUNT, **os.environ, **offline, "PYTHONPATH": search}
