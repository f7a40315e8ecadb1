"""The peers of the image's bench: the same work on bare ZODB and on SQLite."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from persistent import Persistent
from transaction import TransactionManager
from ZODB.DB import DB
from ZODB.FileStorage import FileStorage

from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from pathlib import Path

    from batos.image.store import Image
    from batos.image.view import View

BATCH = 10_000
FAMILIES = 100


class Plain(Persistent):  # type: ignore[misc]
    """A plain persistent object, as an ordinary program would write it."""

    def __init__(self, **values: Any) -> None:
        super().__init__()
        self.__dict__.update(values)


class Bare:
    """Bare ZODB in the caller's thread: an open connection, a changed attribute, a commit."""

    def __init__(self, file: Path, writers: int) -> None:
        self._db = DB(FileStorage(str(file)))
        self._tm = TransactionManager(explicit=True)
        self._conn = self._db.open(self._tm)
        self._writers = writers
        with self._tm:
            for who in range(writers):
                self._conn.root()[f"writer{who}"] = Plain(count=0)

    def write(self, count: int) -> None:
        """Make so many commits."""
        for number in range(count):
            self._write(number % self._writers, number)

    async def write_one(self, who: int, number: int) -> None:
        """Make a commit on the event loop itself."""
        self._write(who, number)

    def _write(self, who: int, number: int) -> None:
        self._tm.begin()
        self._conn.root()[f"writer{who}"].count = number
        self._tm.commit()

    def close(self) -> None:
        """Close it."""
        self._conn.close()
        self._db.close()


class Lite:
    """SQLite: an open connection, an updated row, a commit that is synced as ours is."""

    def __init__(self, file: Path, writers: int) -> None:
        self._conn = sqlite3.connect(file, isolation_level=None)
        self._conn.execute("PRAGMA journal_mode=DELETE")
        self._conn.execute("PRAGMA synchronous=FULL")
        self._conn.execute("CREATE TABLE objects (name TEXT PRIMARY KEY, state TEXT)")
        self._conn.executemany("INSERT INTO objects VALUES (?, ?)", [(f"writer{who}", "0") for who in range(writers)])
        self._writers = writers

    def write(self, count: int) -> None:
        """Make so many commits."""
        for number in range(count):
            self._conn.execute("BEGIN")
            self._conn.execute(
                "UPDATE objects SET state = ? WHERE name = ?", (str(number), f"writer{number % self._writers}")
            )
            self._conn.execute("COMMIT")

    def close(self) -> None:
        """Close it."""
        self._conn.close()


def fill_ours(image: Image, count: int) -> None:
    """Make an image of many small objects."""
    image.transact_now(_families, UvmObject)
    for start in range(0, count, BATCH):
        image.transact_now(_batch, UvmObject, range(start, min(start + BATCH, count)))


def fill_plain(file: Path, count: int) -> int:
    """Make a database of as many plain objects with the same values and parents; gives its bytes."""
    from batos.image.view import View

    db = DB(FileStorage(str(file)))
    tm = TransactionManager(explicit=True)
    conn = db.open(tm)
    try:
        with tm:
            _families(View(conn, ""), Plain)
        for start in range(0, count, BATCH):
            with tm:
                _batch(View(conn, ""), Plain, range(start, min(start + BATCH, count)))
        return int(db.getSize())
    finally:
        conn.close()
        db.close()


def touch_ours(folder: Path) -> None:
    """Open the image and read a slot of each object."""
    from batos.image.store import Image

    image = Image(folder / "live_image.fs", folder / "live_image.fs.blob", cache_objects=1000)
    try:
        image.read_now(_touch)
    finally:
        image.close_now()


def touch_plain(file: Path) -> None:
    """The same for the plain objects."""
    from batos.image.view import View

    db = DB(FileStorage(str(file)), cache_size=1000)
    tm = TransactionManager(explicit=True)
    conn = db.open(tm)
    try:
        with tm:
            _touch(View(conn, ""))
    finally:
        conn.close()
        db.close()


def open_bare(file: Path) -> None:
    """Open a file with bare ZODB, see its root, and close it."""
    db = DB(FileStorage(str(file)))
    conn = db.open(TransactionManager())
    len(conn.root())
    conn.close()
    db.close()


def _families(view: View, make: Any) -> None:
    view.root["families"] = [make(name=f"family {number}") for number in range(FAMILIES)]


def _batch(view: View, make: Any, numbers: range) -> None:
    from BTrees.OOBTree import OOBTree

    everyone = view.root.setdefault("objects", OOBTree())
    families = view.root["families"]
    for number in numbers:
        everyone[number] = make(
            parents=[families[number % FAMILIES]], name=f"object {number}", count=number, notes=["one", "two"]
        )


def _touch(view: View) -> int:
    total = 0
    for number, obj in enumerate(view.root["objects"].values()):
        total += obj.count
        if number % 1000 == 0:
            view.conn.cacheGC()
    return total
