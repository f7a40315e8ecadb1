"""The image as a graph of raw records (`batos.image.graph`)."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING

from batos.image import graph, objects, registry, soundness
from batos.image.graph import Record

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from batos.image.store import Image
    from batos.image.view import View


class Planted:
    """Runs a command where it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


def test_kinds_are_read_and_nothing_runs(world: Image, tmp_path: Path) -> None:
    """Every record of a good image names its class; a planted one runs neither for its kind nor for its references."""
    kinds = world.study_now(lambda view: {record.kind[1] for record in graph.of_view(view)}).value
    assert kinds == {"UvmObject", "PersistentMapping"}
    for protocol in range(4):
        data = pickle.dumps(Planted(f"touch {tmp_path / 'ran'}"), protocol)
        record = Record(b"1" * 8, b"2" * 8, data + pickle.dumps(None, protocol))
        assert record.kind[1] in ("", "system")
        graph.references(record)
    assert not (tmp_path / "ran").exists()


def test_a_planted_record_is_found_by_the_check(world: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record whose state names a foreign function does not run, is reported, and stops nothing."""
    ref = world.transact_now(registry.create, [], {"n": 1}).value

    def plant(view: View) -> None:
        # Past the check of the slot, as a hand on the file would do it.
        view.get(ref).__dict__["n"] = Planted(f"touch {tmp_path / 'ran'}")
        view.get(ref)._p_changed = True

    with monkeypatch.context() as patch:
        patch.setattr(objects, "check_storable", lambda *_: None)
        world.transact_now(plant)
    world._db.cacheMinimize()
    told = world.study_now(soundness.check).value
    assert [row["oid"] for row in told["bad"]] == [ref.hex]
    assert "does not load" in told["bad"][0]["why"]
    assert not (tmp_path / "ran").exists()


def test_dangling_references_are_gathered(world: Image) -> None:
    """A walk over a lost record goes on, and tells who refers to it."""
    lost = world.transact_now(registry.create, [], {}).value
    del world._db.storage._index[lost.oid]
    dangling: list[graph.Dangling] = []
    records = world.study_now(lambda view: sum(1 for _ in graph.of_view(view, dangling=dangling))).value
    assert records > 2
    assert {found.oid for found in dangling} == {lost.oid}
