"""How the image's database is opened: FileStorage with blobs, the allow-list of classes, one writer.

Engine differences live here and nowhere else.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, NamedTuple

import zc.lockfile
from ZODB.Connection import Connection
from ZODB.DB import DB
from ZODB.FileStorage import FileStorage
from ZODB.FileStorage.FileStorage import FileStorageError, TempFormatter
from ZODB.POSException import ConflictError, POSKeyError, ReadOnlyError, StateLoadError
from ZODB.utils import p64, u64

from batos.errors import Conflict, ImageDamaged, ImageInUse, ImageReadOnly
from batos.image import class_factory, collector, preflight
from batos.image.delegation import Remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log = logging.getLogger("batos.image")
_READ_ONLY = frozenset(
    number
    for name in ("ENOSPC", "EROFS", "EACCES", "EPERM", "EDQUOT", "EFBIG")
    if (number := getattr(errno, name, None)) is not None
)
_AGAIN_SECONDS = 2.0
"""How often an image that could only be read is tried again."""
_MEND = "Make room on its disk, and see that this user may write in its folder."


class Opened(NamedTuple):
    """An open database and what the preflight found."""

    db: Any
    health: preflight.Health


class ImageStorage(FileStorage):  # type: ignore[misc]
    """FileStorage that never merges conflicting records: merging would load them without the allow-list.

    Attributes:
        packed_until: A cache of the function of that name; None when it is not known.
        before_sync: Called when a commit is about to wait for the disk.
        opened: When it was opened, by a clock that only grows.
    """

    packed_until: bytes | None = None
    before_sync: Callable[[], None] | None = None
    _file: Any
    _tfile: Any

    def __init__(self, *args: Any, **more: Any) -> None:
        self.opened = time.monotonic()
        super().__init__(*args, **more)

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

    def _finish_finish(self, tid: bytes) -> None:
        if self.before_sync is not None:
            self.before_sync()
        super()._finish_finish(tid)

    def tpc_vote(self, transaction: Any) -> Any:
        """Write the transaction; what a full disk took of it is taken back wholly.

        The engine means to cut it off, but the file's buffer still holds what the disk did not take, writes it before it
        cuts, and fails again: the rest of it stays in the file and in the buffers of readers, who take it for records.
        """
        try:
            return super().tpc_vote(transaction)
        except OSError:
            with self._lock:
                with suppress(OSError):
                    self._file.close()
                self._file = Path(self._file_name).open("r+b")  # noqa: SIM115 - the storage closes it
                self._file.truncate(self._pos)
                self._files.flush()
            raise

    def _clear_temp(self) -> None:
        try:
            super()._clear_temp()
        except OSError:  # the same of the file in which a transaction is gathered
            with suppress(OSError):
                self._tfile.close()
            self._tfile = Path(f"{self._file_name}.tmp").open("w+b")  # noqa: SIM115
            self._tfmt = TempFormatter(self._tfile)

    def packer(self, storage: Any, referencesf: Any, stop: bytes, gc: bool) -> Any:
        """Write the packed file, and sync it before it takes the old one's place; the engine does not."""
        packed = collector.pack(storage, referencesf, stop, gc)
        if packed is not None:
            try:
                with Path(f"{self._file_name}.pack").open("rb+") as file:
                    os.fsync(file.fileno())
            except BaseException:
                self._commit_lock.release()
                raise
        return packed


class ImageConnection(Connection):  # type: ignore[misc]
    """A connection that remembers lookups for as long as they are right.

    Attributes:
        remembered: What it remembers; see `delegation`.
        packs_seen: How many packs its cache has seen.
    """

    packs_seen = 0

    def __init__(self, *args: Any, **more: Any) -> None:
        self.remembered = Remembered()
        super().__init__(*args, **more)

    def newTransaction(self, transaction: Any, sync: bool = True) -> None:  # noqa: N802  # ZODB's name
        """Take in what other connections have committed."""
        del transaction
        self._readCurrent.clear()
        self._storage.sync(sync)
        changed = self._storage.poll_invalidations()
        if changed is None:
            # So much that the storage has lost count.
            changed = list(self._cache.cache_data)
        self.remembered.begin(invalidated=bool(changed))
        self._cache.invalidate(changed)

    def abort(self, transaction: Any) -> None:
        """Take the transaction's changes back."""
        super().abort(transaction)
        self.remembered.clear()

    def tpc_abort(self, transaction: Any) -> None:
        """Take back what failed in the middle of its commit."""
        super().tpc_abort(transaction)
        self.remembered.clear()

    def _rollback_savepoint(self, state: Any) -> None:
        super()._rollback_savepoint(state)
        self.remembered.clear()

    def _resetCache(self) -> None:  # noqa: N802  # ZODB's name
        super()._resetCache()
        self.remembered.clear()

    def _release_resources(self) -> None:
        self.remembered.clear()
        super()._release_resources()


