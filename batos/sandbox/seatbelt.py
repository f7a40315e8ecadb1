"""The walls of level `seatbelt`, for macOS: a sandbox profile and limits for each worker. Not run by us on macOS.

`sandbox_init` with the profile `pure-computation` denies files, network, processes and signals. macOS has no limit of
memory that holds, so the zygote looks at what its workers hold and kills; it kills for the kernel too, because there is
no pidfd, and the number of a child that is not reaped yet belongs to nobody else.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING, Any

from batos.sandbox import confinement

if TYPE_CHECKING:
    import resource
    import socket

_PROFILE = b"pure-computation"
_NAMED = 1
_USAGE = struct.Struct("=16s10Q")  # struct rusage_info_v0: uuid, then numbers
_USAGE_VERSION = 0
_FOOTPRINT = 8  # which of its fields

_libc = ctypes.CDLL(None, use_errno=True)


class Walls:
    """Implements `batos.sandbox.walls.Walls` for macOS."""

    kept = -1
    watch_ms: int | None = 20

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._limits = confinement.fixed_limits()

    def leave(self, control: socket.socket) -> dict[str, Any]:
        """Give up root; the profile comes after the fork, because it forbids forking."""
        del control
        uid = self._settings["uid"]
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        return {"namespaces": [], "empty_root": False, "uid": os.getuid()}

    def enter(self, request: dict[str, Any], kept: int) -> dict[str, Any]:
        """Limits, then the profile."""
        del kept
        confinement.limit_resources(self._limits, request["cpu"], None)
        enter_profile()
        return {"rlimits": True, "seatbelt": True}

    def handle(self, pid: int) -> int:
        """There is none; the zygote kills."""
        del pid
        return -1

    def footprint(self, pid: int) -> int:
        """Ask the system for the physical memory that is charged to a worker."""
        return footprint(pid)

    def peak(self, usage: resource.struct_rusage) -> int:
        """Darwin counts in bytes."""
        return usage.ru_maxrss


def enter_profile() -> None:
    """Put this process under the profile, for good.

    Raises:
        OSError: The system refused it, or has it no more.
    """
    begin = getattr(_libc, "sandbox_init", None)
    if begin is None:
        raise OSError("this system has no sandbox_init")
    begin.argtypes = [ctypes.c_char_p, ctypes.c_uint64, ctypes.POINTER(ctypes.c_char_p)]
    error = ctypes.c_char_p()
    if begin(_PROFILE, _NAMED, ctypes.byref(error)) != 0:
        raise OSError(f"sandbox_init: {(error.value or b'refused').decode(errors='replace')}")


def footprint(pid: int) -> int:
    """Give the physical memory of a child in bytes; 0 when it has gone.

    Raises:
        OSError: This system cannot tell.
    """
    ask = getattr(_libc, "proc_pid_rusage", None)
    if ask is None:
        raise OSError("this system has no proc_pid_rusage")
    answer = ctypes.create_string_buffer(_USAGE.size)
    if ask(ctypes.c_int(pid), ctypes.c_int(_USAGE_VERSION), answer) != 0:
        return 0
    return int(_USAGE.unpack(answer.raw)[_FOOTPRINT])
