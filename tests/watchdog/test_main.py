"""The watchdog's command line, as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import batos
from batos.watchdog import files
from batos.watchdog.main import ALREADY_RUNNING, main, running

SCRIPT = Path(batos.__file__).parents[1] / "min_watchdog_service.py"


def test_stop_without_a_watchdog_is_no_error(home, capsys):
    """Stopping what does not run says so and succeeds."""
    assert main(["--stop"]) == 0
    assert "not running" in capsys.readouterr().err


def test_status_tells_by_the_lock(home, capsys):
    """The lock is the truth, whatever a status file of a dead watchdog says."""
    files.write_json(files.run_folder(home) / "watchdog.json", {"message": "The kernel serves"})
    assert main(["--status"]) == 1
    lock = files.take_lock(home / "run" / files.LOCK)
    assert main(["--status"]) == 0
    assert running(home)
    lock.close()
    out = capsys.readouterr().out.splitlines()
    assert out == ["watchdog: not running", "watchdog: The kernel serves"]


def test_a_second_watchdog_is_refused(home, capsys):
    """One watchdog an image."""
    with files.take_lock(files.run_folder(home) / files.LOCK):
        assert main([]) == ALREADY_RUNNING
    assert "already runs" in capsys.readouterr().err


def test_a_wrong_setting_is_named(home, monkeypatch, capsys):
    """A wrong setting ends the start with its name and exit code 5."""
    monkeypatch.setenv("BATOS_STOP_GRACE_SECONDS", "soon")
    assert main([]) == 5
    assert "STOP_GRACE_SECONDS" in capsys.readouterr().err


def test_a_home_that_cannot_be_written_is_told(home, capsys):
    """Where there can be no folder for its files, it says which and what to do."""
    (home / "run").write_text("not a folder")
    for words in ([], ["--status"], ["--stop"]):
        assert main(words) == 2
        assert f"may write in {home}" in capsys.readouterr().err


def test_wait_tells_a_refusal(home, capsys):
    """Waiting for a kernel that will not start ends with 2 and the reason."""
    with files.take_lock(files.run_folder(home) / files.LOCK):
        files.write_json(home / "run" / "watchdog.json", {"state": "refused", "message": "taken", "hint": "mend it"})
        assert main(["--wait"]) == 2
        files.write_json(home / "run" / "watchdog.json", {"state": "serving"})
        assert main(["--wait"]) == 0
    assert "taken\nmend it" in capsys.readouterr().err


def test_each_signal_stops_cleanly(home, until):
    """SIGTERM, SIGINT and SIGHUP end the process with 0, also while the kernel is only starting."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        env = {**os.environ, "BATOS_ENGINE": "scripted:none.json", "BATOS_ZMQ_ENDPOINT": f"ipc://{home}/s"}
        process = subprocess.Popen([sys.executable, str(SCRIPT)], env=env, stderr=subprocess.DEVNULL)
        until(lambda p=process: files.read_json(home / "run" / "watchdog.json").get("pid") == p.pid)
        process.send_signal(number)
        assert process.wait(30) == 0
        assert files.read_json(home / "run" / "watchdog.json")["state"] == "stopped"
        assert not running(home)
