"""The walls of level `job`, for Windows: a Job Object around each worker, and low integrity. Not run by us on Windows.

There is no fork, so a worker is started by exec and kept ready; it speaks over its standard input and output. A Job Object
takes away other processes, the desktop, memory and processor time, and ends with its handle; low integrity takes away
writing. Files can still be read and the network reached, so this level must be asked for by name.

What is missing, and why the level is refused (`walls.LEVELS`): the pool takes workers from a zygote, over sockets. A restricted token
is not here either: it would need a way of our own to start processes.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from typing import Any

# Which processes a handle to one is for: to end it, and to set its quota, which admission to a job takes.
_ADMISSION = 0x0001 | 0x0100
_UI_INFORMATION, _LIMIT_INFORMATION = 4, 9
_NO_DESKTOP = 0xFF  # every restriction: handles, clipboard, settings, display, atoms, desktops, log-off
_PROCESS_TIME, _ACTIVE_PROCESSES, _PROCESS_MEMORY, _JOB_MEMORY = 0x2, 0x8, 0x100, 0x200
_DIE_ON_FAULT, _KILL_ON_CLOSE = 0x400, 0x2000
_LIMITS = _PROCESS_TIME | _ACTIVE_PROCESSES | _PROCESS_MEMORY | _JOB_MEMORY | _DIE_ON_FAULT | _KILL_ON_CLOSE
_TICKS = 10_000_000  # Windows counts a second so
_KILLED = 9

_TOKEN_ACCESS = 0x80 | 0x8  # change defaults, query
_INTEGRITY_LEVEL, _INTEGRITY_GROUP = 25, 0x20
_LOW = "S-1-16-4096"
_NO_WINDOW = 0x08000000
_HANDLES = {"CreateJobObjectW", "OpenProcess", "GetCurrentProcess"}


class BasicLimits(ctypes.Structure):
    """`JOBOBJECT_BASIC_LIMIT_INFORMATION`."""

    _fields_ = (
        ("process_time", ctypes.c_int64), ("job_time", ctypes.c_int64), ("flags", ctypes.c_uint32),
        ("least_working_set", ctypes.c_size_t), ("most_working_set", ctypes.c_size_t), ("processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t), ("priority", ctypes.c_uint32), ("scheduling", ctypes.c_uint32),
    )  # fmt: skip


class ExtendedLimits(ctypes.Structure):
    """`JOBOBJECT_EXTENDED_LIMIT_INFORMATION`."""

    _fields_ = (
        ("basic", BasicLimits), ("traffic", ctypes.c_uint64 * 6), ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t), ("peak_process", ctypes.c_size_t), ("peak_job", ctypes.c_size_t),
    )  # fmt: skip


class Label(ctypes.Structure):
    """`TOKEN_MANDATORY_LABEL`."""

    _fields_ = (("sid", ctypes.c_void_p), ("attributes", ctypes.c_uint32))


class Job:
    """A Job Object for one worker; the worker ends when this ends, or the process that holds it.

    Args:
        memory: Bytes that the worker may commit.
        cpu_seconds: Processor time; the system ends it afterwards.

    Raises:
        OSError: Windows refused a limit.
    """

    def __init__(self, memory: int, cpu_seconds: int) -> None:
        self._handle = _call("kernel32", "CreateJobObjectW", None, None)
        limits = ExtendedLimits()
        limits.basic.flags = _LIMITS
        limits.basic.process_time = cpu_seconds * _TICKS
        limits.basic.processes = 1
        limits.process_memory = limits.job_memory = memory
        try:
            self._set(_LIMIT_INFORMATION, limits)
            self._set(_UI_INFORMATION, ctypes.c_uint32(_NO_DESKTOP))
        except OSError:
            self.close()
            raise

    def admit(self, pid: int) -> None:
        """Put a process into the job; it can't leave.

        Raises:
            OSError: Windows refused, and the process is not confined.
        """
        process = _call("kernel32", "OpenProcess", ctypes.c_uint32(_ADMISSION), 0, ctypes.c_uint32(pid))
        try:
            _call("kernel32", "AssignProcessToJobObject", _pointer(self._handle), _pointer(process))
        finally:
            _call("kernel32", "CloseHandle", _pointer(process))

    def kill(self) -> None:
        """End the worker, at once."""
        _call("kernel32", "TerminateJobObject", _pointer(self._handle), ctypes.c_uint32(_KILLED))

    def close(self) -> None:
        """Give the job up, which ends its worker."""
        if self._handle:
            handle, self._handle = self._handle, 0
            _call("kernel32", "CloseHandle", _pointer(handle))

    def _set(self, kind: int, value: Any) -> None:
        size = ctypes.c_uint32(ctypes.sizeof(value))
        _call("kernel32", "SetInformationJobObject", _pointer(self._handle), kind, ctypes.byref(value), size)


def start_worker(program: str, job: Job) -> subprocess.Popen[bytes]:
    """Start a process for a worker by exec and put it into its job.

    What it has started with is our own program, which runs nothing of others before it is told to over its input; so it
    need not be halted until it is in the job.

    Args:
        program: Python's source text.
        job: A new one.

    Raises:
        OSError: It does not start, or is not confined; then it is killed.
    """
    # In a virtual environment `executable` only starts another process, which a job of one does not allow.
    python: str = getattr(sys, "_base_executable", "") or sys.executable
    process = subprocess.Popen(
        [python, "-P", "-s", "-S", "-c", program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
        env={"SYSTEMROOT": os.environ.get("SYSTEMROOT", ""), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
        creationflags=_NO_WINDOW if sys.platform == "win32" else 0,
    )  # fmt: skip
    try:
        job.admit(process.pid)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return process


def lower_integrity() -> None:
    """Give up writing to what the user owns, for good; a worker calls it before it says that it is ready.

    Raises:
        OSError: Windows refused.
    """
    token, sid = ctypes.c_void_p(), ctypes.c_void_p()
    me = _pointer(_call("kernel32", "GetCurrentProcess"))
    _call("advapi32", "OpenProcessToken", me, ctypes.c_uint32(_TOKEN_ACCESS), ctypes.byref(token))
    try:
        _call("advapi32", "ConvertStringSidToSidW", ctypes.c_wchar_p(_LOW), ctypes.byref(sid))
        label = Label(sid, _INTEGRITY_GROUP)
        size = ctypes.c_uint32(ctypes.sizeof(label) + _call("advapi32", "GetLengthSid", sid))
        _call("advapi32", "SetTokenInformation", token, _INTEGRITY_LEVEL, ctypes.byref(label), size)
    finally:
        _call("kernel32", "CloseHandle", token)


def _pointer(handle: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(handle)


def _library(name: str) -> Any:
    """Give a library of Windows; elsewhere there is none."""
    load = vars(ctypes).get("WinDLL")
    if load is None:
        raise OSError(f"there is no {name} on {sys.platform}")
    return load(name)


def _call(library: str, name: str, *arguments: Any) -> int:
    """Call a function of Windows; each of ours answers zero when it failed.

    Raises:
        OSError: It failed.
    """
    function = getattr(_library(library), name)
    function.restype = ctypes.c_void_p if name in _HANDLES else ctypes.c_int
    result = function(*arguments)
    if not result:
        raise OSError(f"Windows refused {name}")
    return int(result)
