"""One step of an upgrade: a command without a shell, with a time limit; its output is kept, its children end with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

OUTPUT_BYTES = 64 << 10
"""How much of a step's output the report keeps: the end of it."""
_SLICE_SECONDS = 0.2


def run(
    argv: Sequence[str], seconds: float, folder: Path, env: dict[str, str], tick: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Run one step in a folder.

    Args:
        argv: The command and its arguments.
        seconds: After this time it is ended.
        folder: Where it runs.
        env: Its environment.
        tick: Called now and then; what it raises ends the step.

    Returns:
        `run`, `exit_code` (None when it was ended for its time or could not start), `ending` in words, `seconds`,
        and `output` (its end).
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as out:
        code, ending = _run(argv, seconds, folder, env, out.fileno(), tick)
        size = out.seek(0, os.SEEK_END)
        out.seek(max(0, size - OUTPUT_BYTES))
        output = out.read().decode("utf-8", "replace")
    took = round(time.monotonic() - began, 3)
    return {"run": list(argv), "exit_code": code, "ending": ending, "seconds": took, "output": output}


def _run(
    argv: Sequence[str], seconds: float, folder: Path, env: dict[str, str], out: int, tick: Callable[[], None]
) -> tuple[int | None, str]:
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=sys.platform != "win32",
        )
    except OSError as error:
        return None, f"could not start: {error}"
    end = time.monotonic() + seconds
    try:
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(min(_SLICE_SECONDS, left))
                return code, "succeeded" if code == 0 else f"failed with exit code {code}"
            tick()
    finally:
        _end_group(process)
    return None, f"did not end within {seconds:g} s"


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the step: whatever it started in the background must not work on beside the kernel."""
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()
