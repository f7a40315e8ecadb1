"""The process that workers are forked from: loads, confines itself, forks on request.

The kernel starts it by exec with an empty environment and one descriptor (3, a SEQPACKET socket), so it shares neither
memory nor descriptors with the kernel. It never runs generated code and never reads anything that a worker wrote. When its
socket ends, it ends, and every worker with it.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import ormsgpack

from batos.sandbox import confinement, library, seccomp, worker
from batos.sandbox.native import SockFprog

CONTROL = 3
_RULESET = worker.SOCKET + 1  # in a worker, until it is under it
_MESSAGE_LIMIT = 1 << 12
_DESCRIPTORS = 1 << 12
_REHEARSALS = 8  # the interpreter specialises what has run a few times


def main() -> NoReturn:
    """Run the zygote; its settings are the first argument, as JSON."""
    settings: dict[str, Any] = json.loads(sys.argv[1])
    control = socket.socket(fileno=CONTROL)
    try:
        report = _prepare(settings, control)
    except Exception as error:  # noqa: BLE001 - whatever it is, the kernel must hear why there is no sandbox
        control.send(ormsgpack.packb({"refused": f"{type(error).__name__}: {error}"[:500]}))
        os._exit(1)
    control.send(ormsgpack.packb(report))
    _Nursery(control, settings).serve()


def _prepare(settings: dict[str, Any], control: socket.socket) -> dict[str, Any]:
    """Load everything, and leave the system behind."""
    confinement.die_with_parent()
    missing = library.preload(settings["modules"])
    report: dict[str, Any] = {"time_zones": library.keep_time_zones(), "missing_modules": missing}
    report |= _confine(settings, control)
    settings["builtins"] = worker.builtins_for(settings)
    for _ in range(_REHEARSALS):
        worker.rehearse(settings)
    settings["address_space"] = _address_space
    settings["walls"] = _walls(settings)
    sys.path.clear()
    gc.collect()
    gc.freeze()
    return report


_address_space = 0


class _Walls(NamedTuple):
    """What the walls of every worker are made from."""

    limits: list[tuple[int, int]] | None
    ruleset: confinement.Ruleset
    filter: SockFprog | None


def _walls(settings: dict[str, Any]) -> _Walls:
    """Prepare the walls that the settings ask for and the system has."""
    return _Walls(
        confinement.fixed_limits() if settings["rlimits"] else None,
        confinement.forbidding_ruleset() if settings["landlock"] else confinement.Ruleset(0, -1),
        SockFprog.of(seccomp.build(worker.SOCKET)) if settings["seccomp"] and seccomp.supported() else None,
    )


def _confine(settings: dict[str, Any], control: socket.socket) -> dict[str, Any]:
    """Leave the system behind: namespaces, an empty root, privileges."""
    global _address_space  # noqa: PLW0603 - read once, before /proc is gone
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    _address_space = pages * os.sysconf("SC_PAGE_SIZE")
    namespaces = confinement.isolate(settings["uid"]) if settings["namespaces"] else []
    if "pid" in namespaces:
        _become_first(control)
    root = confinement.empty_root() if "mnt" in namespaces else False
    confinement.drop_privileges(settings["uid"])
    # Again: the change of user id cleared it.
    confinement.die_with_parent()
    return {"namespaces": namespaces, "empty_root": root, "uid": os.getuid()}


def _become_first(control: socket.socket) -> None:
    """Go on as process 1 of the new pid namespace; the outer process waits, and both die together."""
    child = os.fork()
    if child == 0:
        return
    control.close()
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


class _Nursery:
    """Forks workers on request and reports their ends."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self._control = control
        self._settings = settings
        self._numbers: dict[int, int] = {}
        self._me = os.getpid()

    def serve(self) -> NoReturn:
        """Wait for requests and for the ends of workers, until the kernel has gone."""
        wake, bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == wake:
                    os.read(wake, _MESSAGE_LIMIT)
                    self._reap()
                else:
                    self._fork_one()

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            number = self._numbers.pop(pid, 0)
            self._tell({"exit": number, "status": os.waitstatus_to_exitcode(status), "rss": usage.ru_maxrss << 10})

    def _tell(self, message: dict[str, Any], *descriptors: int) -> None:
        try:
            socket.send_fds(self._control, [ormsgpack.packb(message)], list(descriptors))
        except OSError:
            os._exit(0)

    def _fork_one(self) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE_LIMIT, 1)
        except OSError:
            os._exit(0)
        if not message:
            os._exit(0)
        request = ormsgpack.unpackb(message)
        child = os.fork()
        if child == 0:
            self._live(request, descriptors[0])
        os.close(descriptors[0])
        self._numbers[child] = request["id"]
        try:
            handle = os.pidfd_open(child)
        except OSError:
            os.kill(child, signal.SIGKILL)
            return
        self._tell({"started": request["id"]}, handle)
        os.close(handle)

    def _live(self, request: dict[str, Any], descriptor: int) -> NoReturn:
        """Be a worker: confine this process step by step, in the one order that works."""
        try:
            ruleset = self._settings["walls"].ruleset.descriptor
            os.dup2(descriptor, worker.SOCKET)
            if ruleset >= 0:
                os.dup2(ruleset, _RULESET)
            os.closerange(0, worker.SOCKET)
            os.closerange(_RULESET + (ruleset >= 0), _DESCRIPTORS)
            signal.set_wakeup_fd(-1)
            confinement.die_with_parent()
            if os.getppid() != self._me:
                os._exit(0)
            worker.serve(self._settings, self._wall(request))
        finally:
            # Nothing unwinds into the zygote's loop.
            os._exit(1)

    def _wall(self, request: dict[str, Any]) -> dict[str, Any]:
        walls: _Walls = self._settings["walls"]
        if walls.limits is not None:
            space = self._settings["address_space"] + request["memory"]
            confinement.limit_resources(walls.limits, request["cpu"], space)
        if walls.ruleset.descriptor >= 0:
            confinement.enter_ruleset(_RULESET)
        if walls.filter is not None:
            seccomp.load(walls.filter)
        return {
            "rlimits": walls.limits is not None,
            "landlock": walls.ruleset.version,
            "seccomp": walls.filter is not None,
        }
