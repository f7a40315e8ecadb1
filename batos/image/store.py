"""The one door to the image: units of work, each a function that runs in the image thread inside one transaction.

A unit of work opens a connection with an explicit transaction manager of its own, begins, calls the function, commits
and closes. The thread-local manager is never used: two tasks that share it commit each other's half work, or hang.
The function is synchronous and gives plain data back; objects of the image never leave it. A unit whose objects were
changed by another process meanwhile runs again from its start, so it keeps nothing from a run that failed.
"""

from __future__ import annotations

import asyncio
import errno
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from persistent import Persistent
from transaction import TransactionManager
from transaction.interfaces import TransientError
from ZODB.POSException import POSKeyError

from batos.codec import Ref
from batos.errors import BadField, Conflict, ImageReadOnly, Stopping, TooLarge, UnknownTarget
from batos.image import engine
from batos.image.objects import UvmObject
from batos.wire import is_oid_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

TRIES = 8
_NOTE_LIMIT = 60_000
_READ_ONLY = frozenset(
    number
    for name in ("ENOSPC", "EROFS", "EACCES", "EPERM", "EDQUOT", "EFBIG")
    if (number := getattr(errno, name, None)) is not None
)


class Commit(NamedTuple, Generic[T]):
    """What a unit of work gave back, and its transaction.

    Attributes:
        value: Plain data.
        tid: 16 hex digits: of the write, or of the snapshot that was read.
    """

    value: T
    tid: str


class View:
    """What a unit of work sees of the image; valid only inside it.

    Attributes:
        conn: The ZODB connection.
        root: The root mapping.
        tid: Of the snapshot, 16 hex digits.
    """

    def __init__(self, conn: Any, tid: str) -> None:
        self.conn = conn
        self.root: Any = conn.root()
        self.tid = tid

    def get(self, ref: Ref) -> UvmObject:
        """The object of a reference.

        Raises:
            UnknownTarget: There is none, or it is not a `UvmObject`.
        """
        try:
            obj = self.conn.get(ref.oid)
            if isinstance(obj, UvmObject):
                # The cache may hold the ghost of an object that a pack has taken away.
                obj._p_activate()
                return obj
        except POSKeyError:
            pass
        raise UnknownTarget(f"There is no object with the oid {ref.hex}")

    def resolve(self, target: str | Ref | int) -> UvmObject:
        """The object that a request names: a root object's name, an oid, or a reference.

        Raises:
            UnknownTarget: There is none, or it was removed.
        """
        ref = _as_ref(target)
        if ref is None:
            named = self.root.get(target)
            if not isinstance(named, UvmObject):
                raise UnknownTarget(f"There is no object named {target!r}")
            return named
        obj = self.get(ref)
        if "_removed_" in obj._slots:
            raise UnknownTarget(f"The object {ref.hex} was removed")
        return obj

    def ref(self, obj: UvmObject) -> Ref:
        """The reference of an object; a new one gets its oid now."""
        if obj._p_oid is None:
            self.conn.add(obj)
        return Ref(obj._p_oid)


