"""What Linux takes away from a worker: namespaces, an empty root, privileges, resources, files and network.

The zygote calls `isolate`, `empty_root` and `drop_privileges` once, after it has loaded everything; each worker calls
`limit_resources`, `enter_ruleset` and `seccomp.load` after the fork, with what the zygote prepared: a worker that does
little shares more memory. Each function says what it achieved; what must be there is decided by
the kernel's self-test.
"""

from __future__ import annotations

import contextlib
import os
import resource
import struct
from pathlib import Path
from typing import NamedTuple

from batos.sandbox.native import LandlockRules, prctl, syscall

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_NAMESPACES = ("ipc", "mnt", "net", "pid", "uts")
_ALL_NAMESPACES = _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 0x20, 0x4000, 0x40000
_MNT_DETACH = 2
_LANDLOCK_VERSION_FLAG = 1
_LANDLOCK_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # newer versions have 16
_CAPABILITY_VERSION = 0x20080522
_KILL_SIGNAL = 9


def die_with_parent() -> None:
    """Have the operating system kill this process when its parent dies; a change of user id clears it."""
    prctl(_PR_SET_PDEATHSIG, _KILL_SIGNAL)


def isolate(uid: int) -> list[str]:
    """Enter fresh namespaces, in a user namespace where it takes one.

    The new pid namespace begins with the next fork.

    Returns:
        The namespaces entered; empty when the operating system refused.
    """
    if os.getuid() == 0:
        with contextlib.suppress(OSError):
            syscall("unshare", _ALL_NAMESPACES)
            return [*_NAMESPACES]
    user, group = os.getuid(), os.getgid()
    try:
        # Not dumpable, the process could not write its own maps.
        prctl(_PR_SET_DUMPABLE, 1)
        syscall("unshare", _NEWUSER | _ALL_NAMESPACES)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{uid} {group} 1", encoding="ascii")
    except OSError:
        return []
    return ["user", *_NAMESPACES]


def empty_root() -> bool:
    """Make an empty, read-only file system the root; only inside a mount namespace of one's own."""
    quiet = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    try:
        syscall("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
        syscall("mount", b"none", b"/tmp", b"tmpfs", quiet, b"size=4k,mode=555")
        syscall("mount", b"none", b"/tmp", None, _MS_REMOUNT | _MS_RDONLY | quiet, None)
        os.chdir(b"/tmp")
        syscall("pivot_root", b".", b".")
        syscall("umount2", b".", _MNT_DETACH)
        os.chdir("/")
    except OSError:
        return False
    return True


def drop_privileges(uid: int) -> None:
    """Give up root, every capability, and any way to get them back; nobody may trace the process afterwards.

    Raises:
        OSError: The operating system refused; nothing may run then.
    """
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    syscall("capset", struct.pack("=Ii", _CAPABILITY_VERSION, 0), bytes(24))
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    prctl(_PR_SET_DUMPABLE, 0)


def fixed_limits() -> list[tuple[int, int]]:
    """Give the resource limits that are the same for every worker: `(resource, value)`, as this system has them."""
    values = {"NOFILE": 4, "STACK": 8 << 20}
    values |= dict.fromkeys(("FSIZE", "CORE", "NPROC", "MEMLOCK", "MSGQUEUE", "RTPRIO", "NICE"), 0)
    kinds = ((getattr(resource, f"RLIMIT_{name}", None), value) for name, value in values.items())
    return [(kind, value) for kind, value in kinds if kind is not None]


def limit_resources(fixed: list[tuple[int, int]], cpu_seconds: int, address_space: int | None) -> None:
    """Set the hard limits of this process.

    Args:
        fixed: What `fixed_limits` gave.
        cpu_seconds: Processor time; a second later it is killed.
        address_space: Bytes of address space in all; None where the system has no such limit.

    Raises:
        OSError: A limit that carries the sandbox was refused.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    if address_space is not None:
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    for kind, value in fixed:
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError):
            continue


class Ruleset(NamedTuple):
    """A Landlock ruleset that forbids all that it handles.

    Attributes:
        version: Of Landlock on this system; 0 for none.
        descriptor: Its descriptor; -1 for none.
    """

    version: int
    descriptor: int


def forbidding_ruleset() -> Ruleset:
    """Make the ruleset that forbids all files, TCP, abstract sockets and signals that Landlock handles.

    Raises:
        OSError: Landlock is there and refused.
    """
    try:
        version = syscall("landlock_create_ruleset", 0, 0, _LANDLOCK_VERSION_FLAG)
    except OSError:
        return Ruleset(0, -1)
    files = (1 << _LANDLOCK_FILE_RIGHTS.get(version, 16)) - 1
    rules = LandlockRules(files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    return Ruleset(version, syscall("landlock_create_ruleset", rules, size, 0))


def enter_ruleset(descriptor: int) -> None:
    """Put this process under a ruleset, for good, and close its descriptor.

    Raises:
        OSError: The operating system refused.
    """
    try:
        syscall("landlock_restrict_self", descriptor, 0)
    finally:
        os.close(descriptor)
