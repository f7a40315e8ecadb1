"""The proof at start: in a real worker, what must fail is tried.

A wall that was asked for but does not stand shows here and nowhere else. The kernel judges what is found: `tasks.verdict`.
"""

from __future__ import annotations

import _thread
import contextlib
import mmap
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from batos.sandbox.native import syscall

if TYPE_CHECKING:
    from collections.abc import Callable

_HIGHEST_DESCRIPTOR = 64
_PIECE = 1 << 22
_PIECES_OVER = 16
_PATIENCE = 3.0


def probe(fields: dict[str, Any]) -> dict[str, bool]:
    """Try everything that a worker may not do.

    Args:
        fields: `memory`: the limit in bytes; `level`: whose walls are tried; `deadly`: try only this one of `DEADLY`,
            which must kill the process.

    Returns:
        Name of each attempt and whether it was stopped.
    """
    if fields["deadly"]:
        DEADLY[fields["deadly"]](fields["memory"])
        return {fields["deadly"]: False}
    attempts: dict[str, Callable[[], Any]] = {
        "open": lambda: os.open("/", os.O_RDONLY),
        "write": lambda: os.open("/tmp/batos-probe", os.O_WRONLY | os.O_CREAT),  # noqa: S108
        "stat": lambda: os.stat("/"),  # noqa: PTH116
        "list": lambda: os.listdir("/"),  # noqa: PTH208
        "fork": _fork,
        "signal": lambda: os.kill(os.getppid() or 1, 0),
        "descriptors": _read_descriptors,
    }
    if fields["level"] == "full":
        attempts |= {
            "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
            "unix_socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
            "thread": lambda: _thread.start_new_thread(int, ()),
            "machine_code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
            "memory": lambda: bytearray(fields["memory"] + (64 << 20)),
        }
    else:
        # A profile lets a socket be made, and nothing be done with it.
        attempts |= {"connect": _connect, "bind": _bind, "exec": _exec}
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


def _connect() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.connect(("127.0.0.1", 9))


def _bind() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("127.0.0.1", 0))


def _exec() -> None:
    os.posix_spawn("/usr/bin/true", ["true"], {})


def _trace(memory: int) -> None:
    del memory
    with contextlib.suppress(OSError):
        syscall("ptrace", 0, 0, 0, 0)


def _hoard(memory: int) -> None:
    """Hold more than the limit, touched, and wait for the kill."""
    held = [b"\x01" * _PIECE for _ in range(memory // _PIECE + _PIECES_OVER)]
    time.sleep(_PATIENCE)
    held.clear()


DEADLY: dict[str, Callable[[int], None]] = {"trace": _trace, "memory": _hoard}
"""What must kill a worker, by the name that a level gives."""
