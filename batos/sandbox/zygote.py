"""The process that workers are forked from: loads, confines itself, forks on request.

The kernel starts it by exec with an empty environment and one descriptor (3, a socket that keeps messages apart), so
it shares neither memory nor descriptors with the kernel. It never runs generated code and never reads anything that a
worker wrote. When the kernel has gone, it ends, and every worker with it.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import ormsgpack

from batos.sandbox import library, worker
from batos.sandbox.walls import send

if TYPE_CHECKING:
    from batos.sandbox.walls import Walls

CONTROL = 3
_KEPT = worker.SOCKET + 1  # in a worker, until it stands behind its walls
_MESSAGE_LIMIT = 1 << 12
_DESCRIPTORS = 1 << 12
_REHEARSALS = 8  # the interpreter specialises what has run a few times


def main() -> NoReturn:
    """Run the zygote; its settings are the first argument, as JSON."""
    settings: dict[str, Any] = json.loads(sys.argv[1])
    control = socket.socket(fileno=CONTROL)
    try:
        report, walls = _prepare(settings, control)
    except Exception as error:  # noqa: BLE001 - whatever it is, the kernel must hear why there is no sandbox
        control.send(ormsgpack.packb({"refused": f"{type(error).__name__}: {error}"[:500]}))
        os._exit(1)
    control.send(ormsgpack.packb(report))
    _Nursery(control, settings, walls).serve()


def _prepare(settings: dict[str, Any], control: socket.socket) -> tuple[dict[str, Any], Walls]:
    """Load everything, and leave the system behind."""
    walls = _walls(settings)
    missing = library.preload(settings["modules"])
    report: dict[str, Any] = {"time_zones": library.keep_time_zones(), "missing_modules": missing}
    report |= walls.leave(control)
    settings["builtins"] = worker.builtins_for(settings)
    for _ in range(_REHEARSALS):
        worker.rehearse(settings)
    sys.path.clear()
    gc.collect()
    # Kept to the end, so that what workers make lies on few pages.
    settings["fillers"] = library.fill_pools()
    gc.freeze()
    return report, walls


def _walls(settings: dict[str, Any]) -> Walls:
    """Choose the walls of the level that the kernel asks for; it is loaded here, while files can be read."""
    if settings["level"] == "seatbelt":
        from batos.sandbox import seatbelt

        return seatbelt.Walls(settings)
    from batos.sandbox import linux

    return linux.Walls(settings)


def _bell() -> tuple[int, int]:
    """Make the pipe that a signal wakes the loop by."""
    wake, bell = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(bell, False)
    return wake, bell


class _Child(NamedTuple):
    """A worker as its zygote knows it: its number, and the memory that it may hold, bytes."""

    number: int
    memory: int


class _Nursery:
    """Forks workers on request, kills where the system has no other way, and reports their ends."""

    def __init__(self, control: socket.socket, settings: dict[str, Any], walls: Walls) -> None:
        self._control = control
        self._settings = settings
        self._walls = walls
        self._children: dict[int, _Child] = {}
        self._held: dict[int, int] = {}
        self._me = os.getpid()
        self._kernel = os.getppid()

    def serve(self) -> NoReturn:
        """Wait for requests and for the ends of workers, until the kernel has gone."""
        wake, bell = _bell()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._end())
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll(self._walls.watch_ms):
                if descriptor == wake:
                    os.read(wake, _MESSAGE_LIMIT)
                    self._reap()
                else:
                    self._hear()
            if self._walls.watch_ms is not None:
                self._watch()

    def _watch(self) -> None:
        """Do what other systems do by themselves: end with the kernel, and kill who holds too much memory."""
        if os.getppid() != self._kernel:
            self._end()
        for pid, child in self._children.items():
            held = self._walls.footprint(pid)
            if held > child.memory:
                self._held[pid] = held
                os.kill(pid, signal.SIGKILL)

    def _end(self) -> NoReturn:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            child = self._children.pop(pid, None)
            memory = max(self._walls.peak(usage), self._held.pop(pid, 0))
            number = child.number if child else 0
            self._tell({"exit": number, "status": os.waitstatus_to_exitcode(status), "rss": memory})

    def _tell(self, message: dict[str, Any], *descriptors: int) -> None:
        try:
            send(self._control, ormsgpack.packb(message), descriptors)
        except OSError:
            self._end()

    def _hear(self) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE_LIMIT, 1, socket.MSG_DONTWAIT)
        except OSError:
            self._end()
        if not message:
            self._end()
        request = ormsgpack.unpackb(message)
        if "kill" in request:
            for pid, child in self._children.items():
                if child.number == request["kill"]:
                    os.kill(pid, signal.SIGKILL)
        else:
            self._fork_one(request, descriptors[0])

    def _fork_one(self, request: dict[str, Any], descriptor: int) -> None:
        pid = os.fork()
        if pid == 0:
            self._live(request, descriptor)
        os.close(descriptor)
        # What it holds now is shared with the zygote.
        self._children[pid] = _Child(request["id"], request["memory"] + self._walls.footprint(pid))
        try:
            handle = self._walls.handle(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            return
        if handle < 0:
            self._tell({"started": request["id"]})
        else:
            self._tell({"started": request["id"]}, handle)
            os.close(handle)

    def _live(self, request: dict[str, Any], descriptor: int) -> NoReturn:
        """Be a worker: confine this process step by step, in the one order that works."""
        try:
            kept = self._walls.kept
            os.dup2(descriptor, worker.SOCKET)
            if kept >= 0:
                os.dup2(kept, _KEPT)
            os.closerange(0, worker.SOCKET)
            os.closerange(_KEPT + (kept >= 0), _DESCRIPTORS)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            worker.serve(self._settings, self._walls.enter(request, _KEPT), rehearsed=request["rehearse"])
        finally:
            # Nothing unwinds into the zygote's loop.
            os._exit(1)
