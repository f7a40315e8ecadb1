"""File locks: one holder at a time, between processes and threads."""

import os
import subprocess
import sys
import threading

import pytest

from batos.errors import Busy, Cancelled
from batos.mind.corelock import FileLock, core_lock, core_lock_file

HOLDER = """
import sys
from pathlib import Path
from batos.mind.corelock import FileLock
with FileLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a lock until it is told to let go, or is killed."""
    file = tmp_path / "a.lock"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert child.stdout.readline() == b"held\n"
    yield file, child
    child.kill()
    child.communicate()


def test_other_process_holds_it(holder):
    """What another process holds cannot be had; with a time-out the answer is Busy."""
    file, _ = holder
    with pytest.raises(Busy), FileLock(file, timeout=0.05):
        pass


@pytest.mark.parametrize("kill", [True, False])
def test_free_after_release_or_death(holder, kill):
    """A lock is free again when its holder lets go, and also when its holder was killed."""
    file, child = holder
    if kill:
        child.kill()
    else:
        child.stdin.close()
        child.stdin = None
    child.wait()
    with FileLock(file, timeout=10) as lock:
        assert lock._held is not None
    assert lock._held is None


def test_cancelled_while_waiting(holder):
    """A waiter that is cancelled gives up, and leaves nothing held behind."""
    file, child = holder
    with pytest.raises(Cancelled), FileLock(file, cancelled=lambda: True):
        pass
    child.kill()
    child.wait()
    with FileLock(file, timeout=10):
        pass


def test_one_thread_at_a_time(tmp_path):
    """Threads of one process exclude each other too."""
    inside, worst = 0, 0

    def work():
        nonlocal inside, worst
        for _ in range(20):
            with FileLock(tmp_path / "b.lock"):
                inside += 1
                worst = max(worst, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == 1


def test_waiter_is_not_overtaken(tmp_path, until):
    """A holder that releases and asks again at once lets the waiter go first."""
    file = tmp_path / "c.lock"
    order = []
    lock = FileLock(file)
    lock.__enter__()

    def wait():
        with FileLock(file):
            order.append("waiter")

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: _turnstile_taken(file), "the waiter stands at the turnstile")
    lock.__exit__(None, None, None)
    with FileLock(file):
        order.append("holder")
    thread.join()
    assert order == ["waiter", "holder"]


def _turnstile_taken(file):
    try:
        with FileLock(file.with_name(file.name + ".turn"), timeout=0):
            return False
    except Busy:
        return True


def test_core_lock_is_one_for_all():
    """Every engine of this user on this machine asks for the same lock."""
    with core_lock(timeout=10), pytest.raises(Busy), core_lock(timeout=0):
        pass


def test_core_lock_lies_in_the_cache(tmp_path, monkeypatch):
    """The lock lies in the user's cache folder, or in the temporary folder where that cannot be made."""
    monkeypatch.undo()
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *a, **k: tmp_path / "cache")
    assert core_lock_file().parent == tmp_path / "cache"
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *a, **k: tmp_path / "file" / "cache")
    assert core_lock_file().parent != tmp_path / "file" / "cache"
