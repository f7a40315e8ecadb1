"""The proof at start: in a real worker, what must fail is tried.

A wall that was asked for but does not stand shows here and nowhere else. The kernel judges what is found: `tasks.verdict`.
"""

from __future__ import annotations

import _thread
import contextlib
import mmap
import os
import socket
from typing import TYPE_CHECKING, Any

from batos.sandbox.native import syscall

if TYPE_CHECKING:
    from collections.abc import Callable

_HIGHEST_DESCRIPTOR = 64


def probe(fields: dict[str, Any]) -> dict[str, bool]:
    """Try everything that a worker may not do.

    Args:
        fields: `memory`: the limit in bytes; `deadly`: try only the call that must kill the process.

    Returns:
        Name of each attempt and whether it was stopped.
    """
    if fields["deadly"]:
        _trace()
        return {"trace": False}
    attempts: dict[str, Callable[[], Any]] = {
        "open": lambda: os.open("/", os.O_RDONLY),
        "write": lambda: os.open("/tmp/batos-probe", os.O_WRONLY | os.O_CREAT),  # noqa: S108
        "stat": lambda: os.stat("/"),  # noqa: PTH116
        "list": lambda: os.listdir("/"),  # noqa: PTH208
        "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "unix_socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
        "fork": _fork,
        "thread": lambda: _thread.start_new_thread(int, ()),
        "signal": lambda: os.kill(os.getppid() or 1, 0),
        "machine_code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
        "descriptors": _read_descriptors,
        "memory": lambda: bytearray(fields["memory"] + (64 << 20)),
    }
    return {name: _stopped(attempt) for name, attempt in attempts.items()}


def _stopped(attempt: Callable[[], Any]) -> bool:
    try:
        attempt()
    except (OSError, MemoryError, RuntimeError):
        return True
    return False


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _read_descriptors() -> None:
    for descriptor in range(_HIGHEST_DESCRIPTOR + 1):
        if descriptor != 3:
            with contextlib.suppress(OSError):
                os.read(descriptor, 1)
                return
    raise PermissionError("none can be read")


def _trace() -> None:
    with contextlib.suppress(OSError):
        syscall("ptrace", 0, 0, 0, 0)
