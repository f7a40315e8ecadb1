"""Weights in the image: files taken in as blobs, by hard link where the file system can, and mapped from there.

`root["weights"]` (an OOBTree) holds a record for each name: `kind` (`file` or `folder`), `size`, `sha256`, `source`,
and `files`: relative path → blob, size and digest. ZODB itself never syncs blobs, so everything is synced here before
the transaction that names it ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import uuid
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from BTrees.OOBTree import OOBTree
from persistent.mapping import PersistentMapping
from ZODB.blob import Blob
from ZODB.POSException import POSKeyError

from batos.errors import BadField, NoWeights, UnknownTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from batos.image.store import Image, View

WEIGHTS = "weights"
_CHUNK = 1 << 18


class Staged(NamedTuple):
    """A file that waits in the blob folder's temporary place, synced and verified."""

    path: Path
    size: int
    sha256: str


def adopt_file(
    image: Image,
    file: Path,
    *,
    sha256: str | None,
    name: str,
    source: str = "",
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Take one file of weights into the image under a name; a record of that name is replaced.

    Blocking and long (it reads the file once): never call it on an event loop. The file becomes read-only when it is
    hard-linked, because it is the blob then.

    Args:
        image: The image.
        file: The file.
        sha256: The digest that it must have, in hex; None takes what it has.
        name: The name of the weights.
        source: Where the file came from, for people.
        on_progress: Gets bytes done and bytes in all.

    Returns:
        The record, as `listing` gives it.

    Raises:
        NoWeights: The file is missing, or its digest is wrong.
        ImageReadOnly: The disk takes no writes.
    """
    digests = {file.name: sha256}
    return _adopt(image, {file.name: file}, digests, name=name, kind="file", source=source, on_progress=on_progress)


def adopt_folder(
    image: Image,
    folder: Path,
    *,
    digests: Mapping[str, str | None] | None = None,
    name: str,
    source: str = "",
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Take a folder of weights (several files) into the image under a name.

    Args:
        image: The image.
        folder: The folder.
        digests: Which files, by relative path with `/`, and the digest of each; None takes all files.
        name: The name of the weights.
        source: Where the files came from, for people.
        on_progress: Gets bytes done and bytes in all.

    Returns:
        The record, as `listing` gives it.

    Raises:
        NoWeights: A file is missing, or a digest is wrong.
        BadField: A path leads out of the folder.
        ImageReadOnly: The disk takes no writes.
    """
    if digests is None:
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        digests = {path.relative_to(folder).as_posix(): None for path in found}
    files = {relative: folder / _inside(relative) for relative in digests}
    if not files:
        raise NoWeights(f"{folder} holds no files")
    return _adopt(image, files, digests, name=name, kind="folder", source=source, on_progress=on_progress)


def path(image: Image, name: str) -> Path:
    """The committed path of a one-file record: read-only, to be mapped by an engine.

    Raises:
        UnknownTarget: There are no weights of that name, or they are a folder.
        NoWeights: The file is not what was taken in.
    """
    files = image.read_now(_files, name, "file").value
    return _checked(name, *files[0][1:3])


def folder(image: Image, name: str, into: Path) -> Path:
    """Lay a folder record out under its own file names, as engines want it; files are links to the blobs.

    Args:
        image: The image.
        name: The name of the weights.
        into: The folder to make or complete.

    Raises:
        UnknownTarget: There are no weights of that name, or they are one file.
        NoWeights: A file is not what was taken in.
    """
    for relative, stored, size, _sha256 in image.read_now(_files, name, "folder").value:
        blob, target = _checked(name, stored, size), into / _inside(relative)
        if target.exists() and target.samefile(blob):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        _link(blob, target)
    return into


def verify(image: Image, name: str) -> None:
    """Read all files of a record and compare their digests.

    Raises:
        UnknownTarget: There are no weights of that name.
        NoWeights: A file is not what was taken in.
    """
    for relative, stored, size, sha256 in image.read_now(_files, name, None).value:
        found = digest(_checked(name, stored, size))
        if found != sha256:
            raise _wrong(f"`{relative}` of the weights `{name}` in the image", sha256, found)


def listing(view: View) -> list[dict[str, Any]]:
    """All records: `name`, `kind`, `size`, `sha256`, `source`, `files` (path → `size`, `sha256`); sorted by name."""
    return [_described(record) for _name, record in view.root.get(WEIGHTS, {}).items()]


def has(view: View, name: str, sha256: str | None = None) -> bool:
    """Tell whether there are weights of that name (and, when given, with that digest)."""
    record = view.root.get(WEIGHTS, {}).get(name)
    return record is not None and (sha256 is None or record["sha256"] == sha256)


def remove(view: View, name: str) -> None:
    """Forget weights; pack frees the disk.

    Raises:
        UnknownTarget: There are none of that name.
    """
    _record(view, name)
    del view.root[WEIGHTS][name]


def digest(file: Path, progress: Callable[[int], None] | None = None) -> str:
    """The sha256 of a file, in hex."""
    sha = hashlib.sha256()
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            sha.update(chunk)
            if progress is not None:
                progress(len(chunk))
    return sha.hexdigest()


def _adopt(
    image: Image,
    files: dict[str, Path],
    digests: Mapping[str, str | None],
    *,
    name: str,
    kind: str,
    source: str,
    on_progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    missing = [file for file in files.values() if not file.is_file()]
    if missing:
        raise NoWeights(f"{missing[0]} is not there")
    total = sum(file.stat().st_size for file in files.values())
    count = _counter(total, on_progress)
    waiting = image.blob_dir / "tmp"
    waiting.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=waiting, prefix="adopt-") as place:
        staged = {
            relative: _stage(file, Path(place) / str(number), digests.get(relative), count)
            for number, (relative, file) in enumerate(files.items())
        }
        sync_folder(Path(place))
        done = image.transact_now(_take_in, name, kind, source, staged, note=f"adopt the weights {name}")
    return done.value


def _stage(file: Path, target: Path, sha256: str | None, count: Callable[[int], None]) -> Staged:
    # Linked first and read then: what was verified is what goes in.
    _link(file.resolve(), target)
    found = digest(target, count)
    if sha256 is not None and found != sha256.lower():
        raise _wrong(str(file), sha256, found)
    _sync_file(target)
    return Staged(target, target.stat().st_size, found)


def _take_in(view: View, name: str, kind: str, source: str, staged: dict[str, Staged]) -> dict[str, Any]:
    files = {}
    blobs = []
    for relative, item in staged.items():
        blob = Blob()
        view.conn.add(blob)
        blob.consumeFile(str(_once_more(item.path)))
        blobs.append(blob)
        files[relative] = {"blob": blob, "size": item.size, "sha256": item.sha256}
    record = PersistentMapping(
        {
            "name": name,
            "kind": kind,
            "size": sum(item.size for item in staged.values()),
            "sha256": _of_all(staged),
            "source": source,
            "files": files,
        }
    )
    if WEIGHTS not in view.root:
        view.root[WEIGHTS] = OOBTree()
    view.root[WEIGHTS][name] = record
    _BlobFolders.join(view, [blob._p_oid for blob in blobs])
    return _described(record)


def _once_more(staged: Path) -> Path:
    """A further link to a staged file: the unit of work may run again, and a blob consumes what it gets."""
    link = staged.with_name(f"{staged.name}.{uuid.uuid4().hex}")
    try:
        os.link(staged, link)
    except OSError:
        return staged
    return link


def _of_all(staged: Mapping[str, Staged]) -> str:
    """The digest of one file, or of the sorted list of paths and digests."""
    if len(staged) == 1:
        return next(iter(staged.values())).sha256
    lines = "".join(f"{item.sha256}  {relative}\n" for relative, item in sorted(staged.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _described(record: Mapping[str, Any]) -> dict[str, Any]:
    files = {key: {"size": item["size"], "sha256": item["sha256"]} for key, item in record["files"].items()}
    return {**{key: record[key] for key in ("name", "kind", "size", "sha256", "source")}, "files": files}


def _record(view: View, name: str) -> Any:
    record = view.root.get(WEIGHTS, {}).get(name)
    if record is None:
        raise UnknownTarget(f"The image has no weights named {name!r}")
    return record


def _files(view: View, name: str, kind: str | None) -> list[tuple[str, str | None, int, str]]:
    record = _record(view, name)
    if kind is not None and record["kind"] != kind:
        raise UnknownTarget(f"The weights {name!r} are a {record['kind']}, not a {kind}")
    return [(key, _committed(item["blob"]), item["size"], item["sha256"]) for key, item in record["files"].items()]


def _committed(blob: Blob) -> str | None:
    try:
        stored: str = blob.committed()
    except POSKeyError:
        # Its file is not there: a power loss may do that.
        return None
    return stored


def _checked(name: str, stored: str | None, size: int) -> Path:
    file = Path(stored or "")
    found = file.stat().st_size if stored is not None else None
    if found != size:
        there = "is missing" if found is None else f"has {found} bytes instead of {size}"
        raise NoWeights(f"A file of the weights {name!r} {there} in the image", "Fetch the weights again.")
    return file


def _wrong(what: str, wanted: str, found: str) -> NoWeights:
    return NoWeights(f"The digest of {what} is {found}, not {wanted}", "The file is damaged: fetch it again.")


def _inside(relative: str) -> Path:
    parts = PurePosixPath(relative)
    if parts.is_absolute() or not parts.parts or ".." in parts.parts or "\\" in relative:
        raise BadField(f"{relative!r} is not a path within the folder")
    return Path(*parts.parts)


def _counter(total: int, on_progress: Callable[[int, int], None] | None) -> Callable[[int], None]:
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        if on_progress is not None:
            on_progress(done, total)

    return count


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Another file system, or one without links.
        shutil.copyfile(source, target)


def _sync_file(file: Path) -> None:
    with file.open("rb") as handle, contextlib.suppress(OSError):
        # Some file systems refuse to sync what was opened for reading.
        os.fsync(handle.fileno())


def sync_folder(place: Path) -> None:
    """Make the names in a folder durable; does nothing where the system cannot."""
    if os.name == "nt":
        return
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _BlobFolders:
    """Takes part in a transaction to sync the folders of its blobs: after they got their places, before it ends."""

    def __init__(self, manager: Any, folders: Iterable[Path]) -> None:
        self.transaction_manager = manager
        self._folders = list(folders)

    @classmethod
    def join(cls, view: View, oids: list[bytes]) -> None:
        helper = view.conn.db().storage.fshelper
        base = Path(helper.base_dir)
        folders: dict[Path, None] = {}
        for oid in oids:
            place = Path(helper.getPathForOID(oid))
            while place != base and base in place.parents:
                folders[place] = None
                place = place.parent
        manager = view.conn.transaction_manager
        manager.get().join(cls(manager, [*folders, base]))

    def tpc_vote(self, transaction: Any) -> None:
        del transaction
        for place in self._folders:
            if place.is_dir():
                sync_folder(place)

    def sortKey(self) -> str:  # noqa: N802  # the name in the protocol of transactions
        # After the storage, whose vote has moved the blobs.
        return "~blob folders"

    def _nothing(self, transaction: Any) -> None:
        del transaction

    abort = tpc_begin = commit = tpc_finish = tpc_abort = _nothing
