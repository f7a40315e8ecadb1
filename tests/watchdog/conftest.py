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
from batos.watchdog.releases import Release
from batos.watchdog.service import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KERNEL = """
import json, os, pathlib, signal, socket, sys
here = pathlib.Path(os.environ["STAND_IN"])
if "--check" in sys.argv:
    sys.exit(0)
plan = json.loads((here / "plan.json").read_text())
starts = here / "starts"
number = len(starts.read_text().split()) if starts.exists() else 0
with starts.open("a") as out:
    out.write(f"{os.getpid()}\\n")
print(f"start {number} of {pathlib.Path(__file__).parent.name}", flush=True)
what = plan[min(number, len(plan) - 1)]
if isinstance(what, int):
    sys.exit(what)
if what == "write":
    with (pathlib.Path(os.environ["BATOS_HOME"]) / "live_image.fs").open("ab") as image:
        image.write(b"migrated")
    sys.exit(1)
if what == "mute":
    signal.pause()
if what == "parent":
    import subprocess
    (here / "child").write_text(str(subprocess.Popen(["sleep", "600"]).pid))
server = socket.create_server(("127.0.0.1", int((here / "port").read_text())))
if what == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
record = pathlib.Path(sys.argv[sys.argv.index("--prove") + 1]) if "--prove" in sys.argv else None
while True:
    peer, _ = server.accept()
    if record is not None and json.loads(record.read_text())["stage"] == "proven":
        record = None
    if what == "unproven" and record is not None:
        answer = {"ready": False, "proof": {"done": False}}
    elif what == "unboxed" and record is not None:
        answer = {"ready": False, "proof": {"done": True, "sandbox": "none", "mission": "left out: no walls"}}
    else:
        answer = {"ready": record is None, "proof": {"done": True}}
    peer.sendall(json.dumps(answer).encode())
    peer.close()
    if what == "once":
        sys.exit(1)
"""


class SocketProbe:
    """Asks the stand-in: it answers, or it does not within the time."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ping(self, seconds: float) -> dict | None:
        try:
            with socket.create_connection(("127.0.0.1", self.port), seconds) as peer:
                peer.settimeout(seconds)
                return json.loads(peer.recv(1000) or b"null")
        except (OSError, ValueError):
            return None

    def status(self, seconds: float) -> dict | None:
        """The stand-in has a sandbox, and says nothing else of itself."""
        return {"sandbox": {"level": "full"}} if self.ping(seconds) is not None else None

    def shutdown(self, grace: float = 0) -> None:
        """The stand-in hears signals; it has no cycles to bring to rest."""
        if grace:
            for pid in self.kernels():
                os.kill(pid, signal.SIGTERM)

    def kernels(self) -> list[int]:
        """Filled in by the bench: who is to end."""
        return []

    def close(self) -> None:
        """Nothing is kept open."""


class Bench:
    """A home, a stand-in kernel and a watchdog in a thread."""

    def __init__(self, home: Path, folder: Path, **settings: object) -> None:
        self.home = home
        self.folder = folder
        self.code = folder / "code"
        self.code.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (folder / "port").write_text(str(self.port))
        (self.code / "batos.py").write_text(KERNEL)
        patience = {"watch_seconds": 0.5, "stop_grace_seconds": 5, "refused_seconds": 0.1, "restart_seconds": 0.1}
        for name, value in {**patience, "upgrade_grace_seconds": 5, **settings}.items():
            os.environ[f"BATOS_{name.upper()}"] = str(value)
        os.environ["STAND_IN"] = str(folder)
        self.settings = Settings.load()
        self.probe = SocketProbe(self.port)
        self.probe.kernels = lambda: [pid for pid in self.pids if alive(pid)]
        self.base = Release("", self.code, Path(sys.executable), None)
        self.watchdog: Watchdog | None = None
        self._thread: threading.Thread | None = None

    def plan(self, *starts: int | str) -> None:
        """Say what each start of the stand-in does; the last holds for all that follow."""
        (self.folder / "plan.json").write_text(json.dumps(starts))

    def start(self, **more: object) -> Watchdog:
        """Start a watchdog."""
        backoff = more.pop("backoff", Backoff(0.05))
        self.watchdog = Watchdog(self.settings, lambda _: self.probe, base=self.base, backoff=backoff, **more)
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
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def bench(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    """Make benches; whatever they started is gone afterwards."""
    made: list[Bench] = []
    before = dict(os.environ)

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
    for name in set(os.environ) - set(before):
        del os.environ[name]
