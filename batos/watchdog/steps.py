"""One step of an upgrade: a command without a shell, with a time limit; its output is kept, its children end with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTPUT_BYTES = 64 << 10
"""How much of a step's output the report keeps: the end of it."""


def search_path() -> str:
    """Where a step's command is looked for: beside this interpreter first, so that `pip` is that of the environment."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def run(argv: Sequence[str], seconds: float, folder: Path) -> dict[str, Any]:
    """Run one step in a folder.

    Returns:
        `run`, `exit_code` (None when it was ended for its time or could not start), `ending` in words, `seconds`,
        and `output` (its end).
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as out:
        code, ending = _run(argv, seconds, folder, out.fileno())
        size = out.seek(0, os.SEEK_END)
        out.seek(max(0, size - OUTPUT_BYTES))
        output = out.read().decode("utf-8", "replace")
    took = round(time.monotonic() - began, 3)
    return {"run": list(argv), "exit_code": code, "ending": ending, "seconds": took, "output": output}


def _run(argv: Sequence[str], seconds: float, folder: Path, out: int) -> tuple[int | None, str]:
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=folder,
            env={**os.environ, "PATH": search_path()},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=sys.platform != "win32",
        )
    except OSError as error:
        return None, f"could not start: {error}"
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        _end_group(process)
        return None, f"did not end within {seconds:g} s"
    return code, "succeeded" if code == 0 else f"failed with exit code {code}"


def _end_group(process: subprocess.Popen[bytes]) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
