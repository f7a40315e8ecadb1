"""A process of its own for `bench memory`: ingests a folder and says how far its memory rose."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from batos.image.migrations import migrate
from batos.image.store import Image
from batos.memory import bulk, readers
from batos.memory.sources import Source

if TYPE_CHECKING:
    from collections.abc import Iterator


def main(home: str) -> None:
    """Ingest `home/folder` into a new image in `home`; prints one JSON line."""
    image = Image(Path(home) / "image.fs", Path(home) / "blobs")
    migrate(image)
    bulk.learn(image, [readers.Document("first", "Some words.", {})])
    idle, start, count = _peak(), time.perf_counter(), 0

    def documents() -> Iterator[readers.Document]:
        nonlocal count
        source = Source(Path(home) / "folder")
        for file, name in source.files():
            for document in source.read(file, name):
                count += 1
                yield document

    bulk.learn(image, documents())
    image.close_now()
    told = {"idle": idle, "peak": _peak() - idle, "documents": count, "seconds": time.perf_counter() - start}
    sys.stdout.write(json.dumps(told) + "\n")


def _peak() -> float:
    """The most memory that this process has had, in MiB, as Linux tells it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(sys.argv[1])
