"""The zygote as the kernel holds it: started, watched, started again, and a pool of ready workers."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import json
import os
import socket
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ormsgpack

import batos
from batos.errors import SandboxRefused
from batos.sandbox.codec import KernelCodec, ProtocolFault
from batos.sandbox.connection import Worker
from batos.sandbox.walls import send

if TYPE_CHECKING:
    from batos.sandbox.world import Limits

_MESSAGE_LIMIT = 1 << 12
_START_SECONDS = 20.0
_SPAWN_SECONDS = 10.0
_END_SECONDS = 2.0
_DATAGRAM_ROOM = 1 << 18
_FULL = (errno.EAGAIN, errno.ENOBUFS)
_RESTARTS = (0.0, 0.1, 0.5, 2.0)
_HASH_SEED = "20260101"
_FRAME_ROOM = 1 << 17
# Where the zygote finds this package and its one dependency.
_PATH = [str(Path(module.__file__ or "").resolve().parent.parent) for module in (batos, ormsgpack)]
# What modules would do after each fork (new locks for threads that are not there) costs every worker half a megabyte of
# memory of its own.
_BOOT = (
    "import json, os, sys; os.register_at_fork = lambda **_: None; sys.path[:0] = json.loads(sys.argv[2]); "
    "from batos.sandbox.zygote import main; main()"
)

LOST = "the sandbox was restarted"


class ZygoteLost(SandboxRefused):
    """The zygote died under a call; nothing of it was kept, so it may run again."""


def frame_limit(limits: Limits) -> int:
    """Give the bytes that one frame of a worker may have: values, output and the words around them."""
    return limits.bytes + limits.output + _FRAME_ROOM


class Pool:
    """Keeps workers ready; each serves once.

    Args:
        size: Idle workers.
        limits: What their resource limits are made from.
        settings: What the zygote is told: `level`, `uid`, `modules`, `bare`, and which layers to put up.
    """

    def __init__(self, size: int, limits: Limits, settings: dict[str, Any]) -> None:
        self.report: dict[str, Any] = {}
        self.restarts = 0
        self.spawned = 0
        self.pid: int | None = None
        self._size = size
        self._limits = limits
        self._settings = settings
        self._reuse = bool(settings.get("reuse"))
        # Whether the system ends a process with its parent, and gives descriptors to kill by.
        self._bound = settings["level"] == "full"
        self._idle: deque[Worker] = deque()
        self._workers: dict[int, Worker] = {}
        self._numbers = itertools.count(1)
        self._control: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._coming = 0
        self._closing = False
        self._up: asyncio.Event = asyncio.Event()
        self._broken = ""
        self._walls: dict[str, Any] = {}
        self._layers: dict[str, Any] = {}

    async def open(self) -> None:
        """Start the zygote.

        Raises:
            SandboxRefused: It does not start.
        """
        ours, theirs = self._control_pair()
        try:
            self._process = await _launch(theirs, self._settings)
        finally:
            theirs.close()
        self.pid = self._process.pid
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_START_SECONDS):
                report = await loop.sock_recv(ours, _MESSAGE_LIMIT)
        except (OSError, TimeoutError):
            report = b""
        try:
            self.report = self._same_walls(ormsgpack.unpackb(report) if report else {"refused": "it died"})
        except SandboxRefused:
            ours.close()
            await self._end_process()
            raise
        self._control = ours
        loop.add_reader(ours.fileno(), self._listen)
        self._up.set()
        if not self._bound:
            self._start(self._watch(self._process, ours))

    def _control_pair(self) -> tuple[socket.socket, socket.socket]:
        """Make the socket pair between kernel and zygote; it keeps messages apart, as each system can."""
        kind = socket.SOCK_SEQPACKET if self._bound else socket.SOCK_DGRAM
        pair = socket.socketpair(socket.AF_UNIX, kind)
        if not self._bound:
            for end in pair:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _DATAGRAM_ROOM)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _DATAGRAM_ROOM)
        pair[0].setblocking(False)
        return pair

    async def _watch(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        """Hear of the zygote's end where its socket does not tell."""
        await process.wait()
        if self._control is control:
            self._lost()

    def _same_walls(self, report: dict[str, Any]) -> dict[str, Any]:
        """Take a zygote's report; one that came up weaker than the first was never proven.

        Raises:
            SandboxRefused: It did, or it did not come up at all.
        """
        if "refused" in report:
            raise SandboxRefused(f"the sandbox's zygote does not start: {report['refused']}")
        walls = {name: report[name] for name in ("namespaces", "empty_root", "uid")}
        self._walls = self._walls or walls
        if walls != self._walls:
            raise SandboxRefused("the sandbox's zygote came up with other walls than at the start")
        return report

    async def take(self, limits: Limits | None = None) -> Worker:
        """Give a ready worker, from the pool or freshly forked.

        Raises:
            SandboxRefused: There is no zygote, and none can be started.
        """
        limits = limits or self._limits
        while self._fits(limits) and self._idle:
            worker = self._idle.popleft()
            if not worker.closed:
                worker.frame_limit = frame_limit(limits)
                # More are forked when this one has served, or at once where only a few are left.
                if len(self._idle) <= self._size // 2:
                    self._refill()
                return worker
        worker = await self._spawn(limits, rehearse=False)
        self._refill()
        return worker

    def retire(self, worker: Worker) -> None:
        """End a worker that has served: it has no task any more, so this need not hold anybody up."""
        if self._reuse:
            self._idle.appendleft(worker)
        else:
            asyncio.get_running_loop().call_soon(worker.kill)
            self._refill()

    def statistics(self) -> dict[str, Any]:
        """Count workers."""
        return {
            "idle": len(self._idle),
            "alive": len(self._workers),
            "spawned": self.spawned,
            "restarts": self.restarts,
            "zygote": self.pid,
        }

    async def close(self) -> None:
        """End every worker and the zygote."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._drop_control()
        await self._end_process()

    def _fits(self, limits: Limits) -> bool:
        return limits.memory_mb == self._limits.memory_mb and limits.seconds <= self._limits.seconds

    async def _spawn(self, limits: Limits, *, rehearse: bool) -> Worker:
        """Fork a worker and wait until it is ready; where somebody waits, it does not rehearse."""
        worker = await self._order(limits, rehearse=rehearse)
        try:
            async with asyncio.timeout(_SPAWN_SECONDS):
                await worker.started.wait()
                ready = await worker.receive()
        except TimeoutError:
            ready = None
        except asyncio.CancelledError:
            worker.kill()
            raise
        if ready is None:
            worker.kill()
            refusal = ZygoteLost if worker.fault == LOST or not self._up.is_set() else SandboxRefused
            raise refusal("a worker does not start", status=worker.exit_status)
        try:
            word, layers = KernelCodec().unpack(ready)
            self._layers = self._layers or layers
            if word != "ready" or layers != self._layers:
                raise ProtocolFault("another greeting than the first worker's")
            self.report["worker"] = layers
        except ValueError:
            worker.kill()
            raise SandboxRefused("a worker does not start") from None
        self.spawned += 1
        return worker

    async def _order(self, limits: Limits, *, rehearse: bool) -> Worker:
        """Ask the zygote for a worker."""
        await self._wait_up()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        worker = Worker(next(self._numbers), frame_limit(limits), None if self._bound else self._stop)
        seconds = max(limits.seconds, self._limits.seconds)
        request = {
            "id": worker.number,
            "cpu": int(seconds) + 2,
            "memory": limits.memory_mb << 20,
            "rehearse": rehearse,
        }
        try:
            await asyncio.get_running_loop().create_connection(lambda: worker, sock=ours)
            self._workers[worker.number] = worker
            await self._request(ormsgpack.packb(request), theirs.fileno())
        except BaseException as error:
            self._workers.pop(worker.number, None)
            worker.kill()
            if not worker.connected:
                ours.close()
            if isinstance(error, OSError):
                raise ZygoteLost(LOST) from None
            raise
        finally:
            theirs.close()
        return worker

    async def _wait_up(self) -> None:
        await self._up.wait()
        if self._broken or self._closing:
            raise SandboxRefused(self._broken or "the sandbox is closed")

    async def _request(self, message: bytes, *descriptors: int) -> None:
        while True:
            if self._control is None:
                raise OSError("no zygote")
            try:
                send(self._control, message, descriptors)
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                await asyncio.sleep(0.001)
            else:
                return

    def _stop(self, number: int) -> None:
        """Have the zygote kill a worker."""
        if self._control is not None and not self._closing:
            self._start(self._beg(ormsgpack.packb({"kill": number})))

    async def _beg(self, message: bytes) -> None:
        # A zygote that has gone took its workers with it.
        with contextlib.suppress(OSError):
            await self._request(message)

    def _refill(self) -> None:
        """Order what the pool lacks, all at once: the zygote forks one while another gets ready."""
        # Where calls come faster than workers, these are wanted at once.
        rehearse = bool(self._idle)
        while not self._closing and len(self._idle) + self._coming < self._size:
            self._coming += 1
            self._start(self._add(rehearse=rehearse))

    async def _add(self, *, rehearse: bool) -> None:
        # Where it fails, the next call tries itself, and says so if it can't.
        with contextlib.suppress(SandboxRefused):
            try:
                self._idle.append(await self._spawn(self._limits, rehearse=rehearse))
            finally:
                self._coming -= 1

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _listen(self) -> None:
        """Hear what the zygote says; nothing that a worker wrote comes this way."""
        assert self._control is not None
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE_LIMIT, 4)
        except BlockingIOError:
            return
        except OSError:
            message, descriptors = b"", []
        if not message:
            self._lost()
            return
        word = ormsgpack.unpackb(message)
        if "started" in word:
            worker = self._workers.get(word["started"])
            if worker is None:
                for descriptor in descriptors:
                    os.close(descriptor)
            else:
                worker.adopt(descriptors[0] if descriptors else None)
        elif worker := self._workers.pop(word["exit"], None):
            worker.finish(word["status"], word["rss"])

    def _lost(self) -> None:
        """The zygote is gone, and its workers with it: start another."""
        self._drop_control()
        if not self._closing:
            self._up.clear()
            self._start(self._restart())

    async def _restart(self) -> None:
        for pause in _RESTARTS:
            await asyncio.sleep(pause)
            await self._end_process()
            self.restarts += 1
            with contextlib.suppress(SandboxRefused, OSError):
                await self.open()
                self._refill()
                return
        self._broken = "the sandbox's zygote died and does not start again"
        self._up.set()

    def _drop_control(self) -> None:
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            self._control.close()
            self._control = None
        for worker in self._workers.values():
            worker.kill(LOST)
            worker.finish(-9, 0)
        self._workers.clear()
        self._idle.clear()

    async def _end_process(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if not self._bound:
                # It takes its workers along, which nobody else would.
                self._process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), _END_SECONDS)
            self._process.kill()
        await self._process.wait()
        self._process = None


async def _launch(control: socket.socket, settings: dict[str, Any]) -> asyncio.subprocess.Process:
    """Exec the zygote with a cleaned environment; it finds its socket as descriptor 3."""
    descriptor = control.fileno()
    boot = f"import os; os.dup2({descriptor}, 3); os.closerange(4, 4096); " + _BOOT
    environment = {
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": _HASH_SEED,
        "PYTHONUTF8": "1",
        "TZ": os.environ.get("TZ", ":/etc/localtime"),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-s", "-S", "-c", boot, json.dumps(settings), json.dumps(_PATH),
        pass_fds=(descriptor,), env=environment, cwd="/", start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
