"""The Allopoietic Upgrade with a stand-in kernel: carried out once, proven or taken back, and reported."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from batos.watchdog import logbook, upgrade
from batos.watchdog.files import write_json
from batos.watchdog.instructions import NAME

from .drops import drop, ended, report, reports

OK = [sys.executable, "-c", "print('step ran')"]


def _edit(text: str) -> list[str]:
    """A step that changes the code."""
    return [sys.executable, "-c", f"open('batos.py', 'a').write({text!r})"]


@pytest.fixture
def serving(bench, until):
    """Make a bench that serves, with a plan for the kernels' starts."""

    def make(*plan: int | str, **settings):
        b = bench(**settings)
        b.plan("serve", *plan)
        b.start()
        until(lambda: b.state == "serving")
        return b

    return make


class TestDone:
    def test_steps_run_beside_what_serves_and_the_link_is_switched(self, serving, until):
        """The steps change a copy, the old code stays as it was, and the copy is what serves afterwards."""
        b = serving("serve")
        before = (b.code / "batos.py").read_text()
        drop(b.home, {"id": "one", "steps": [{"run": OK, "timeout_s": 20}, {"run": _edit("\n# newer\n")}]})
        until(lambda: ended(b.home, "one", "done"))
        until(lambda: b.state == "serving")
        told = report(b.home, "one")
        assert told["verdict"] == "done"
        assert told["proof"]["done"] is True
        assert told["steps"][0]["output"] == "step ran\n"
        assert told["serves"]["release"] == b.status["release"] == "one"
        assert (b.code / "batos.py").read_text() == before
        assert (b.home / "releases" / "current" / "batos.py").read_text() == before + "\n# newer\n"
        assert "of one" in (b.home / "run" / "kernel.log").read_text()
        assert len(b.pids) == 2
        assert not (b.home / NAME).exists()

    def test_an_empty_object_means_restart_with_proof(self, serving, until):
        """`{}` restarts the kernel from the code that serves; the id is the time."""
        b = serving("serve")
        drop(b.home, {})
        until(lambda: list(b.home.glob("update_instructions.*.done.json")))
        assert len(b.pids) == 2
        assert not (b.home / "releases").exists()

    def test_the_kernel_is_looked_after_while_the_steps_run(self, serving, until):
        """A kernel that dies, and one that hangs, in the middle of a long step are replaced before the step ends."""
        b = serving("serve", "serve", "serve")
        wait = f"import pathlib, time\nwhile not pathlib.Path({str(b.folder / 'go')!r}).exists(): time.sleep(0.02)"
        drop(b.home, {"id": "long", "steps": [{"run": [sys.executable, "-c", wait]}]})
        until(lambda: b.state == "upgrading" and "Step" in str(b.status["message"]))
        os.kill(b.pids[0], signal.SIGKILL)
        until(lambda: len(b.pids) == 2 and b.state == "serving")
        os.kill(b.pids[1], signal.SIGSTOP)
        until(lambda: len(b.pids) == 3 and b.state == "serving")
        (b.folder / "go").touch()
        until(lambda: ended(b.home, "long", "done") and b.state == "serving")
        assert len(b.pids) == 4
        assert b.status["release"] == "long"

    def test_a_kernel_that_hears_nothing_is_not_waited_for(self, serving, until):
        """An upgrade of a system whose kernel hangs does not wait for its missions."""
        b = serving("serve", watch_seconds=60, upgrade_grace_seconds=3600)
        os.kill(b.pids[0], signal.SIGSTOP)
        drop(b.home, {"id": "deaf"})
        until(lambda: ended(b.home, "deaf", "done"))
        assert len(b.pids) == 2

    def test_two_files_in_a_row_are_two_upgrades(self, serving, until):
        """A second file that is dropped while the first is carried out is carried out after it."""
        b = serving("serve")
        drop(b.home, {"id": "first", "steps": [{"run": [sys.executable, "-c", "import time; time.sleep(0.5)"]}]})
        until(lambda: not (b.home / NAME).exists())
        drop(b.home, {"id": "second", "steps": [{"run": _edit("\n# second\n")}]})
        until(lambda: ended(b.home, "first", "done") and ended(b.home, "second", "done"))
        until(lambda: b.state == "serving")
        assert b.status["release"] == "second"
        until(lambda: {entry.name for entry in (b.home / "releases").iterdir()} == {"first", "second", "current"})

    def test_only_the_last_releases_are_kept(self, serving, until):
        """Of older releases and backups only those are kept that a way back may need."""
        b = serving("serve")
        for name in ("a", "b", "c", "d"):
            drop(b.home, {"id": name, "steps": [{"run": OK}]})
            until(lambda n=name: ended(b.home, n, "done") and b.state == "serving")
        until(lambda: {entry.name for entry in (b.home / "releases").iterdir()} == {"c", "d", "current"})
        assert {entry.name for entry in (b.home / "backups").iterdir()} == {"upgrade-c", "upgrade-d"}


