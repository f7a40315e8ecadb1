"""Supervision: whatever the kernel does, a serving kernel follows, and a stop leaves nothing behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess

from batos.watchdog import files
from batos.watchdog.backoff import Backoff
from batos.watchdog.process import is_kernel
from batos.watchdog.vessel import Vessel

from .conftest import alive


class TestServing:
    def test_serving_means_that_a_ping_was_answered(self, bench, until):
        """The state is `serving` once the kernel answered, and the status file names both processes."""
        b = bench()
        b.plan("serve")
        b.start()
        until(lambda: b.state == "serving")
        assert b.probe.ping(1)["ready"] is True
        assert b.status["kernel_pid"] == b.pids[0]
        assert b.status["pid"] == os.getpid()
        assert files.read_pid(b.home / "run" / "kernel.pid") == b.pids[0]

    def test_what_the_kernel_prints_is_kept(self, bench, until):
        """The kernel's output is in run/kernel.log."""
        b = bench()
        b.plan("serve")
        b.start()
        until(lambda: b.state == "serving")
        assert "start 0" in (b.home / "run" / "kernel.log").read_text()

    def test_stopping_leaves_no_kernel(self, bench, until):
        """After a stop the kernel is gone and the status says so."""
        b = bench()
        b.plan("serve")
        b.start()
        until(lambda: b.state == "serving")
        b.stop()
        assert not alive(b.pids[0])
        assert b.state == "stopped"
        assert not (b.home / "run" / "kernel.pid").exists()

    def test_a_kernel_that_ignores_the_request_is_killed(self, bench, until):
        """A kernel that does not end within the grace is killed."""
        b = bench(stop_grace_seconds=0.2)
        b.plan("stubborn")
        b.start()
        until(lambda: b.state == "serving")
        b.stop()
        assert not alive(b.pids[0])

    def test_the_stop_file_stops(self, bench, until):
        """A watchdog that finds run/watchdog.stop ends, and takes the file away."""
        b = bench()
        b.plan("serve")
        b.start()
        until(lambda: b.state == "serving")
        (b.home / "run" / files.STOP).touch()
        until(lambda: b.state == "stopped")
        assert not (b.home / "run" / files.STOP).exists()


class TestRestarts:
    def test_killed_kernels_are_replaced(self, bench, until):
        """Kill -9 of the kernel brings another that serves."""
        b = bench()
        b.plan("serve")
        b.start()
        for number in range(3):
            until(lambda n=number: b.state == "serving" and len(b.pids) == n + 1)
            os.kill(b.pids[-1], signal.SIGKILL)
            until(lambda n=number: len(b.pids) == n + 2)
        until(lambda: b.state == "serving")
        assert b.status["restarts"] == 3

    def test_an_end_with_code_0_is_followed_by_a_start(self, bench, until):
        """A kernel that was asked to end by somebody else comes back: only the watchdog's own stop is a stop."""
        b = bench()
        b.plan(0, "serve")
        b.start()
        until(lambda: b.state == "serving")
        assert len(b.pids) == 2

    def test_a_boot_loop_ends_in_service_when_the_cause_goes_away(self, bench, until):
        """A kernel that fails to start is tried again and again; the log has the pauses and the codes."""
        b = bench()
        b.plan(1, 1, 1, 1, 1, 1, 1, "serve")
        b.start()
        until(lambda: b.state == "serving")
        log = (b.home / "run" / "watchdog.log").read_text()
        assert "exit code 1" in log

    def test_too_many_quick_ends_are_told_and_tried_slowly(self, bench, until):
        """Beyond the limit the state is `failing`, the hint says where to look, and the pause is the longest one."""
        b = bench()
        b.plan(1)
        b.start(backoff=Backoff(3600, limit=3))
        until(lambda: b.state == "failing")
        assert len(b.pids) == b.status["failures"] == 4
        assert "It ended 4 times within 300 s. The last that it said: start 3 of code" in str(b.status["hint"])

    def test_a_stopped_process_is_replaced(self, bench, until):
        """A kernel that no longer answers (SIGSTOP) is replaced, without waiting for it to hear a request."""
        b = bench(stop_grace_seconds=3600)
        b.plan("serve")
        b.start()
        until(lambda: b.state == "serving")
        os.kill(b.pids[0], signal.SIGSTOP)
        until(lambda: len(b.pids) == 2 and b.state == "serving")
        assert not alive(b.pids[0])

    def test_service_that_always_ends_soon_is_told_and_tried_slowly(self, bench, until):
        """A kernel that serves for a while and ends, again and again, is not restarted for ever without a word."""
        b = bench()
        b.plan("once")
        b.start(backoff=Backoff(3600, limit=2))
        until(lambda: b.state == "failing")
        assert len(b.pids) == 3

    def test_a_kernel_that_never_answers_is_replaced(self, bench, until):
        """A kernel that starts and stays mute is replaced after READY_SECONDS."""
        b = bench(ready_seconds=0.3, stop_grace_seconds=0.2)
        b.plan("mute", "serve")
        b.start()
        until(lambda: b.state == "serving")
        assert len(b.pids) == 2

    def test_refusals_are_not_restarted_quickly(self, bench, until):
        """Exit codes 3 to 6 are looked at again only after REFUSED_SECONDS, and the status says what to do."""
        for code, word in ((3, "other kernel"), (4, "backup"), (5, "docs/settings.md"), (6, "ZMQ_ENDPOINT")):
            b = bench(refused_seconds=3600)
            b.plan(code)
            b.start()
            until(lambda b=b: b.state == "refused")
            assert word in str(b.status["hint"])
            assert b.status["exit_code"] == code
            b.stop()
            assert len(b.pids) == 1

    def test_a_refusal_is_looked_at_again(self, bench, until):
        """After the pause the kernel is tried again and serves when the cause is gone."""
        b = bench()
        b.plan(6, 3, "serve")
        b.start()
        until(lambda: b.state == "serving")
        assert len(b.pids) == 3


