"""Whether the image is sound: every record loads, every reference leads somewhere, every digest is right.

It goes on after what it finds, also in an image that was recovered from damage, and reports all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ZODB.POSException import POSKeyError

from batos.image import blobs, files, graph, methods, mirrors, registry, senders
from batos.image.graph import EVERY, Dangling, Record, quiet
from batos.image.methods import MethodVersion
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from batos.image.graph import Tell
    from batos.image.view import View

_BLOB = ("ZODB.blob", "Blob")
_MISSING = "is referred to, but is not there"


def check(view: View, deep: bool = False, tell: Tell = quiet) -> dict[str, Any]:
    """Read everything and report what is not well.

    Args:
        view: The unit of work, a study.
        deep: Whether the digest of every blob is compared too; without it only its size.
        tell: Hears of progress.

    Returns:
        `tid`, `records`, `objects`, `methods` (versions), `blobs`, and `bad`: `oid` (16 hex digits) and `why` each.
    """
    counts = {"records": 0, "objects": 0, "methods": 0}
    bad: list[dict[str, str]] = []
    dangling: list[Dangling] = []
    total = view.conn.db().objectCount()
    for record in graph.of_view(view, dangling=dangling):
        counts["records"] += 1
        _check_record(view, record, counts, bad)
        if counts["records"] % EVERY == 0:
            tell("records", counts["records"], total)
    bad += [_finding(lost.oid, f"{_MISSING}: {_holder(view, lost)} holds it") for lost in dangling]
    gone = {lost.oid for lost in dangling}
    _check_registry(view, gone, bad)
    _check_senders(view, bad)
    counted = _check_blobs(view, deep, bad, tell)
    tell("records", counts["records"], counts["records"])
    return {"tid": view.tid, **counts, "blobs": counted, "bad": bad}


def _check_record(view: View, record: Record, counts: dict[str, int], bad: list[dict[str, str]]) -> None:
    if record.kind == _BLOB:
        return  # its file is looked at below
    try:
        obj = view.conn.get(record.oid)
        obj._p_activate()
    except Exception as error:  # noqa: BLE001  # whatever a damaged record does, the check goes on
        bad.append(_finding(record.oid, f"its record does not load: {type(error).__name__}: {error}"))
        return
    counts["objects"] += isinstance(obj, UvmObject)
    if isinstance(obj, MethodVersion):
        counts["methods"] += 1
        if methods.digest(obj._source) != obj.sha256:
            what = f"{obj.selector} version {obj.version}"
            bad.append(_finding(record.oid, f"{what}: its text does not match its digest"))


def _check_registry(view: View, gone: set[bytes], bad: list[dict[str, str]]) -> None:
    for oid, obj in view.root.get(registry.REGISTRY, {}).items():
        if oid in gone:
            continue
        if not isinstance(obj, UvmObject) or obj._p_oid != oid:
            bad.append(_finding(oid, "the registry keeps something else under this oid"))


def _check_senders(view: View, bad: list[dict[str, str]]) -> None:
    for obj, selector, name in senders.missing(view, mirrors.everyone(view)):
        bad.append(_finding(view.ref(obj).oid, f"the index of senders lacks that `{selector}` sends `{name}`"))


def _check_blobs(view: View, deep: bool, bad: list[dict[str, str]], tell: Tell) -> int:
    """Compare the files of all weights with what was taken in; gives how many there are."""
    try:
        rows = [
            (name, relative, item)
            for name, record in view.root.get(blobs.WEIGHTS, {}).items()
            for relative, item in record["files"].items()
        ]
    except POSKeyError:
        return 0  # the graph's walk has told of it
    for number, (name, relative, item) in enumerate(rows):
        view.breathe()
        why = _blob_trouble(view, item, deep)
        if why is not None:
            bad.append(_finding(item["blob"]._p_oid, f"`{relative}` of the weights `{name}` {why}"))
        tell("blobs", number + 1, len(rows))
    return len(rows)


def _blob_trouble(view: View, item: dict[str, Any], deep: bool) -> str | None:
    stored = graph.load(view.conn.db().storage, item["blob"]._p_oid, bytes.fromhex(view.tid))
    if stored is None:
        return "has no record"
    file = files.blob(view, stored.oid, stored.tid)
    if not file.is_file():
        return "is missing on disk"
    if file.stat().st_size != item["size"]:
        return f"has {file.stat().st_size} bytes instead of {item['size']}"
    if deep and blobs.digest(file) != item["sha256"]:
        return "does not match its digest"
    return None


def _holder(view: View, lost: Dangling) -> str:
    name = registry.names(view).get(lost.holder)
    if name is not None:
        return f"`{name}`"
    record = graph.load(view.conn.db().storage, lost.holder, bytes.fromhex(view.tid))
    return f"{record.kind[1] if record else 'a record'} {lost.holder.hex()}"


def _finding(oid: bytes, why: str) -> dict[str, str]:
    return {"oid": oid.hex(), "why": why}
