"""The kernel that serves now, in the watchdog's hands: started, found, asked, laid to rest, replaced.

What it is started from is a release; which settings it has is read anew for each start, because `batos.toml` may have
changed. The files `run/kernel.pid`, `run/kernel.log` and `run/settings.json` are kept here.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, Protocol

from batos.errors import BadSetting
from batos.settings import Settings
from batos.watchdog import files
from batos.watchdog.process import SUPERVISED, AdoptedKernel, Kernel, StartedKernel, find_kernel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batos.watchdog.releases import Release

_QUICK_SECONDS = 0.05
_DEAF_SECONDS = 2.0


class Pinger(Protocol):
    """What the watchdog asks of the bridge."""

    def ping(self, seconds: float) -> dict[str, Any] | None:
        """Give the answer to `ping`, or None where none came in time."""

    def status(self, seconds: float) -> dict[str, Any] | None:
        """Give the answer to `status`, or None where none came in time."""

    def shutdown(self, grace: float = 0) -> None:
        """Ask the kernel to end, cycles first brought to the end of their states for at most `grace` seconds."""

    def close(self) -> None:
        """Let the connection go."""


class Vessel:
    """One kernel at a time.

    Args:
        settings: The settings to begin with.
        probe: Makes what asks a kernel of these settings.
        on_end: Called in a thread when a kernel that was started here has ended.
    """

    def __init__(
        self, settings: Settings, probe: Callable[[Settings], Pinger], on_end: Callable[[], None] = lambda: None
    ) -> None:
        self.settings = settings
        self._make_probe = probe
        self._probe = probe(settings)
        self._on_end = on_end
        folder = files.run_folder(settings.home)
        self.log_file = folder / "kernel.log"
        self._pid_file = folder / "kernel.pid"
        self._settings_file = folder / "settings.json"
        self._launched_with: str | None = None
        self._remembered = False
        self.kernel: Kernel | None = None
        self.began = 0.0

    def launch(self, release: Release, *, prove: Path | None = None) -> None:
        """Start a kernel.

        Args:
            release: What it is started from.
            prove: The upgrade's record: it serves nobody before that says that it is proven.
        """
        self.reload()
        files.shorten(self.log_file, self.settings.log_bytes)
        env = {**os.environ, "BATOS_HOME": str(self.settings.home), "PYTHONUNBUFFERED": "1", SUPERVISED: "1"}
        env.pop("NOTIFY_SOCKET", None)
        command = release.command(*(("--prove", str(prove)) if prove is not None else ()))
        self._launched_with = _text(self.settings.home / "batos.toml")
        self._remembered = False
        self.kernel = StartedKernel(command, self.log_file, env, self._probe.shutdown, self._on_end)
        self.began = time.monotonic()
        self._note_pid(self.kernel.pid)

    def adopt(self) -> bool:
        """Take over a kernel that runs already: one that a former watchdog started, or one that answers."""
        pid = find_kernel(self.settings.home)
        if pid is None and self.ping(min(2.0, self.settings.watch_seconds)) is None:
            return False
        self.kernel = AdoptedKernel(pid, self.settings.home, self._probe.shutdown)
        self._note_pid(pid)
        self._remembered = False
        self._launched_with = files.read_json(self._settings_file).get("text", _text(self.settings.home / "batos.toml"))
        self.began = time.monotonic()
        return True

    @property
    def ended(self) -> bool:
        """Whether there is a kernel that has ended."""
        return self.kernel is not None and self.kernel.poll() is not None

    def ping(self, seconds: float) -> dict[str, Any] | None:
        """Give the kernel's answer to `ping`, None where none came in time."""
        return self._probe.ping(seconds)

    def status(self, seconds: float = 2.0) -> dict[str, Any]:
        """Give the kernel's answer to `status`, empty where none came in time."""
        return self._probe.status(seconds) or {}

    def halt(self, grace: float) -> None:
        """Stop the kernel: ask, wait `grace` seconds, kill."""
        kernel, self.kernel = self.kernel, None
        if kernel is not None:
            kernel.stop(grace)
        with contextlib.suppress(OSError):
            self._pid_file.unlink(missing_ok=True)
        self._probe.close()

    def rest(self, grace: float, tick: Callable[[], None]) -> None:
        """Stop the kernel after its cycles have come to the end of their states, for which they have `grace` seconds.

        One that answers nothing would not hear the request: it is ended at once, the image is safe at any moment.
        """
        if self.kernel is None or self.ping(_DEAF_SECONDS) is None:
            self.halt(0)
            return
        self._probe.shutdown(grace)
        end = time.monotonic() + grace + self.settings.stop_grace_seconds
        while not self._gone() and time.monotonic() < end:
            tick()
            time.sleep(_QUICK_SECONDS)
        self.halt(0)

    def served(self) -> None:
        """Remember the settings with which the kernel came to serve; call it again where the disk did not take them.

        Raises:
            OSError: The disk refuses.
        """
        if not self._remembered:
            files.write_json(self._settings_file, {"text": self._launched_with}, durable=True)
            self._remembered = True

    def good_settings(self) -> str | None:
        """The text of `batos.toml` with which a kernel served last; None where there was no such file."""
        kept = files.read_json(self._settings_file)
        text: str | None = kept["text"] if "text" in kept else _text(self.settings.home / "batos.toml")
        return text

    def reload(self) -> None:
        """Read the settings again, as the next kernel does; wrong ones are left to the kernel to refuse."""
        try:
            settings = Settings.load(home=self.settings.home)
        except BadSetting:
            return
        self._probe.close()
        if settings != self.settings:
            self.settings = settings
            self._probe = self._make_probe(settings)

    def close(self) -> None:
        """Let the connection go."""
        self._probe.close()

    def _note_pid(self, pid: int | None) -> None:
        """Write the number down where the disk takes it; a kernel is found without it too."""
        with contextlib.suppress(OSError):
            if pid is not None:
                self._pid_file.write_text(f"{pid}\n", encoding="ascii")

    def _gone(self) -> bool:
        if self.kernel is None or self.kernel.poll() is not None:
            return True
        return self.kernel.pid is None and self.ping(0.5) is None


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
