"""The watchdog's files under `BATOS_HOME/run/`: the lock, the status that other programs read, the logs.

| file | holds |
|---|---|
| `watchdog.lock` | locked while a watchdog runs |
| `watchdog.stop` | made by whoever wants it to stop |
| `watchdog.json` | what it does now, one key a line, replaced atomically |
| `watchdog.log` | what it did, with rotation |
| `kernel.pid` | the process id of the kernel it started |
| `kernel.log` | what the kernel prints |
| `upgrade.json` | how far the upgrade in progress has come |
| `settings.json` | the `batos.toml` with which a kernel served last |
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import tempfile
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Any

LOCK = "watchdog.lock"
STOP = "watchdog.stop"
LOG_COPIES = 3


def run_folder(home: Path) -> Path:
    """Give `BATOS_HOME/run`, made where it is missing."""
    folder = home / "run"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def take_lock(file: Path) -> IO[str] | None:
    """Take the lock for as long as the given file stays open, or give None where another process has it."""
    try:
        handle = file.open("a+")
    except PermissionError:  # where nothing may be written any more there is still one watchdog, not two
        handle = file.open("r")
    try:
        _lock(handle)
    except OSError:
        handle.close()
        return None
    return handle


if sys.platform == "win32":  # pragma: no cover

    def _lock(handle: IO[str]) -> None:
        import msvcrt

        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)

else:

    def _lock(handle: IO[str]) -> None:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_json(file: Path, value: dict[str, Any], *, durable: bool = False) -> None:
    """Replace a file by a JSON map with one key a line; a reader sees the old text or the new, never half of it.

    Args:
        file: The file.
        value: What it shall hold.
        durable: Whether it must be on the disk when this returns.
    """
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(value, out, indent=1, ensure_ascii=False)
            out.write("\n")
            if durable:
                out.flush()
                os.fsync(out.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(file.parent)


def sync_file(file: Path) -> None:
    """Bring what a file holds to the disk."""
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def sync_all() -> None:
    """Bring all that was written to the disk, where the system can be asked for that."""
    if sys.platform != "win32":
        os.sync()


def sync_folder(folder: Path) -> None:
    """Bring renames in a folder to the disk; a system that cannot open folders does so by itself."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON map, empty where there is none."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def read_pid(file: Path) -> int | None:
    """Read a process id, None where there is none."""
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def shorten(file: Path, limit: int) -> None:
    """Start a log anew in place once it is over its limit; the text until then moves to `<name>.1`.

    The kernel keeps the file open for appending: truncating it under its hands is safe, replacing it is not. Where the
    disk takes no copy the log stays as it is until the next time.
    """
    copy = file.with_name(file.name + ".1")
    with contextlib.suppress(OSError):
        if file.stat().st_size <= limit:
            return
        try:
            copy.write_bytes(file.read_bytes())
        except OSError:
            copy.unlink(missing_ok=True)
            raise
        os.truncate(file, 0)


def tail(file: Path, lines: int = 12, most_bytes: int = 16 << 10) -> str:
    """Give the last lines of a log, for a message that says what went wrong."""
    try:
        with file.open("rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(0, handle.tell() - most_bytes))
            text = handle.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def last_line(text: str) -> str:
    """Give the last line of a text that says anything, without its end."""
    return next((line.strip().rstrip(".") for line in reversed(text.splitlines()) if line.strip()), "nothing")


def open_log(folder: Path, limit: int, *, terminal: bool) -> logging.Logger:
    """Set up the watchdog's log: a file with rotation, and the terminal where it runs in the foreground, or has no file."""
    log = logging.getLogger(f"batos.watchdog.{folder}")
    log.setLevel(logging.INFO)
    log.propagate = False
    close_log(log)
    try:
        to_file = RotatingFileHandler(folder / "watchdog.log", maxBytes=limit, backupCount=LOG_COPIES, encoding="utf-8")
    except OSError:
        terminal = True
    else:
        to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(to_file)
    if terminal:
        to_terminal = logging.StreamHandler(sys.stderr)
        to_terminal.setFormatter(logging.Formatter("[watchdog] %(message)s"))
        log.addHandler(to_terminal)
    return log


def close_log(log: logging.Logger) -> None:
    """Close what `open_log` opened."""
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
