"""One step of an upgrade."""

from __future__ import annotations

import os
import sys

import pytest

from batos.watchdog import steps

from .conftest import alive


def _run(argv, seconds, folder, **more):
    return steps.run(argv, seconds, folder, dict(os.environ), **more)


def test_a_step_that_hangs_is_ended_with_its_children(tmp_path, until):
    """After its time a step and what it started are gone."""
    code = "import subprocess, sys, time; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    done = _run([sys.executable, "-c", code], 2, tmp_path)
    assert done["exit_code"] is None
    assert "did not end" in done["ending"]
    until(lambda: not alive(int(done["output"])), "the child's end")


def test_what_a_step_leaves_in_the_background_ends_with_it(tmp_path, until):
    """A step that ends well leaves no process behind that works on beside the kernel."""
    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"
    done = _run([sys.executable, "-c", code], 60, tmp_path)
    assert done["exit_code"] == 0
    until(lambda: not alive(int(done["output"])), "the child's end")


def test_whoever_waits_may_end_the_step(tmp_path, until):
    """What `tick` raises ends the step and comes out."""
    marks = []

    def tick():
        marks.append(1)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        _run([sys.executable, "-c", "import time; time.sleep(600)"], 600, tmp_path, tick=tick)
    assert marks == [1]


def test_no_shell_reads_the_arguments(tmp_path):
    """Arguments reach the command as they are."""
    word = "a; touch evil $(touch evil) `touch evil`"
    done = _run([sys.executable, "-c", "import sys; print(sys.argv[1])", word], 20, tmp_path)
    assert done["output"].strip() == word
    assert not (tmp_path / "evil").exists()


def test_long_output_is_kept_at_its_end(tmp_path):
    """Of a flood of output the end is kept."""
    done = _run([sys.executable, "-c", "print('x' * 300000); print('end')"], 20, tmp_path)
    assert len(done["output"]) <= steps.OUTPUT_BYTES
    assert done["output"].endswith("end\n")


def test_a_command_that_cannot_start_is_told(tmp_path):
    """A file that is no program is an error in the report, not in the watchdog."""
    done = _run([str(tmp_path)], 20, tmp_path)
    assert done["exit_code"] is None
    assert "could not start" in done["ending"]
