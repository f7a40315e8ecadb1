"""macOS for tests on Linux: its two system calls doubled inside the zygote, everything else real.

`sandbox_init` puts a worker under our own filter of system calls, which denies what the profile denies; what a worker
holds comes from /proc. `install` takes what the double is to do wrong.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from batos.sandbox import seatbelt, seccomp
from batos.sandbox.native import SockFprog, prctl

if TYPE_CHECKING:
    import ctypes

ROOT = Path(__file__).parents[2]
_NO_NEW_PRIVS = 38


def boot(fault: str = "") -> str:
    """Give the program of a zygote that takes this machine for a Mac."""
    return (
        f"import json, os, sys; sys.path[:0] = [*json.loads(sys.argv[2]), {str(ROOT)!r}]; "
        f"from tests.sandbox.darwin import install; install({fault!r}); from batos.sandbox.zygote import main; main()"
    )


def install(fault: str) -> None:
    """Replace the C library that `seatbelt` calls.

    Args:
        fault: `lax`: the profile holds nothing; `refuses`: it is not there any more; `blind`: memory is never seen.
    """
    program = SockFprog.of(seccomp.build(3))

    def sandbox_init(profile: bytes, flags: int, error: Any) -> int:
        assert (profile, flags) == (b"pure-computation", 1)
        if fault == "refuses":
            error._obj.value = b"no such profile"
            return -1
        if fault != "lax":
            prctl(_NO_NEW_PRIVS, 1)
            seccomp.load(program)
        return 0

    def proc_pid_rusage(pid: ctypes.c_int, version: ctypes.c_int, answer: Any) -> int:
        assert version.value == 0
        if fault != "blind":
            answer.raw = seatbelt._USAGE.pack(bytes(16), *[0] * 7, _anonymous(pid.value), 0, 0)
        return 0

    seatbelt._libc = SimpleNamespace(sandbox_init=sandbox_init, proc_pid_rusage=proc_pid_rusage)


def _anonymous(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon")), 0)
