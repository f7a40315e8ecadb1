"""A backup of the image while it is used: one moment of it, whole, with its blobs, and proven.

The database's file only grows, so a prefix that ends behind a transaction is the image as it was right after it. That
prefix is copied, the blobs of that moment are linked where the file system can and copied where not, and then the copy
is opened and the digest of its whole graph compared with that of the image at the same moment. A backup is a folder::

    backup.json     what is in it: moment, digests, blobs, and what was left out
    image.fs        the database
    blobs/          the blobs

It is written under another name and renamed when it is proven, so a folder of that name is a good backup. (ZODB's
repozo copies no blobs and reads the file through a second storage, so it is not used.)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ZODB.FileStorage import FileStorage

import batos
from batos.errors import BadField, Conflict, ImageDamaged
from batos.image import blobs, files, graph
from batos.image.graph import quiet
from batos.image.snapshots import time_of

if TYPE_CHECKING:
    from batos.image.graph import Print, Tell
    from batos.image.view import View

MANIFEST = "backup.json"
DATABASE = "image.fs"
BLOBS = "blobs"
FORMAT = 1
_CHUNK = 1 << 20
_LENGTH = struct.Struct(">Q")


def write(view: View, folder: str, leave_out: frozenset[str], tell: Tell = quiet) -> dict[str, Any]:
    """Make a backup of the image as it is when this begins. Others may write meanwhile; nobody may pack.

    Args:
        view: The unit of work, a study.
        folder: Where it goes; must not exist yet. An absolute path.
        leave_out: Digests of weights that are left out, because a source can give them again.
        tell: Hears of progress.

    Returns:
        `folder`, and what the manifest says: `tid`, `time`, `bytes`, `graph`, `blobs` (a count), `blob_bytes`,
        `left_out` (`name`, `sha256`, `size` of each file of weights that was left out).

    Raises:
        BadField: The folder is there already, or its path is not absolute.
        ImageDamaged: The copy is not what the image holds.
        OSError: The disk refuses.
    """
    target = Path(folder)
    if not target.is_absolute():
        raise BadField("`folder`: the path of a backup is absolute")
    if target.exists():
        raise BadField(f"`folder`: {target} is there already", "Name a folder that is not there yet.")
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.with_name(f"{target.name}.partial-{uuid.uuid4().hex[:8]}")
    work.mkdir()
    try:
        manifest = _fill(view, work, leave_out, tell)
        os.rename(work, target)  # noqa: PTH104  # fails where the target has come meanwhile
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    blobs.sync_folder(target.parent)
    return {"folder": str(target), **summary(manifest)}


def summary(manifest: dict[str, Any]) -> dict[str, Any]:
    """What people want to know of a backup."""
    taken = [blob for blob in manifest["blobs"] if not blob["left_out"]]
    out = [blob for blob in manifest["blobs"] if blob["left_out"]]
    return {
        "tid": manifest["tid"],
        "time": manifest["time"],
        "bytes": manifest["bytes"],
        "graph": manifest["graph"],
        "blobs": len(taken),
        "blob_bytes": sum(blob["size"] for blob in taken),
        "left_out": [{key: blob[key] for key in ("name", "sha256", "size")} for blob in out],
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a backup.

    Raises:
        BadField: The folder holds no backup that this version reads.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadField(f"{folder} is no backup: {MANIFEST} cannot be read ({error})") from None
    if manifest.get("format") != FORMAT:
        raise BadField(f"{folder} has the format {manifest.get('format')}; this version reads {FORMAT}")
    return manifest


def print_of(db_file: Path, tid: bytes, tell: Tell = quiet, total: int = 0) -> Print:
    """The digest of the graph in a database's file that nobody writes to."""
    storage = FileStorage(str(db_file), read_only=True)
    try:
        return graph.fingerprint(graph.walk(storage, tid), tell, total)
    finally:
        storage.close()


