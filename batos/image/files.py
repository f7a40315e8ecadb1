"""The image's files on disk, seen from inside a unit of work: the database's file and the files of its blobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.image.view import View


class BlobFile(NamedTuple):
    """The file of one revision of a blob."""

    oid: bytes
    tid: bytes
    path: Path

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.path.stat().st_size


def database(view: View) -> Path:
    """The file of the database."""
    return Path(view.conn.db().storage.getName())


def blob_folder(view: View) -> Path:
    """The folder of the blobs."""
    return Path(view.conn.db().storage.fshelper.base_dir)


def blobs(view: View, tid: str | None = None) -> Iterator[BlobFile]:
    """The files of all revisions of blobs that were written up to a moment (the unit of work's), in order of their oids."""
    last = bytes.fromhex(tid or view.tid)
    helper: Any = view.conn.db().storage.fshelper
    for oid, folder in sorted(helper.listOIDs()):
        for path in sorted(Path(folder).iterdir()):
            written = helper.splitBlobFilename(str(path))[1]
            if written is not None and written <= last:
                yield BlobFile(oid, written, path)


def blob(view: View, oid: bytes, tid: bytes) -> Path:
    """Where the file of one revision of a blob lies, or would lie."""
    return Path(view.conn.db().storage.fshelper.getBlobFilename(oid, tid))
