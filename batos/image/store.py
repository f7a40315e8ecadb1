"""The one door to the image: units of work, each a function that runs in the image thread inside one transaction.

A unit of work begins a transaction of an explicit manager of its own, calls the function and commits. The thread-local
manager is never used: two tasks that share it commit each other's half work, or hang. The function is synchronous and
gives plain data back; objects of the image never leave it. A unit whose objects were changed meanwhile runs again from
its start, so it keeps nothing from a run that failed.

Long reads are studies: they run in threads of their own, each on its own snapshot, and hold nobody up.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from transaction import TransactionManager
from transaction.interfaces import TransientError
from ZODB.POSException import POSKeyError

from batos.errors import BadField, Conflict, Stopping, TooLarge, UnknownTarget
from batos.image import acting, engine, preflight
from batos.image.door import Door
from batos.image.view import Commit, View, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

__all__ = ["STUDIES", "TRIES", "Commit", "Image", "View"]

T = TypeVar("T")

TRIES = 8
STUDIES = 2
"""Long reads at once; more wait."""
_NOTE_LIMIT = 60_000
_SETTLE_SECONDS = 1.0


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
        with engine.errors(f"{self.db_file} cannot be opened for writing"):
            opened = engine.open_database(self.db_file, self.blob_dir, cache_objects)
        self._db: Any = opened.db
        self.health = opened.health
        self._door = Door("image")
        self._db.storage.before_sync = self._door.tell
        self._studies = ThreadPoolExecutor(STUDIES, "image-study")
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._own: tuple[Any, Any] | None = None
        self._studying = 0
        self._commits = 0
        self._conflicts = 0
        self._packs = 0
        if self.health.state == "clean" and self._db.getSize() > preflight.SMALL:
            self._begin_study(partial(self._read_through, self._db.getSize()))

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
            user: On whose behalf; "": as the task says (`acting`).
            why: More plain data for the change log. What must last belongs in objects: pack drops old transactions.

        Raises:
            Conflict: Others kept changing the same objects.
            ImageReadOnly: The disk takes no writes.
            Stopping: The image is closed.
            Exception: Whatever `fn` raises; nothing is stored then.
        """
        return await self._door.run(partial(self._transact, fn, args, note, *acting.of(user, why)), tells=True)

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
        return await self._door.run(partial(self._read, fn, args, at))

    def transact_now(
        self,
        fn: Callable[..., T],
        *args: Any,
        note: str = "",
        user: str = "",
        why: dict[str, Any] | None = None,
    ) -> Commit[T]:
        """The same as `transact`, but blocking; for any thread but the image's own."""
        return self._door.run_now(partial(self._transact, fn, args, note, *acting.of(user, why)))

    def read_now(self, fn: Callable[..., T], *args: Any, at: str | None = None) -> Commit[T]:
        """The same as `read`, but blocking; for any thread but the image's own."""
        return self._door.run_now(partial(self._read, fn, args, at))

    async def study(self, fn: Callable[..., T], *args: Any, at: str | None = None) -> Commit[T]:
        """Run `fn(view, *args)` on a snapshot like `read`, but in another thread: for what takes long.

        It sees the image as it was when it began, and no other unit of work waits for it. Between its steps it calls
        `view.breathe()`, so that it needs little memory and ends when the image closes.

        Args:
            fn: The study: synchronous, gives plain data, changes nothing, may run more than once.
            args: What it gets after the view.
            at: A tid: the image as it was right after that transaction.

        Raises:
            BadField: `at` is not a tid of the past.
            UnknownTarget: A pack has taken that moment away.
            Stopping: The image is closed.
            Exception: Whatever `fn` raises.
        """
        return await asyncio.shield(asyncio.wrap_future(self._begin_study(partial(self._read_aside, fn, args, at))))

    def study_now(self, fn: Callable[..., T], *args: Any, at: str | None = None) -> Commit[T]:
        """The same as `study`, but blocking; for any thread but the studies' own."""
        return self._begin_study(partial(self._read_aside, fn, args, at)).result()

    def pack_now(self, *, until: float | None = None) -> None:
        """Drop what nothing reaches any more and history before a time, in seconds since 1970; now when it is None.

        Blocks the caller, but no unit of work: it runs where studies run.

        Raises:
            Conflict: Another pack is running.
            ImageReadOnly: The disk takes no writes.
            Stopping: The image is closed.
        """
        self._begin_study(partial(self._pack, until)).result()

    async def close(self) -> None:
        """Finish the work that waits and close the image."""
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self.close_now))

    def close_now(self) -> None:
        """The same as `close`, but blocking. Closing twice does no harm."""
        with self._lock:
            self._closing.set()
        self._studies.shutdown()
        # The last in the queue, so that all that waits is done first.
        self._door.close(self._close_database)

    def statistics(self) -> dict[str, Any]:
        """Figures: `tid`, `objects`, `bytes`, `commits`, `conflicts`, `packs`, and the door's queue.

        `queue` counts the units of work that wait or run, `queue_highest` the most there ever were, `studies` the long
        reads that wait or run.
        """
        db = self._db
        return {
            "tid": self.tid,
            "objects": db.objectCount() if db is not None else 0,
            "bytes": db.getSize() if db is not None else 0,
            "queue": self._door.waiting,
            "queue_highest": self._door.highest,
            "studies": self._studying,
            "commits": self._commits,
            "conflicts": self._conflicts,
            "packs": self._packs,
        }

    def _begin_study(self, work: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self._closing.is_set():
                raise Stopping("The image is closed")
            self._studying += 1
            return self._studies.submit(self._end_study, work)

    def _end_study(self, work: Callable[[], T]) -> T:
        try:
            return work()
        finally:
            with self._lock:
                self._studying -= 1

    def _read_through(self, size: int) -> None:
        """Read the structure of a file that was only trusted at the start; damage ends all writing."""

        def breathe() -> None:
            if self._closing.wait(0.002):
                raise Stopping("The image is closing")

        if self._closing.wait(_SETTLE_SECONDS):
            return
        with suppress(Stopping):
            found = preflight.find_damage(self.db_file, end=size, breathe=breathe)
            self.health = preflight.Health("sound" if found is None else "damaged", damage=found)

    def _transact(
        self, fn: Callable[..., T], args: tuple[Any, ...], note: str, user: str, why: dict[str, Any] | None
    ) -> Commit[T]:
        if len(note) + len(user) + len(repr(why)) > _NOTE_LIMIT:
            raise TooLarge(f"What is noted of a transaction is over {_NOTE_LIMIT} characters")
        if self.health.damage is not None:
            raise preflight.damaged(self.db_file, self.health.damage)
        if not self._studying and engine.may_write_again(self._db):
            self._close_database()
        with engine.damages():
            return self._repeat(partial(self._attempt, fn, args, note, user, why))

    def _read(self, fn: Callable[..., T], args: tuple[Any, ...], at: str | None) -> Commit[T]:
        if at is not None:
            return self._read_aside(fn, args, at)
        with engine.damages():
            return self._repeat(partial(self._look, fn, args))

    def _repeat(self, attempt: Callable[[], Commit[T]]) -> Commit[T]:
        for number in range(TRIES):
            packs = self._packs
            try:
                return attempt()
            except TransientError:
                self._conflicts += 1
                time.sleep(random.uniform(0.5, 1.5) * 0.002 * 2**number)  # noqa: S311  # jitter, not a secret
            except POSKeyError:
                # A pack beneath the snapshot takes objects away that a newer one does not reach.
                if packs == self._packs:
                    raise
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
            value = plain(fn(View(conn, self.tid), *args))
            with engine.errors():
                tm.commit()
            self._commits += 1
            return Commit(value, self.tid)

    def _look(self, fn: Callable[..., T], args: tuple[Any, ...]) -> Commit[T]:
        with self._unit() as (conn, _tm):
            tid = self.tid
            return Commit(plain(fn(View(conn, tid), *args)), tid)

    def _read_aside(self, fn: Callable[..., T], args: tuple[Any, ...], at: str | None) -> Commit[T]:
        if at is None:
            with engine.damages():
                return self._repeat(partial(self._look_aside, fn, args))
        moment = self._check_moment(at)
        try:
            with engine.damages():
                return self._look_aside(fn, args, at, moment)
        finally:
            # Packed away meanwhile: then neither an error nor an answer means anything.
            self._check_moment(at)

    def _look_aside(
        self, fn: Callable[..., T], args: tuple[Any, ...], at: str | None = None, moment: bytes | None = None
    ) -> Commit[T]:
        with self._aside(moment) as conn:
            try:
                view = View(conn, at or engine.snapshot_tid(conn), self._closing)
            except POSKeyError:
                # Before the image began.
                raise _no_moment(at or "") from None
            return Commit(plain(fn(view, *args)), view.tid)

    def _check_moment(self, at: str) -> bytes:
        """The bytes of a tid that can be looked at."""
        tid = engine.parse_tid(at)
        db = self._db
        if tid is None or db is None or tid > db.lastTransaction():
            raise _no_moment(at)
        oldest = engine.packed_until(db)
        if tid < oldest:
            raise UnknownTarget(
                f"The moment {at} was packed away", f"The oldest that can still be seen is {oldest.hex()}."
            )
        return tid

    def _pack(self, until: float | None = None) -> None:
        with engine.errors():
            engine.pack(self._open_database(), time.time() if until is None else until)
        self._packs += 1

    @contextmanager
    def _unit(self) -> Iterator[tuple[Any, Any]]:
        """The image thread's own connection in a new transaction; what is not committed at the end is gone."""
        if self._own is None:
            tm = TransactionManager(explicit=True)
            self._own = self._open_database().open(tm), tm
        conn, tm = self._own
        try:
            self._forget_packed(conn)
            tm.begin()
            yield conn, tm
        finally:
            # After a commit there is no transaction left to abort.
            with suppress(Exception):
                tm.abort()
            self._drop_broken()

    @contextmanager
    def _aside(self, moment: bytes | None) -> Iterator[Any]:
        """A connection for one read, now or at a moment of the past."""
        tm = TransactionManager(explicit=True)
        conn = self._open_database().open(tm, at=moment)
        try:
            self._forget_packed(conn)
            tm.begin()
            yield conn
        finally:
            with suppress(Exception):
                tm.abort()
            conn.close()

    def _forget_packed(self, conn: Any) -> None:
        """What a pack has taken away must not be answered from a connection's cache."""
        if conn.packs_seen != self._packs:
            conn.cacheMinimize()
            conn.packs_seen = self._packs

    def _open_database(self) -> Any:
        with self._lock:
            if self._db is None:
                with engine.errors():
                    self._db = engine.open_database(self.db_file, self.blob_dir, self._cache_objects).db
                self._db.storage.before_sync = self._door.tell
            return self._db

    def _drop_broken(self) -> None:
        """A storage whose disk failed in the middle of a commit shuts itself; the next unit opens it anew."""
        if engine.is_shut(self._db):
            self._close_database()

    def _close_database(self) -> None:
        (db, self._db), (own, self._own) = (self._db, None), (self._own, None)
        if own is not None:
            own[0].close()
        if db is not None:
            with suppress(OSError, ValueError):
                db.close()


def _no_moment(at: str) -> BadField:
    return BadField(f"`at`: {at!r} is not a moment of this image", "`history` and the replies to writes give tids.")