class TestAdoption:
    def test_the_kernel_of_a_dead_watchdog_is_adopted(self, bench, until):
        """A kernel that runs is not started twice; it is stopped with the watchdog that adopted it."""
        b = bench()
        b.plan("serve")
        kernel = _orphan(b, until)
        b.start()
        until(lambda: b.state == "serving")
        assert len(b.pids) == 1
        assert is_kernel(b.pids[0], b.home)
        b.stop()
        assert kernel.poll() is not None

    def test_it_is_found_without_its_number(self, bench, until):
        """A watchdog that died before it wrote the number of the kernel down leaves one that is found all the same."""
        b = bench()
        b.plan("serve")
        _orphan(b, until)
        (b.home / "run" / "kernel.pid").unlink()
        b.start()
        until(lambda: b.state == "serving")
        assert len(b.pids) == 1
        assert files.read_pid(b.home / "run" / "kernel.pid") == b.pids[0]

    def test_a_stopped_orphan_is_replaced(self, bench, until):
        """An orphan that does not answer is not doubled but replaced."""
        b = bench(ready_seconds=0.5)
        b.plan("serve")
        kernel = _orphan(b, until)
        os.kill(kernel.pid, signal.SIGSTOP)
        b.start()
        until(lambda: b.state == "serving" and len(b.pids) == 2)
        assert not alive(b.pids[0])

    def test_an_orphan_that_hangs_is_replaced_within_two_beats(self, bench, until):
        """A kernel that served the watchdog before is not given the time of one that starts."""
        b = bench(ready_seconds=3600)
        b.plan("serve")
        kernel = _orphan(b, until)
        files.write_json(b.home / "run" / "watchdog.json", {"state": "serving", "kernel_pid": kernel.pid})
        os.kill(kernel.pid, signal.SIGSTOP)
        b.start()
        until(lambda: b.state == "serving" and len(b.pids) == 2)
        assert not alive(b.pids[0])

    def test_what_an_adopted_kernel_started_ends_with_it(self, bench, until):
        """Kill -9 of an adopted kernel leaves none of its children."""
        b = bench()
        b.plan("parent", "serve")
        kernel = _orphan(b, until)
        child = int((b.folder / "child").read_text())
        b.start()
        until(lambda: b.state == "serving")
        os.kill(kernel.pid, signal.SIGKILL)
        until(lambda: not alive(child), "the child's end")
        until(lambda: b.state == "serving" and len(b.pids) == 2)
        assert not alive(child)

    def test_a_kernel_that_somebody_else_started_is_left_running(self, bench, until):
        """A kernel that no watchdog started is watched, and left alone at the end."""
        b = bench()
        b.plan("serve")
        process = subprocess.Popen(b.base.command())
        until(lambda: b.probe.ping(1))
        b.start()
        until(lambda: b.state == "serving")
        b.stop()
        assert alive(process.pid)
        process.kill()
        process.wait()


class TestTroubleOfItsOwn:
    def test_a_disk_that_refuses_does_not_end_the_watch(self, bench, until, monkeypatch):
        """While nothing can be written kernels are replaced all the same; afterwards the status is true again."""
        b = bench()
        b.plan("serve")
        b.start()
        until(lambda: b.state == "serving")
        real = files.write_json
        monkeypatch.setattr(files, "write_json", _refuse)
        os.kill(b.pids[0], signal.SIGKILL)
        until(lambda: len(b.pids) == 2 and b.probe.ping(1))
        os.kill(b.pids[1], signal.SIGKILL)
        until(lambda: len(b.pids) == 3 and b.probe.ping(1))
        assert b.status["kernel_pid"] == b.pids[0]
        monkeypatch.setattr(files, "write_json", real)
        until(lambda: b.status["kernel_pid"] == b.pids[2] and b.state == "serving")
        until((b.home / "run" / "settings.json").exists)

    def test_a_fault_of_its_own_does_not_end_it(self, bench, until, monkeypatch):
        """Whatever goes wrong in a round is logged, and the next one comes."""
        b = bench()
        b.plan("serve")
        watchdog = b.start()
        until(lambda: b.state == "serving")
        monkeypatch.setattr(watchdog.vessel, "ping", lambda _: 1 / 0)
        until(lambda: "ZeroDivisionError" in (b.home / "run" / "watchdog.log").read_text())
        monkeypatch.undo()
        os.kill(b.pids[0], signal.SIGKILL)
        until(lambda: len(b.pids) == 2 and b.state == "serving")
        assert alive(b.pids[1])


def _refuse(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def _orphan(bench, until):
    """Start a kernel as a watchdog does that is killed right afterwards; gives it."""
    vessel = Vessel(bench.settings, lambda _: bench.probe)
    vessel.launch(bench.base)
    until(lambda: bench.probe.ping(1))
    return vessel.kernel
