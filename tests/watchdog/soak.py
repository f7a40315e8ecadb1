"""A soak: missions and sends for some time, with a fault every few seconds, and the memory of who lives longest.

`python -m tests.watchdog.soak --minutes 30 --every 10` ends with 0 when everything that was acknowledged was done,
nothing was done twice, the image is whole, and the memory of the watchdog and of kernels of the same age stayed level.
"""

from __future__ import annotations

import argparse
import collections
import random
import sys
import tempfile
import time
from pathlib import Path

from .matrix import LINES
from .ship import Load, Ship

FAULTS = (
    *("crash", "exit_0", "sigstop", "starved_loop", "boot_loop", "clock_jump", "disk_full", "watchdog_killed"),
    *("settings_only", "upgrade", "failing_step", "malformed", "half_written"),
)
_AGE_SECONDS = 3.0
_ALLOWED = 1.3
"""Memory at the end by memory at the beginning, medians of the first and last third."""


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), 0)


def level(samples: list[int]) -> float:
    """How memory at the end stands to memory at the beginning."""
    third = max(1, len(samples) // 3)
    first, last = sorted(samples[:third]), sorted(samples[-third:])
    return last[len(last) // 2] / max(1, first[len(first) // 2])


def soak(ship: Ship, minutes: float, every: float, seed: int) -> tuple[collections.Counter[str], dict[str, list[int]]]:
    """Let faults happen to a ship under load; gives how often each did, and samples of memory."""
    draw, did = random.Random(seed), collections.Counter[str]()
    memory: dict[str, list[int]] = {"watchdog": [], "kernel": []}
    end = time.monotonic() + 60 * minutes
    with Load(ship):
        while time.monotonic() < end:
            began = time.monotonic()
            name = draw.choice(FAULTS)
            LINES[name](ship)
            did[name] += 1
            time.sleep(_AGE_SECONDS)  # kernels of the same age are compared
            memory["kernel"].append(resident(ship.kernel))
            if name != "watchdog_killed" and ship.watchdog is not None:
                memory["watchdog"].append(resident(ship.watchdog.pid))
            time.sleep(max(0.0, every - (time.monotonic() - began)))
    return did, memory


def main(argv: list[str]) -> int:
    """Soak, check, and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.watchdog.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=10, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="batos-soak-") as folder:
        ship = Ship(Path(folder) / "ship")
        try:
            ship.prepare()
            did, memory = soak(ship, asked.minutes, asked.every, asked.seed)
            ratios = {name: level(samples) for name, samples in memory.items() if samples}
            _tell(ship, did, memory, ratios)
            ship.check()
            ship.stop()
            ship.image_check()
        except BaseException:
            sys.stderr.write(ship.log()[-20_000:])
            raise
        finally:
            ship.stop()
    return 0 if all(ratio <= _ALLOWED for ratio in ratios.values()) else 1


def _tell(ship: Ship, did: collections.Counter[str], memory: dict[str, list[int]], ratios: dict[str, float]) -> None:
    for name, times in sorted(did.items()):
        sys.stdout.write(f"{name:20} {times}\n")
    sys.stdout.write(f"missions {len(ship.asked)}, sends {ship.bumped} and {ship.unknown} unknown\n")
    for name, ratio in ratios.items():
        sys.stdout.write(f"memory of the {name}: {memory[name][-1] >> 20} MiB, end to beginning {ratio:.2f}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
