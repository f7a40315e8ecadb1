"""`update_instructions.json`: what may be carried out, and what is refused before anything stops."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from batos.watchdog import instructions
from batos.watchdog.instructions import Mailbox
from batos.watchdog.releases import Release

from .drops import drop


@pytest.fixture
def release(tmp_path):
    """The release whose commands are looked for."""
    return Release("", tmp_path, Path(sys.executable), None)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ([], "the file"),
        ({"id": "../evil"}, "id"),
        ({"steps": [{"run": []}]}, "steps.0.run"),
        ({"steps": [{"run": ["echo"], "shell": True}]}, "steps.0.shell"),
        ({"health_timeout_s": 0}, "health_timeout_s"),
        ({"steps": [{"run": ["no-such-command-anywhere"]}]}, "no-such-command-anywhere"),
        ({"steps": [{"run": ["./no-such-script"]}]}, "./no-such-script"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_is_wrong_is_named(home, release, value, word):
    """Each invalid file is refused with the field that is wrong."""
    drop(home, value)
    found = Mailbox(home).due(release)
    assert found.instructions is None
    assert word in found.error


def test_wrong_settings_are_refused_before_the_kernel_stops(home, release):
    """Instructions that only take up settings are refused when these are wrong."""
    (home / "batos.toml").write_text("WORKERS = 'none'\n")
    drop(home, {})
    assert "WORKERS" in Mailbox(home).due(release).error


def test_a_file_that_is_being_written_is_not_judged(home, release):
    """Half of a JSON text is left alone until it has looked the same for two seconds by a clock that only grows."""
    now = 1000.0
    box = Mailbox(home, clock=lambda: now)
    file = drop(home, '{"id": "ha')
    os.utime(file, (1, 1))  # what the system's clock says of it does not matter
    assert box.due(release) is None
    now += 1.5
    drop(home, '{"id": "half')
    assert box.due(release) is None
    now += 1.5
    assert box.due(release) is None
    now += 1.0
    assert "not valid JSON" in box.due(release).error
    assert box.waiting


def test_no_file_is_nothing(home, release):
    """Without a file there is nothing to do."""
    assert Mailbox(home).due(release) is None
    assert not Mailbox(home).waiting


def test_a_world_writable_file_is_refused(home, release):
    """Whoever could have written it may not command the watchdog."""
    drop(home, {}).chmod(0o666)
    assert "world-writable" in Mailbox(home).due(release).error


def test_a_foreign_file_is_refused(home, release, monkeypatch):
    """A file of another user is refused."""
    drop(home, {})
    monkeypatch.setattr(instructions.os, "getuid", lambda: os.stat(home).st_uid + 1)
    assert "another user" in Mailbox(home).due(release).error


def test_a_link_is_refused(home, release):
    """A symbolic link is not followed, also one that leads nowhere."""
    (home / instructions.NAME).symlink_to(home / "real.json")
    assert "regular file" in Mailbox(home).due(release).error
    assert Mailbox(home).waiting


@pytest.mark.timeout(20)
def test_a_pipe_is_refused_unread(home, release):
    """A named pipe does not hold up the watchdog."""
    os.mkfifo(home / instructions.NAME)
    assert "regular file" in Mailbox(home).due(release).error


def test_what_is_too_large_is_refused(home, release):
    """Instructions of many megabytes are none."""
    drop(home, " " * instructions.MOST_BYTES + "{}")
    assert "more than" in Mailbox(home).due(release).error


def test_text_that_is_none_is_refused(home, release):
    """Bytes that are no UTF-8, and brackets without an end, are told as what they are."""
    (home / instructions.NAME).write_bytes(b"\xff{}")
    assert "cannot be read" in Mailbox(home).due(release).error
    drop(home, "[" * 100_000)
    now = iter((0.0, 0.0, 10.0))
    box = Mailbox(home, clock=lambda: next(now))
    assert box.due(release) is None
    assert "not valid JSON" in box.due(release).error


def test_an_id_runs_once(home, release):
    """An id that was carried out, or is being carried out, is refused."""
    for end in ("done", "failed", "running"):
        file = drop(home, {"id": end})
        assert Mailbox(home).due(release).instructions is not None
        (home / f"update_instructions.{end}.{end}.json").write_text("{}")
        assert "ran before" in Mailbox(home).due(release).error
        file.unlink()


def test_commands_are_looked_for_beside_the_interpreter(release):
    """`pip` in a step is that of the release's environment."""
    assert release.search_path.startswith(os.path.dirname(sys.executable) + os.pathsep)
