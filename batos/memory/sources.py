"""Sources: a file or a folder that documents come from, and which of its documents are gone; pure, for clients too.

A source owns the documents that it handed in last; an image keeps its digest, `origin`, with each. Once a source was read
again, what it did not give any more is gone, unless its file is still there and could not be read.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from batos.errors import BadField, BatosError
from batos.memory import readers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from batos.memory.readers import Document

_SKIPPED = frozenset([".git", "__pycache__", "node_modules", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache"])


class Source:
    """A file, or a folder with all below it that can be read.

    Args:
        path: Where it lies; its absolute path is what it is known by.

    Attributes:
        origin: What the image knows it by: a digest of its absolute path.
        prefix: What the names of its documents begin with.
        unread: The name of each file and folder below it that could not be read, and why.

    Raises:
        BadField: There is nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_folder = path.is_dir()
        if not self._is_folder and not path.is_file():
            raise BadField(f"There is no file {readers.shown(path)}")
        # A link to a file gives its own name to documents, one to a folder the folder's.
        whole = path.resolve() if self._is_folder else path.parent.resolve() / path.name
        self._name = whole.name
        self.origin = hashlib.sha256(os.fsencode(whole)).hexdigest()[:16]
        self.prefix = f"{self._name}/" if self._is_folder else self._name
        self.unread: dict[str, str] = {}
        self._given: set[str] = set()

    def files(self) -> list[tuple[Path, str]]:
        """Give each file to read with its name, in order; a folder that cannot be read is `unread`."""
        if not self._is_folder:
            return [(self._path, self._name)]
        found: list[Path] = []
        for folder, below, names in os.walk(self._path, onerror=self._unreadable):
            below[:] = [name for name in below if name not in _SKIPPED]
            found += [Path(folder, name) for name in names if Path(name).suffix.lower() in readers.READERS]
        return [(file, self._named(file)) for file in sorted(found) if _is_file(file)]

    def read(self, file: Path, name: str) -> Iterator[Document]:
        """Read one of its files; see `readers.read_file`."""
        try:
            for document in readers.read_file(file, name):
                self._given.add(document.doc_id)
                yield document._replace(origin=self.origin)
        except BatosError as error:
            self.unread[name] = error.message
            raise

    def gone(self, doc_ids: Iterable[str]) -> list[str]:
        """Give those of the names of its documents that it has not any more, once all of it was read."""
        return [doc_id for doc_id in doc_ids if doc_id not in self._given and not self._may_be_there(doc_id)]

    def _may_be_there(self, doc_id: str) -> bool:
        """Tell whether a document is of a file or folder that could not be read: that is not gone."""
        places = (doc_id[:end] for end in range(len(doc_id), 0, -1) if end == len(doc_id) or doc_id[end] in "/#")
        return bool(self.unread) and any(place in self.unread for place in places)

    def _named(self, path: Path) -> str:
        inside = path.relative_to(self._path)
        return f"{self.prefix}{inside.as_posix()}" if inside.parts else self._name

    def _unreadable(self, error: OSError) -> None:
        self.unread[self._named(Path(error.filename))] = f"cannot be read: {error.strerror}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # Its folder may be listed and not entered; reading it tells why.
        return True
