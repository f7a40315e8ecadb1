"""How quickly a kernel comes, comes back, is missed and is replaced: start, kill -9, SIGSTOP, an upgrade of settings.

Everything runs in real processes: a watchdog, its kernels, and a client that asks every few milliseconds. The peer of the
start is a Python that imports the four libraries without which there is no kernel.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from batos.bench.figures import Figure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from batos.bench.figures import Tell
    from batos.image.store import View

_ROOT = Path(__file__).resolve().parents[2]
_PEER = [sys.executable, "-c", "import ZODB, zmq, ormsgpack, pydantic"]
_BATCH = 5000
_PATIENCE = 300.0
_ASK_SECONDS = 0.005


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be chosen."""
    parser.add_argument("--objects", type=int, default=100_000, metavar="N", help="in the image (100000)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of each measurement (5)")
    parser.add_argument("--beat", type=float, default=2.0, metavar="SECONDS", help="the watchdog's heartbeat (2)")


def run(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Measure; gives the figures."""
    with tempfile.TemporaryDirectory(prefix="batos-vessel-") as folder, _Yard(Path(folder), options.beat) as yard:
        tell(f"an image of {options.objects} objects is made")
        _make_image(yard.home, options.objects)
        yard.start()  # warm: keys are there, files are in the cache
        rounds = range(options.rounds)
        tell("starts, beside the peer")
        pairs = [(yard.start(), _seconds(_PEER)) for _ in rounds]
        restarts = [yard.restart() for _ in rounds]
        tell("kills, hangs and upgrades under the watchdog")
        with yard.watched():
            killed = [yard.kill() for _ in rounds]
            changed = [yard.upgrade() for _ in rounds]
            hung = [yard.hang() for _ in rounds]
    return _figures(pairs, restarts, killed, changed, max(hung) / options.beat)


def _figures(
    pairs: list[tuple[float, float]], restarts: list[float], killed: list[float], changed: list[float], beats: float
) -> list[Figure]:
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    start, peer = (statistics.median(column) for column in zip(*pairs, strict=True))
    again, back, change = (statistics.median(column) for column in (restarts, killed, changed))
    return [
        Figure("start to first ping / imports", ratio, 10, note=f"{start:.2f} s beside {peer:.2f} s"),
        Figure("kill -9 to first ping / start", back / start, 2.5, note=f"{back:.2f} s beside {start:.2f} s"),
        Figure("hang noticed, in heartbeats", beats, 2, note=f"the slowest of {len(killed)}"),
        Figure("settings-only upgrade / restart", change / again, 3, note=f"{change:.2f} s beside {again:.2f} s"),
    ]


def _make_image(home: Path, objects: int) -> None:
    from batos.image import migrations
    from batos.image.store import Image

    image = Image(home / "live_image.fs", home / "live_image.fs.blob")
    migrations.migrate(image)
    for begin in range(0, objects, _BATCH):
        image.transact_now(_make_objects, min(_BATCH, objects - begin), note="bench")
    image.close_now()


def _make_objects(view: View, count: int) -> None:
    from batos.image import registry

    for number in range(count):
        registry.create(view, ["genesis_obj"], {"number": number, "name": f"object {number}"})


def _seconds(argv: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, check=True, start_new_session=True)  # as kernels are: systems share out time by sessions
    return time.perf_counter() - began


class _Yard:
    """A BATOS_HOME with an endpoint of its own, a kernel or a watchdog in it, and a client that asks."""

    def __init__(self, home: Path, beat: float) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.home = home
        (home / "script.json").write_text("[]", encoding="utf-8")
        self._beat = beat
        kept = {key: value for key, value in os.environ.items() if not key.startswith("BATOS_")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # warm means that the bytecode is there, as it is anywhere else
        own = {"BATOS_HOME": str(home), "BATOS_ZMQ_ENDPOINT": endpoint, "BATOS_ENGINE": "scripted:script.json"}
        self._env = {**kept, **own, "BATOS_WATCH_SECONDS": str(beat)}
        self._asker = _Asker(endpoint, home / "keys")
        self._log = (home / "bench.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()
        self._asker.close()
        self._log.close()

    def start(self) -> float:
        """Start a kernel; gives the seconds to its first answer."""
        began = time.perf_counter()
        self._launch("batos.py")
        took = self._asker.answered() - began
        self._end()
        return took

    def restart(self) -> float:
        """Stop a kernel in order and start it again; gives the seconds without an answer."""
        self._launch("batos.py")
        self._asker.answered()
        began = time.perf_counter()
        self._end()
        self._launch("batos.py")
        took = self._asker.answered() - began
        self._end()
        return took

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Have a watchdog that keeps a kernel serving."""
        self._launch("min_watchdog_service.py", "--background")
        self._asker.answered()
        self._until_serving()
        yield
        self._end()

    def kill(self) -> float:
        """Kill the kernel; gives the seconds to the next answer."""
        began = time.perf_counter()
        os.kill(self._kernel(), signal.SIGKILL)
        took = self._asker.answered() - began
        self._until_serving()
        return took

    def upgrade(self) -> float:
        """Drop instructions without steps; gives the longest time without an answer."""
        done = len(list(self.home.glob("update_report.*.json")))
        new = self.home / "drop.tmp"
        new.write_text("{}", encoding="utf-8")
        new.rename(self.home / "update_instructions.json")
        gap = self._asker.gap(lambda: len(list(self.home.glob("update_report.*.json"))) > done)
        self._until_serving()
        return gap

    def hang(self) -> float:
        """Stop the kernel's process; gives the seconds until the watchdog does not take it for serving any more."""
        kernel, began = self._kernel(), time.perf_counter()
        os.kill(kernel, signal.SIGSTOP)
        while self._status().get("state") == "serving" and self._kernel() == kernel:
            time.sleep(_ASK_SECONDS)
        took = time.perf_counter() - began
        self._until_serving()
        return took

    def _launch(self, script: str, *more: str) -> None:
        argv = [sys.executable, str(_ROOT / script), *more]
        self._process = subprocess.Popen(
            argv, env=self._env, stdout=self._log, stderr=self._log, start_new_session=True
        )

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_PATIENCE)
        self._process = None

    def _status(self) -> dict[str, Any]:
        from batos.watchdog import files

        return files.read_json(self.home / "run" / "watchdog.json")

    def _kernel(self) -> int:
        return int(self._status().get("kernel_pid") or 0)

    def _until_serving(self) -> None:
        end = time.monotonic() + _PATIENCE
        while self._status().get("state") != "serving":
            if time.monotonic() > end:
                raise TimeoutError("the watchdog has no kernel that serves")
            time.sleep(_ASK_SECONDS)


