"""How the database is opened (`batos.image.engine`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import zc.lockfile
from BTrees.OOBTree import OOBTree
from transaction import TransactionManager
from ZODB.POSException import ConflictError

from batos.errors import ImageInUse
from batos.image.store import Image

if TYPE_CHECKING:
    from pathlib import Path


def test_conflicting_records_are_never_merged(image: Image) -> None:
    """Merging would load records without the list of classes: two writers of one tree conflict instead."""
    image.transact_now(lambda view: view.root.__setitem__("tree", OOBTree({"a": 1})))
    managers = [TransactionManager(explicit=True), TransactionManager(explicit=True)]
    writers = [image._db.open(manager) for manager in managers]
    for number, (manager, conn) in enumerate(zip(managers, writers, strict=True)):
        manager.begin()
        conn.root()["tree"][f"key{number}"] = 1
    managers[0].commit()
    with pytest.raises(ConflictError):
        managers[1].commit()
    managers[1].abort()
    for conn in writers:
        conn.close()


def test_the_lock_is_the_file_s_own(tmp_path: Path) -> None:
    """Whoever holds the lock beside the file, this or another program, keeps us out; a lock left behind does not."""
    (tmp_path / "i.fs.lock").write_text("left behind by a killed process")
    lock = zc.lockfile.LockFile(str(tmp_path / "i.fs.lock"))
    with pytest.raises(ImageInUse):
        Image(tmp_path / "i.fs", tmp_path / "i.blob")
    lock.close()
    Image(tmp_path / "i.fs", tmp_path / "i.blob").close_now()


def test_folders_are_made(tmp_path: Path) -> None:
    """An image opens in a folder that does not exist yet."""
    Image(tmp_path / "deep" / "er" / "i.fs", tmp_path / "deep" / "er" / "i.blob").close_now()
    assert (tmp_path / "deep" / "er" / "i.fs").exists()
