"""The check of an image (`batos.image.soundness`): it goes on after what it finds, and finds all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batos.image import blobs, methods, mirrors, registry, senders, soundness

if TYPE_CHECKING:
    from pathlib import Path

    from batos.image.store import Image
    from batos.image.view import View


def check(image: Image, *, deep: bool = False) -> dict[str, Any]:
    return image.study_now(soundness.check, deep).value


def install(view: View, target: Any, source: str) -> None:
    methods.install(view, view.resolve(target), "greet", source, {}, signature="(self)", summary="")


def test_a_good_image(world: Image) -> None:
    """Everything is counted and nothing is found."""
    world.transact_now(install, "genesis_obj", "def greet(self): return self.name.upper()")
    told = check(world)
    assert (told["objects"], told["methods"], told["bad"]) == (2, 1, [])
    assert told["tid"] == world.tid


def test_what_a_recovery_lost_is_named_with_who_misses_it(world: Image) -> None:
    """Dangling references of registry, root and slots are told; mirrors go on with what is there."""
    lost = world.transact_now(registry.create, [], {"n": 1}).value
    kept = world.transact_now(registry.create, [], {"friend": lost}).value
    storage = world._db.storage
    del storage._index[lost.oid]
    world._db.cacheMinimize()
    told = check(world)
    assert told["bad"]
    assert {row["oid"] for row in told["bad"]} == {lost.hex}
    assert "is not there" in told["bad"][0]["why"]
    listed = [row["oid"] for row in world.study_now(mirrors.objects, None, 100).value]
    assert kept in listed
    assert lost not in listed


def test_a_tampered_source(world: Image) -> None:
    """A wrong digest of any version is found by name."""

    def spoil(view: View) -> None:
        install(view, "genesis_obj", "def greet(self): return 1")
        install(view, "genesis_obj", "def greet(self): return 2")
        view.resolve("genesis_obj")._slots["greet"].previous._source = "def greet(self): return 3"

    world.transact_now(spoil)
    (bad,) = check(world)["bad"]
    assert bad["why"] == "greet version 1: its text does not match its digest"


@pytest.mark.parametrize(("how", "said"), [("gone", "missing"), ("short", "3 bytes"), ("changed", "digest")])
def test_blobs(world: Image, tmp_path: Path, how: str, said: str) -> None:
    """A missing and a truncated blob are found at once, a changed one by the deep check."""
    (tmp_path / "w.gguf").write_bytes(b"12345")
    blobs.adopt_file(world, tmp_path / "w.gguf", sha256=None, name="w")
    file = next(world.blob_dir.rglob("*.blob"))
    assert check(world, deep=True)["bad"] == []
    content = {"short": b"123", "changed": b"1234x"}.get(how)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    if how == "changed":
        assert check(world)["bad"] == []
    (bad,) = check(world, deep=True)["bad"]
    assert said in bad["why"]
    assert "`w`" in bad["why"]


def test_registry_and_index(world: Image) -> None:
    """An entry under a wrong oid, and a call that the index of senders lacks, are found."""

    def spoil(view: View) -> None:
        install(view, "genesis_obj", "def greet(self): return self.name.upper()")
        senders.drop(view, view.resolve("genesis_obj"), "greet", "x.upper()")
        registry.registered(view)[b"12345678"] = view.resolve("genesis_obj")

    world.transact_now(spoil)
    whys = [row["why"] for row in check(world)["bad"]]
    assert "the index of senders lacks that `greet` sends `upper`" in whys
    assert "the registry keeps something else under this oid" in whys