class TestTakenBack:
    def test_a_failing_step_stops_nothing(self, serving, until):
        """The steps after the failing one do not run, and the old kernel goes on without having been stopped."""
        b = serving("serve")
        drop(b.home, {"id": "bad", "steps": [{"run": [sys.executable, "-c", "exit(7)"]}, {"run": OK}]})
        until(lambda: ended(b.home, "bad", "failed"))
        until(lambda: b.state == "serving")
        assert [step["exit_code"] for step in report(b.home, "bad")["steps"]] == [7]
        assert "exit code 7" in report(b.home, "bad")["error"]
        assert len(b.pids) == 1
        until(lambda: not list((b.home / "releases").iterdir()), "the release is removed")

    def test_a_kernel_that_ends_in_its_proof_is_taken_back(self, serving, until):
        """The old code serves again, the report says why, and the new release is gone."""
        b = serving(1, "serve")
        drop(b.home, {"id": "dead", "health_timeout_s": 20, "steps": [{"run": OK}]})
        until(lambda: ended(b.home, "dead", "failed"))
        until(lambda: b.state == "serving")
        told = report(b.home, "dead")
        assert told["verdict"] == "failed"
        assert "ended before it was proven" in told["error"]
        assert told["serves"]["release"] == b.status["release"] == ""
        assert len(b.pids) == 3
        assert "of code" in (b.home / "run" / "kernel.log").read_text().splitlines()[-1]
        until(lambda: not list((b.home / "releases").iterdir()), "the release is removed")

    def test_a_kernel_that_is_not_proven_in_time_is_taken_back(self, serving, until):
        """A kernel that answers but does not prove itself serves nobody and is replaced by the old one."""
        b = serving("unproven", "serve")
        drop(b.home, {"id": "slow", "health_timeout_s": 0.5})
        until(lambda: ended(b.home, "slow", "failed"))
        until(lambda: b.state == "serving")
        assert "not proven within 0.5 s" in report(b.home, "slow")["error"]
        assert len(b.pids) == 3

    def test_a_kernel_whose_sandbox_is_gone_is_taken_back(self, serving, until):
        """New code or settings with which generated code would be refused are not proven where it ran before."""
        b = serving("unboxed", "serve")
        drop(b.home, {"id": "open"})
        until(lambda: ended(b.home, "open", "failed"))
        until(lambda: b.state == "serving")
        assert "has no sandbox, the old one had full: left out: no walls" in report(b.home, "open")["error"]

    def test_going_back_is_not_left_in_the_middle(self, serving, until):
        """A stop while the new kernel is proven puts the image back before the watchdog ends."""
        b = serving("unproven")
        image = b.home / "live_image.fs"
        image.write_bytes(b"before")
        drop(b.home, {"id": "halted"})
        until(lambda: (b.home / "run" / "upgrade.json").exists() and len(b.pids) == 2)
        image.write_bytes(b"packed by the new one")
        b.stop()
        assert ended(b.home, "halted", "failed")
        assert image.read_bytes() == b"before"
        assert report(b.home, "halted")["image_put_back"] is True
        assert not (b.home / "run" / "upgrade.json").exists()

    def test_an_image_that_was_migrated_is_put_back(self, serving, until):
        """What the new kernel wrote into the image before it was given up is gone, and so are its new blobs."""
        b = serving("write", "serve")
        image, blobs = b.home / "live_image.fs", b.home / "live_image.fs.blob"
        image.write_bytes(b"before")
        (blobs / "0x01").mkdir(parents=True)
        (blobs / "0x01" / "old.blob").write_bytes(b"old")
        drop(b.home, {"id": "migrating"})
        until(lambda: ended(b.home, "migrating", "failed"))
        assert image.read_bytes() == b"before"
        assert (blobs / "0x01" / "old.blob").read_bytes() == b"old"
        assert report(b.home, "migrating")["image_put_back"] is True

    def test_settings_are_put_back(self, serving, until):
        """A `batos.toml` with which the new kernel was not proven makes place for the one that served."""
        b = serving(1, "serve")
        (b.home / "batos.toml").write_text("WORKERS = 3\n")
        drop(b.home, {"id": "tuned"})
        until(lambda: ended(b.home, "tuned", "failed"))
        until(lambda: b.state == "serving")
        assert not (b.home / "batos.toml").exists()
        assert (b.home / "batos.toml.tuned.failed").read_text() == "WORKERS = 3\n"
        assert "put back" in report(b.home, "tuned")["settings"]

    def test_a_stop_in_the_middle_takes_it_back(self, serving, until):
        """A watchdog that is stopped while a step runs ends at once and reports the upgrade as failed."""
        b = serving("serve")
        drop(b.home, {"id": "long", "steps": [{"run": [sys.executable, "-c", "import time; time.sleep(600)"]}]})
        until(lambda: b.state == "upgrading" and "Step" in str(b.status["message"]))
        b.stop()
        assert ended(b.home, "long", "failed")
        assert "asked to stop" in report(b.home, "long")["error"]
        until(lambda: not list((b.home / "releases").iterdir()), "the release is removed")


