"""What the sources of weights share: the job, its progress, and how a file gets its final name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from batos.errors import Cancelled
from batos.mind.digests import remember

if TYPE_CHECKING:
    from pathlib import Path

    from batos.mind.catalog import Entry, FileEntry

OnProgress = Callable[[int, int, str], None]

BLOCK = 1 << 20


class SourceFailed(Exception):
    """This source does not have the weights; the next one is asked."""


@dataclass(slots=True)
class Job:
    """One model being fetched.

    Args:
        entry: The model.
        folder: Where its files go.
        cache: The weights cache.
        on_progress: Hears bytes done, bytes in all, and what is being done.
        cancelled: Asked often; True stops the job.
        missing: Files that are not there yet.
        done: Bytes reported so far; it never shrinks.
    """

    entry: Entry
    folder: Path
    cache: Path
    on_progress: OnProgress | None = None
    cancelled: Callable[[], bool] | None = None
    missing: list[FileEntry] = field(default_factory=list)
    done: int = 0

    def report(self, done: int, text: str) -> None:
        """Tell how far the job is.

        Raises:
            Cancelled: Somebody cancelled it.
        """
        self.check()
        self.done = max(self.done, min(done, self.entry.size))
        if self.on_progress is not None:
            self.on_progress(self.done, self.entry.size, text)

    def check(self) -> None:
        """Raise `Cancelled` if somebody cancelled the job."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled(f"fetching {self.entry.name} was cancelled", "Fetch it again; it goes on where it was.")

    def present_bytes(self) -> int:
        """Bytes of the files that are there."""
        return self.entry.size - sum(file.size for file in self.missing)

    def partial_bytes(self) -> int:
        """Bytes of files that are there in part."""
        parts = [part_of(self.folder / file.path) for file in self.missing]
        return sum(part.stat().st_size for part in parts if part.is_file())


def part_of(path: Path) -> Path:
    """Where a file lies while it grows."""
    return path.with_name(path.name + ".part")


class Sink:
    """A file that is being written, and the digest of what it holds.

    Args:
        stream: The open file, at its end.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.hasher = hashlib.sha256()

    def take(self, source: IO[bytes], on_bytes: Callable[[int], None]) -> None:
        """Take a stream to its end in blocks; `on_bytes` hears the size of each."""
        while block := source.read(BLOCK):
            self.stream.write(block)
            self.hasher.update(block)
            on_bytes(len(block))


def place(job: Job, file: FileEntry, part: Path, digest: str) -> Path:
    """Give a finished file its name, if its digest is right; else remove it.

    Raises:
        SourceFailed: The digest or the size is wrong.
    """
    if digest != file.sha256 or part.stat().st_size != file.size:
        part.unlink()
        raise SourceFailed(f"{file.path} has another digest than the catalog says; it was thrown away")
    path = job.folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    sync(part)
    part.replace(path)
    sync(path.parent)
    remember(path, job.cache, digest)
    job.missing = [other for other in job.missing if other is not file]
    return path


def sync(path: Path) -> None:
    """Bring a file or folder to the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
