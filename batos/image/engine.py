"""How the image's database is opened: FileStorage with blobs, the allow-list of classes, one writer.

Engine differences live here and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import zc.lockfile
from ZODB.DB import DB
from ZODB.FileStorage import FileStorage
from ZODB.POSException import ConflictError

from batos.errors import ImageInUse
from batos.image import class_factory, preflight

if TYPE_CHECKING:
    from pathlib import Path


class Opened(NamedTuple):
    """An open database and what the preflight found."""

    db: Any
    health: preflight.Health


class ImageStorage(FileStorage):  # type: ignore[misc]
    """FileStorage that never merges conflicting records: merging would load them without the allow-list."""

    def tryToResolveConflict(  # noqa: N802  # ZODB's name
        self,
        oid: bytes,
        committedSerial: bytes,  # noqa: N803
        oldSerial: bytes,  # noqa: N803
        newpickle: bytes,
        committedData: bytes = b"",  # noqa: N803
    ) -> bytes:
        """Refuse; the unit of work runs again."""
        raise ConflictError(oid=oid, serials=(committedSerial, oldSerial), data=newpickle or committedData)


def open_database(db_file: Path, blob_dir: Path, cache_objects: int) -> Opened:
    """Check the image's file and open it.

    Raises:
        ImageInUse: Another process has it open.
        ImageDamaged: It needs a repair first.
        OSError: The disk refuses.
    """
    db_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        health = _checked(db_file, blob_dir)
        storage = ImageStorage(str(db_file), blob_dir=str(blob_dir), pack_keep_old=False)
    except zc.lockfile.LockError:
        raise ImageInUse(f"{db_file} is open in another process") from None
    try:
        # One connection serves all units of work; the second is for a moment of the past.
        db = DB(storage, pool_size=4, cache_size=cache_objects, class_factory=class_factory.find)
    except BaseException:
        storage.close()
        raise
    return Opened(db, health)


def is_shut(db: Any) -> bool:
    """Tell whether the storage has shut itself after a failure of the disk in the middle of a commit."""
    return db is not None and bool(db.storage._file.closed)  # the engine has no other sign


def _checked(db_file: Path, blob_dir: Path) -> preflight.Health:
    # Under the writer's lock: a file that another process writes to must not be healed.
    lock = zc.lockfile.LockFile(f"{db_file}.lock")
    try:
        return preflight.check(db_file, blob_dir)
    finally:
        lock.close()
