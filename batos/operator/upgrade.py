"""`python -m batos upgrade`: writes a valid `update_instructions.json`, and waits for the report where that is asked."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from batos.errors import BadField, Busy, Unreachable
from batos.watchdog import files, instructions
from batos.watchdog import main as watchdog
from batos.watchdog.instructions import Instructions, Mailbox, now_id
from batos.watchdog.releases import Releases

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from batos.operator.show import Speaker
    from batos.settings import Settings

_POLL_SECONDS = 0.05
_SPARE_SECONDS = 600.0
"""For the copy of code and environment, the backup, and missions that come to rest."""
_COLUMNS = ("step", "took", "ended")


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "upgrade",
        parents=[common],
        help="replace code, environment or settings under the running image",
        description="Writes update_instructions.json for the watchdog. Without steps the kernel is restarted with the "
        "settings as they are now. Steps run in a copy of the code with an environment of its own, without a shell.",
    )
    parser.add_argument(
        "--step", action="append", default=[], metavar="COMMAND", help="a command with its arguments; may be repeated"
    )
    parser.add_argument("--id", default="", metavar="NAME", help="letters, digits, - and _ (default: the time)")
    parser.add_argument("--step-timeout", type=float, default=900.0, metavar="SECONDS", help="of each step (900)")
    parser.add_argument("--health-timeout", type=float, default=120.0, metavar="SECONDS", help="of the proof (120)")
    parser.add_argument(
        "--restore-image", action="store_true", help="put the image's backup back too when the upgrade fails"
    )
    parser.add_argument("--wait", action="store_true", help="wait for the report, and show it; exit 1 when it failed")


def run(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Write the instructions; 1 when the upgrade failed that was waited for."""
    wanted = _wanted(asked)
    file = settings.home / instructions.NAME
    if file.exists():
        raise Busy(f"{file} waits to be carried out", "Wait for its report, or remove it.")
    _drop(file, wanted, settings)
    name = wanted["id"]
    alive = watchdog.running(settings.home)
    if not alive:
        speaker.remark("No watchdog runs here: the next one carries it out, before anything else.")
    if not asked.wait:
        if speaker.json:
            speaker.value({"id": name, "file": str(file), "watchdog": alive})
        else:
            speaker.out.print(
                f"Upgrade {name} is on its way; its report will be update_report.{name}.json.", markup=False
            )
        return 0
    if not alive:
        raise Unreachable("There is no watchdog to wait for", "Start it with ./puter.sh --stay.")
    return _show(_report(settings.home, name, wanted), speaker)


def _wanted(asked: argparse.Namespace) -> dict[str, Any]:
    steps = []
    for text in asked.step:
        try:
            steps.append({"run": shlex.split(text), "timeout_s": asked.step_timeout})
        except ValueError as error:
            raise BadField(f"The step {text!r} cannot be read: {error}") from None
    fields = {"id": asked.id or now_id(), "steps": steps, "health_timeout_s": asked.health_timeout}
    wanted: dict[str, Any] = {**fields, "keep_image": not asked.restore_image}
    try:
        Instructions.model_validate(wanted)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadField(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return wanted


def _drop(file: Path, wanted: dict[str, Any], settings: Settings) -> None:
    """Let the watchdog's own judgement look at the instructions, then put them in their place in one step."""
    draft = file.parent / "run" / "draft"
    draft.mkdir(parents=True, exist_ok=True)
    files.write_json(draft / file.name, wanted)
    try:
        found = Mailbox(draft, settings_of=settings.home).due(Releases(settings.home).current)
        used = any(instructions.outcome(file, wanted["id"], end).exists() for end in ("done", "failed", "running"))
        if used or found is None or found.instructions is None:
            why = f"instructions {wanted['id']!r} ran before" if used else found.error if found else "it is gone"
            raise BadField(f"The upgrade would be refused: {why}")
        (draft / file.name).replace(file)
    finally:
        (draft / file.name).unlink(missing_ok=True)
        draft.rmdir()


def _report(home: Path, name: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Wait for the report of an upgrade."""
    seconds = sum(step["timeout_s"] for step in wanted["steps"]) + wanted["health_timeout_s"] + _SPARE_SECONDS
    file, end = home / f"update_report.{name}.json", time.monotonic() + seconds
    while time.monotonic() < end:
        report = files.read_json(file)
        if report:
            return report
        time.sleep(_POLL_SECONDS)
    raise Unreachable(f"There was no report of {name} within {seconds:g} s", "See run/watchdog.log.")


def _show(report: dict[str, Any], speaker: Speaker) -> int:
    good = report["verdict"] == "done"
    if speaker.json:
        speaker.value(report)
        return 0 if good else 1
    rows = [(" ".join(step["run"]), f"{step['seconds']:.1f} s", step["ending"]) for step in report.get("steps", [])]
    speaker.table(f"upgrade {report['id']}", _COLUMNS, rows)
    proof = report.get("proof")
    if proof:
        speaker.out.print(f"proof: {proof['mission']}, {proof['seconds']:.1f} s after the start", markup=False)
    serves = report.get("serves") or {}
    speaker.out.print(f"verdict: {report['verdict']}{': ' + report['error'] if report['error'] else ''}", markup=False)
    if serves:
        speaker.out.print(
            f"serves: {serves.get('release') or 'the first release'} ({serves.get('code')})", markup=False
        )
    return 0 if good else 1
