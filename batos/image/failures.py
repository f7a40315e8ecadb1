"""Post-mortem records of calls that raised: bounded, newest kept."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from BTrees.OOBTree import OOBTree

from batos import codec

if TYPE_CHECKING:
    from batos.image.store import View

KEEP = 1000


def record(view: View, post_mortem: dict[str, Any]) -> str:
    """Keep a record of a failed call; the oldest leave when there are more than `KEEP`.

    Returns:
        The record's id; ids sort by time.
    """
    kept = view.root.get("failures")
    if kept is None:
        kept = view.root["failures"] = OOBTree()
    failure_id = f"{post_mortem['time']}-{uuid.uuid4().hex[:8]}"
    kept[failure_id] = codec.pack(post_mortem)
    while len(kept) > KEEP:
        del kept[kept.minKey()]
    return failure_id


def load(view: View, failure_id: str) -> dict[str, Any] | None:
    """Give a record, or None."""
    kept = view.root.get("failures", {})
    data = kept.get(failure_id)
    return None if data is None else dict(codec.unpack(data))
