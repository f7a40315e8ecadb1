"""Supervision: one kernel is started, proven by a `ping`, watched, and replaced when it ends or hangs.

The states of a watchdog, as `run/watchdog.json` shows them::

    starting ──ping──> serving ──end, or silence for two beats──> restarting ──pause──> starting
    restarting ──too many ends──> failing ──a long pause──> starting
    starting ──exit code 3 to 6──> refused ──a long pause──> starting
    any ──update_instructions.json──> upgrading ──> serving | restarting
    any ──signal──> stopping ──> stopped

A kernel that runs when the watchdog comes is adopted rather than doubled. The watchdog itself never touches the image.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from batos.errors import BadSetting, EndpointTaken, ImageDamaged, ImageInUse, StartError
from batos.watchdog import files, instructions, upgrade
from batos.watchdog.backoff import Backoff
from batos.watchdog.bell import Bell
from batos.watchdog.logbook import Logbook
from batos.watchdog.notify import Notifier
from batos.watchdog.probe import Probe
from batos.watchdog.process import Echo, find_kernel
from batos.watchdog.releases import Release, Releases
from batos.watchdog.upgrade import Abandoned
from batos.watchdog.vessel import Pinger, Vessel

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.settings import Settings
    from batos.watchdog.process import Kernel

_REFUSALS: dict[int, type[StartError]] = {
    kind.exit_code: kind for kind in (ImageInUse, ImageDamaged, BadSetting, EndpointTaken)
}
_QUICK_SECONDS = 0.05
_PATIENCE = 0.4
"""The share of a beat that a ping may take; two in a row are waited for, so that a hang is noticed within two beats."""
_MISSES = 2


class Watchdog:
    """Keeps one kernel serving until `stop` is called.

    Args:
        settings: The settings; the kernel reads its own from the same environment.
        probe: Makes what asks the kernel.
        base: The release to start from as long as no upgrade made another; by default the one that runs this.
        terminal: Whether to show the log and the kernel's output on the terminal.
        backoff: The pauses between restarts.
    """

    def __init__(
        self,
        settings: Settings,
        probe: Callable[[Settings], Pinger] = Probe,
        *,
        base: Release | None = None,
        terminal: bool = False,
        backoff: Backoff | None = None,
    ) -> None:
        self._folder = files.run_folder(settings.home)
        self._stop_file = self._folder / files.STOP
        self.log = files.open_log(self._folder, settings.log_bytes, terminal=terminal)
        self._terminal = terminal
        self._bell = Bell(settings.home, {instructions.NAME})
        self.vessel = Vessel(settings, probe, self._bell.ring)
        self.releases = Releases(settings.home, base)
        self._mailbox = instructions.Mailbox(settings.home)
        self._book = Logbook(self._folder)
        self._notifier = Notifier()
        self._backoff = backoff or Backoff(
            settings.restart_seconds, settings.restart_limit, settings.restart_window_seconds
        )
        self._stopping = False
        self._state = "starting"
        self._since = time.time()
        self._status: dict[str, object] = {}
        self._written = True
        self._served_from: float | None = None
        self._known: Kernel | None = None
        self._next_look = 0.0
        self._misses = 0
        self._restarts = 0

    @property
    def _settings(self) -> Settings:
        return self.vessel.settings

    def stop(self, *_: object) -> None:
        """End the kernel and the watchdog; safe in a signal handler. A second call kills at once."""
        if self._stopping and self.vessel.kernel is not None:
            self.vessel.kernel.kill()
        self._stopping = True

    def hear_signals(self) -> None:
        """Stop on the signals that ask for it; from the main thread only."""
        for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK"):
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, self.stop)

    def run(self) -> int:
        """Supervise until stopped; gives the exit code of the watchdog."""
        echo = Echo(self.vessel.log_file) if self._terminal else None
        self._forget_stop()
        try:
            while not self._stopping:
                self._sleep(self._guarded(self._round))
        finally:
            self._end()
            self._bell.close()
            if echo is not None:
                echo.close()
            files.close_log(self.log)
        return 0

    def tick(self, *, watch: bool = False) -> None:
        """Tell the system that the watchdog lives, also in the middle of an upgrade.

        Args:
            watch: Whether to look after the kernel meanwhile: it goes on serving while its successor is made.

        Raises:
            Abandoned: Somebody asked the watchdog to stop.
        """
        self._notifier.alive()
        if self._stopping or self._stop_file.exists():
            self._stopping = True
            raise Abandoned
        if watch and (time.monotonic() >= self._next_look or self.vessel.ended):
            self._next_look = time.monotonic() + self._guarded(self._look_after)

    def say(self, message: str) -> None:
        """Tell what an upgrade does."""
        self._say("upgrading", message)

    def _guarded(self, look: Callable[[], float]) -> float:
        try:
            return look()
        except Abandoned:
            return 0
        except OSError as error:  # a full disk or lost permissions must not end the supervision
            self.log.warning("The watchdog could not do its round: %s", error)
        except Exception:  # nor must anything else: who looks after the kernel must not end before it
            self.log.exception("The watchdog could not do its round")
        return min(1.0, self._settings.watch_seconds)

    def _round(self) -> float:
        """Look once; gives the seconds until the next look."""
        if not self._written:
            self._write_status()
        if self.vessel.kernel is None and find_kernel(self._settings.home) is not None:
            self._adopt()
        if self._book.stage or self._left_over():
            self._recover()
        found = self._mailbox.due(self.releases.current)
        if found is not None:
            self._upgrade(found)
            return 0
        return self._look_after()

    def _look_after(self) -> float:
        """See how the kernel is, and do what it needs; gives the seconds until the next look."""
        vessel = self.vessel
        files.shorten(vessel.log_file, self._settings.log_bytes)
        if vessel.kernel is None:
            if not self._adopt():
                self._launch()
            return 0
        code = vessel.kernel.poll()
        if code is not None:
            return self._ended(code)
        return self._starting() if self._served_from is None else self._watching()

    def _left_over(self) -> bool:
        return any(self._settings.home.glob("update_instructions.*.running.json"))

    def _recover(self) -> None:
        try:
            upgrade.recover(self, self._book)
        except OSError:
            if self._book.bound:
                raise
            # What serves is whole: it goes on, and the report is written when that is possible.
            self.log.exception("The end of an upgrade cannot be written down yet")

    def _upgrade(self, found: instructions.Due) -> None:
        if found.instructions is not None:
            self._say("upgrading", f"{instructions.NAME} was dropped")
        self._next_look = time.monotonic()
        try:
            upgrade.perform(self, found, self._book)
        finally:
            if self.vessel.kernel is not self._known:  # it is another one, or none
                self._served_from, self._misses, self._known = None, 0, self.vessel.kernel
        if self._served_from is not None:
            self._tell_serving()

    def _adopt(self) -> bool:
        if not self.vessel.adopt():
            return False
        self._served_from, self._misses, self._known = None, 0, self.vessel.kernel
        pid = self.vessel.kernel.pid if self.vessel.kernel is not None else None
        left = files.read_json(self._folder / "watchdog.json")
        if pid is not None and (left.get("state"), left.get("kernel_pid")) == ("serving", pid):
            self._served_from = time.monotonic()  # it has answered before: silence means that it hangs
        whom = f"The kernel in process {pid} runs already" if pid else "A kernel answers already"
        self._say("starting", f"{whom}; it is adopted")
        return True

    def _launch(self) -> None:
        release = self.releases.current
        self.vessel.launch(release)
        self._served_from, self._misses, self._known = None, 0, self.vessel.kernel
        pid = self.vessel.kernel.pid if self.vessel.kernel is not None else None
        self._say("starting", f"The kernel starts (process {pid}{f', release {release.name}' if release.name else ''})")

    def _starting(self) -> float:
        answer = self.vessel.ping(min(1.0, self._settings.watch_seconds))
        if answer is not None and answer.get("ready", True):
            self._served_from = time.monotonic()
            self._tell_serving()
            self._remember()
            return self._settings.watch_seconds
        if time.monotonic() - self.vessel.began < self._settings.ready_seconds:
            return _QUICK_SECONDS
        return self._replace(f"The kernel did not answer within {self._settings.ready_seconds:g} s")

    def _watching(self) -> float:
        if self.vessel.ping(_PATIENCE * self._settings.watch_seconds) is not None:
            self._misses = 0
            if self._state not in ("serving", "upgrading"):
                self._tell_serving()
            self._remember()
            return self._settings.watch_seconds
        if self.vessel.ended:
            return 0
        self._misses += 1
        if self._misses < _MISSES:
            return 0
        return self._replace("The kernel did not answer for two beats")

    def _remember(self) -> None:
        """Keep the settings with which the kernel serves, where the disk takes them now."""
        with contextlib.suppress(OSError):
            self.vessel.served()

    def _replace(self, why: str) -> float:
        self.log.warning("%s; it is replaced", why)
        self.vessel.halt(0)  # it would not hear; the image is safe at any moment
        return self._pause(why)

    def _ended(self, code: int) -> float:
        self.vessel.halt(0)
        if code == ImageInUse.exit_code and find_kernel(self._settings.home) is not None:
            return 0  # a former watchdog's kernel, which it had not written down yet: the next round adopts it
        if code in _REFUSALS:
            return self._refused(code)
        why = "The kernel was asked to end" if code == 0 else f"The kernel ended with {_exit_text(code)}"
        self.log.warning("%s; the end of its log:\n%s", why, files.tail(self.vessel.log_file))
        return self._pause(why, code)

    def _refused(self, code: int) -> float:
        kind = _REFUSALS[code]
        pause = self._settings.refused_seconds
        message = f"The kernel will not start (exit code {code}): {kind.__doc__} The end of run/kernel.log says more"
        self.log.error("%s:\n%s\n%s", message, files.tail(self.vessel.log_file, 6), kind.hint_default)
        self._say("refused", f"{message}; next try in {pause:g} s", exit_code=code, hint=kind.hint_default, log=False)
        return pause

    def _pause(self, why: str, code: int | None = None) -> float:
        served = 0.0 if self._served_from is None else time.monotonic() - self._served_from
        seconds = self._backoff.pause(served)
        self._restarts += 1
        state, hint = "restarting", ""
        if self._backoff.exhausted:
            state = "failing"
            words = files.tail(self.vessel.log_file)
            hint = (
                f"It ended {self._backoff.failures} times within {self._backoff.window:g} s. The last that it said: "
                f"{files.last_line(words)}. See run/kernel.log, or run `python -m batos doctor`."
            )
            self.log.error("%s The end of its log:\n%s", hint, words)
        self._say(state, f"{why}; next start in {seconds:.1f} s", exit_code=code, hint=hint)
        return seconds

    def _tell_serving(self) -> None:
        message = f"The kernel serves at {self._settings.zmq_endpoint}"
        self._say("serving", message)
        self._notifier.ready(message)

    def _sleep(self, seconds: float) -> None:
        """Wait in slices, because a signal handler can only leave a mark; a drop or the kernel's end wakes at once."""
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:
            if self._stop_file.exists():
                self.stop()
            if self.vessel.ended:
                return
            if self._mailbox.waiting and self._mailbox.due(self.releases.current) is not None:
                return
            self._notifier.alive()
            self._bell.wait(left)

    def _end(self) -> None:
        self._notifier.stopping()
        if self.vessel.kernel is not None and self.vessel.kernel.pid is None:
            self.log.info("The kernel was started by somebody else and is left running")
            self.vessel.kernel = None
        self._say("stopping", "The watchdog stops, and its kernel with it")
        self.vessel.halt(self._settings.stop_grace_seconds)
        self._forget_stop()
        self._say("stopped", "Stopped")

    def _forget_stop(self) -> None:
        with contextlib.suppress(OSError):
            self._stop_file.unlink(missing_ok=True)

    def _say(self, state: str, message: str, *, exit_code: int | None = None, hint: str = "", log: bool = True) -> None:
        if log:
            self.log.info("%s", message)
        if state != self._state:
            self._state, self._since = state, time.time()
        self._status = {
            "state": state,
            "message": message,
            "hint": hint,
            "pid": os.getpid(),
            "kernel_pid": self.vessel.kernel.pid if self.vessel.kernel is not None else None,
            "endpoint": self._settings.zmq_endpoint,
            "release": self.releases.current.name,
            "exit_code": exit_code,
            "restarts": self._restarts,
            "failures": self._backoff.failures,
            "since": round(self._since, 3),
        }
        self._notifier.status(message)
        self._write_status()

    def _write_status(self) -> None:
        """Write the status where the disk takes it, else with a later round."""
        try:
            files.write_json(self._folder / "watchdog.json", self._status)
        except OSError as error:
            if self._written:
                self.log.warning("The status cannot be written: %s", error)
            self._written = False
        else:
            self._written = True


def _exit_text(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"signal {names.get(-code, -code)}"