class Image:
    """The Living Image, opened.

    Args:
        db_file: The image's file; made when it is missing.
        blob_dir: The folder of its blobs.
        cache_objects: Objects that stay loaded between units of work.

    Raises:
        ImageInUse: Another process has it open.
        ImageDamaged: It needs a repair first.
        ImageReadOnly: It cannot be opened for writing.
    """

    def __init__(self, db_file: Path, blob_dir: Path, *, cache_objects: int = 50_000) -> None:
        self.db_file = Path(db_file)
        self.blob_dir = Path(blob_dir)
        self._cache_objects = cache_objects
        with _storage_errors():
            opened = engine.open_database(self.db_file, self.blob_dir, cache_objects)
        self._db: Any = opened.db
        self.health = opened.health
        self._thread = ThreadPoolExecutor(1, "image")
        self._inside = threading.local()
        self._closed = False
        self._waiting = 0
        self._commits = 0
        self._conflicts = 0
        self._count = threading.Lock()

    @property
    def tid(self) -> str:
        """The last transaction, 16 hex digits; "" when the image is closed."""
        db = self._db
        return db.lastTransaction().hex() if db is not None else ""

    async def transact(
        self,
        fn: Callable[..., T],
        *args: Any,
        note: str = "",
        user: str = "",
        why: dict[str, Any] | None = None,
    ) -> Commit[T]:
        """Run `fn(view, *args)` in one transaction and commit it; all of it is stored, or nothing.

        A cancelled caller leaves at once; the unit of work goes on to its end.

        Args:
            fn: The unit of work: synchronous, gives plain data, may run more than once.
            args: What it gets after the view.
            note: What the transaction is for; shown in the change log.
            user: On whose behalf.
            why: More plain data for the change log. What must last belongs in objects: pack drops old transactions.

        Raises:
            Conflict: Others kept changing the same objects.
            ImageReadOnly: The disk takes no writes.
            Stopping: The image is closed.
            Exception: Whatever `fn` raises; nothing is stored then.
        """
        return await self._await(partial(self._transact, fn, args, note, user, why))

    async def read(self, fn: Callable[..., T], *args: Any, at: str | None = None) -> Commit[T]:
        """Run `fn(view, *args)` on a snapshot; nothing that it changes is kept.

        Args:
            fn: The unit of work: synchronous, gives plain data.
            args: What it gets after the view.
            at: A tid: the image as it was right after that transaction.

        Raises:
            BadField: `at` is not a tid of the past.
            Stopping: The image is closed.
            Exception: Whatever `fn` raises.
        """
        return await self._await(partial(self._read, fn, args, at))

    def transact_now(
        self,
        fn: Callable[..., T],
        *args: Any,
        note: str = "",
        user: str = "",
        why: dict[str, Any] | None = None,
    ) -> Commit[T]:
        """The same as `transact`, but blocking; for any thread but the image's own."""
        return self._submit(partial(self._transact, fn, args, note, user, why)).result()

    def read_now(self, fn: Callable[..., T], *args: Any, at: str | None = None) -> Commit[T]:
        """The same as `read`, but blocking; for any thread but the image's own."""
        return self._submit(partial(self._read, fn, args, at)).result()

    def pack_now(self, *, keep_seconds: float = 0) -> None:
        """Drop what nothing reaches any more and history older than `keep_seconds`; other units of work wait.

        Raises:
            ImageReadOnly: The disk takes no writes.
            Stopping: The image is closed.
        """
        self._submit(partial(self._pack, keep_seconds)).result()

    async def close(self) -> None:
        """Finish the work that waits and close the image."""
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self.close_now))

    def close_now(self) -> None:
        """The same as `close`, but blocking. Closing twice does no harm."""
        with self._count:
            if self._closed:
                return
            self._closed = True
        # The last in the queue, so that all that waits is done first.
        self._thread.submit(self._close_database).result()
        self._thread.shutdown()

    def statistics(self) -> dict[str, Any]:
        """Figures: `tid`, `objects`, `bytes`, `queue`, `commits`, `conflicts`."""
        db = self._db
        return {
            "tid": self.tid,
            "objects": db.objectCount() if db is not None else 0,
            "bytes": db.getSize() if db is not None else 0,
            "queue": self._waiting,
            "commits": self._commits,
            "conflicts": self._conflicts,
        }

    def _submit(self, work: Callable[[], Commit[T]]) -> Future[Commit[T]]:
        if getattr(self._inside, "now", False):
            raise RuntimeError("A unit of work must not start another one and wait for it: call its function instead")
        with self._count:
            if self._closed:
                raise Stopping("The image is closed")
            self._waiting += 1
            return self._thread.submit(self._run, work)

    async def _await(self, work: Callable[[], Commit[T]]) -> Commit[T]:
        return await asyncio.shield(asyncio.wrap_future(self._submit(work)))

    def _run(self, work: Callable[[], Commit[T]]) -> Commit[T]:
        self._inside.now = True
        try:
            return work()
        finally:
            self._inside.now = False
            with self._count:
                self._waiting -= 1

    def _transact(
        self, fn: Callable[..., T], args: tuple[Any, ...], note: str, user: str, why: dict[str, Any] | None
    ) -> Commit[T]:
        if len(note) + len(user) + len(repr(why)) > _NOTE_LIMIT:
            raise TooLarge(f"What is noted of a transaction is over {_NOTE_LIMIT} characters")
        for attempt in range(TRIES):
            try:
                return self._attempt(fn, args, note, user, why)
            except TransientError:
                self._conflicts += 1
                time.sleep(random.uniform(0.5, 1.5) * 0.002 * 2**attempt)  # noqa: S311  # jitter, not a secret
        raise Conflict(f"Others kept changing the same objects; gave up after {TRIES} tries")

    def _attempt(
        self, fn: Callable[..., T], args: tuple[Any, ...], note: str, user: str, why: dict[str, Any] | None
    ) -> Commit[T]:
        with self._unit() as (conn, tm):
            current = tm.get()
            if note:
                current.note(note)
            if user:
                current.user = user
            for key, item in (why or {}).items():
                current.setExtendedInfo(key, item)
            value = _plain(fn(View(conn, self.tid), *args))
            with _storage_errors():
                tm.commit()
            self._commits += 1
            return Commit(value, self.tid)

    def _read(self, fn: Callable[..., T], args: tuple[Any, ...], at: str | None) -> Commit[T]:
        with self._unit(at) as (conn, _tm):
            tid = self.tid if at is None else at
            try:
                view = View(conn, tid)
            except POSKeyError:
                # Before the image began, or before what a pack has kept.
                raise _no_moment(tid) from None
            return Commit(_plain(fn(view, *args)), tid)

    def _pack(self, keep_seconds: float) -> Commit[None]:
        db = self._open_database()
        with _storage_errors():
            db.pack(time.time() - keep_seconds)
        # What is gone must not be answered from a cache.
        db.cacheMinimize()
        return Commit(None, self.tid)

    @contextmanager
    def _unit(self, at: str | None = None) -> Iterator[tuple[Any, Any]]:
        """A connection in a transaction of its own; what is not committed at the end is gone."""
        db = self._open_database()
        tm = TransactionManager(explicit=True)
        conn = _open_connection(db, tm, at)
        try:
            tm.begin()
            yield conn, tm
        finally:
            # After a commit there is no transaction left to abort.
            with suppress(Exception):
                tm.abort()
            conn.close()
            self._drop_broken()

    def _open_database(self) -> Any:
        if self._db is None:
            with _storage_errors():
                self._db = engine.open_database(self.db_file, self.blob_dir, self._cache_objects).db
        return self._db

    def _drop_broken(self) -> None:
        """A storage whose disk failed in the middle of a commit shuts itself; the next unit opens it anew."""
        if engine.is_shut(self._db):
            self._close_database()

    def _close_database(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(OSError, ValueError):
                db.close()


def _open_connection(db: Any, tm: Any, at: str | None) -> Any:
    if at is None:
        return db.open(tm)
    tid = _moment(at)
    if tid is None or tid > db.lastTransaction():
        raise _no_moment(at)
    return db.open(tm, at=tid)


def _no_moment(at: str) -> BadField:
    return BadField(f"`at`: {at!r} is not a moment of this image", "`history` and the replies to writes give tids.")


def _moment(at: str) -> bytes | None:
    try:
        tid = bytes.fromhex(at)
    except ValueError:
        return None
    return tid if len(tid) == 8 else None


def _plain(value: T) -> T:
    if isinstance(value, (Persistent, View)):
        raise TypeError(f"A unit of work gives plain data back, not a {type(value).__name__}: use `view.ref`")
    return value


def _as_ref(target: str | Ref | int) -> Ref | None:
    if isinstance(target, Ref):
        return target
    if isinstance(target, int):
        return Ref(target.to_bytes(8, "big"))
    if is_oid_text(target):
        number = int(target, 16) if len(target) == 16 else int(target)
        if number < 1 << 64:
            return Ref(number.to_bytes(8, "big"))
    return None


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        raise ImageReadOnly(f"The image takes no writes: {error.strerror}", reason=error.strerror) from error
