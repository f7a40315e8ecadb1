"""The level of Windows, with its functions doubled; on Windows it has not been run."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from batos.sandbox import job, walls
from batos.sandbox.runner import Sandbox

ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"


class Windows:
    """Windows as far as `job` calls it: notes what it is told, and refuses the functions that it is told to refuse."""

    def __init__(self, *refused: str) -> None:
        self.calls: list[tuple[str, list[Any]]] = []
        self._refused = refused

    def __getattr__(self, name: str) -> Any:
        def function(*arguments: Any) -> int:
            self.calls.append((name, [getattr(getattr(value, "_obj", value), "value", value) for value in arguments]))
            self.told = [getattr(value, "_obj", None) for value in arguments]
            if name == "SetInformationJobObject":
                self.limits = self.told[2] if isinstance(self.told[2], job.ExtendedLimits) else self.limits
            return 0 if name in self._refused else len(self.calls)

        return function

    def names(self) -> list[str]:
        """The functions called, in order."""
        return [name for name, _ in self.calls]


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make Windows, refusing some functions."""

    def make(*refused: str) -> Windows:
        made = Windows(*refused)
        monkeypatch.setattr(ctypes, "WinDLL", lambda _: made, raising=False)
        return made

    return make


def test_the_structures_are_those_of_windows():
    """Their sizes and places are what a 64-bit Windows has."""
    assert ctypes.sizeof(job.BasicLimits) == 64
    assert ctypes.sizeof(job.ExtendedLimits) == 144
    assert (job.BasicLimits.flags.offset, job.BasicLimits.processes.offset) == (16, 40)
    assert (job.ExtendedLimits.process_memory.offset, ctypes.sizeof(job.Label)) == (112, 16)


def test_a_job_has_every_limit(windows):
    """One process, its memory and time, no desktop, and it ends with its handle."""
    system = windows()
    made = job.Job(64 << 20, 3)
    limits = system.limits
    assert (limits.basic.processes, limits.process_memory, limits.job_memory) == (1, 64 << 20, 64 << 20)
    assert (limits.basic.process_time, limits.basic.flags) == (30_000_000, 0x2 | 0x8 | 0x100 | 0x200 | 0x400 | 0x2000)
    assert system.calls[2] == ("SetInformationJobObject", [1, 4, 0xFF, 4])
    made.kill()
    made.close()
    made.close()
    assert system.names()[3:] == ["TerminateJobObject", "CloseHandle"]


def test_a_worker_is_in_its_job_before_its_first_word(windows):
    """It is started by exec, admitted by its number, and talks over its pipes."""
    system = windows()
    process = job.start_worker(ECHO, job.Job(64 << 20, 3))
    assert system.calls[3] == ("OpenProcess", [0x101, 0, process.pid])
    assert system.names()[4:] == ["AssignProcessToJobObject", "CloseHandle"]
    out, _ = process.communicate(b"abc")
    assert (out, process.returncode) == (b"cba", 0)


def test_a_worker_that_is_not_admitted_is_killed(windows, monkeypatch):
    """Without its job it does not live on."""
    system = windows("AssignProcessToJobObject")
    started = []
    real = job.subprocess.Popen
    monkeypatch.setattr(
        job.subprocess, "Popen", lambda *args, **kwargs: started.append(real(*args, **kwargs)) or started[0]
    )
    with pytest.raises(OSError, match="AssignProcessToJobObject"):
        job.start_worker(ECHO, job.Job(64 << 20, 3))
    assert started[0].returncode == -9
    assert system.names()[-1] == "CloseHandle"


@pytest.mark.parametrize("refused", ["CreateJobObjectW", "SetInformationJobObject"])
def test_a_limit_that_is_refused_is_an_error(windows, refused):
    """There is no job with fewer limits."""
    system = windows(refused)
    with pytest.raises(OSError, match=refused):
        job.Job(64 << 20, 3)
    assert system.names()[-1] == ("CreateJobObjectW" if refused == "CreateJobObjectW" else "CloseHandle")


@pytest.mark.parametrize("refused", ["", "OpenProcessToken", "ConvertStringSidToSidW", "SetTokenInformation"])
def test_integrity_is_lowered_or_an_error(windows, refused):
    """The label of low integrity is set on the process's own token; a refusal is no silence."""
    system = windows(refused)
    if refused:
        with pytest.raises(OSError, match=refused):
            job.lower_integrity()
        return
    job.lower_integrity()
    assert system.calls[2][1][0] == "S-1-16-4096"
    name, arguments = system.calls[4]
    assert (name, arguments[1], arguments[3]) == ("SetTokenInformation", 25, ctypes.sizeof(job.Label) + 4)


def test_there_is_no_job_elsewhere():
    """On another system it is an error, not a job that does nothing."""
    assert sys.platform != "win32"
    with pytest.raises(OSError, match="kernel32"):
        job.Job(64 << 20, 3)


@pytest.mark.parametrize(
    ("require", "system", "says"),
    [
        ("auto", "linux", ""), ("full", "linux", ""), ("seatbelt", "darwin", ""),
        ("auto", "darwin", "SANDBOX=seatbelt"), ("full", "darwin", "no sandbox of level 'full'"),
        ("seatbelt", "linux", "no sandbox of level 'seatbelt'"), ("job", "linux", "it has 'full'"),
        ("auto", "win32", "not complete"), ("job", "win32", "pipes"), ("full", "win32", "it has 'job'"),
        ("auto", "freebsd14", "no confinement for freebsd14"),
    ],
)  # fmt: skip
async def test_each_system_has_its_level(monkeypatch, require, system, says):
    """What a system cannot give, or what nobody asked for by name, is refused with the reason; nothing is started."""
    assert says in walls.refusal(require, system)
    assert bool(walls.refusal(require, system)) == bool(says)
    if says:
        monkeypatch.setattr("batos.sandbox.runner.sys", SimpleNamespace(platform=system))
        sandbox = Sandbox(require=require)
        await sandbox.start()
        assert (says in sandbox.refusal.message, sandbox.level, sandbox.statistics()["zygote"]) == (True, "none", None)