class TestRefused:
    def test_malformed_instructions_stop_nothing(self, serving, until):
        """A file that is refused leaves the kernel as it was, and says so in a report."""
        b = serving("serve")
        drop(b.home, {"id": "odd", "steps": "git pull"})
        until(lambda: reports(b.home))
        assert reports(b.home)[0]["verdict"] == "refused"
        assert len(b.pids) == 1
        assert b.probe.ping(5)
        until(lambda: b.state == "serving")

    def test_a_half_written_file_is_carried_out_when_it_is_whole(self, serving, until):
        """What is not valid JSON yet waits for its end."""
        b = serving("serve")
        (b.home / NAME).write_text('{"id": "ha')
        until(lambda: b.probe.ping(1))
        (b.home / NAME).write_text('{"id": "half"}')
        until(lambda: ended(b.home, "half", "done"))
        assert len(reports(b.home)) == 1

    def test_a_file_that_takes_the_place_of_another_is_not_lost(self, serving, until, monkeypatch):
        """Instructions that are replaced between their judgement and their taking are carried out as they are then."""
        b = serving("serve")
        real = upgrade._take
        pending = [{"id": "newer"}]

        def late(found):
            while pending:
                drop(b.home, pending.pop())
            return real(found)

        monkeypatch.setattr(upgrade, "_take", late)
        drop(b.home, {"id": "older"})
        until(lambda: ended(b.home, "newer", "done"))
        assert [told["id"] for told in reports(b.home)] == ["newer"]
        assert not list(b.home.glob("update_instructions.older.*"))

    def test_instructions_run_once(self, serving, until):
        """The same id again is refused."""
        b = serving("serve")
        for ending in ("done", "failed"):
            drop(b.home, {"id": "twice"})
            until(lambda e=ending: list(b.home.glob(f"update_instructions.twice*.{e}.json")))
        assert len(b.pids) == 2


class TestInterrupted:
    """What a watchdog that died left is ended by the next one; the fault matrix does it with real ones."""

    def test_before_anything_began(self, bench, until):
        """Instructions that were taken but have no record are reported as failed and not run."""
        b = bench()
        b.plan("serve")
        (b.home / "update_instructions.half.running.json").write_text('{"id": "half"}')
        b.start()
        until(lambda: b.state == "serving")
        assert ended(b.home, "half", "failed")
        assert "before it began" in report(b.home, "half")["error"]

    @pytest.mark.parametrize(
        ("stage", "verdict"), [(logbook.PREPARING, "failed"), (logbook.RETURNED, "failed"), (logbook.PROVEN, "done")]
    )
    def test_in_a_stage(self, bench, until, stage, verdict):
        """Before the proof it is taken back, after it it is finished; in both cases there is one report."""
        b = bench()
        b.plan("serve")
        (b.home / "update_instructions.cut.running.json").write_text('{"id": "cut"}')
        (b.home / "run").mkdir()
        entry = {"id": "cut", "stage": stage, "old": "", "new": "", "keep_image": True, "kept": None}
        write_json(b.home / "run" / logbook.FILE, {**entry, "report": {"id": "cut", "steps": []}})
        b.start()
        until(lambda: b.state == "serving")
        assert report(b.home, "cut")["verdict"] == verdict
        assert not (b.home / "run" / logbook.FILE).exists()
        assert len(reports(b.home)) == 1