def _fill(view: View, work: Path, leave_out: frozenset[str], tell: Tell) -> dict[str, Any]:
    storage, tell = view.conn.db().storage, _breathing(view, tell)
    size, sha256 = _copy_prefix(files.database(view), storage.getSize(), work / DATABASE, tell)
    tid = _last_tid(work / DATABASE)
    listed = _take_blobs(view, tid, work / BLOBS, leave_out, tell)
    wanted = graph.fingerprint(graph.walk(storage, tid), tell)
    found = print_of(work / DATABASE, tid, tell, wanted.records)
    Path(f"{work / DATABASE}.index").unlink(missing_ok=True)
    if found != wanted:
        raise ImageDamaged("The copy is not what the image holds", "Try again; if it stays so, `image check`.")
    manifest = {
        "format": FORMAT,
        "version": batos.__version__,
        "tid": tid.hex(),
        "time": time_of(tid.hex()),
        "bytes": size,
        "sha256": sha256,
        "graph": {"sha256": wanted.sha256, "records": wanted.records},
        "blobs": listed,
    }
    with (work / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    blobs.sync_folder(work)
    return manifest


def _breathing(view: View, tell: Tell) -> Tell:
    """A word of progress is also the place where a study ends because the image closes."""

    def both(what: str, done: int, total: int) -> None:
        view.breathe()
        tell(what, done, total)

    return both


def _copy_prefix(source: Path, size: int, target: Path, tell: Tell) -> tuple[int, str]:
    """Copy the first bytes of a file; gives their number and digest."""
    sha, done = hashlib.sha256(), 0
    with source.open("rb") as old, target.open("xb") as new:
        while done < size:
            chunk = old.read(min(_CHUNK, size - done))
            if not chunk:
                raise Conflict("The image's file became shorter while it was copied", "Try again.")
            new.write(chunk)
            sha.update(chunk)
            done += len(chunk)
            tell("copy", done, size)
        new.flush()
        os.fsync(new.fileno())
    return size, sha.hexdigest()


def _last_tid(db_file: Path) -> bytes:
    """The tid of the last transaction of a file that ends behind one: it says its length once more at its end."""
    with db_file.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        file.seek(-8 - _LENGTH.unpack(file.read(8))[0], os.SEEK_END)
        return file.read(8)


def _take_blobs(view: View, tid: bytes, into: Path, leave_out: frozenset[str], tell: Tell) -> list[dict[str, Any]]:
    base = files.blob_folder(view)
    into.mkdir()
    layout = base / ".layout"
    if layout.exists():
        shutil.copyfile(layout, into / ".layout")
    known = _known(view)
    found = list(files.blobs(view, tid.hex()))
    listed = []
    for number, file in enumerate(found):
        name, sha256 = known.get((file.oid, file.tid), (None, None))
        path, left_out = file.path.relative_to(base), name is not None and sha256 in leave_out
        if not left_out:
            _take_blob(file.path, into / path)
        row = {"path": path.as_posix(), "size": file.size, "sha256": sha256 or blobs.digest(file.path)}
        listed.append({**row, "name": name, "left_out": left_out})
        tell("blobs", number + 1, len(found))
    _sync_folders(into)
    return listed


def _take_blob(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    blobs._link(source, target)
    blobs._sync_file(target)


def _known(view: View) -> dict[tuple[bytes, bytes], tuple[str, str]]:
    """The name and digest that the records of weights have for blobs, by oid and transaction."""
    found = {}
    for name, record in view.root.get(blobs.WEIGHTS, {}).items():
        for item in record["files"].values():
            # Read raw: a blob whose file is missing does not load as an object.
            stored = graph.load(view.conn.db().storage, item["blob"]._p_oid, bytes.fromhex(view.tid))
            if stored is not None:
                found[stored.oid, stored.tid] = (name, item["sha256"])
    return found


def _sync_folders(top: Path) -> None:
    for place, _folders, _names in os.walk(top):
        blobs.sync_folder(Path(place))
