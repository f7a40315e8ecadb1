"""What this machine has for models: cores, memory, a CUDA device. Asked without loading torch or llama.cpp."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SPIN_COUNT = "3000"
"""How long a thread of llama.cpp or torch spins for the others before it sleeps; libgomp reads it when it loads.

By default it spins so long that a generation beside any other busy process nearly stops (0.06 of its speed, seen on
2 cores); not spinning at all costs much of the speed alone.
"""

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quota = _cpu_quota()
    return max(1, min(count, quota) if quota else count)


@cache
def memory_bytes() -> int:
    """Bytes of memory that this machine, or the container around this process, has."""
    limits = [value for file in _CGROUP_LIMITS if (value := _number(file))]
    return min([_physical_memory(), *limits])


@cache
def cuda_devices() -> int:
    """Number of CUDA devices that the driver sees; 0 without a driver."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def cuda_memory_bytes() -> int:
    """Bytes of memory of the first CUDA device; 0 without one."""
    if not cuda_devices():
        return 0
    driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    size = ctypes.c_size_t()
    failed = driver.cuDeviceTotalMem_v2(ctypes.byref(size), 0)
    return 0 if failed else size.value


def installed(package: str) -> str:
    """The version of an installed package, empty if it is not there; the package is not imported."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _physical_memory() -> int:
    if sys.platform == "win32":  # pragma: no cover
        return _windows_memory()
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _windows_memory() -> int:  # pragma: no cover
    status = (ctypes.c_uint64 * 8)()
    ctypes.memmove(status, ctypes.byref(ctypes.c_uint32(ctypes.sizeof(status))), 4)
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined, unused-ignore]
    return int(status[1])


def _cpu_quota() -> int:
    try:
        quota, period = _CGROUP_CPU.read_text(encoding="ascii").split()[:2]
    except (OSError, ValueError):
        return 0
    return -(-int(quota) // int(period)) if quota.isdigit() else 0


def _number(file: Path) -> int:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0
