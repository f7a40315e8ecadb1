"""The journal's outbox: log lines written in the same transaction as what they tell of, until they are in the file.

A line's `seq` is 1, 2, 3 … over the life of the image, without a gap: it is given inside the transaction, so a
transaction that does not happen uses none up. The journal writes the lines out, then they are trimmed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from BTrees.Length import Length
from BTrees.LOBTree import LOBTree

from batos import codec

if TYPE_CHECKING:
    from batos.image.store import View

LINES = "journal_outbox"
COUNTER = "journal_seq"


def append(view: View, line: dict[str, Any]) -> int:
    """Put a line of the metacognition log into the outbox; gives its `seq`.

    Args:
        view: The unit of work that does what the line tells of.
        line: Plain data without `seq`.
    """
    counter = view.root.get(COUNTER)
    if counter is None:
        counter = view.root[COUNTER] = Length()
    if LINES not in view.root:
        view.root[LINES] = LOBTree()
    counter.change(1)
    seq = int(counter())
    view.root[LINES][seq] = codec.pack(line)
    return seq


def pending(view: View, after: int, limit: int) -> list[dict[str, Any]]:
    """Give the lines with a `seq` greater than `after`, oldest first, at most `limit` of them."""
    lines: list[dict[str, Any]] = []
    for seq, data in view.root.get(LINES, LOBTree()).items(after, excludemin=True):
        if len(lines) >= limit:
            break
        lines.append({"seq": int(seq), **codec.unpack(data)})
    return lines


def trim(view: View, upto: int) -> int:
    """Drop the lines up to a `seq`, which are in the file; gives how many there were."""
    lines = view.root.get(LINES)
    done = [] if lines is None else list(lines.keys(max=upto))
    for seq in done:
        del lines[seq]
    return len(done)


def resume(view: View, last_seq: int) -> int:
    """Go on counting after what the file holds already; gives the last `seq` that was used.

    The file is ahead of the image only when the image was restored from a backup: without this, new lines would get
    numbers that the file has, and the journal would take them for doubles.
    """
    used = int(view.root[COUNTER]()) if COUNTER in view.root else 0
    if last_seq > used:
        view.root.setdefault(COUNTER, Length()).set(last_seq)
    return max(used, last_seq)
