"""The files under run/."""

from __future__ import annotations

import logging

from batos.watchdog import files


def test_the_lock_is_for_one(tmp_path):
    """A second taker gets None until the first lets go."""
    first = files.take_lock(tmp_path / "lock")
    assert first is not None
    assert files.take_lock(tmp_path / "lock") is None
    first.close()
    second = files.take_lock(tmp_path / "lock")
    assert second is not None
    second.close()


def test_without_the_right_to_write_there_is_a_lock_and_a_log(tmp_path, monkeypatch, capsys):
    """Where nothing may be written any more the lock is for one still, and the log goes to the terminal."""
    (tmp_path / "lock").touch()
    real = type(tmp_path).open

    def refuse(self, mode="r", *more, **named):
        if "a" in mode:
            raise PermissionError(13, "Permission denied")
        return real(self, mode, *more, **named)

    monkeypatch.setattr(type(tmp_path), "open", refuse)
    first = files.take_lock(tmp_path / "lock")
    assert first is not None
    assert files.take_lock(tmp_path / "lock") is None
    first.close()
    (tmp_path / "watchdog.log").mkdir()
    log = files.open_log(tmp_path, 500, terminal=False)
    log.info("it goes on")
    files.close_log(log)
    assert "it goes on" in capsys.readouterr().err


def test_json_goes_round_one_key_a_line(tmp_path):
    """What is written is read back, and a shell can read it line by line."""
    value = {"state": "serving", "message": "It says «yes»", "pid": 12}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value
    assert ' "state": "serving",' in (tmp_path / "a.json").read_text(encoding="utf-8").splitlines()
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_unreadable_files_are_nothing(tmp_path):
    """Missing or broken files read as empty."""
    (tmp_path / "broken").write_text("{")
    (tmp_path / "list").write_text("[]")
    assert files.read_json(tmp_path / "broken") == {}
    assert files.read_json(tmp_path / "list") == {}
    assert files.read_json(tmp_path / "missing") == {}
    assert files.read_pid(tmp_path / "missing") is None
    assert files.read_pid(tmp_path / "broken") is None


def test_a_long_log_starts_anew_under_its_writer(tmp_path):
    """A log over its limit is kept aside, and who has it open for appending goes on at its start."""
    log = tmp_path / "kernel.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        files.shorten(log, 100)
        assert log.stat().st_size == 100
        writer.write(b"y")
        files.shorten(log, 100)
        assert (tmp_path / "kernel.log.1").read_bytes() == b"x" * 100 + b"y"
        writer.write(b"z")
    assert log.read_bytes() == b"z"
    files.shorten(tmp_path / "missing", 1)


def test_a_log_that_cannot_be_copied_stays(tmp_path):
    """Where the disk takes no copy the log stays as it is, and nothing is raised: the watchdog has more to do."""
    log = tmp_path / "kernel.log"
    log.write_bytes(b"x" * 101)
    (tmp_path / "kernel.log.1").mkdir()
    files.shorten(log, 100)
    assert log.read_bytes() == b"x" * 101


def test_the_tail_of_a_log(tmp_path):
    """The last lines come, whatever the bytes."""
    (tmp_path / "log").write_bytes(b"\xff\n" + b"\n".join(b"line %d" % n for n in range(50)))
    assert files.tail(tmp_path / "log", 2) == "line 48\nline 49"
    assert files.tail(tmp_path / "missing") == ""


def test_the_watchdogs_log_rotates(tmp_path):
    """watchdog.log stays under its limit, with copies beside it."""
    log = files.open_log(tmp_path, 500, terminal=False)
    for number in range(100):
        log.info("line %d", number)
    files.close_log(log)
    assert (tmp_path / "watchdog.log").stat().st_size <= 500
    assert (tmp_path / "watchdog.log.1").exists()
    assert len(list(tmp_path.glob("watchdog.log*"))) == 1 + files.LOG_COPIES
    assert not logging.getLogger(f"batos.watchdog.{tmp_path}").handlers
