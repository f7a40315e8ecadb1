"""A process of its own for `bench memory`: ingests a folder and says how far its memory rose."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from batos.operator import ingest
from batos.operator.offline import Stopped
from batos.operator.show import Speaker
from batos.settings import Settings


def main(home: str) -> None:
    """Ingest `home/folder` into a new image in `home`; prints one JSON line."""
    way = Stopped(Settings.load(home=home))
    report = {"documents": 0, "chunks": 0, "failed": []}
    ingest.learn(way, [], report, Speaker(json=False))
    idle = _peak()
    start = time.perf_counter()
    ingest.learn(way, [Path(home) / "folder"], report, Speaker(json=False))
    way.close()
    told = {"idle": idle, "peak": _peak() - idle, "documents": report["documents"]}
    sys.stdout.write(json.dumps({**told, "seconds": time.perf_counter() - start}) + "\n")


def _peak() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(sys.argv[1])
