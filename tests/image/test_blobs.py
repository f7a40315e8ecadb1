"""Weights as blobs (`batos.image.blobs`)."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest
from ZODB.POSException import ConflictError

from batos.errors import BadField, NoWeights, UnknownTarget
from batos.image import blobs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batos.image.store import Image, View


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights, as the cache holds it."""
    file = tmp_path / "cache" / "model.gguf"
    file.parent.mkdir()
    file.write_bytes(b"weights" * 1000)
    return file


class TestFile:
    def test_it_enters_without_a_copy_and_stays(self, image: Image, reopen: Callable[[], Image], weights: Path) -> None:
        """The blob is the cached file itself by a hard link, read-only, and is there after a restart."""
        record = blobs.adopt_file(image, weights, sha256=digest(weights.read_bytes()), name="model", source="disk")
        assert record == {
            "name": "model",
            "kind": "file",
            "size": 7000,
            "sha256": digest(weights.read_bytes()),
            "source": "disk",
            "files": {"model.gguf": {"size": 7000, "sha256": digest(weights.read_bytes())}},
        }
        again = reopen()
        stored = blobs.path(again, "model")
        assert stored.samefile(weights)
        assert stored.stat().st_mode & 0o222 == 0
        assert again.read_now(blobs.listing).value == [record]
        assert list((again.blob_dir / "tmp").iterdir()) == []

    def test_where_links_are_impossible_it_is_copied(
        self, image: Image, weights: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On another file system the weights are copied in."""

        def refuse(*args: object) -> None:
            raise OSError(18, "cross-device link")

        monkeypatch.setattr(os, "link", refuse)
        blobs.adopt_file(image, weights, sha256=None, name="model")
        stored = blobs.path(image, "model")
        assert not stored.samefile(weights)
        assert stored.read_bytes() == weights.read_bytes()

    def test_a_wrong_digest_keeps_it_out(self, image: Image, weights: Path) -> None:
        """A file that is not what it should be does not enter the image, and the cache's file stays writable."""
        with pytest.raises(NoWeights, match="digest"):
            blobs.adopt_file(image, weights, sha256="0" * 64, name="model")
        assert image.read_now(blobs.listing).value == []
        assert list((image.blob_dir / "tmp").iterdir()) == []
        assert weights.stat().st_mode & 0o200

    def test_a_missing_file(self, image: Image, tmp_path: Path) -> None:
        """A file that is not there is missing weights; a name that was never taken in is unknown."""
        with pytest.raises(NoWeights):
            blobs.adopt_file(image, tmp_path / "none", sha256=None, name="model")
        with pytest.raises(UnknownTarget):
            blobs.path(image, "model")

    def test_a_conflict_in_the_commit_is_survived(
        self, image: Image, weights: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The unit of work runs again although its blob consumed what was staged."""
        join, runs = blobs._BlobFolders.join.__func__, []

        def lose_once(cls: type, view: View, oids: list[bytes]) -> None:
            runs.append(oids)
            if len(runs) == 1:
                raise ConflictError("somebody was quicker")
            join(cls, view, oids)

        monkeypatch.setattr(blobs._BlobFolders, "join", classmethod(lose_once))
        blobs.adopt_file(image, weights, sha256=None, name="model")
        assert len(runs) == 2
        blobs.verify(image, "model")

    def test_its_folders_are_synced_before_the_end(
        self, image: Image, weights: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When the commit returns, the blob's folder was synced with the blob in it."""
        synced: dict[Path, list[str]] = {}
        sync = blobs.sync_folder

        def watch(place: Path) -> None:
            synced[place] = sorted(entry.name for entry in place.iterdir())
            sync(place)

        monkeypatch.setattr(blobs, "sync_folder", watch)
        blobs.adopt_file(image, weights, sha256=None, name="model")
        stored = blobs.path(image, "model")
        assert stored.name in synced[stored.parent]
        assert image.blob_dir in synced

    def test_progress_is_told(self, image: Image, weights: Path) -> None:
        """The one who waits hears bytes done and bytes in all, to the end."""
        heard: list[tuple[int, int]] = []
        blobs.adopt_file(image, weights, sha256=None, name="model", on_progress=lambda *now: heard.append(now))
        assert heard[-1] == (7000, 7000)

    def test_a_new_file_takes_the_name(self, image: Image, weights: Path, tmp_path: Path) -> None:
        """Weights of the same name are replaced; forgotten weights are gone from the disk after a pack."""
        blobs.adopt_file(image, weights, sha256=None, name="model")
        other = tmp_path / "other.gguf"
        other.write_bytes(b"other")
        blobs.adopt_file(image, other, sha256=None, name="model")
        stored = blobs.path(image, "model")
        assert stored.read_bytes() == b"other"
        assert image.read_now(blobs.has, "model", digest(b"other")).value
        image.transact_now(blobs.remove, "model")
        image.pack_now()
        assert not stored.exists()
        assert not image.read_now(blobs.has, "model").value


class TestDamage:
    @pytest.mark.parametrize("spoil", ["empty", "missing"])
    def test_a_file_of_the_wrong_size_is_not_given_out(self, image: Image, weights: Path, spoil: str) -> None:
        """After a power loss a blob may be empty or missing: that is found before an engine maps it."""
        blobs.adopt_file(image, weights, sha256=None, name="model")
        stored = blobs.path(image, "model")
        stored.unlink()
        if spoil == "empty":
            stored.touch()
        with pytest.raises(NoWeights, match="model"):
            blobs.path(image, "model")

    def test_a_flipped_bit_is_found_by_verify(self, image: Image, weights: Path) -> None:
        """`verify` reads everything and compares the digests."""
        blobs.adopt_file(image, weights, sha256=None, name="model")
        blobs.verify(image, "model")
        stored = blobs.path(image, "model")
        stored.chmod(0o644)
        stored.write_bytes(b"Weights" * 1000)
        with pytest.raises(NoWeights, match="digest"):
            blobs.verify(image, "model")


class TestFolder:
    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        """A model of several files."""
        folder = tmp_path / "cache" / "hf"
        (folder / "sub").mkdir(parents=True)
        (folder / "config.json").write_bytes(b"{}")
        (folder / "sub" / "a.safetensors").write_bytes(b"tensors")
        return folder

    def test_it_is_laid_out_again_under_its_names(self, image: Image, model: Path, tmp_path: Path) -> None:
        """An engine finds the files under their own names, as links to the blobs; a second time changes nothing."""
        blobs.adopt_folder(image, model, name="hf")
        for _ in range(2):
            place = blobs.folder(image, "hf", tmp_path / "out")
            assert (place / "sub" / "a.safetensors").samefile(model / "sub" / "a.safetensors")
            assert sorted(path.name for path in place.rglob("*") if path.is_file()) == ["a.safetensors", "config.json"]

    def test_only_named_files_enter(self, image: Image, model: Path) -> None:
        """With digests, just those files are taken, each verified."""
        record = blobs.adopt_folder(image, model, digests={"config.json": digest(b"{}")}, name="hf")
        assert list(record["files"]) == ["config.json"]
        with pytest.raises(NoWeights):
            blobs.adopt_folder(image, model, digests={"config.json": digest(b"x")}, name="other")

    @pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "sub/../../secret", "a\\..\\b", ""])
    def test_paths_stay_inside(self, image: Image, model: Path, path: str) -> None:
        """A path that leads out of the folder is refused."""
        with pytest.raises(BadField):
            blobs.adopt_folder(image, model, digests={path: None}, name="hf")

    def test_files_and_folders_are_not_mixed_up(self, image: Image, model: Path, tmp_path: Path) -> None:
        """A folder has no single path, and a file is not laid out."""
        blobs.adopt_folder(image, model, name="hf")
        blobs.adopt_file(image, model / "config.json", sha256=None, name="one")
        with pytest.raises(UnknownTarget, match="folder"):
            blobs.path(image, "hf")
        with pytest.raises(UnknownTarget, match="file"):
            blobs.folder(image, "one", tmp_path / "out")
