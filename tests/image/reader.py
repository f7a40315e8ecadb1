"""A process that reads images which another one has open, and says what it finds; for tests of durability.

It takes a line for each question, the database's file, and answers with a line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from transaction import TransactionManager
from ZODB.DB import DB
from ZODB.FileStorage import FileStorage

from batos.image import class_factory, methods
from batos.image.view import View


def state(view: View, names: list[str]) -> dict[str, Any]:
    """The data slots, and the versions of all methods, of some root objects."""
    found: dict[str, Any] = {}
    for name in names:
        obj = view.root.get(name)
        if obj is None:
            continue
        slots = {slot: value for slot, value in obj._slots.items() if slot.startswith("data")}
        selectors = {slot for slot in obj._slots if slot.startswith("says")} | set(obj._slots.get(methods.REMOVED, ()))
        found[name] = {
            "slots": slots,
            "methods": {selector: _versions(view, obj, selector) for selector in sorted(selectors)},
        }
    return found


def _versions(view: View, obj: Any, selector: str) -> list[list[Any]]:
    rows = methods.history(view, obj, selector)
    return [[row["version"], row["source"], row["active"], row["provenance"]["why"]] for row in rows]


class Reader:
    """The process, as the tests use it."""

    def __init__(self) -> None:
        root = Path(__file__).parents[2]
        command = [sys.executable, "-m", "tests.image.reader"]
        self._process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, file: Path) -> dict[str, Any]:
        """What the other process reads in an image's file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{file}\n")
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _read(file: str) -> dict[str, Any]:
    db = DB(FileStorage(file, read_only=True), class_factory=class_factory.find)
    manager = TransactionManager(explicit=True)
    conn = db.open(manager)
    try:
        manager.begin()
        return state(View(conn, ""), ["one", "two"])
    finally:
        manager.abort()
        conn.close()
        db.close()


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            answer = _read(line.strip())
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)
