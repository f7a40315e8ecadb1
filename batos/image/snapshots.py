"""Named moments: `root["snapshots"]` (an OOBTree, name → tid, time, by whom).

A named moment stays readable until its name is removed: pack goes no further than the oldest one.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

from BTrees.OOBTree import OOBTree
from persistent.timestamp import TimeStamp

from batos.errors import BadField, UnknownTarget

if TYPE_CHECKING:
    from batos.image.view import View

SNAPSHOTS = "snapshots"


def take(view: View, name: str, user: str = "") -> dict[str, str]:
    """Name the moment before this unit of work; gives `name`, `tid`, `time`, `user`.

    Raises:
        BadField: The name is taken.
    """
    kept = view.root.get(SNAPSHOTS)
    if kept is None:
        kept = view.root[SNAPSHOTS] = OOBTree()
    if name in kept:
        raise BadField(f"`name`: there is a snapshot {name!r} already", "Remove it first, or choose another name.")
    kept[name] = {"tid": view.tid, "time": time_of(view.tid), "user": user}
    return {"name": name, **kept[name]}


def listing(view: View) -> list[dict[str, Any]]:
    """All snapshots, oldest first: `name`, `tid`, `time`, `user`."""
    rows = [{"name": name, **entry} for name, entry in view.root.get(SNAPSHOTS, {}).items()]
    return sorted(rows, key=lambda row: (row["tid"], row["name"]))


def remove(view: View, name: str) -> dict[str, Any]:
    """Take a name away, so that pack may drop its moment; gives what it named.

    Raises:
        UnknownTarget: There is no such snapshot.
    """
    kept = view.root.get(SNAPSHOTS, {})
    if name not in kept:
        raise UnknownTarget(f"There is no snapshot {name!r}", "The command `snapshot` without a name lists them.")
    entry = dict(kept[name])
    del kept[name]
    return {"name": name, **entry}


def tid_of(view: View, name: str) -> str | None:
    """The tid of a snapshot; None when there is none of that name."""
    entry = view.root.get(SNAPSHOTS, {}).get(name)
    return None if entry is None else str(entry["tid"])


def time_of(tid: str) -> str:
    """When a transaction was, ISO 8601, UTC; rounded up, so that the image as of that time has it."""
    stamp = TimeStamp(bytes.fromhex(tid))
    minute = dt.datetime(stamp.year(), stamp.month(), stamp.day(), stamp.hour(), stamp.minute(), tzinfo=dt.UTC)
    return (minute + dt.timedelta(microseconds=math.ceil(stamp.second() * 1e6 - 1e-3))).isoformat(
        timespec="microseconds"
    )


def time_text(seconds: float) -> str:
    """A Unix time as ISO 8601, UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")
