"""The Allopoietic Upgrade: what is valid is carried out once and reported; what is not stops nothing."""

from __future__ import annotations

import json
import os
import sys
import time

import pytest

from batos.watchdog import steps, upgrade
from batos.watchdog.files import read_json

OK = [sys.executable, "-c", "print('step ran')"]


def drop(home, value, *, settled: bool = False):
    """Drop an instruction file, as old as it must be to be judged."""
    file = home / upgrade.NAME
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    if settled:
        old = time.time() - 10
        os.utime(file, (old, old))
    return file


def report(home, name):
    """The report of an upgrade."""
    return read_json(home / f"update_report.{name}.json")


class TestWithAKernel:
    def test_an_upgrade_runs_its_steps_and_proves_the_new_kernel(self, bench, until):
        """Steps run, another kernel serves, the file becomes `.done`, the report tells all."""
        b = bench()
        b.plan("serve")
        b.start()
        until(lambda: b.state == "serving")
        drop(b.home, {"id": "one", "steps": [{"run": OK, "timeout_s": 20}]})
        until((b.home / "update_instructions.one.done.json").exists)
        until(lambda: b.state == "serving")
        told = report(b.home, "one")
        assert told["verdict"] == "done"
        assert told["proof"]["answered"] is True
        assert told["steps"][0]["output"] == "step ran\n"
        assert told["steps"][0]["exit_code"] == 0
        assert len(b.pids) == 2
        assert not (b.home / upgrade.NAME).exists()

    def test_an_empty_object_means_restart_with_proof(self, bench, until):
        """`{}` restarts the kernel; the id is the time."""
        b = bench()
        b.plan("serve")
        b.start()
        until(lambda: b.state == "serving")
        drop(b.home, {})
        until(lambda: list(b.home.glob("update_instructions.*.done.json")))
        assert len(b.pids) == 2

    def test_a_failing_step_ends_the_upgrade_and_the_kernel_serves_again(self, bench, until):
        """The steps after the failing one do not run, the file becomes `.failed`, a kernel serves."""
        b = bench()
        b.plan("serve")
        b.start()
        until(lambda: b.state == "serving")
        drop(b.home, {"id": "bad", "steps": [{"run": [sys.executable, "-c", "exit(7)"]}, {"run": OK}]})
        until((b.home / "update_instructions.bad.failed.json").exists)
        until(lambda: b.state == "serving")
        assert [step["exit_code"] for step in report(b.home, "bad")["steps"]] == [7]
        assert "exit code 7" in report(b.home, "bad")["error"]

    def test_a_kernel_that_is_not_proven_fails_the_upgrade(self, bench, until):
        """A new kernel that ends before it answers makes the upgrade fail; supervision goes on."""
        b = bench()
        b.plan("serve", 1, "serve")
        b.start()
        until(lambda: b.state == "serving")
        drop(b.home, {"id": "dead", "health_timeout_s": 20})
        until((b.home / "update_instructions.dead.failed.json").exists)
        until(lambda: b.state == "serving")
        assert report(b.home, "dead")["proof"]["answered"] is False
        assert len(b.pids) == 3

    def test_malformed_instructions_stop_nothing(self, bench, until):
        """A file that is refused leaves the kernel as it was."""
        b = bench()
        b.plan("serve")
        b.start()
        until(lambda: b.state == "serving")
        drop(b.home, {"id": "odd", "steps": "git pull"})
        until(lambda: list(b.home.glob("update_instructions.*.failed.json")))
        assert len(b.pids) == 1
        assert b.probe.ping(5)

    def test_instructions_run_once(self, bench, until):
        """The same id again is refused."""
        b = bench()
        b.plan("serve")
        b.start()
        until(lambda: b.state == "serving")
        for ending in ("done", "failed"):
            drop(b.home, {"id": "twice"})
            until(lambda ending=ending: list(b.home.glob(f"update_instructions.twice*.{ending}.json")))
        assert len(b.pids) == 2

    def test_an_interrupted_upgrade_is_closed_by_the_next_watchdog(self, bench, until):
        """What a dead watchdog left in the middle is reported as failed and not run again."""
        b = bench()
        b.plan("serve")
        (b.home / "update_instructions.half.running.json").write_text('{"id": "half"}')
        b.start()
        until(lambda: b.state == "serving")
        assert (b.home / "update_instructions.half.failed.json").exists()
        assert "middle" in report(b.home, "half")["error"]


