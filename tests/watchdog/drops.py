"""Dropping instruction files and reading reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from batos.watchdog.files import read_json
from batos.watchdog.instructions import NAME

if TYPE_CHECKING:
    from pathlib import Path


def drop(home: Path, value: Any) -> Path:
    """Drop an instruction file: a text as it is, anything else as JSON."""
    file = home / NAME
    new = home / ".drop"
    new.write_text(value if isinstance(value, str) else json.dumps(value))
    new.replace(file)
    return file


def report(home: Path, name: str) -> dict[str, Any]:
    """The report of an upgrade."""
    return read_json(home / f"update_report.{name}.json")


def reports(home: Path) -> list[dict[str, Any]]:
    """All reports."""
    return [read_json(file) for file in home.glob("update_report.*.json")]


def ended(home: Path, name: str, end: str) -> bool:
    """Whether an upgrade ended so."""
    return (home / f"update_instructions.{name}.{end}.json").exists()
