"""A kernel process of its own for a bench, in a home that is thrown away."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from batos.client.sync import SyncClient
from batos.errors import Unreachable

if TYPE_CHECKING:
    from types import TracebackType

READY_SECONDS = 120.0
STOP_SECONDS = 60.0


class KernelProcess:
    """A running kernel and a client of it.

    Args:
        settings: Settings by name, without the prefix; all others are those of a fresh home.
    """

    client: SyncClient

    def __init__(self, **settings: str) -> None:
        self._settings = settings
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start it, and wait until it answers.

        Raises:
            Unreachable: It does not come up; the message shows what it said last.
        """
        home = Path(self._ends.enter_context(tempfile.TemporaryDirectory(prefix="batos-bench-")))
        endpoint = _free_endpoint()
        log = self._ends.enter_context((home / "kernel.log").open("ab"))
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; from batos.kernel.main import main; sys.exit(main([]))"],
            env={**self._environment(), "BATOS_HOME": str(home), "BATOS_ZMQ_ENDPOINT": endpoint},
            stdout=log,
            stderr=log,
        )
        self._ends.callback(_end, process)
        self.client = self._ends.enter_context(SyncClient(endpoint, home / "keys"))
        try:
            self.client.call("ping", timeout=READY_SECONDS)
        except Unreachable:
            said = (home / "kernel.log").read_text(errors="replace")[-2000:]
            self._ends.close()
            raise Unreachable(f"The kernel of the bench does not come up: {said}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop it, and remove its home."""
        self._ends.close()

    def _environment(self) -> dict[str, str]:
        """The environment without the user's settings of BAT OS, with those of the bench."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BATOS_")}
        root = str(Path(__file__).parent.parent.parent)
        paths = [root, *filter(None, [kept.get("PYTHONPATH")])]
        named = {f"BATOS_{name.upper()}": value for name, value in self._settings.items()}
        return {**kept, "PYTHONPATH": os.pathsep.join(paths), **named}


def _free_endpoint() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
