"""`python -m batos upgrade`: what it writes is valid, or it is not written."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import pytest

from batos.operator import cli
from batos.watchdog import files
from batos.watchdog.files import write_json
from batos.watchdog.instructions import NAME, Mailbox
from batos.watchdog.releases import Release

PYTHON = Path(sys.executable).name


def _run(capsys, *words: str) -> tuple[int, dict]:
    code = cli.main(["upgrade", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_what_is_written_is_valid(home, capsys):
    """The watchdog's own judgement accepts the file, with its steps, limits and id; nothing else is left behind."""
    step = f"{PYTHON} -c 'print(\"two words\")'"
    words = ("--id", "one", "--step", step, "--step-timeout", "5", "--health-timeout", "7", "--restore-image")
    code, told = _run(capsys, *words)
    assert (code, told["id"], told["watchdog"]) == (0, "one", False)
    found = Mailbox(home).due(Release.own()).instructions
    assert found.steps[0].run == [PYTHON, "-c", 'print("two words")']
    assert (found.steps[0].timeout_s, found.health_timeout_s, found.keep_image) == (5, 7, False)
    assert {entry.name for entry in home.iterdir()} == {NAME, "run"}


def test_without_options_it_means_a_restart(home, capsys):
    """No steps, and an id that is the time."""
    code, told = _run(capsys)
    assert code == 0
    assert json.loads((home / NAME).read_text())["steps"] == []
    assert told["id"]


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (("--id", "../x"), "id"),
        (("--step", "no-such-command-anywhere"), "no-such-command-anywhere"),
        (("--step", "'unfinished"), "cannot be read"),
        (("--step", ""), "run"),
        (("--health-timeout", "0"), "health_timeout_s"),
    ],
)
def test_what_would_be_refused_is_not_written(home, capsys, words, word):
    """A wrong upgrade ends with 1 and what is wrong, before any file is there."""
    code, told = _run(capsys, *words)
    assert code == 1
    assert word in told["error"]["message"]
    assert not (home / NAME).exists()


def test_wrong_settings_are_found_before(home, capsys, monkeypatch):
    """Settings that no kernel could start with are not taken up."""
    from batos.operator import upgrade
    from batos.settings import Settings

    settings = Settings.load()
    (home / "batos.toml").write_text("WORKERS = 'none'\n")
    asked = cli.parser().parse_args(["upgrade", "--json"])
    with pytest.raises(Exception, match="WORKERS"):
        upgrade.run(asked, settings, None)
    assert not (home / NAME).exists()


def test_ids_and_files_are_used_once(home, capsys):
    """An id that ran, and a file that waits, are refused."""
    (home / "update_instructions.old.done.json").write_text("{}")
    assert "ran before" in _run(capsys, "--id", "old")[1]["error"]["message"]
    assert _run(capsys, "--id", "new")[0] == 0
    assert "waits" in _run(capsys, "--id", "newer")[1]["error"]["message"]


@pytest.mark.parametrize(("verdict", "code"), [("done", 0), ("failed", 1)])
def test_waiting_shows_the_report(home, capsys, verdict, code):
    """With --wait the exit code and the words are those of the report."""
    report = {"id": "w", "verdict": verdict, "error": "" if verdict == "done" else "step 1 broke", "serves": {}}
    report["steps"] = [{"run": ["git", "pull"], "seconds": 1.5, "ending": "succeeded"}]
    with files.take_lock(files.run_folder(home) / files.LOCK):
        timer = threading.Timer(0.2, write_json, (home / "update_report.w.json", report))
        timer.start()
        assert cli.main(["upgrade", "--id", "w", "--wait"]) == code
        timer.join()
    out = capsys.readouterr().out
    assert "git pull" in out
    assert f"verdict: {verdict}" in out


def test_nobody_to_wait_for(home, capsys):
    """Without a watchdog there is nothing to wait for, and that is said."""
    code, told = _run(capsys, "--wait")
    assert code == 1
    assert told["error"]["type"] == "Unreachable"