class _Asker:
    """Asks for a `ping` every few milliseconds, over whatever happens to the kernel."""

    def __init__(self, endpoint: str, keys: Path) -> None:
        self._endpoint = endpoint
        self._keys = keys
        self._socket: Any = None

    def answered(self) -> float:
        """The time of the first answer of a kernel that serves, from now on."""
        self._drain()
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if self._ask():
                return time.perf_counter()
        raise TimeoutError("no kernel answers")

    def gap(self, over: Callable[[], bool]) -> float:
        """The longest time between two answers until `over` says so."""
        self._drain()
        longest, last = 0.0, time.perf_counter()
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if self._ask():
                now = time.perf_counter()
                longest, last = max(longest, now - last), now
                if over():
                    return longest
        raise TimeoutError("the upgrade has no end")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close(linger=0)

    def _ask(self) -> bool:
        import zmq

        from batos import codec

        if not self._open():
            time.sleep(_ASK_SECONDS)
            return False
        with contextlib.suppress(zmq.Again):
            self._socket.send(codec.pack({"command": "ping"}), zmq.NOBLOCK)
        if not self._socket.poll(int(_ASK_SECONDS * 1000)):
            return False
        return codec.unpack(self._socket.recv_multipart()[-1]).get("ready") is True

    def _drain(self) -> None:
        """Forget answers that came late."""
        while self._socket is not None and self._socket.poll(0):
            self._socket.recv_multipart()

    def _open(self) -> bool:
        import zmq

        from batos.client.wiring import read_certificates

        if self._socket is None and (found := read_certificates(self._keys)) is not None:
            own: Any = zmq.Context.instance().socket(zmq.DEALER)
            own.curve_serverkey, own.curve_publickey, own.curve_secretkey = found
            own.setsockopt(zmq.IMMEDIATE, 1)
            own.setsockopt(zmq.RECONNECT_IVL, 5)
            own.connect(self._endpoint)
            self._socket = own
        return self._socket is not None
