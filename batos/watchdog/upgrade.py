"""The Allopoietic Upgrade: carried out beside what serves, proven, and taken back where it is not.

While the old kernel goes on serving, the steps run in a new release. Then missions rest at the end of their states, the
image is backed up, the kernel is replaced by one that must prove itself before it accepts anything. What is not proven is
taken back: code, environment, settings, and the image where it was written to. Each stage is on the disk before it
begins (`logbook`), so that a watchdog that was killed in the middle leaves nothing half done: `recover` ends it.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from batos.watchdog import files, logbook, steps
from batos.watchdog.copying import patiently
from batos.watchdog.instructions import Due, Instructions, looks_of, outcome, stamp
from batos.watchdog.safekeeping import Kept, Safekeeping

if TYPE_CHECKING:
    import logging

    from batos.watchdog.logbook import Logbook
    from batos.watchdog.releases import Release, Releases
    from batos.watchdog.vessel import Vessel

CHECK_SECONDS = 60.0
"""How long the new code may take to load before the old kernel is stopped for it."""
_READY_SECONDS = 30.0
_QUICK_SECONDS = 0.05


class Ship(Protocol):
    """What an upgrade asks of the watchdog."""

    vessel: Vessel
    releases: Releases
    log: logging.Logger

    def tick(self, *, watch: bool = False) -> None:
        """Called now and then; raises `Abandoned` when the watchdog is to stop. `watch`: the kernel is to serve on."""

    def say(self, message: str) -> None:
        """Tell what happens."""


class Abandoned(Exception):
    """The watchdog stops in the middle of an upgrade."""


class NotProven(Exception):
    """The upgrade is to be taken back; the text says why."""


class Upgrade:
    """One upgrade, from the stage at which its record stands."""

    def __init__(self, ship: Ship, name: str, book: Logbook) -> None:
        self._ship = ship
        self._id = name
        self._book = book
        self._home = ship.vessel.settings.home
        self._bound = False
        self._serves = False
        self._level = "none"
        self._keeping = Safekeeping(ship.vessel.settings, name, self._tick)

    @property
    def _report(self) -> dict[str, Any]:
        report: dict[str, Any] = self._book.entry.setdefault("report", {})
        return report

    def _tick(self) -> None:
        """Give a sign of life. What can only be ended, forward or back, is not left in the middle when a stop is asked."""
        with suppress(Abandoned) if self._bound else nullcontext():
            self._ship.tick(watch=self._serves)

    def perform(self, wanted: Instructions) -> bool:
        """Carry it out; gives whether the new kernel was proven. The report tells everything."""
        old = self._ship.releases.current.name
        report: dict[str, Any] = {"id": self._id, "began": stamp(), "steps": [], "proof": None}
        self._book.begin(self._id, old=old, new=old, keep_image=wanted.keep_image, kept=None, report=report)
        self._serves = True
        try:
            new = self._prepare(wanted)
            self._stop(new)
            self._prove(wanted.health_timeout_s)
        except Abandoned:
            self._return("the watchdog was asked to stop in the middle of it", serve=False)
        except (NotProven, OSError) as error:
            self._return(str(error))
        else:
            self._finish()
            return True
        return False

    def recover(self) -> None:
        """End what a watchdog that died left in the middle."""
        stage = self._book.stage
        self._ship.log.warning("Upgrade %s was interrupted in the stage %s", self._id, stage)
        if stage == logbook.PROVEN:
            self._finish()
        elif stage == logbook.RETURNED:
            self._drop_release()
            self._close("failed", str(self._report.get("error")))
        else:
            self._return(self._report.get("error") or f"the watchdog ended in the middle of it ({stage})", serve=False)

    def _prepare(self, wanted: Instructions) -> Release:
        """Make the new release and run the steps in it; without steps the release stays."""
        releases, ship = self._ship.releases, self._ship
        if not wanted.steps:
            return releases.current
        self._book.note(logbook.PREPARING, new=self._id)
        ship.say(f"Upgrade {self._id}: a new release is made beside the one that serves")
        release = releases.build(self._id, ship.vessel.settings, self._tick)
        for number, step in enumerate(wanted.steps, 1):
            ship.say(f"Step {number} of {len(wanted.steps)}: {' '.join(step.run)}")
            done = steps.run(step.run, step.timeout_s, release.code, self._environment(release), self._tick)
            self._report["steps"].append(done)
            if done["exit_code"] != 0:
                raise NotProven(f"step {number} ({step.run[0]}) {done['ending']}")
        self._check(release)
        patiently(files.sync_all, self._tick)  # the link may not outlive what it names
        return release

    def _check(self, release: Release) -> None:
        """See that the new code loads, before anything is stopped for it."""
        check = release.command("--check")
        done = steps.run(check, CHECK_SECONDS, release.code, self._environment(release), self._tick)
        if done["exit_code"] != 0:
            words = done["output"].strip().splitlines() or [""]
            self._report["check"] = done
            raise NotProven(f"the new code does not load: {words[-1][:500]}")

    def _environment(self, release: Release) -> dict[str, str]:
        env = {**os.environ, "PATH": release.search_path, "BATOS_HOME": str(self._home)}
        env.pop("PYTHONHOME", None)
        env.pop("NOTIFY_SOCKET", None)
        if release.environment is not None:
            env["VIRTUAL_ENV"] = str(release.environment)
        return env

    def _stop(self, new: Release) -> None:
        """Lay missions to rest, note where the image stands, back it up, and let the new release be the current one."""
        vessel = self._ship.vessel
        status = vessel.status()
        image = status.get("image", {})
        self._level = str(status.get("sandbox", {}).get("level", "none"))
        self._report["image"] = {"tid": image.get("tid"), "bytes": image.get("bytes")}
        self._book.note(logbook.STOPPING)
        self._keeping.begin(int(image.get("bytes") or 0))
        self._ship.say(f"Upgrade {self._id}: missions come to the end of their states, and the kernel stops")
        self._serves = False
        vessel.rest(vessel.settings.upgrade_grace_seconds, self._tick)
        kept = self._keeping.complete()
        self._report["backup"] = kept.folder
        self._report["stopped"] = stamp()
        self._book.note(logbook.PROVING, kept=kept.plain())
        self._ship.releases.switch(new.name)

    def _prove(self, seconds: float) -> None:
        """Start the new kernel and wait for its proof."""
        vessel, began = self._ship.vessel, time.monotonic()
        self._ship.say(f"Upgrade {self._id}: the new kernel must prove itself")
        vessel.launch(self._ship.releases.current, prove=self._book.file)
        while True:
            self._tick()
            if vessel.ended:
                raise NotProven(f"the new kernel ended before it was proven: {_last_words(vessel)}")
            proof = (vessel.ping(1.0) or {}).get("proof")
            if isinstance(proof, dict) and proof.get("done"):
                break
            if time.monotonic() - began > seconds:
                raise NotProven(
                    f"the new kernel was not proven within {seconds:g} s; its log ends: {_last_words(vessel)}"
                )
            time.sleep(_QUICK_SECONDS)
        self._report["proof"] = {**proof, "seconds": round(time.monotonic() - began, 3)}
        if proof.get("sandbox") == "none" and self._level != "none":
            raise NotProven(f"the new kernel has no sandbox, the old one had {self._level}: {proof.get('mission')}")
        self._book.note(logbook.PROVEN)

    def _finish(self) -> None:
        """The new kernel serves: tell it, and forget what is older than its predecessor."""
        vessel, releases = self._ship.vessel, self._ship.releases
        end = time.monotonic() + _READY_SECONDS
        self._bound = True  # a stop changes nothing any more
        while vessel.kernel is not None and not vessel.ended and time.monotonic() < end:
            self._tick()
            if (vessel.ping(1.0) or {}).get("ready"):
                break
            time.sleep(_QUICK_SECONDS)
        self._close("done", "")
        releases.prune({str(self._book.entry.get("old", "")), releases.current.name})
        self._keeping.prune()
        self._book.close()

    def _return(self, why: str, *, serve: bool = True) -> None:
        """Put back what was changed, and let the old release serve again."""
        entry, vessel, releases = self._book.entry, self._ship.vessel, self._ship.releases
        self._report["error"] = why
        self._bound, self._serves = True, False
        stopped = entry.get("kept") is not None
        self._ship.say(f"Upgrade {self._id} failed and is taken back: {why}")
        if entry["stage"] != logbook.RETURNING:
            self._book.note(logbook.RETURNING)
        if stopped:
            vessel.halt(min(2.0, vessel.settings.stop_grace_seconds))
            releases.switch(str(entry.get("old", "")))
            self._put_settings_back()
            self._put_image_back(Kept(**entry["kept"]))
        else:
            self._keeping.discard()
        self._book.note(logbook.RETURNED)
        self._drop_release()
        if serve and vessel.kernel is None:
            vessel.launch(releases.current)
            self._await_service()
        self._close("failed", why)
        self._book.close()

    def _drop_release(self) -> None:
        if self._book.entry.get("new") != self._book.entry.get("old"):
            _end_processes(self._home / "releases" / self._id)
            self._ship.releases.remove(self._id)

    def _await_service(self) -> None:
        """Wait for the old kernel, so that the report can say who serves; supervision goes on with it either way."""
        vessel = self._ship.vessel
        end = time.monotonic() + _READY_SECONDS
        while not vessel.ended and vessel.ping(1.0) is None and time.monotonic() < end:
            self._tick()
            time.sleep(_QUICK_SECONDS)

    def _put_settings_back(self) -> None:
        file, good = self._home / "batos.toml", self._ship.vessel.good_settings()
        now = file.read_text(encoding="utf-8", errors="replace") if file.exists() else None
        if now == good:
            return
        refused = file.with_name(f"batos.toml.{self._id}.failed")
        if now is not None:
            file.replace(refused)
        if good is not None:
            new = file.with_name(".batos.toml.new")
            new.touch(mode=refused.stat().st_mode & 0o777 if now is not None else 0o600)
            new.write_text(good, encoding="utf-8")
            new.replace(file)
        self._report["settings"] = f"batos.toml was put back; the refused one is {refused.name}"

    def _put_image_back(self, kept: Kept) -> None:
        differs = self._keeping.differs(kept)
        if differs or not self._book.entry["keep_image"]:
            self._keeping.restore(kept)
        self._report["image_put_back"] = differs or not self._book.entry["keep_image"]

    def _close(self, verdict: str, error: str) -> None:
        """Write the report and name the instructions by their end."""
        report = {**self._report, "ended": stamp(), "verdict": verdict, "error": error, "serves": _serves(self._ship)}
        self._ship.say(f"Upgrade {self._id}: {verdict}{': ' + error if error else ''}")
        close_file(self._home / "update_instructions.json", self._id, report)


def perform(ship: Ship, found: Due, book: Logbook) -> bool:
    """Carry out what was found; gives whether the new kernel was proven."""
    if not _take(found):
        return False
    if found.instructions is None:
        ship.say(f"{found.file.name} is refused: {found.error}; the kernel goes on as it was")
        refused = {"id": found.id, "began": stamp(), "ended": stamp(), "verdict": "refused", "error": found.error}
        close_file(found.file, found.id, {**refused, "serves": _serves(ship)})
        return False
    return Upgrade(ship, found.id, book).perform(found.instructions)


def _take(found: Due) -> bool:
    """Take the file away under its id; False, and it stays, where another one has come into its place."""
    running = outcome(found.file, found.id, "running")
    found.file.rename(running)
    if looks_of(running.lstat()) == found.looks:
        files.sync_folder(found.file.parent)
        return True
    if not found.file.exists():  # else a third one came already
        running.rename(found.file)
    return False


def recover(ship: Ship, book: Logbook) -> None:
    """End what a watchdog that died left in the middle: it is finished or taken back, and never run again."""
    home = ship.vessel.settings.home
    if book.stage:
        Upgrade(ship, str(book.entry["id"]), book).recover()
        book.close()
    for file in sorted(home.glob("update_instructions.*.running.json")):
        name = file.name.split(".")[1]
        error = "the watchdog ended before it began"
        ship.log.error("Upgrade %s: %s; it is not run again", name, error)
        report = {"id": name, "ended": stamp(), "verdict": "failed", "error": error, "serves": _serves(ship)}
        known = files.read_json(home / f"update_report.{name}.json")
        close_file(home / "update_instructions.json", name, known or report)


def close_file(file: Path, name: str, report: dict[str, Any]) -> None:
    """Write the report of an upgrade and name its instructions by the verdict; a second time changes nothing."""
    files.write_json(file.with_name(f"update_report.{name}.json"), report, durable=True)
    running = outcome(file, name, "running")
    if running.exists():
        running.rename(outcome(file, name, "done" if report["verdict"] == "done" else "failed"))
        files.sync_folder(file.parent)


def _serves(ship: Ship) -> dict[str, Any]:
    """What serves now, for a report."""
    vessel, release = ship.vessel, ship.releases.current
    status = vessel.status() if vessel.kernel is not None and not vessel.ended else {}
    told: dict[str, Any] = {"release": release.name, "code": str(release.code)}
    return told | {key: status.get(key) for key in ("version", "tid")}


def _last_words(vessel: Vessel) -> str:
    lines = [line for line in files.tail(vessel.log_file, 3).splitlines() if line.strip()]
    return " / ".join(lines)[-1000:]


def _end_processes(folder: Path) -> None:
    """End what a step left running in a folder that is taken away: its watchdog was killed, so nobody else does."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink().is_relative_to(folder):
                os.kill(int(link.parent.name), signal.SIGKILL)
        except (OSError, ValueError):
            continue
