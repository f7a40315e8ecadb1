"""A small program that stands in for the kernel, and a watchdog around it in a thread."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batos.settings import Settings
from batos.watchdog.backoff import Backoff
from batos.watchdog.files import read_json
from batos.watchdog.service import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KERNEL = """
import json, os, pathlib, signal, socket, sys
here = pathlib.Path(__file__).parent
plan = json.loads((here / "plan.json").read_text())
starts = here / "starts"
number = len(starts.read_text().split()) if starts.exists() else 0
with starts.open("a") as out:
    out.write(f"{os.getpid()}\\n")
print(f"start {number}", flush=True)
what = plan[min(number, len(plan) - 1)]
if isinstance(what, int):
    sys.exit(what)
if what == "mute":
    signal.pause()
server = socket.create_server(("127.0.0.1", plan_port := int((here / "port").read_text())))
if what == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
while True:
    peer, _ = server.accept()
    peer.sendall(b"pong")
    peer.close()
"""


class SocketProbe:
    """Pings the stand-in: it answers, or it does not within the time."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ping(self, seconds: float) -> bytes | None:
        try:
            with socket.create_connection(("127.0.0.1", self.port), seconds) as peer:
                peer.settimeout(seconds)
                return peer.recv(4) or None
        except OSError:
            return None

    def shutdown(self) -> None:
        """The stand-in hears signals only."""

    def close(self) -> None:
        """Nothing is kept open."""


class Bench:
    """A home, a stand-in kernel and a watchdog in a thread."""

    def __init__(self, home: Path, folder: Path, **settings: object) -> None:
        self.home = home
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (folder / "port").write_text(str(self.port))
        (folder / "batos.py").write_text(KERNEL)
        patience = {"watch_seconds": 0.2, "stop_grace_seconds": 5, "refused_seconds": 0.1, "restart_seconds": 0.1}
        self.settings = Settings.load(home=home, **{**patience, **settings})
        self.probe = SocketProbe(self.port)
        self.command = [sys.executable, "-I", "-S", str(folder / "batos.py")]
        self.watchdog: Watchdog | None = None
        self._thread: threading.Thread | None = None

    def plan(self, *starts: int | str) -> None:
        """Say what each start of the stand-in does; the last holds for all that follow."""
        (self.folder / "plan.json").write_text(json.dumps(starts))

    def start(self) -> Watchdog:
        """Start a watchdog."""
        self.watchdog = Watchdog(self.settings, self.probe, command=self.command, backoff=Backoff(0.05))
        self._thread = threading.Thread(target=self.watchdog.run)
        self._thread.start()
        return self.watchdog

    def stop(self) -> None:
        """Stop the watchdog and wait for it."""
        if self.watchdog is not None and self._thread is not None:
            self.watchdog.stop()
            self._thread.join(30)
            assert not self._thread.is_alive()

    @property
    def status(self) -> dict[str, object]:
        """What `run/watchdog.json` says."""
        return read_json(self.home / "run" / "watchdog.json")

    @property
    def state(self) -> object:
        """The watchdog's state."""
        return self.status.get("state")

    @property
    def pids(self) -> list[int]:
        """The process ids of all kernels that were started, in order."""
        file = self.folder / "starts"
        return [int(line) for line in file.read_text().split()] if file.exists() else []


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def bench(home: Path, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Make benches; whatever they started is gone afterwards."""
    made: list[Bench] = []

    def make(**settings: object) -> Bench:
        folder = tmp_path / f"kernel{len(made)}"
        folder.mkdir()
        made.append(Bench(home, folder, **settings))
        return made[-1]

    yield make
    for each in made:
        each.stop()
        for pid in each.pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
