"""The few calls of the C library that the standard library does not offer, by ctypes."""

from __future__ import annotations

import ctypes
import os
from typing import Any

# Asked once: a confined process can no longer.
MACHINE = os.uname().machine

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
if hasattr(_libc, "prctl"):
    _libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]

_SYSCALLS = {
    "capset": (126, 91), "ptrace": (101, 117), "pivot_root": (155, 41), "mount": (165, 40), "umount2": (166, 39), "unshare": (272, 97),
    "landlock_create_ruleset": (444, 444), "landlock_restrict_self": (446, 446),
}  # fmt: skip


class SockFprog(ctypes.Structure):
    """`struct sock_fprog`: a BPF program and its length in instructions."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    @classmethod
    def of(cls, program: bytes) -> SockFprog:
        """Wrap a program; the structure keeps its memory alive."""
        memory = ctypes.create_string_buffer(program, len(program))
        made = cls(len(program) // 8, ctypes.cast(memory, ctypes.c_void_p))
        made.memory = memory
        return made


class LandlockRules(ctypes.Structure):
    """`struct landlock_ruleset_attr`: what the ruleset handles; without a rule, handled means forbidden."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def pointer_to(structure: ctypes.Structure) -> int:
    """Give the address of a structure; the caller keeps the structure alive."""
    return ctypes.addressof(structure)


def prctl(option: int, first: int = 0, second: int = 0) -> int:
    """Call prctl.

    Raises:
        OSError: It failed.
    """
    return _checked(_libc.prctl(option, first, second, 0, 0))


def syscall(name: str, *arguments: int | bytes | ctypes.Structure | None) -> int:
    """Call the system by a name of the table above; structures go by address.

    Raises:
        OSError: It failed.
    """
    number = _SYSCALLS[name][MACHINE != "x86_64"]
    return _checked(_libc.syscall(ctypes.c_long(number), *[_argument(value) for value in arguments]))


def _argument(value: int | bytes | ctypes.Structure | None) -> Any:
    if isinstance(value, int):
        return ctypes.c_long(value)
    if isinstance(value, ctypes.Structure):
        return ctypes.byref(value)
    return ctypes.c_char_p(value)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
