"""Digests of weights: computed once for a file, then remembered by its size, inode and time of change.

The records lie in the folder `digests` of the weights cache, one small JSON file for each path, so that files in
read-only places have one too.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Protocol

from batos.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLOCK = 1 << 20


class Hasher(Protocol):
    """What takes bytes and makes a digest of them."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""


def file_digest(file: Path, cache: Path, *, cancelled: Callable[[], bool] | None = None) -> str:
    """The sha256 of a file in hex; read from its record when the file has not changed since.

    Raises:
        OSError: The file cannot be read.
        Cancelled: `cancelled` said so.
    """
    key = _key(file)
    record = _record_file(file, cache)
    known = _read(record)
    if known is not None and known.get("key") == key:
        return str(known["sha256"])
    hasher = hashlib.sha256()
    feed(hasher, file, cancelled)
    digest = hasher.hexdigest()
    if _key(file) == key:
        remember(file, cache, digest)
    return digest


def remember(file: Path, cache: Path, sha256: str) -> None:
    """Keep a file's digest; a cache that cannot be written keeps nothing."""
    record = _record_file(file, cache)
    text = json.dumps({"path": str(file), "key": _key(file), "sha256": sha256})
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        fresh = record.with_suffix(f".{os.getpid()}.new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(record)
    except OSError:
        return


def forget(file: Path, cache: Path) -> None:
    """Drop a file's record, so that it is read again."""
    _record_file(file, cache).unlink(missing_ok=True)


def feed(hasher: Hasher, file: Path, cancelled: Callable[[], bool] | None = None) -> None:
    """Update a hash with a file's bytes.

    Raises:
        Cancelled: `cancelled` said so.
    """
    with file.open("rb", buffering=0) as stream:
        while block := stream.read(BLOCK):
            if cancelled is not None and cancelled():
                raise Cancelled(f"reading {file.name} was cancelled")
            hasher.update(block)


def _key(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_ino, status.st_mtime_ns]


def _record_file(file: Path, cache: Path) -> Path:
    name = hashlib.sha256(os.fsencode(file.resolve())).hexdigest()[:32]
    return cache / "digests" / f"{name}.json"


def _read(record: Path) -> dict[str, object] | None:
    try:
        data = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and "sha256" in data else None
