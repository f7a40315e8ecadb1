"""The client behind a gate: it loads while the kernel starts, and opens when the launcher says that the kernel serves.

`puter.sh` runs `python -m batos.client.gate ARGUMENT…` with the word on file descriptor 3: `go`, or nothing when the
kernel cannot start (the launcher has said why).
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WORD_FD = 3
GO = "go\n"
CANNOT_START = 2
INTERRUPTED = 130
_SLOW = ("batos.client.console", "batos.client.missions", "batos.client.show", "batos.client.sync", "batos.settings")


def main(argv: Sequence[str], fd: int = WORD_FD) -> int:
    """Load, wait for the word, and run the client; 2 when the word does not come."""
    from batos.client import cli

    try:
        for name in _SLOW:
            import_module(name)
        with os.fdopen(fd, encoding="ascii") as gate:
            if gate.readline() != GO:
                return CANNOT_START
    except KeyboardInterrupt:
        return INTERRUPTED
    return cli.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
