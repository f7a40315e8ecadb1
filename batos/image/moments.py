"""Moments in the life of the image: tids, times and names of snapshots, and from which moment on it still has them.

A moment is a tid: the image as it was right after that transaction. Pack takes older moments away.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from persistent.timestamp import TimeStamp

from batos.errors import BadField, UnknownTarget
from batos.image import engine, snapshots
from batos.image.snapshots import time_of

if TYPE_CHECKING:
    from batos.image.view import View

_FIRST_YEAR = 1901  # tids count from 1900; a zone may shift a time by a day

_HINT = "`changes` lists the image's moments, `snapshot` those with a name."


def find(view: View, text: str) -> str:
    """Give the tid of a moment that the image still has; takes what `tid_of` takes.

    Raises:
        BadField: It names no moment, or a moment to come.
        UnknownTarget: It was packed away.
    """
    tid = tid_of(view, text)
    oldest = kept_from(view)
    if oldest is not None and tid < oldest:
        raise UnknownTarget(
            f"The moment {tid} was packed away: history is kept from {time_of(oldest)} (tid {oldest}) on",
            "Versions of methods are kept for ever: `history` and `explain` show them. An older backup has the rest.",
        )
    return tid


def tid_of(view: View, text: str) -> str:
    """Give the tid of a moment, whether the image still has it or not.

    Args:
        view: A unit of work on the current image.
        text: A tid (16 hex digits), a time (ISO 8601, UTC when it says no zone), or a snapshot's name.

    Raises:
        BadField: It names no moment, or a moment to come.
    """
    tid = snapshots.tid_of(view, text) or _as_tid(text) or _as_time(view, text)
    if tid is None:
        raise BadField(f"{text!r} is no moment: neither a tid, nor a time, nor the name of a snapshot", _HINT)
    if tid > view.tid:
        raise BadField(f"{text!r} is a moment to come: the last one is {view.tid}", _HINT)
    return tid


def kept_from(view: View) -> str | None:
    """The oldest moment that the image still has whole; None when it was never packed."""
    tid = engine.packed_until(view.conn.db())
    return tid.hex() if any(tid) else None


def before(tid: str) -> str:
    """The moment right before a transaction."""
    return (int(tid, 16) - 1).to_bytes(8, "big").hex()


def tid_at(time: dt.datetime) -> str:
    """A tid that is no older than those of transactions at a time; that of the middle of its microsecond."""
    at = time.astimezone(dt.UTC)
    stamp = TimeStamp(at.year, at.month, at.day, at.hour, at.minute, at.second + (at.microsecond + 0.5) / 1e6)
    return bytes(stamp.raw()).hex()


def _as_tid(text: str) -> str | None:
    return text.lower() if len(text) == 16 and all(sign in "0123456789abcdefABCDEF" for sign in text) else None


def _as_time(view: View, text: str) -> str | None:
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=dt.UTC)
    if time.year < _FIRST_YEAR:
        return None
    tid = tid_at(time)
    # Between the last transaction and now nothing has changed.
    return view.tid if view.tid < tid <= tid_at(dt.datetime.now(dt.UTC)) else tid
