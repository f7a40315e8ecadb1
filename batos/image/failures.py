"""Post-mortem records of calls that raised: bounded, newest kept."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from BTrees.OOBTree import OOBTree

from batos import codec
from batos.image import laws, methods

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.errors import CodeError
    from batos.image.dispatch import Looked
    from batos.image.store import View

KEEP = 1000

_FAULTS = ("MethodError", "DeadlineExceeded", "MemoryExceeded", "CovenantViolationError")
_MISCALLED = re.compile(
    r"missing \d+ required|takes (from )?\d+ .*positional|unexpected keyword|multiple values for argument"
)

_RAISE = re.compile(r"(?:: |; )raise\b(?! NotImplementedError)")


def told(
    error: CodeError, receiver: Ref, selector: str, args: list[Any], kwargs: dict[str, Any], *, sha256: str, tid: str
) -> dict[str, Any]:
    """A post-mortem: the call, the digest of the source that it ran, what it raised and where, and the moment that it saw."""
    return {
        "receiver": receiver,
        "selector": selector,
        "args": args,
        "kwargs": kwargs,
        "sha256": sha256,
        "error": type(error).__name__,
        "message": error.message,
        "line": error.details.get("line"),
        "traceback": error.details.get("traceback"),
        "time": datetime.now(UTC).isoformat(),
        "tid": tid,
    }


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


def listing(view: View, selector: str | None, limit: int) -> list[dict[str, Any]]:
    """Give records, newest first, each with its `failure` (the id); of one selector where one is named."""
    found: list[dict[str, Any]] = []
    ids = list(view.root.get("failures", ()))
    for failure_id in reversed(ids):
        post_mortem = load(view, failure_id)
        if post_mortem is not None and selector in (None, post_mortem["selector"]):
            found.append({"failure": failure_id, **post_mortem})
        if len(found) >= limit:
            break
    return found


def against(view: View, selector: str, looked: Looked) -> list[dict[str, Any]]:
    """Give the records that speak against the method that answers now, newest first.

    A call that ended at a `raise` of the method's own was refused: that speaks against it only as long as no call is known
    that it answered.
    """
    answers = _answers(view, selector, looked)
    return [
        item
        for item in listing(view, selector, KEEP)
        if item["sha256"] == looked.sha256 and is_fault(item) and not (answers and refused(item.get("traceback")))
    ]


def _answers(view: View, selector: str, looked: Looked) -> bool:
    """Whether a call is known that the method answered: in its evidence, or among those that were kept."""
    if looked.holder is None:
        return False
    told = methods.version(view, view.get(looked.holder), selector)["provenance"]
    shown = any(run.get("passed") and "result" in (run.get("got") or {}) for run in told.get("evidence") or ())
    return shown or bool(laws.calls(view, looked.holder, selector))


def is_fault(post_mortem: dict[str, Any]) -> bool:
    """Tell whether a failure may speak against the method: not one that was called with the wrong number of arguments, say."""
    return post_mortem["error"] in _FAULTS and not _MISCALLED.search(post_mortem["message"])


def refused(traceback: str | None) -> bool:
    """Tell whether a call ended at a `raise` of the method's own, by its traceback's last line."""
    return bool(_RAISE.search((traceback or "").rpartition("\n")[2]))
