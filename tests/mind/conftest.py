"""Fixtures of the mind's tests: real weights where the cache has them, wheels on a local index, a host without models."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batos.mind import sources
from batos.mind.catalog import Entry, FileEntry, Source, find
from batos.mind.select import digest_of, spec_of
from batos.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.mind.protocol import ModelSpec


@pytest.fixture
def weights() -> Callable[[str], ModelSpec]:
    """Give the spec of a catalogued model from the real cache; the test is skipped where it was not fetched."""

    def give(name: str) -> ModelSpec:
        cache = Settings.load().weights_cache
        if not sources.is_whole(find(name), cache):
            pytest.skip(f"the weights of {name} are not in the cache: python -m batos models fetch {name}")
        return spec_of(name, sources.path_of(find(name), cache), digest_of(name))

    return give


@pytest.fixture(autouse=True)
def own_core_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock on the cores for this test alone, so that nothing outside can hold it up."""
    file = tmp_path / "cores.lock"
    monkeypatch.setattr("batos.mind.corelock.core_lock_file", lambda: file)
    return file


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A package index in a folder: the real pip downloads from it, without a network."""
    links = tmp_path / "links"
    links.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))

    def add(package: str, members: dict[str, bytes], version: str = "1.0") -> Path:
        stem = package.replace("-", "_")
        wheel = links / f"{stem}-{version}-py3-none-any.whl"
        info = f"{stem}-{version}.dist-info"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, data in members.items():
                archive.writestr(f"{stem}/{path}", data)
            archive.writestr(f"{stem}/__init__.py", "raise SystemExit('this code must never run')")
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        return wheel

    return add


@pytest.fixture
def entry() -> Callable[..., Entry]:
    """Make a catalog entry."""

    def make(files: dict[str, bytes], *places: Source, name: str = "tiny") -> Entry:
        import hashlib

        entries = tuple(FileEntry(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items())
        return Entry(
            name=name, title="", architecture="", license="", kind="gguf", context=1, files=entries, sources=places
        )

    return make


@pytest.fixture
def fake_host() -> list[str]:
    """The command of a mind host whose models are doubles."""
    return [sys.executable, str(Path(__file__).with_name("fake_host.py"))]
