"""The kernel as a process: started here, or found running and adopted. Nothing here decides; `service` does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from batos.watchdog import files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GONE = -1
"""Exit code of a kernel that ended without us being its parent."""
SUPERVISED = "BATOS_SUPERVISED"
"""In the environment of each kernel that a watchdog started."""
_POLL_SECONDS = 0.02
_WINDOWS = sys.platform == "win32"


class Kernel(Protocol):
    """A kernel under supervision."""

    pid: int | None

    def poll(self) -> int | None:
        """Give the exit code, None while it runs."""

    def stop(self, grace: float) -> int | None:
        """Ask it to end, wait `grace` seconds, then kill it; gives the exit code."""

    def kill(self) -> None:
        """End it at once, with everything in its process group."""


class StartedKernel:
    """A kernel that this watchdog started, in a session of its own: a Ctrl-C at the terminal does not reach it.

    Args:
        argv: The command.
        log: Where its output goes; the kernel writes there itself, so it lives on when the watchdog dies.
        env: Its environment.
        ask_to_end: Asks for a clean end where signals cannot (Windows).
        on_end: Called in a thread when the process has ended.
    """

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        env: dict[str, str],
        ask_to_end: Callable[[], None] = lambda: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._ask_to_end = ask_to_end
        self._on_end = on_end
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        with _appending(log) as out:
            self._process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=not _WINDOWS,
                creationflags=flags,
            )
        self.pid: int | None = self._process.pid
        threading.Thread(target=self._await_end, name="kernel-end", daemon=True).start()

    def poll(self) -> int | None:
        """Give the exit code, None while it runs."""
        return self._process.poll()

    def stop(self, grace: float) -> int | None:
        """Ask it to end, wait `grace` seconds, then kill it; gives the exit code."""
        if grace > 0 and self._process.poll() is None:
            if _WINDOWS:
                self._ask_to_end()
            else:
                self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """End it at once, with everything in its process group."""
        if not _WINDOWS:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _await_end(self) -> None:
        self._process.wait()
        self._on_end()


class AdoptedKernel:
    """A kernel that was already running when the watchdog came.

    Args:
        pid: Its process id where a former watchdog started it. None: somebody else did, and only the bridge reaches it.
        home: The BATOS_HOME that it serves.
        ask_to_end: Sends the bridge's `shutdown`.
    """

    def __init__(self, pid: int | None, home: Path, ask_to_end: Callable[[], None]) -> None:
        self.pid = pid
        self._home = home
        self._ask_to_end = ask_to_end

    def poll(self) -> int | None:
        """Give `GONE` when its process is gone; None while it runs, or where its process is not known."""
        return GONE if self.pid is not None and not is_kernel(self.pid, self._home) else None

    def stop(self, grace: float) -> int | None:
        """Ask it to end, wait `grace` seconds, then kill it."""
        if self.pid is None:
            self._ask_to_end()
            return None
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
        end = time.monotonic() + grace
        while self.poll() is None and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        self.kill()
        return self.poll()

    def kill(self) -> None:
        """End it at once, with its process group, also what is left of that when it has ended itself.

        The number of a group is not given to another process while the group has members: where no process has the
        number, the group is the one that the kernel left.
        """
        if self.pid is None or (_exists(self.pid) and not is_kernel(self.pid, self._home)):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            leads = not _exists(self.pid) or os.getpgid(self.pid) == self.pid
            if leads:
                os.killpg(self.pid, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
        while self.poll() is None:  # until it is gone its hold on the image is not
            time.sleep(_POLL_SECONDS)


def _appending(log: Path) -> IO[bytes]:
    """Open the kernel's log; where the disk refuses, the kernel runs without one."""
    try:
        return log.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


def find_kernel(home: Path) -> int | None:
    """Give the process id of the kernel that a watchdog started for this folder; None when there is none."""
    noted = files.read_pid(home / "run" / "kernel.pid")
    if noted is not None and is_kernel(noted, home):
        return noted
    with contextlib.suppress(OSError):
        # The watchdog may have died before it could write the number down.
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _supervised(int(entry.name), home):
                return int(entry.name)
    return None


def is_kernel(pid: int, home: Path) -> bool:
    """Tell whether a process id is that of a running kernel, not of another program that got the number since."""
    if _WINDOWS:
        return False
    if Path("/proc/self/environ").exists():
        return _supervised(pid, home)
    asked = subprocess.run(["ps", "-o", "stat=,command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "batos.py" in asked.stdout and not asked.stdout.startswith("Z")


def _supervised(pid: int, home: Path) -> bool:
    """Tell whether a process is a kernel that a watchdog started for a folder; a zombie has no command any more."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if not any(part.endswith(b"batos.py") for part in command):
            return False
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return {f"BATOS_HOME={home}".encode(), f"{SUPERVISED}=1".encode()} <= set(environment)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Echo:
    """Copies what is appended to a log file to the terminal, for a watchdog in the foreground."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._end = threading.Event()
        self._at = file.stat().st_size if file.exists() else 0
        self._thread = threading.Thread(target=self._run, name="kernel-log-echo", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Copy what is left and stop."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.1):
            self._copy()
        self._copy()

    def _copy(self) -> None:
        with contextlib.suppress(OSError), self._file.open("rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            self._at = 0 if size < self._at else self._at
            handle.seek(self._at)
            text = handle.read().decode("utf-8", "replace")
            self._at = handle.tell()
            sys.stderr.write(text)
            sys.stderr.flush()
