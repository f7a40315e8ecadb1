"""How far an upgrade has come, on the disk before each stage begins, so that whoever comes next can finish or undo it.

::

    preparing ──> stopping ──> proving ──> proven ──> (closed: done)
        └────────────┴───────────┴──> returning ──> returned ──> (closed: failed)

`proven` is the point of no return: the kernel in proof reads it here itself and opens the bridge to everybody. Until
then it accepts nothing, so that going back loses nothing; from then on the upgrade is only finished.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.watchdog import files

if TYPE_CHECKING:
    from pathlib import Path

PREPARING, STOPPING, PROVING, PROVEN = "preparing", "stopping", "proving", "proven"
RETURNING, RETURNED = "returning", "returned"
FILE = "upgrade.json"


class Logbook:
    """The record of the upgrade in progress; empty where there is none.

    Args:
        folder: `BATOS_HOME/run`.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        self.entry: dict[str, Any] = files.read_json(self.file)

    @property
    def bound(self) -> bool:
        """Whether no kernel may serve before the upgrade is ended: image or code may be those of the new release."""
        return self.stage in {PROVING, RETURNING}

    @property
    def stage(self) -> str:
        """The stage that was begun last."""
        return str(self.entry.get("stage", ""))

    def begin(self, name: str, **fields: Any) -> None:
        """Open the record of an upgrade."""
        self._write({"id": name, "stage": PREPARING, **fields})

    def note(self, stage: str, **fields: Any) -> None:
        """Bring a stage and what belongs to it to the disk."""
        self._write({**self.entry, "stage": stage, **fields})

    def close(self) -> None:
        """Forget the upgrade: it is reported."""
        self.entry = {}
        self.file.unlink(missing_ok=True)
        files.sync_folder(self.file.parent)

    def _write(self, entry: dict[str, Any]) -> None:
        files.write_json(self.file, entry, durable=True)
        self.entry = entry
