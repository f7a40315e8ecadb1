"""`update_instructions.json`: what it may hold, and whether a file that was dropped may be carried out."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from batos.errors import BadSetting
from batos.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batos.watchdog.releases import Release

NAME = "update_instructions.json"
MOST_BYTES = 1 << 20
SETTLE_SECONDS = 2.0
"""What is not valid JSON this long after its last change is malformed; before that it may still be being written."""


Looks = tuple[int, int, int]
"""What tells one file from another, and from what it was before: inode, size, time of change."""


class Step(BaseModel):
    """One command, run without a shell."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    run: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    timeout_s: Annotated[float, Field(gt=0)] = 900.0


class Instructions(BaseModel):
    """The whole file; an empty object means a restart with proof of life."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")] = ""
    steps: list[Step] = []
    health_timeout_s: Annotated[float, Field(gt=0)] = 120.0
    keep_image: bool = True


@dataclass(frozen=True)
class Due:
    """A file that was found: valid instructions, or the reason why they are none."""

    file: Path
    id: str
    instructions: Instructions | None
    error: str = ""
    looks: Looks = (0, 0, 0)
    """Of the file that was judged: another one may lie in its place by now."""


@dataclass
class Mailbox:
    """Looks for the file and judges it.

    Args:
        home: Where it is dropped: BATOS_HOME.
        clock: Seconds that only grow: a jump of the system's clock changes nothing.
        settings_of: The BATOS_HOME whose settings are to be taken up; None: the same folder.
    """

    home: Path
    clock: Callable[[], float] = time.monotonic
    settings_of: Path | None = None
    _seen: tuple[Looks, float] = field(default=((0, 0, 0), 0.0), init=False)

    @property
    def waiting(self) -> bool:
        """Whether a file was dropped."""
        return (self.home / NAME).is_symlink() or (self.home / NAME).exists()

    def due(self, release: Release) -> Due | None:
        """Read and judge the file; None where there is none, or where it may still be being written.

        Args:
            release: Where the commands of its steps must be found.
        """
        file = self.home / NAME
        try:
            looks = looks_of(file.lstat())
        except OSError:
            return None
        found = self._read(file, looks, release)
        return replace(found, looks=looks) if found is not None else None

    def _read(self, file: Path, looks: Looks, release: Release) -> Due | None:
        try:
            text, refusal = _text(file)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            return Due(file, now_id(), None, f"it cannot be read: {error}")
        if refusal:
            return Due(file, now_id(), None, refusal)
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            return Due(file, now_id(), None, f"it is not valid JSON: {error}") if self._settled(looks) else None
        return self._judge(file, raw, release)

    def _settled(self, looks: Looks) -> bool:
        """Whether the file has looked the same for a while."""
        if self._seen[0] != looks:
            self._seen = looks, self.clock()
        return self.clock() - self._seen[1] >= SETTLE_SECONDS

    def _judge(self, file: Path, raw: Any, release: Release) -> Due:
        try:
            instructions = Instructions.model_validate(raw)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            return Due(file, now_id(), None, f"{where}: {first['msg']}")
        name = instructions.id or now_id()
        for step in instructions.steps:
            if not _command_exists(step.run[0], release):
                return Due(file, name, None, f"there is no command {step.run[0]!r}")
        if any(outcome(file, name, end).exists() for end in ("done", "failed", "running")):
            return Due(file, f"{name}-{now_id()}", None, f"instructions {name!r} ran before")
        if not instructions.steps:  # with steps the settings may be meant for the new code
            try:
                Settings.load(home=self.settings_of or self.home)
            except BadSetting as error:
                return Due(file, name, None, error.message)
        return Due(file, name, instructions)


def outcome(file: Path, name: str, end: str) -> Path:
    """What the file is called while the upgrade runs, and after it."""
    return file.with_name(f"update_instructions.{name}.{end}.json")


def now_id() -> str:
    """An id made of the time."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")


def stamp() -> str:
    """The time, for reports."""
    return datetime.now(UTC).isoformat()


def looks_of(info: os.stat_result) -> Looks:
    """What tells a file from another one."""
    return info.st_ino, info.st_size, info.st_mtime_ns


def _text(file: Path) -> tuple[str, str]:
    """Read the file and say why it may not be heard, "" where it may: of one that is open, whatever takes its place."""
    info = file.lstat()
    if not stat.S_ISREG(info.st_mode):
        return "", _foreign(info)
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, encoding="utf-8") as opened:
        info = os.fstat(handle)
        if refusal := _foreign(info):
            return "", refusal
        if info.st_size > MOST_BYTES:
            return "", f"it has {info.st_size} bytes, more than {MOST_BYTES}"
        return opened.read(MOST_BYTES), ""


def _foreign(info: os.stat_result) -> str:
    if not stat.S_ISREG(info.st_mode):
        return "it is not a regular file"
    if sys.platform == "win32":
        return ""
    if info.st_uid != os.getuid():
        return "it belongs to another user"
    return "it is world-writable" if info.st_mode & stat.S_IWOTH else ""


def _command_exists(command: str, release: Release) -> bool:
    if os.path.dirname(command):  # noqa: PTH120 - Path drops a leading ./
        file = release.code / command
        return file.is_file() and os.access(file, os.X_OK)
    return shutil.which(command, path=release.search_path) is not None
