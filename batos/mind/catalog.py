"""The catalog of weights: for each named model its files with size and digest, and where they can come from.

The data lie in `catalog.json` beside this module. Digests decide: whichever source gave a file, it counts only when
its sha256 is the one that stands here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

from batos.errors import NoWeights


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a model: its path in the model's folder, its size in bytes, its sha256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """One place where a model's files can come from.

    Args:
        kind: `hub` or `index`.
        repo: On the hub: the repository.
        revision: On the hub: the revision.
        package: On the package index: the package's name; `{n}` in it counts shards.
        version: On the package index: the package's version.
        count: On the package index: number of shards that make one file together; 0 where one package has whole files.
        member: On the package index: pattern of the file's path in the wheel; `{n}` counts shards, `{path}` is the file.
    """

    kind: str
    repo: str = ""
    revision: str = "main"
    package: str = ""
    version: str = ""
    count: int = 0
    member: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the catalog.

    Args:
        name: Its name.
        title: What it is, for people.
        architecture: The model's architecture.
        license: SPDX id of its licence.
        kind: `gguf`, or `embedding` for a sentence-transformers folder.
        context: The longest context it was made for, in tokens.
        files: Its files.
        sources: Where they can come from, in order.
    """

    name: str
    title: str
    architecture: str
    license: str
    kind: str
    context: int
    files: tuple[FileEntry, ...]
    sources: tuple[Source, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


Catalog = Mapping[str, Entry]


@cache
def catalog() -> Catalog:
    """The catalog that ships with the package."""
    return read_catalog(files("batos.mind").joinpath("catalog.json").read_text(encoding="utf-8"))


def read_catalog(text: str) -> Catalog:
    """Read a catalog from its JSON text.

    Raises:
        ValueError: It is not a catalog, or a file's path leaves the model's folder.
    """
    data = json.loads(text)
    if data.get("format") != 1:
        raise ValueError("this catalog has another format than this version of BAT OS reads")
    return {name: _entry(name, fields) for name, fields in data["models"].items()}


def find(name: str, entries: Catalog | None = None) -> Entry:
    """Give the entry of a named model.

    Raises:
        NoWeights: The catalog has no such model.
    """
    known = catalog() if entries is None else entries
    try:
        return known[name]
    except KeyError:
        names = ", ".join(known)
        raise NoWeights(f"the catalog has no model {name!r}", f"It has {names}; a file or folder works too.") from None


def _entry(name: str, fields: dict[str, Any]) -> Entry:
    entries = tuple(FileEntry(**file) for file in fields.pop("files"))
    for file in entries:
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{name}: {file.path!r} leaves the model's folder")
    sources = tuple(Source(**source) for source in fields.pop("sources"))
    return Entry(name=name, files=entries, sources=sources, **fields)
