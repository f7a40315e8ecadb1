"""A real watchdog with real kernels, started from a checkout and an environment of their own, and faults for them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import batos
from batos.client.sync import SyncClient
from batos.errors import BatosError, Unreachable
from batos.watchdog.files import read_json

from .conftest import alive
from .drops import drop, ended, report, reports

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(batos.__file__).parents[1]
SOURCE = "def answer(self):\n    return 42\n"
BUMP = "def bump(self):\n    self.count = self.count + 1\n    self._p_changed = True\n    return self.count\n"
RULES = [
    {"state": "DECOMPOSING", "text": '["answer"]'},
    {"state": "SYNTHESIZING", "match": "bump", "text": BUMP},
    {"state": "SYNTHESIZING", "match": "answer", "text": SOURCE, "delay_s": 0.2},
]
BRIEF = {"type": "unhandled_message", "selector": "answer", "intent": "answer the question"}

_MISSION_SECONDS, _BUMP_SECONDS = 0.2, 0.1
"""The pauses of the load: it must be there all the time, not take all of a small machine."""

KERNEL = '''"""The kernel, with faults on demand: a starved loop, a clock that jumps, starts that fail."""
import os, pathlib, signal, sys, time
real, shift = time.time, [0.0]
time.time = lambda: real() + shift[0]
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(3600))
signal.signal(signal.SIGUSR2, lambda *_: shift.append(86400 if shift.pop() < 0 else -86400))
bad = pathlib.Path(os.environ["BATOS_HOME"]) / "bad_starts"
if bad.exists() and (left := int(bad.read_text())) > 0:
    bad.write_text(str(left - 1))
    sys.exit(1)
from batos.kernel.main import main
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''
WATCHDOG = '''"""The watchdog, which may be told where to be killed: DOOM is STAGE:before or STAGE:after of writing it down.

With `:all` behind it every process of its home ends there, as when the machine loses its power.
"""
import os, pathlib, signal, sys
from batos.watchdog import logbook, upgrade
stage, when, whom = (os.environ.get("DOOM", "") + "::").split(":")[:3]
def end():
    home = b"BATOS_HOME=" + os.environ["BATOS_HOME"].encode()
    for entry in pathlib.Path("/proc").glob("[0-9]*") if whom == "all" else ():
        try:
            if int(entry.name) != os.getpid() and home in (entry / "environ").read_bytes().split(b"\\0"):
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            pass
    os.kill(os.getpid(), signal.SIGKILL)
def doomed(real, name):
    def run(*args, **more):
        if (name or args[1]["stage"]) == stage and when == "before":
            end()
        real(*args, **more)
        if (name or args[1]["stage"]) == stage and when == "after":
            end()
    return run
logbook.Logbook._write = doomed(logbook.Logbook._write, "")
upgrade.close_file = doomed(upgrade.close_file, "close")
from batos.watchdog.main import main
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''


def make_environment(folder: Path) -> Path:
    """A virtual environment that sees the packages of this one; gives its interpreter."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    subprocess.run([str(base), "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "here.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "bin" / "python"


def make_checkout(folder: Path) -> None:
    """A copy of the code, whose kernel and watchdog fail on demand."""
    shutil.copytree(ROOT / "batos", folder / "batos", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "batos.py").write_text(KERNEL)
    (folder / "min_watchdog_service.py").write_text(WATCHDOG)
    shutil.copy(ROOT / "persona_codex.jsonl", folder)