class ImageDB(DB):  # type: ignore[misc]
    """The database, with our connections."""

    klass = ImageConnection


def open_database(db_file: Path, blob_dir: Path, cache_objects: int) -> Opened:
    """Check the image's file and open it; where it may not be written, for reading.

    Raises:
        ImageInUse: Another process has it open.
        ImageDamaged: It needs a repair first.
        OSError: The disk refuses.
    """
    db_file.parent.mkdir(parents=True, exist_ok=True)
    more = {"blob_dir": str(blob_dir), "pack_keep_old": False}
    try:
        health = _checked(db_file, blob_dir)
        storage = ImageStorage(str(db_file), **more)
    except zc.lockfile.LockError:
        raise ImageInUse(f"{db_file} is open in another process") from None
    except OSError as error:
        if error.errno not in _READ_ONLY or not os.access(db_file, os.R_OK):
            raise
        _log.warning("%s can only be read: %s", db_file, error.strerror)
        health = preflight.Health("unwritable")
        storage = ImageStorage(str(db_file), **more, read_only=True)
    try:
        # One connection serves all units of work, the others are for studies.
        db = ImageDB(storage, pool_size=8, cache_size=cache_objects, class_factory=class_factory.find)
    except BaseException:
        storage.close()
        raise
    return Opened(db, health)


def is_shut(db: Any) -> bool:
    """Tell whether the storage has shut itself after a failure of the disk in the middle of a commit."""
    if db is None:
        return False
    # The engine has no other sign; a pack closes the file too, for a moment, under the lock.
    with db.storage._lock:
        return bool(db.storage._file.closed)


def may_write_again(db: Any) -> bool:
    """Tell whether an image that could only be read should be opened anew, because it may be written by now."""
    if db is None or not db.storage.isReadOnly():
        return False
    file = Path(db.storage.getName())
    waited = time.monotonic() - db.storage.opened >= _AGAIN_SECONDS
    return waited and os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)


def snapshot_tid(conn: Any) -> str:
    """The last transaction that a connection sees, 16 hex digits."""
    tid: bytes = p64(u64(conn._storage._start) - 1)  # what the engine loads is older than this
    return tid.hex()


def parse_tid(text: str) -> bytes | None:
    """The bytes of a tid in hex digits; None when the text is none."""
    try:
        tid = bytes.fromhex(text)
    except ValueError:
        return None
    return tid if len(tid) == 8 else None


def packed_until(db: Any) -> bytes:
    """The tid up to which a pack has taken history away; what was before it can't be seen whole."""
    storage = db.storage
    with storage._lock:
        if storage.packed_until is None:
            storage.packed_until = preflight.last_packed(storage.getName())
        tid: bytes = storage.packed_until
    return tid


def pack(db: Any, until: float) -> None:
    """Drop what nothing reaches and history before a time (seconds since 1970); commits go on meanwhile.

    Raises:
        Conflict: Another pack is running.
        OSError: The disk refuses.
    """
    try:
        db.pack(until)
    except FileStorageError as error:
        raise Conflict(f"The image is not packed: {error}") from None
    finally:
        db.storage.packed_until = None


@contextmanager
def errors(what: str = "The image takes no writes") -> Iterator[None]:
    """Where the disk refuses a write, say so in our words.

    Args:
        what: Those words.

    Raises:
        ImageReadOnly: The disk is full, read-only or not ours.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        raise ImageReadOnly(f"{what}: {error.strerror}", _MEND, reason=error.strerror) from error
    except ReadOnlyError as error:
        raise _unwritable() from error


@contextmanager
def damages() -> Iterator[None]:
    """Where a record does not load, or none may be made, say so in our words.

    Raises:
        ImageDamaged: The record names what may not be loaded, is none of the image's, or is not there.
        ImageReadOnly: The image could only be opened for reading.
    """
    try:
        yield
    except ReadOnlyError as error:
        raise _unwritable() from error
    except POSKeyError as error:
        raise ImageDamaged(
            f"The object {error.args[0].hex()} is referred to, but is not there",
            "`python -m batos image check` lists what is missing; restore a backup, or remove what refers to it.",
        ) from error
    except (StateLoadError, UnpicklingError) as error:
        cause = error.__cause__ or error.__context__ or error
        raise ImageDamaged(
            f"A record of the image does not load: {cause}", "Restore a backup, or remove what refers to the object."
        ) from error


def _unwritable() -> ImageReadOnly:
    return ImageReadOnly("The image could only be opened for reading", _MEND, reason="opened for reading")


def _checked(db_file: Path, blob_dir: Path) -> preflight.Health:
    # Under the writer's lock: a file that another process writes to must not be healed.
    lock = zc.lockfile.LockFile(f"{db_file}.lock")
    try:
        return preflight.check(db_file, blob_dir)
    finally:
        lock.close()
