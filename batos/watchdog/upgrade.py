"""The Allopoietic Upgrade: `update_instructions.json` is checked, carried out, proven by a `ping`, and reported.

The kernel goes on serving until the whole file is found valid. Then the file becomes `….running.json`, so that no
instruction runs twice, whatever happens to the watchdog meanwhile; and at the end `….done.json` or `….failed.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from batos.watchdog import steps
from batos.watchdog.files import write_json

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from pathlib import Path

    from batos.settings import Settings

NAME = "update_instructions.json"
SETTLE_SECONDS = 2.0
"""What is not valid JSON this long after its last change is malformed; before that it may still be being written."""


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


class Vessel(Protocol):
    """What an upgrade asks of the watchdog."""

    def halt(self, grace: float) -> None:
        """Stop the kernel."""

    def launch(self) -> None:
        """Start the kernel."""

    def proven(self, seconds: float) -> bool:
        """Wait for an answer of the new kernel."""

    def say(self, message: str) -> None:
        """Tell what happens."""


@dataclass(frozen=True)
class Due:
    """A file that was found: valid instructions, or the reason why they are none."""

    file: Path
    id: str
    instructions: Instructions | None
    error: str = ""


def waiting(home: Path) -> bool:
    """Tell whether a file was dropped that is ready to be judged."""
    return due(home) is not None if (home / NAME).exists() else False


def due(home: Path) -> Due | None:
    """Read and judge the file; None where there is none, or where it may still be being written."""
    file = home / NAME
    try:
        info = file.lstat()
        refusal = _foreign(info)
        text = "" if refusal else file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        return Due(file, _now(), None, f"it cannot be read: {error}")
    if refusal:
        return Due(file, _now(), None, refusal)
    try:
        raw = json.loads(text)
    except ValueError as error:
        settled = time.time() - info.st_mtime >= SETTLE_SECONDS
        return Due(file, _now(), None, f"it is not valid JSON: {error}") if settled else None
    return _judge(file, raw)


def perform(found: Due, vessel: Vessel, settings: Settings, code: Path) -> bool:
    """Carry out what was found; gives whether the new kernel was proven. The report tells everything."""
    report: dict[str, Any] = {"id": found.id, "began": _stamp(), "steps": [], "proof": None}
    if found.instructions is None:
        vessel.say(f"{NAME} is refused: {found.error}; the kernel goes on as it was")
        return _close(found.file, found.id, {**report, "verdict": "refused", "error": found.error}, good=False)
    running = found.file.with_name(f"update_instructions.{found.id}.running.json")
    found.file.rename(running)
    vessel.say(f"Upgrade {found.id}: the kernel stops")
    vessel.halt(settings.upgrade_grace_seconds)
    error = _run_steps(found.instructions, code, report["steps"], vessel.say)
    vessel.launch()
    began = time.monotonic()
    proven = vessel.proven(found.instructions.health_timeout_s)
    report["proof"] = {"answered": proven, "seconds": round(time.monotonic() - began, 3)}
    if not proven:
        error = error or f"the kernel did not answer within {found.instructions.health_timeout_s:g} s"
    verdict = "failed" if error else "done"
    vessel.say(f"Upgrade {found.id}: {verdict}{': ' + error if error else ''}")
    _close(running, found.id, {**report, "verdict": verdict, "error": error}, good=not error)
    return not error


def close_interrupted(home: Path, log: logging.Logger) -> None:
    """Close what a watchdog that died left in the middle: it is not run again."""
    for file in sorted(home.glob("update_instructions.*.running.json")):
        name = file.name.split(".")[1]
        report = {"id": name, "ended": _stamp(), "verdict": "failed", "error": "the watchdog ended in the middle of it"}
        log.error("Upgrade %s was interrupted and is not run again", name)
        _close(file, name, report, good=False)


def _judge(file: Path, raw: Any) -> Due:
    try:
        instructions = Instructions.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        return Due(file, _now(), None, f"{where}: {first['msg']}")
    name = instructions.id or _now()
    missing = [step.run[0] for step in instructions.steps if not _command_exists(step.run[0])]
    if missing:
        return Due(file, name, None, f"there is no command {missing[0]!r}")
    if _ran_before(file, name):
        return Due(file, f"{name}-{_now()}", None, f"instructions {name!r} ran before")
    return Due(file, name, instructions)


def _ran_before(file: Path, name: str) -> bool:
    return any(file.with_name(f"update_instructions.{name}.{end}.json").exists() for end in ("done", "failed"))


def _foreign(info: os.stat_result) -> str:
    if not stat.S_ISREG(info.st_mode):
        return "it is not a regular file"
    if sys.platform == "win32":
        return ""
    if info.st_uid != os.getuid():
        return "it belongs to another user"
    return "it is world-writable" if info.st_mode & stat.S_IWOTH else ""


def _command_exists(command: str) -> bool:
    return shutil.which(command, path=steps.search_path()) is not None


def _run_steps(wanted: Instructions, code: Path, told: list[dict[str, Any]], say: Callable[[str], None]) -> str:
    """Run the steps in order until one fails; gives the error, empty when none did."""
    for number, step in enumerate(wanted.steps, 1):
        say(f"Step {number} of {len(wanted.steps)}: {' '.join(step.run)}")
        done = steps.run(step.run, step.timeout_s, code)
        told.append(done)
        if done["exit_code"] != 0:
            return f"step {number} ({step.run[0]}) {done['ending']}"
    return ""


def _close(file: Path, name: str, report: dict[str, Any], *, good: bool) -> bool:
    report.setdefault("ended", _stamp())
    write_json(file.with_name(f"update_report.{name}.json"), report)
    file.rename(file.with_name(f"update_instructions.{name}.{'done' if good else 'failed'}.json"))
    return good


def _now() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")


def _stamp() -> str:
    return datetime.now(UTC).isoformat()
