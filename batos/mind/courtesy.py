"""Messages go before thinking where both want the same core."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

NICENESS = 5
_SHARED_BY_SESSIONS = Path("/proc/sys/kernel/sched_autogroup_enabled")


def step_back(pid: int) -> None:
    """Have a process (0: this one), and the threads that it will start, give way to others of its session.

    Where Linux shares out the cores by sessions, whoever wakes gets a core at once that such a process has; between
    sessions nothing changes, so that other work on the machine cannot starve it. Elsewhere it is made nicer.
    """
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
    if hasattr(os, "SCHED_IDLE"):
        with contextlib.suppress(OSError):
            if _SHARED_BY_SESSIONS.read_text(encoding="ascii").strip() == "1":
                os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
