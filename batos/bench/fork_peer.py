"""The peer of bench `sandbox`: a bare Python process with the modules of methods loaded, that forks, talks and waits.

Run as `python -m batos.bench.fork_peer`: for each line on its input it writes the seconds that one round took.
"""

from __future__ import annotations

import os
import sys
import time

from batos.guardian.modules import PURE_MODULES
from batos.sandbox import library

_WORD = b"x" * 100


def main() -> None:
    """Measure whenever asked."""
    library.preload(PURE_MODULES)
    library.keep_time_zones()
    _tell("ready")
    for _ in sys.stdin:
        _tell(str(_round()))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _round() -> float:
    """Fork a child that answers one word, and wait for its end."""
    there_out, there_in = os.pipe()
    back_out, back_in = os.pipe()
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.write(back_in, os.read(there_out, len(_WORD)))
        os._exit(0)
    os.write(there_in, _WORD)
    os.read(back_out, len(_WORD))
    os.waitpid(child, 0)
    taken = time.perf_counter() - start
    for descriptor in (there_out, there_in, back_out, back_in):
        os.close(descriptor)
    return taken


if __name__ == "__main__":
    main()