class TestJudgement:
    @pytest.mark.parametrize(
        ("value", "word"),
        [
            ([], "the file"),
            ({"id": "../evil"}, "id"),
            ({"steps": [{"run": []}]}, "steps.0.run"),
            ({"steps": [{"run": ["echo"], "shell": True}]}, "steps.0.shell"),
            ({"health_timeout_s": 0}, "health_timeout_s"),
            ({"steps": [{"run": ["no-such-command-anywhere"]}]}, "no-such-command-anywhere"),
            ({"unknown": 1}, "unknown"),
        ],
    )
    def test_what_is_wrong_is_named(self, home, value, word):
        """Each invalid file is refused with the field that is wrong."""
        drop(home, value)
        found = upgrade.due(home)
        assert found.instructions is None
        assert word in found.error

    def test_a_file_that_is_being_written_is_not_judged(self, home):
        """Half of a JSON text is left alone for two seconds, then it is malformed."""
        drop(home, '{"id": "ha')
        assert upgrade.due(home) is None
        assert not upgrade.waiting(home)
        drop(home, '{"id": "ha', settled=True)
        assert "not valid JSON" in upgrade.due(home).error
        assert upgrade.waiting(home)

    def test_no_file_is_nothing(self, home):
        """Without a file there is nothing to do."""
        assert upgrade.due(home) is None
        assert not upgrade.waiting(home)

    def test_a_world_writable_file_is_refused(self, home):
        """Whoever could have written it may not command the watchdog."""
        drop(home, {}).chmod(0o666)
        assert "world-writable" in upgrade.due(home).error

    def test_a_foreign_file_is_refused(self, home, monkeypatch):
        """A file of another user is refused."""
        drop(home, {})
        monkeypatch.setattr(upgrade.os, "getuid", lambda: os.stat(home).st_uid + 1)
        assert "another user" in upgrade.due(home).error

    def test_a_link_is_refused(self, home):
        """A symbolic link is not followed."""
        (home / "real.json").write_text("{}")
        (home / upgrade.NAME).symlink_to(home / "real.json")
        assert "regular file" in upgrade.due(home).error


class TestSteps:
    def test_a_step_that_hangs_is_ended_with_its_children(self, tmp_path, until):
        """After its time a step and what it started are gone."""
        code = (
            "import subprocess, sys, time; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
        )
        done = steps.run([sys.executable, "-c", code], 2, tmp_path)
        assert done["exit_code"] is None
        assert "did not end" in done["ending"]
        from .conftest import alive

        until(lambda: not alive(int(done["output"])), "the child's end")

    def test_no_shell_reads_the_arguments(self, tmp_path):
        """Arguments reach the command as they are."""
        word = "a; touch evil $(touch evil) `touch evil`"
        done = steps.run([sys.executable, "-c", "import sys; print(sys.argv[1])", word], 20, tmp_path)
        assert done["output"].strip() == word
        assert not (tmp_path / "evil").exists()

    def test_long_output_is_kept_at_its_end(self, tmp_path):
        """Of a flood of output the end is kept."""
        done = steps.run([sys.executable, "-c", "print('x' * 300000); print('end')"], 20, tmp_path)
        assert len(done["output"]) <= steps.OUTPUT_BYTES
        assert done["output"].endswith("end\n")

    def test_a_command_that_cannot_start_is_told(self, tmp_path):
        """A file that is no program is an error in the report, not in the watchdog."""
        done = steps.run([str(tmp_path)], 20, tmp_path)
        assert done["exit_code"] is None
        assert "could not start" in done["ending"]

    def test_commands_are_looked_for_beside_the_interpreter(self):
        """`pip` in a step is that of the environment."""
        assert steps.search_path().startswith(os.path.dirname(sys.executable) + os.pathsep)
