"""Sources: which files a folder gives, and which of its documents are gone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from batos.errors import BadField
from batos.memory import bulk, catalog, intake
from batos.memory.check import check
from batos.memory.sources import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batos.image.store import Image
    from batos.memory.readers import Document


def _write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, text in files.items():
        file = folder / f"{stem}.{'jsonl' if stem.startswith('codex') else 'md'}"
        file.write_text(text)


def _read(source: Source) -> Iterator[Document]:
    """Give all documents of a source; files that cannot be read are passed over."""
    for file, name in source.files():
        try:
            yield from source.read(file, name)
        except BadField:
            continue


def _ingest(image: Image, path: Path) -> int:
    """Ingest a path; gives how many documents were removed."""
    source = Source(path)
    bulk.learn(image, _read(source))
    return bulk.remove_gone(image, source)


def _names(image: Image) -> list[str]:
    assert image.study_now(check).value["bad"] == []
    return image.read_now(catalog.names).value


def test_folders_give_what_can_be_read(tmp_path: Path) -> None:
    """A folder is walked in order; other kinds of files, caches and version control are left out."""
    folder = tmp_path / "notes"
    for name in ("b.md", "sub/a.txt", ".git/x.txt", "picture.png", "__pycache__/y.py", "sub/.venv/deep/z.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text")
    assert [name for _, name in Source(folder).files()] == ["notes/b.md", "notes/sub/a.txt"]


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    """A path that is not there is no empty source."""
    with pytest.raises(BadField):
        Source(tmp_path / "none")


def test_an_entry_that_left_its_codex_is_removed(image: Image, tmp_path: Path) -> None:
    """A file that is read again keeps the documents that it still holds, and no other."""
    _write(tmp_path, codex='{"text": "a bee", "id": 1}\n{"text": "an ant", "id": 2}\n')
    assert _ingest(image, tmp_path / "codex.jsonl") == 0
    _write(tmp_path, codex='{"text": "a bee", "id": 1}\n')
    assert _ingest(image, tmp_path / "codex.jsonl") == 1
    assert _names(image) == ["codex.jsonl#1"]
    assert image.read_now(catalog.search, "ant").value == []
    _write(tmp_path, codex="\n")
    assert _ingest(image, tmp_path / "codex.jsonl") == 1
    assert _names(image) == []


def test_a_file_that_left_its_folder_is_removed(image: Image, tmp_path: Path) -> None:
    """A folder takes back the documents of files that are gone; those of its codices too, and an emptied file's."""
    _write(tmp_path / "notes", a="a bee", b="an ant", codex='{"text": "a wasp", "id": 1}\n')
    _write(tmp_path / "notes" / "deep", c="a fly")
    assert _ingest(image, tmp_path / "notes") == 0
    (tmp_path / "notes" / "codex.jsonl").unlink()
    (tmp_path / "notes" / "deep" / "c.md").unlink()
    _write(tmp_path / "notes", b=" \n")
    assert _ingest(image, tmp_path / "notes") == 3
    assert _names(image) == ["notes/a.md"]


def test_no_source_takes_what_is_not_its_own(image: Image, tmp_path: Path) -> None:
    """A folder of the same name elsewhere, a file of it by itself, and what was told by hand keep their documents."""
    _write(tmp_path / "one" / "notes", a="a bee", b="an ant")
    _write(tmp_path / "two" / "notes", b="an ant", c="a wasp")
    _ingest(image, tmp_path / "one" / "notes")
    _ingest(image, tmp_path / "one" / "notes" / "a.md")
    image.transact_now(catalog.index_document, "notes/by_hand", "a fly", {})
    assert _ingest(image, tmp_path / "two" / "notes") == 0
    everything = ["a.md", "notes/a.md", "notes/b.md", "notes/by_hand", "notes/c.md"]
    assert _names(image) == everything
    # Both folders have given `notes/b.md`, the second one last.
    (tmp_path / "one" / "notes" / "b.md").unlink()
    assert _ingest(image, tmp_path / "one" / "notes") == 0
    (tmp_path / "two" / "notes" / "b.md").unlink()
    assert _ingest(image, tmp_path / "two" / "notes") == 1
    everything.remove("notes/b.md")
    assert _names(image) == everything


def test_what_cannot_be_read_is_not_gone(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken file, a codex with a bad line and a folder that does not open keep their documents; each is told."""
    folder = tmp_path / "notes"
    _write(folder, a="a bee", b="an ant", codex='{"text": "a wasp", "id": 1}\n{"text": "a fly", "id": 2}\n')
    _write(folder / "shut", c="a moth", codex='{"text": "a gnat"}\n')
    _ingest(image, folder)
    before = _names(image)
    (folder / "a.md").write_bytes(b"\0\1")
    (folder / "b.md").unlink()
    _write(folder, codex='{"text": "a wasp", "id": 1}\n{"text": "a f')
    scandir = os.scandir

    def guarded(path: Any) -> Any:
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    source = Source(folder)
    bulk.learn(image, _read(source))
    assert bulk.remove_gone(image, source) == 1
    assert sorted(source.unread) == ["notes/a.md", "notes/codex.jsonl", "notes/shut"]
    before.remove("notes/b.md")
    assert _names(image) == before


def test_a_stopped_image_indexes_its_queue_first(image: Image, tmp_path: Path) -> None:
    """What a killed kernel left in the queue is older than the file that is read now, and does not replace it later."""
    image.transact_now(intake.hand_in, "a.md", "an old bee", {})
    _write(tmp_path, a="a new ant")
    _ingest(image, tmp_path / "a.md")
    assert image.read_now(intake.length).value == 0
    assert [hit["text"] for hit in image.read_now(catalog.search, "ant bee").value] == ["a new ant"]
