"""Supervision: one kernel is started, proven by a `ping`, watched, and replaced when it ends or hangs.

The states of a watchdog, as `run/watchdog.json` shows them::

    starting ──ping──> serving ──end or two missed pings──> restarting ──pause──> starting
    starting ──exit code 3 to 6──> refused ──a long pause──> starting
    any ──update_instructions.json──> upgrading ──> serving | restarting
    any ──signal──> stopping ──> stopped

A kernel that answers when the watchdog comes is adopted rather than doubled. The watchdog itself never touches the image.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from batos.errors import BadSetting, EndpointTaken, ImageDamaged, ImageInUse, StartError
from batos.watchdog import files, upgrade
from batos.watchdog.backoff import Backoff
from batos.watchdog.process import AdoptedKernel, Echo, Kernel, StartedKernel, is_kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.settings import Settings

CODE = Path(__file__).resolve().parents[2]
"""The folder that holds `batos.py` and the package."""

_REFUSALS: dict[int, type[StartError]] = {
    kind.exit_code: kind for kind in (ImageInUse, ImageDamaged, BadSetting, EndpointTaken)
}
_QUICK_SECONDS = 0.1
_SLICE_SECONDS = 0.2
_MISSES = 2
_MANY_FAILURES = 5


class Pinger(Protocol):
    """What the watchdog asks of the bridge."""

    def ping(self, seconds: float) -> object | None:
        """Give an answer, or None where none came in time."""

    def shutdown(self) -> None:
        """Ask the kernel to end."""

    def close(self) -> None:
        """Let the connection go."""


class Watchdog:
    """Keeps one kernel serving until `stop` is called.

    Args:
        settings: The settings; the kernel reads its own from the same environment.
        probe: Pings the kernel.
        command: Starts the kernel; by default `batos.py` with this interpreter.
        terminal: Whether to show the log and the kernel's output on the terminal.
        backoff: The pauses between restarts.
    """

    def __init__(
        self,
        settings: Settings,
        probe: Pinger,
        *,
        command: Sequence[str] = (),
        terminal: bool = False,
        backoff: Backoff | None = None,
    ) -> None:
        self._settings = settings
        self._probe = probe
        self._command = tuple(command) or (sys.executable, str(CODE / "batos.py"))
        self._folder = files.run_folder(settings.home)
        self._kernel_log = self._folder / "kernel.log"
        self._pid_file = self._folder / "kernel.pid"
        self._stop_file = self._folder / files.STOP
        self.log = files.open_log(self._folder, settings.log_bytes, terminal=terminal)
        self._terminal = terminal
        self._backoff = backoff or Backoff(settings.restart_seconds)
        self._kernel: Kernel | None = None
        self._stopping = False
        self._state = "starting"
        self._since = time.time()
        self._began = 0.0
        self._served_from: float | None = None
        self._misses = 0
        self._restarts = 0

    def stop(self, *_: object) -> None:
        """End the kernel and the watchdog; safe in a signal handler. A second call kills at once."""
        if self._stopping and self._kernel is not None:
            self._kernel.kill()
        self._stopping = True

    def hear_signals(self) -> None:
        """Stop on the signals that ask for it; from the main thread only."""
        for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK"):
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, self.stop)

    def run(self) -> int:
        """Supervise until stopped; gives the exit code of the watchdog."""
        echo = Echo(self._kernel_log) if self._terminal else None
        self._stop_file.unlink(missing_ok=True)
        upgrade.close_interrupted(self._settings.home, self.log)
        try:
            while not self._stopping:
                self._sleep(self._guarded_round())
        finally:
            self._end()
            if echo is not None:
                echo.close()
            files.close_log(self.log)
        return 0

    def launch(self) -> None:
        """Start a kernel."""
        files.shorten(self._kernel_log, self._settings.log_bytes)
        env = {**os.environ, "BATOS_HOME": str(self._settings.home), "PYTHONUNBUFFERED": "1"}
        self._probe.close()
        self._kernel = StartedKernel(self._command, self._kernel_log, env, self._probe.shutdown)
        self._pid_file.write_text(f"{self._kernel.pid}\n", encoding="ascii")
        self._began, self._served_from, self._misses = time.monotonic(), None, 0
        self._say("starting", f"The kernel starts (process {self._kernel.pid})")

    def halt(self, grace: float) -> None:
        """Stop the kernel: ask, wait `grace` seconds, kill."""
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            kernel.stop(grace)
        self._pid_file.unlink(missing_ok=True)
        self._probe.close()

    def proven(self, seconds: float) -> bool:
        """Wait until the kernel answers a `ping`; False when it ends or stays silent for `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._stopping:
            if self._kernel is None or self._kernel.poll() is not None:
                return False
            if self._probe.ping(min(1.0, self._settings.watch_seconds)):
                return True
            time.sleep(_QUICK_SECONDS)
        return False

    def say(self, message: str) -> None:
        """Tell what an upgrade does."""
        self._say("upgrading", message)

    def _adopt_or_launch(self) -> None:
        if self._probe.ping(min(2.0, self._settings.watch_seconds)) is None:
            self.launch()
            return
        pid = files.read_pid(self._pid_file)
        self._kernel = AdoptedKernel(pid if pid is not None and is_kernel(pid) else None, self._probe.shutdown)
        self._began = time.monotonic()
        self.log.info("A kernel already answers at %s; it is adopted", self._settings.zmq_endpoint)
        self._serving()

    def _guarded_round(self) -> float:
        try:
            return self._round()
        except OSError as error:  # a full disk or lost permissions must not end the supervision
            self.log.warning("The watchdog could not do its round: %s", error)
            return self._settings.watch_seconds

    def _round(self) -> float:
        """Look once; gives the seconds until the next look."""
        instructions = upgrade.due(self._settings.home)
        if instructions is not None:
            self._say("upgrading", "update_instructions.json was dropped")
            upgrade.perform(instructions, self, self._settings, CODE)
            return 0
        files.shorten(self._kernel_log, self._settings.log_bytes)
        if self._kernel is None:
            self._adopt_or_launch()
            return 0
        code = self._kernel.poll()
        if code is not None:
            return self._ended(code)
        return self._starting() if self._served_from is None else self._watching()

    def _starting(self) -> float:
        if self._probe.ping(min(1.0, self._settings.watch_seconds)):
            self._serving()
            return self._settings.watch_seconds
        if time.monotonic() - self._began < self._settings.ready_seconds:
            return _QUICK_SECONDS
        return self._replace(f"The kernel did not answer within {self._settings.ready_seconds:g} s")

    def _watching(self) -> float:
        if self._probe.ping(self._settings.watch_seconds):
            self._misses = 0
            return self._settings.watch_seconds
        if self._kernel is not None and self._kernel.poll() is not None:
            return 0
        self._misses += 1
        if self._misses < _MISSES:
            return 0
        return self._replace(f"The kernel did not answer {_MISSES} pings")

    def _replace(self, why: str) -> float:
        self.log.warning("%s; it is replaced", why)
        self.halt(min(1.0, self._settings.stop_grace_seconds))
        return self._pause(why)

    def _ended(self, code: int) -> float:
        self.halt(0)
        if code in _REFUSALS:
            return self._refused(code)
        why = "The kernel was asked to end" if code == 0 else f"The kernel ended with {_exit_text(code)}"
        self.log.warning("%s; the end of its log:\n%s", why, files.tail(self._kernel_log))
        return self._pause(why, code)

    def _refused(self, code: int) -> float:
        kind = _REFUSALS[code]
        pause = self._settings.refused_seconds
        message = f"The kernel will not start (exit code {code}): {kind.__doc__} The end of run/kernel.log says more"
        self.log.error("%s:\n%s\n%s", message, files.tail(self._kernel_log, 6), kind.hint_default)
        self._say("refused", f"{message}; next try in {pause:g} s", exit_code=code, hint=kind.hint_default, log=False)
        return pause

    def _pause(self, why: str, code: int | None = None) -> float:
        served = 0.0 if self._served_from is None else time.monotonic() - self._served_from
        seconds = self._backoff.pause(served)
        self._restarts += 1
        hint = ""
        if self._backoff.failures > _MANY_FAILURES:
            hint = f"It ended {self._backoff.failures} times in a row: look at run/kernel.log, or run `python -m batos doctor`."
            self.log.error(hint)
        self._say("restarting", f"{why}; next start in {seconds:.1f} s", exit_code=code, hint=hint)
        return seconds

    def _serving(self) -> None:
        self._served_from = time.monotonic()
        self._say("serving", f"The kernel serves at {self._settings.zmq_endpoint}")

    def _sleep(self, seconds: float) -> None:
        """Wait in short slices: a signal handler can only leave a mark, and a drop of a file is noticed within a second."""
        end = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < end:
            if self._kernel is not None and self._kernel.poll() is not None:
                return
            if upgrade.waiting(self._settings.home):
                return
            if self._stop_file.exists():
                self._stopping = True
            time.sleep(max(0.0, min(_SLICE_SECONDS, end - time.monotonic())))

    def _end(self) -> None:
        if self._kernel is not None and self._kernel.pid is None:
            self.log.info("The kernel was started by somebody else and is left running")
            self._kernel = None
        self._say("stopping", "The watchdog stops, and its kernel with it")
        self.halt(self._settings.stop_grace_seconds)
        self._stop_file.unlink(missing_ok=True)
        self._say("stopped", "Stopped")

    def _say(self, state: str, message: str, *, exit_code: int | None = None, hint: str = "", log: bool = True) -> None:
        if log:
            self.log.info("%s", message)
        if state != self._state:
            self._state, self._since = state, time.time()
        status = {
            "state": state,
            "message": message,
            "hint": hint,
            "pid": os.getpid(),
            "kernel_pid": self._kernel.pid if self._kernel is not None else None,
            "endpoint": self._settings.zmq_endpoint,
            "exit_code": exit_code,
            "restarts": self._restarts,
            "since": round(self._since, 3),
        }
        files.write_json(self._folder / "watchdog.json", status)


def _exit_text(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"signal {names.get(-code, -code)}"
