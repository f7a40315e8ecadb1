"""The command line of the watchdog."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

from batos.errors import StartError
from batos.settings import Settings
from batos.watchdog import files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ALREADY_RUNNING = 3
CANNOT_START = 2
MANY_FAILURES = 3
_SLICE_SECONDS = 0.05


def main(argv: Sequence[str]) -> int:
    """Run, stop or show the watchdog of BATOS_HOME; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="min_watchdog_service.py",
        description="Starts the kernel, waits for its answer, restarts it when it ends or hangs, and carries out "
        "update_instructions.json. Ctrl-C stops both.",
    )
    parser.add_argument("--background", action="store_true", help="leave the terminal; write to run/watchdog.log only")
    parser.add_argument("--stop", action="store_true", help="stop the watchdog that runs, and its kernel")
    parser.add_argument("--wait", action="store_true", help="wait until the kernel serves; 2 when it can't")
    parser.add_argument("--status", action="store_true", help="print run/watchdog.json")
    asked = parser.parse_args(argv)
    try:
        settings = Settings.load()
    except StartError as error:
        _tell(f"{error.message}\n{error.hint}")
        return error.exit_code
    try:
        return _do(asked, settings)
    except OSError as error:
        _tell(f"{error}\nSee that this user may write in {settings.home}, or set another BATOS_HOME.")
        return CANNOT_START


def _do(asked: argparse.Namespace, settings: Settings) -> int:
    if asked.stop:
        return stop(settings)
    if asked.wait:
        return wait(settings)
    if asked.status:
        return show(settings.home)
    return _supervise(settings, background=asked.background)


def running(home: Path) -> bool:
    """Tell whether a watchdog runs for this folder: it holds the lock."""
    lock = files.take_lock(files.run_folder(home) / files.LOCK)
    if lock is None:
        return True
    lock.close()
    return False


def stop(settings: Settings) -> int:
    """Stop the watchdog of this folder and wait until it is gone; 0 when it is, 1 when it stays."""
    folder = files.run_folder(settings.home)
    if not running(settings.home):
        _tell("BAT OS is not running here.")
        return 0
    (folder / files.STOP).touch()
    end = time.monotonic() + settings.stop_grace_seconds + 5
    while time.monotonic() < end:
        if not running(settings.home):
            (folder / files.STOP).unlink(missing_ok=True)
            return 0
        time.sleep(_SLICE_SECONDS)
    _tell(f"The watchdog did not stop in time; see {folder / 'watchdog.log'}.")
    return 1


def wait(settings: Settings) -> int:
    """Wait until the kernel serves; 0 then, 2 when it refuses, keeps ending or takes too long."""
    end = time.monotonic() + settings.ready_seconds
    while time.monotonic() < end:
        status = files.read_json(files.run_folder(settings.home) / "watchdog.json")
        state = status.get("state") if running(settings.home) else ""
        if state == "serving":
            return 0
        if state == "refused" or (state != "upgrading" and int(status.get("failures", 0)) >= MANY_FAILURES):
            _tell(f"{status.get('message')}\n{status.get('hint')}")
            return CANNOT_START
        time.sleep(_SLICE_SECONDS)
    _tell("The kernel did not answer in time; see run/kernel.log.")
    return CANNOT_START


def show(home: Path) -> int:
    """Print the watchdog's status; 0 when it runs, 1 when not."""
    alive = running(home)
    status = files.read_json(files.run_folder(home) / "watchdog.json")
    sys.stdout.write(f"watchdog: {status.get('message', 'running') if alive else 'not running'}\n")
    if alive and status.get("hint"):
        sys.stdout.write(f"{status['hint']}\n")
    return 0 if alive else 1


def _tell(message: str) -> None:
    sys.stderr.write(message + "\n")


def _supervise(settings: Settings, *, background: bool) -> int:
    from batos.watchdog.service import Watchdog

    if background and hasattr(os, "setsid"):
        with contextlib.suppress(OSError):  # it leads its session already
            os.setsid()
    lock = files.take_lock(files.run_folder(settings.home) / files.LOCK)
    if lock is None:
        _tell(f"A watchdog already runs for {settings.home}.")
        return ALREADY_RUNNING
    with lock:
        watchdog = Watchdog(settings, terminal=not background)
        watchdog.hear_signals()
        return watchdog.run()
