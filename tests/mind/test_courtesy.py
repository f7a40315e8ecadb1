"""A process that thinks gives way to those that answer."""

import os
import subprocess
import sys

import pytest

from batos.mind import courtesy

LOOK = """
import os, pathlib, sys, threading
from batos.mind import courtesy
courtesy._SHARED_BY_SESSIONS = pathlib.Path(sys.argv[1])
courtesy.step_back(0)
found = []
thread = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
thread.start()
thread.join()
print(os.getpriority(os.PRIO_PROCESS, 0), found[0])
"""


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="Linux alone has the idle policy")
@pytest.mark.parametrize(("setting", "policy"), [("1\n", "SCHED_IDLE"), ("0\n", "SCHED_OTHER"), (None, "SCHED_OTHER")])
def test_it_steps_back_with_its_threads(tmp_path, setting, policy):
    """It is nicer everywhere, and under the idle policy only where cores are shared out by sessions."""
    file = tmp_path / "sched_autogroup_enabled"
    if setting is not None:
        file.write_text(setting)
    done = subprocess.run([sys.executable, "-c", LOOK, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(courtesy.NICENESS), str(getattr(os, policy))]
