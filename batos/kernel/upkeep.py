"""What the command `image` does with an open image; blocking, so that a thread serves it.

The kernel asks it for its own image, the operator's commands for a stopped one: both give the same answers.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from batos.errors import Busy
from batos.image import backup, census, exporting, importing, methods, packing, soundness
from batos.memory import catalog
from batos.memory.check import check as check_memory
from batos.mind.catalog import catalog as weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batos.image.graph import Tell
    from batos.image.store import Image
    from batos.image.view import View
    from batos.wire_image import ImageWork

Message = dict[str, Any]
_SAY_SECONDS = 0.2


class Upkeep:
    """Looks after an image.

    Args:
        image: The image, open.
        retention_days: History that a pack keeps when it is not told otherwise.
    """

    def __init__(self, image: Image, retention_days: float) -> None:
        self._image = image
        self._days = retention_days
        self._alone = threading.Lock()
        self._doing = ""
        self._done = dict.fromkeys(("packs", "checks", "backups"), 0)
        self._actions: dict[str, Callable[[ImageWork, Tell], Message]] = {
            "check": self._check,
            "pack": lambda asked, tell: self.pack(asked.days, tell),
            "backup": self._backup,
            "export": self._export,
            "import": self._import,
            "census": lambda _asked, _tell: self._image.study_now(census.census).value,
            "references": lambda asked, _tell: {"references": self._study(census.references_to, asked.target_oid)},
            "senders": lambda asked, _tell: {"senders": self._study(census.senders_of, asked.selector)},
            "implementors": lambda asked, _tell: {"implementors": self._study(census.implementors, asked.selector)},
            "statistics": lambda _asked, _tell: {**self._study(census.statistics), "door": self._image.statistics()},
        }

    def do(self, asked: ImageWork, tell: Tell) -> Message:
        """Do what was asked; gives the report.

        Raises:
            BatosError: What the image says.
        """
        return self._actions[asked.action](asked, Progress(tell))

    def statistics(self) -> dict[str, Any]:
        """What is done just now, and how many `packs`, `checks` and `backups` were done since the start."""
        return {"doing": self._doing if self._alone.locked() else "", **self._done}

    def pack(self, days: float | None, tell: Tell) -> Message:
        """Pack the image; `days` None keeps history as the settings say.

        Raises:
            Busy: A pack, a check or a backup is running.
        """
        with self._only("packs"):
            tell("pack", 0, 1)
            report = packing.pack(self._image, self._days if days is None else days)
            tell("pack", 1, 1)
        return report

    def _check(self, asked: ImageWork, tell: Tell) -> Message:
        with self._only("checks"):
            report = self._image.study_now(soundness.check, asked.blobs, tell).value
            memory = self._image.study_now(check_memory).value
            bad = [{"oid": "knowledge_catalog_obj", "why": why} for why in memory.pop("bad")]
            return {**report, "memory": memory, "bad": [*report["bad"], *bad]}

    def _backup(self, asked: ImageWork, tell: Tell) -> Message:
        files = [] if asked.weights else [file for entry in weights().values() for file in entry.files]
        known = frozenset(file.sha256 for file in files)
        # A pack would take blobs away that are still to be copied.
        with self._only("backups"):
            return self._image.study_now(backup.write, asked.folder, known, tell).value

    def _export(self, asked: ImageWork, _tell: Tell) -> Message:
        return {"files": self._study(exporting.export, asked.target_oid)}

    def _import(self, asked: ImageWork, _tell: Tell) -> Message:
        done = self._image.transact_now(
            take_in, asked.files, asked.name, asked.target_oid, asked.force, note=f"import {asked.name or ''}".strip()
        )
        return {**done.value, "tid": done.tid}

    def _study(self, fn: Callable[..., Any], *args: Any) -> Any:
        return self._image.study_now(fn, *args).value

    @contextmanager
    def _only(self, what: str) -> Iterator[None]:
        """Only one of what must not run beside a pack, at a time."""
        if not self._alone.acquire(blocking=False):
            raise Busy(
                f"One of checks, backups and packs runs at a time; now it is {self._doing}",
                "Try again when it is done.",
            )
        self._doing = what
        try:
            yield
            self._done[what] += 1
        finally:
            self._alone.release()


class Progress:
    """Passes words of progress on: the first and the last of each kind of work, and a few a second between."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._what = ""
        self._said = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Say what is done, and how much of how much."""
        now = time.monotonic()
        if what != self._what or done == total or now - self._said >= _SAY_SECONDS:
            self._what, self._said = what, now
            self._tell(what, done, total)


def take_in(view: View, files: dict[str, bytes], name: str | None, into: Any, force: bool) -> Message:
    """Import an object; Fractal Memory learns its methods as if they were installed here."""
    came = importing.take_in(view, files, name, into, force)
    for method in came["methods"]:
        newest = methods.version(view, view.get(method["oid"]), method["selector"])
        intent = (newest["provenance"].get("mission_brief") or {}).get("intent") or ""
        about = (method["selector"], method["signature"], method["summary"], intent)
        catalog.index_capability(view, method["oid"].hex, *about, source=newest["source"])
    return came