class Ship:
    """One BATOS_HOME with a watchdog process.

    Args:
        folder: Where everything of it lies.
        home: BATOS_HOME; by default within the folder.
    """

    def __init__(self, folder: Path, home: Path | None = None) -> None:
        self.home = home or folder / "home"
        self.code = folder / "code"
        self.code.mkdir(parents=True)
        self.home.mkdir(exist_ok=True)
        make_checkout(self.code)
        self.python = make_environment(folder / "env")
        (self.home / "script.json").write_text(json.dumps(RULES))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("BATOS_")},
            "BATOS_HOME": str(self.home),
            "BATOS_ENGINE": "scripted:script.json",
            "BATOS_ZMQ_ENDPOINT": self.endpoint,
            "BATOS_WATCH_SECONDS": "1",
            "BATOS_RESTART_SECONDS": "2",
            "BATOS_REFUSED_SECONDS": "1",
            "BATOS_RESTART_LIMIT": "1000",
        }
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)  # kernels start often here
        self.watchdog: subprocess.Popen[bytes] | None = None
        self.client = SyncClient(self.endpoint, self.home / "keys")
        self.asked: list[str] = []
        self.bumped = self.unknown = 0
        self.tally = ""
        self._names = 0

    def start(self, doom: str = "") -> None:
        """Start a watchdog; `doom` says where it is killed, and whether all else is with it."""
        command = [str(self.python), str(self.code / "min_watchdog_service.py"), "--background"]
        env = {**self.env, "DOOM": doom}
        self.watchdog = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL, start_new_session=True)

    def stop(self) -> None:
        """Stop the watchdog and whatever it left."""
        self.client.close()
        if self.watchdog is not None:
            if self.watchdog.poll() is None:
                self.watchdog.terminate()
            try:
                self.watchdog.wait(30)
            except subprocess.TimeoutExpired:
                self.watchdog.kill()
                self.watchdog.wait()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self) -> list[int]:
        """All processes that were started for this home and still run."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and f"BATOS_HOME={self.home}\0".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found

    @property
    def status(self) -> dict[str, Any]:
        """What the watchdog says of itself."""
        return read_json(self.home / "run" / "watchdog.json")

    @property
    def kernel(self) -> int:
        """The process id of the kernel."""
        return int(self.status.get("kernel_pid") or 0)

    def serving(self) -> bool:
        """Whether a kernel serves, and the watchdog that lives says so."""
        status = self.status
        mine = self.watchdog is not None and status.get("pid") == self.watchdog.pid
        return mine and status.get("state") == "serving" and alive(self.kernel)

    def until(self, condition: Callable[[], object], what: str = "", seconds: float = 60.0) -> None:
        """Wait for a condition."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"never came: {what}; {self.status}\n{self.log()[-3000:]}")
            time.sleep(0.01)

    def log(self) -> str:
        """What watchdog and kernel wrote."""
        run = self.home / "run"
        return "".join(file.read_text(errors="replace") for file in (run / "watchdog.log", run / "kernel.log"))

    def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        """Ask the kernel; waits until one answers."""
        return self.client.call(command, timeout=60, **fields)

    def ask_again(self, command: str, **fields: Any) -> dict[str, Any]:
        """As `ask`, for what may be done twice: a kernel that went away before it answered has a successor."""
        try:
            return self.ask(command, **fields)
        except Unreachable:
            return self.ask(command, **fields)

    def prepare(self) -> None:
        """Start, and make the object that counts."""
        self.start()
        self.until(self.serving, "the first service")
        self.tally = self.ask("create", slots={"count": 0}, name="tally")["oid"]
        self.ask("install", target_oid="tally", selector="bump", source=BUMP)

    def drop(self, **fields: Any) -> str:
        """Drop instructions under a new id; gives it."""
        self._names += 1
        name = f"u{self._names}"
        drop(self.home, {"id": name, **fields})
        return name

    def ended(self, name: str, end: str) -> bool:
        """Whether an upgrade ended so."""
        return ended(self.home, name, end)

    def report(self, name: str) -> dict[str, Any]:
        """Its report."""
        return report(self.home, name)

    @property
    def reports(self) -> int:
        """How many reports there are."""
        return len(reports(self.home))

    def mission(self) -> dict[str, Any]:
        """A mission on an object of its own; gives its last word."""
        oid = self._created()
        self.asked.append(oid)
        request = {"command": "initiate_cognitive_cycle", "target_oid": oid, "mission_brief": BRIEF}
        while True:  # what was not accepted is asked for again
            word = self.client.request(request, timeout=240)
            if word["status"] != "ERROR" or word["error"]["type"] not in ("ImageReadOnly", "Busy"):
                return word
            time.sleep(0.05)

    def _created(self) -> str:
        while True:  # a kernel that goes away may have made it or not; one more object does no harm
            with contextlib.suppress(BatosError):
                return self.ask("create", slots={})["oid"]

    def bump(self) -> None:
        """Count one up; when nobody answers it is not known whether it was done."""
        try:
            self.ask("send", target_oid="tally", selector="bump", learn=False)
        except BatosError as error:
            self.unknown += type(error).__name__ in ("Unreachable", "Stopping")
        else:
            self.bumped += 1

    def check(self) -> None:
        """A kernel serves, every mission ended once, every acknowledged count is there, nothing runs beside it."""
        self.until(self.serving, "service after the fault")
        assert self.ask("ping")["ready"] is True
        count = self.ask("inspect", target_oid="tally")["slots"]["count"]
        assert self.bumped <= count <= self.bumped + self.unknown, (self.bumped, count, self.unknown)
        for oid in self.asked:
            assert len(self.ask("history", target_oid=oid, selector="answer")["versions"]) == 1
        ended_cycles = [each for each in self.ask("cycles", limit=10_000)["cycles"] if each["selector"] == "answer"]
        assert len(ended_cycles) == len(self.asked)
        kernels = [pid for pid in self.processes() if b"batos.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert kernels == [self.kernel], kernels

    def image_check(self) -> None:
        """The image is whole, read from its first byte to the last."""
        done = subprocess.run(
            [str(self.python), "-m", "batos", "--json", "image", "check"],
            cwd=self.code, env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


class Load:
    """Missions and sends that go on in the background, over whatever happens."""

    def __init__(self, ship: Ship) -> None:
        self._ship = ship
        self._end = threading.Event()
        self.words: list[dict[str, Any]] = []
        self.faults: list[BaseException] = []
        self._threads = [threading.Thread(target=run) for run in (self._missions, self._bumps)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(180)
        assert not self.faults, self.faults
        assert all(word["status"] == "COMPLETE" and word["result"] == 42 for word in self.words), self.words

    def _missions(self) -> None:
        try:
            while not self._end.wait(_MISSION_SECONDS):
                self.words.append(self._ship.mission())
        except BaseException as error:
            self.faults.append(error)

    def _bumps(self) -> None:
        while not self._end.wait(_BUMP_SECONDS):
            self._ship.bump()
