"""The walls of level `full`: namespaces and an empty root for all, limits, Landlock and seccomp for each worker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.sandbox import confinement, seccomp, worker
from batos.sandbox.native import SockFprog

if TYPE_CHECKING:
    import resource
    import socket


class Walls:
    """Implements `batos.sandbox.walls.Walls` for Linux."""

    watch_ms: int | None = None

    def __init__(self, settings: dict[str, Any]) -> None:
        confinement.die_with_parent()
        self._settings = settings
        self._address_space = self._zygote = 0
        self._limits: list[tuple[int, int]] | None = None
        self._ruleset = confinement.Ruleset(0, -1)
        self._filter: SockFprog | None = None

    @property
    def kept(self) -> int:
        """The Landlock ruleset."""
        return self._ruleset.descriptor

    def leave(self, control: socket.socket) -> dict[str, Any]:
        """Enter namespaces, an empty root, no privileges; prepare what each worker's walls are made from."""
        settings = self._settings
        self._address_space = _address_space()
        namespaces = confinement.isolate(settings["uid"]) if settings["namespaces"] else []
        if "pid" in namespaces:
            _become_first(control)
        root = confinement.empty_root() if "mnt" in namespaces else False
        confinement.drop_privileges(settings["uid"])
        # Again: the change of user id cleared it.
        confinement.die_with_parent()
        self._zygote = os.getpid()
        self._limits = confinement.fixed_limits() if settings["rlimits"] else None
        if settings["landlock"]:
            self._ruleset = confinement.forbidding_ruleset()
        if settings["seccomp"] and seccomp.supported():
            self._filter = SockFprog.of(seccomp.build(worker.SOCKET))
        return {"namespaces": namespaces, "empty_root": root, "uid": os.getuid()}

    def enter(self, request: dict[str, Any], kept: int) -> dict[str, Any]:
        """Limits, then Landlock, then the filter, which would stop the two before."""
        confinement.die_with_parent()
        if os.getppid() != self._zygote:
            os._exit(0)
        if self._limits is not None:
            confinement.limit_resources(self._limits, request["cpu"], self._address_space + request["memory"])
        if self._ruleset.descriptor >= 0:
            confinement.enter_ruleset(kept)
        if self._filter is not None:
            seccomp.load(self._filter)
        return {
            "rlimits": self._limits is not None,
            "landlock": self._ruleset.version,
            "seccomp": self._filter is not None,
        }

    def handle(self, pid: int) -> int:
        """Give a pidfd."""
        return os.pidfd_open(pid)

    def footprint(self, pid: int) -> int:
        """Not asked for: the address space is limited."""
        del pid
        return 0

    def peak(self, usage: resource.struct_rusage) -> int:
        """Linux counts in KiB."""
        return usage.ru_maxrss << 10


def _address_space() -> int:
    """Read, before /proc is gone, what the zygote has; a worker may have that and its limit."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _become_first(control: socket.socket) -> None:
    """Go on as process 1 of the new pid namespace; the outer process waits, and both die together."""
    child = os.fork()
    if child == 0:
        return
    control.close()
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
