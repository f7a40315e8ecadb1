"""Which names a record may load (`batos.image.class_factory`)."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from BTrees import family64
from BTrees.OOBTree import OOBTree
from persistent import Persistent
from persistent.list import PersistentList
from persistent.mapping import PersistentMapping
from transaction import TransactionManager
from ZODB.blob import Blob
from ZODB.DB import DB
from ZODB.FileStorage import FileStorage
from zope.index.text.textindex import TextIndex

from batos.errors import ImageDamaged
from batos.image import class_factory
from batos.image.methods import MethodVersion, Primitive
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.image.store import Image


class Planted:
    """Loads as a call of `os.system`, as a hostile record would."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


class PlantedClass(Persistent):
    """A persistent class that is none of ours."""


def plant(tmp_path: Path, name: str, value: object) -> None:
    """Write a root entry as another program would: straight into the file, with no list of classes."""
    db = DB(FileStorage(str(tmp_path / "live_image.fs"), blob_dir=str(tmp_path / "live_image.fs.blob")))
    manager = TransactionManager()
    conn = db.open(manager)
    conn.root()[name] = value
    manager.commit()
    conn.close()
    db.close()


class TestPlanted:
    def test_a_planted_call_never_runs(self, reopen: Callable[[], Image], tmp_path: Path) -> None:
        """A record whose loading would run a command is refused, and the command does not run."""
        trace = tmp_path / "trace"
        holder = PersistentMapping(trap=Planted(f"touch {trace}"))
        image = reopen()
        image.transact_now(lambda view: view.root.__setitem__("sound", UvmObject(n=1)))
        image.close_now()
        plant(tmp_path, "holder", holder)
        image = reopen()
        for ask in (image.read_now, image.study_now, image.transact_now):
            with pytest.raises(ImageDamaged, match=r"posix\.system|nt\.system"):
                ask(lambda view: view.root["holder"]["trap"])
        assert image.read_now(lambda view: view.resolve("sound").n).value == 1
        assert not trace.exists()

    def test_a_foreign_class_does_not_load(self, reopen: Callable[[], Image], tmp_path: Path) -> None:
        """An object of a class that is not on the list cannot be made from a record."""
        reopen().close_now()
        plant(tmp_path, "foreign", PlantedClass())
        with pytest.raises(ImageDamaged, match="PlantedClass"):
            reopen().read_now(lambda view: view.root["foreign"]._p_activate())


class TestList:
    @pytest.mark.parametrize(
        "name",
        [
            "os.system",
            "posix.system",
            "subprocess.Popen",
            "builtins.eval",
            "builtins.getattr",
            "builtins.open",
            "batos.image.methods.digest",
            "batos.image.objects.own",
            "batos.image.store.Image",
            "batos.image.blobs.Path",
            "BTrees.utils.Lazy",
            "BTrees.OOBTree.OOBTree.mro",
            "persistent.wref.WeakRef",
            "zope.index.text.lexicon.re",
            "zope.index.text.stopdict.get_stopdict",
            "zope.interface.Interface",
            "no_such_module.Thing",
            "BTrees.no_such_module.Thing",
        ],
    )
    def test_what_is_not_listed_is_refused(self, name: str) -> None:
        """Functions, foreign classes, and names that a listed module merely imports do not load."""
        module, _, attribute = name.rpartition(".")
        with pytest.raises(pickle.UnpicklingError):
            class_factory.find(None, module, attribute)

    @pytest.mark.parametrize("cls", [UvmObject, MethodVersion, Primitive, Blob, OOBTree, PersistentList, TextIndex])
    def test_what_the_image_is_made_of_is_allowed(self, cls: type) -> None:
        """The classes of the image, its trees and indexes load."""
        assert class_factory.is_allowed(cls)
        assert class_factory.find(None, cls.__module__, cls.__qualname__) is cls

    @pytest.mark.parametrize("cls", [PlantedClass, Planted, Path, dict, type])
    def test_other_classes_are_not(self, cls: type) -> None:
        """A class that would not load again is not allowed into a slot either."""
        assert not class_factory.is_allowed(cls)

    def test_a_text_index_survives(self, image: Image, reopen: Callable[[], Image]) -> None:
        """A whole text index, with its lexicon and 64-bit trees, is stored and searched after a restart."""

        def build(view: object) -> None:
            from zope.index.text.lexicon import CaseNormalizer, Lexicon, Splitter
            from zope.index.text.okapiindex import OkapiIndex

            lexicon = Lexicon(Splitter(), CaseNormalizer())
            index = TextIndex(lexicon, OkapiIndex(lexicon, family=family64))
            index.index_doc(1 << 40, "the wise bear")
            view.root["holder"] = UvmObject(index=index)

        image.transact_now(build)
        found = reopen().read_now(lambda view: list(view.resolve("holder").index.apply("bear")))
        assert found.value == [1 << 40]
