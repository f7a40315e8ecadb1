"""How far a pack may go: by the days that history is kept, and never past the oldest named moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from persistent.timestamp import TimeStamp

from batos.image import files, snapshots

if TYPE_CHECKING:
    from batos.image.store import Image
    from batos.image.view import View

_DAY = 86_400.0
# A tid holds a time to about 15 ns; the pack stays clear of the snapshot's own transaction by more.
_APART = 0.000_1


def pack(image: Image, days: float) -> dict[str, Any]:
    """Drop what nothing reaches any more, and history older than some days; blocks, but holds no unit of work up.

    Every version of every method stays with its provenance, and a named moment stays readable.

    Args:
        image: The image.
        days: History that stays; 0 keeps only what is current.

    Returns:
        `until` (the time up to which history is gone), `held_by` (the snapshot that kept the pack from going on, or
        None), `bytes` and `blob_bytes` (`[before, after]`), `seconds`.

    Raises:
        Conflict: Another pack is running.
        ImageReadOnly: The disk takes no writes.
        Stopping: The image is closed.
    """
    began = time.monotonic()
    until, held_by = time.time() - days * _DAY, None
    kept = image.study_now(snapshots.listing).value
    if kept and (oldest := TimeStamp(bytes.fromhex(kept[0]["tid"])).timeTime() - _APART) < until:
        until, held_by = oldest, kept[0]["name"]
    before = image.study_now(sizes).value
    image.pack_now(until=until)
    after = image.study_now(sizes).value
    return {
        "until": snapshots.time_text(until),
        "held_by": held_by,
        "bytes": [before[0], after[0]],
        "blob_bytes": [before[1], after[1]],
        "seconds": round(time.monotonic() - began, 3),
    }


def sizes(view: View) -> tuple[int, int]:
    """The bytes of the database's file, and those of all blobs."""
    return view.conn.db().getSize(), sum(file.size for file in files.blobs(view))
