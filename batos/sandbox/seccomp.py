"""The system call filter of a worker: a straight list of what it may do, everything else refused.

Allowed are memory without execution, clocks, random bytes, locks and leaving; `read` and `write` on the worker's one
descriptor only. What nobody calls by mistake (ptrace, bpf, io_uring, mounts …) kills the process; the rest gives EPERM, so
that honest code gets a `PermissionError` it can learn from. Call numbers are those of the kernel's tables for x86-64 and
aarch64.
"""

from __future__ import annotations

import errno
import struct

from batos.sandbox.native import MACHINE, SockFprog, pointer_to, prctl

# name: (x86-64, aarch64); None where that machine has no such call
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214),
    "rt_sigreturn": (15, 139), "mremap": (25, 216), "madvise": (28, 233), "nanosleep": (35, 101), "exit": (60, 93),
    "gettimeofday": (96, 169), "ptrace": (101, 117), "personality": (135, 92), "pivot_root": (155, 41), "chroot": (161, 51),
    "mount": (165, 40), "umount2": (166, 39), "swapon": (167, 224), "reboot": (169, 142), "init_module": (175, 105),
    "delete_module": (176, 106), "time": (201, None), "futex": (202, 98), "restart_syscall": (219, 128),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "exit_group": (231, 94),
    "kexec_load": (246, 104), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "unshare": (272, 97),
    "perf_event_open": (298, 241), "open_by_handle_at": (304, 265), "setns": (308, 268), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kcmp": (312, 272), "finit_module": (313, 273), "getrandom": (318, 278),
    "bpf": (321, 280), "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsmount": (432, 432), "clone3": (435, 435), "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
}  # fmt: skip

ALLOWED = (
    "munmap", "brk", "mremap", "madvise", "futex", "rt_sigreturn", "restart_syscall", "clock_gettime", "clock_getres",
    "gettimeofday", "time", "clock_nanosleep", "nanosleep", "getrandom", "exit", "exit_group",
)  # fmt: skip
ON_THE_SOCKET = ("read", "write")
NEVER_EXECUTABLE = ("mmap", "mprotect")
DEADLY = (
    "ptrace", "process_vm_readv", "process_vm_writev", "bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key",
    "request_key", "init_module", "finit_module", "delete_module", "kexec_load", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "open_by_handle_at", "pidfd_getfd", "process_madvise", "reboot", "swapon", "personality", "kcmp",
    "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount",
)  # fmt: skip

_COLUMN = {"x86_64": 0, "aarch64": 1}
_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_X32 = 0x40000000
_PROT_EXEC = 4
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT, _THIRD_ARGUMENT_AT = 0, 4, 16, 32
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def supported(machine: str | None = None) -> bool:
    """Whether the call numbers of this machine are known."""
    return (machine or MACHINE) in _ARCH


def build(descriptor: int, machine: str | None = None) -> bytes:
    """Write the filter as a BPF program.

    Args:
        descriptor: The one descriptor that may be read and written.
        machine: `x86_64` or `aarch64`; the running one by default.
    """
    machine = machine or MACHINE
    code = [_op(_LOAD, _ARCH_AT), _op(_EQUAL, _ARCH[machine], 1, 0), _op(_RETURN, _KILL), _op(_LOAD, _NUMBER_AT)]
    if machine == "x86_64":
        code += [_op(_AT_LEAST, _X32, 0, 1), _op(_RETURN, _KILL)]
    numbers = {name: row[_COLUMN[machine]] for name, row in NUMBERS.items()}
    for name in ALLOWED:
        code += _verdict(numbers[name], _ALLOW)
    for name in ON_THE_SOCKET:
        code += _by_argument(numbers[name], _FIRST_ARGUMENT_AT, _op(_EQUAL, descriptor, 1, 0))
    for name in NEVER_EXECUTABLE:
        code += _by_argument(numbers[name], _THIRD_ARGUMENT_AT, _op(_ANY_BIT, _PROT_EXEC, 0, 1))
    # The C library falls back to clone, which gives EPERM.
    code += _verdict(numbers["clone3"], _ERRNO | errno.ENOSYS)
    for name in DEADLY:
        code += _verdict(numbers[name], _KILL)
    return b"".join([*code, _op(_RETURN, _ERRNO | errno.EPERM)])


def load(program: SockFprog) -> None:
    """Put this process under the filter, for good.

    Raises:
        OSError: The operating system refused it.
    """
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, pointer_to(program))


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value & 0xFFFFFFFF)


def _verdict(number: int | None, verdict: int) -> list[bytes]:
    return [] if number is None else [_op(_EQUAL, number, 0, 1), _op(_RETURN, verdict)]


def _by_argument(number: int | None, offset: int, test: bytes) -> list[bytes]:
    """Four instructions: the test skips one (EPERM) to reach the allowance."""
    if number is None:
        return []
    refused = _op(_RETURN, _ERRNO | errno.EPERM)
    return [_op(_EQUAL, number, 0, 4), _op(_LOAD, offset), test, refused, _op(_RETURN, _ALLOW)]
