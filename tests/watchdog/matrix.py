"""The fault matrix: what may happen to a running system, one function a line; each ends with a check of the ship.

`python -m tests.watchdog.matrix --times 20` runs each line twenty times and prints the table.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from batos.errors import ImageReadOnly, Unreachable
from batos.watchdog import logbook
from batos.watchdog.instructions import NAME

from .conftest import alive
from .drops import drop, reports
from .ship import Load, Ship

if TYPE_CHECKING:
    from collections.abc import Callable

PYTHON = ["python", "-c"]
BAD_IMPORT = [*PYTHON, "open('batos/kernel/uvm.py', 'a').write('\\nimport no_such_module\\n')"]
BAD_PROOF = [*PYTHON, "open('batos/kernel/proof.py', 'a').write('\\n_rehearse = None\\n')"]
NEWER = [*PYTHON, "open('batos/__init__.py', 'a').write('\\n# newer\\n')"]
MIGRATIONS = """

def m900_of_the_matrix(view):
    view.root["migrated_by_the_matrix"] = True


def m901_that_takes_long(view):
    import os, pathlib, time
    pathlib.Path(os.environ["BATOS_HOME"], "migrating").touch()
    time.sleep(3600)


MIGRATIONS = (*MIGRATIONS, m900_of_the_matrix, m901_that_takes_long)
"""
MIGRATING = [
    *PYTHON,
    (
        "import pathlib; file = pathlib.Path('batos/image/migrations.py'); "
        f"file.write_text(file.read_text().replace('\\ndef migrate(', {MIGRATIONS!r} + '\\ndef migrate(', 1))"
    ),
]


def _replaced(ship: Ship, old: int) -> None:
    ship.until(lambda: ship.kernel not in (0, old) and ship.serving(), "another kernel")
    assert not alive(old)


def crash(ship: Ship) -> None:
    """Kill -9 of the kernel."""
    old = ship.kernel
    os.kill(old, signal.SIGKILL)
    _replaced(ship, old)


def exit_0(ship: Ship) -> None:
    """The kernel is asked to end by somebody."""
    old = ship.kernel
    with contextlib.suppress(Unreachable):  # libzmq drops an answer that has not been read when the link breaks
        ship.ask("shutdown")
    _replaced(ship, old)


def sigstop(ship: Ship) -> None:
    """The kernel's process is stopped."""
    old = ship.kernel
    os.kill(old, signal.SIGSTOP)
    _replaced(ship, old)


def starved_loop(ship: Ship) -> None:
    """The kernel's event loop does not go round any more."""
    old = ship.kernel
    os.kill(old, signal.SIGUSR1)
    _replaced(ship, old)


def boot_loop(ship: Ship) -> None:
    """The kernel dies, and fails to start three times."""
    old = ship.kernel
    (ship.home / "bad_starts").write_text("3")
    os.kill(old, signal.SIGKILL)
    _replaced(ship, old)
    assert (ship.home / "bad_starts").read_text() == "0"


def clock_jump(ship: Ship) -> None:
    """The kernel's clock goes back a day, and then forward two: it serves on, and every mission comes to its end."""
    kernel = ship.kernel
    for _ in range(2):
        os.kill(kernel, signal.SIGUSR2)
        assert ship.mission()["result"] == 42
    assert ship.kernel == kernel


def disk_full(ship: Ship) -> None:
    """No file can grow any more: writes are refused, reads go on, and writes go on when there is room again."""
    image = ship.home / "live_image.fs"
    unlimited = resource.prlimit(ship.kernel, resource.RLIMIT_FSIZE)
    resource.prlimit(ship.kernel, resource.RLIMIT_FSIZE, (image.stat().st_size + 64, unlimited[1]))
    try:
        _refused(ship)
    finally:
        resource.prlimit(ship.kernel, resource.RLIMIT_FSIZE, unlimited)
    ship.ask("set", target_oid="tally", slots={"note": "room again"})


def _refused(ship: Ship) -> None:
    try:
        ship.ask("set", target_oid="tally", slots={"note": "x" * 1000})
    except ImageReadOnly:
        pass
    else:
        raise AssertionError("a write was accepted that no disk took")
    assert ship.ask("inspect", target_oid="tally")["slots"]["count"] >= 0


def upgrade(ship: Ship) -> None:
    """An upgrade that changes the code."""
    name = ship.drop(steps=[{"run": NEWER}])
    _ends(ship, name, "done")
    assert ship.status["release"] == name


def settings_only(ship: Ship) -> None:
    """An upgrade without steps."""
    _ends(ship, ship.drop(), "done")


def _ends(ship: Ship, name: str, end: str) -> None:
    ship.until(lambda: ship.ended(name, "done") or ship.ended(name, "failed"), f"the end of {name}")
    assert ship.ended(name, end), ship.report(name)
    ship.until(ship.serving, "service after the upgrade")
    told = ship.report(name)
    assert told["verdict"] == end
    assert told["serves"]["release"] == ship.status["release"]


def import_error(ship: Ship) -> None:
    """The new code cannot be imported: the old kernel is not even stopped."""
    old = ship.kernel
    name = ship.drop(steps=[{"run": BAD_IMPORT}])
    _ends(ship, name, "failed")
    assert ship.kernel == old
    assert "no_such_module" in ship.report(name)["error"]


def no_proof(ship: Ship) -> None:
    """The new kernel starts and cannot bring a mission to its end."""
    name = ship.drop(steps=[{"run": BAD_PROOF}])
    _ends(ship, name, "failed")


def failing_step(ship: Ship) -> None:
    """A step ends with an error."""
    old = ship.kernel
    _ends(ship, ship.drop(steps=[{"run": NEWER}, {"run": [*PYTHON, "exit(3)"]}]), "failed")
    assert ship.kernel == old


def hanging_step(ship: Ship) -> None:
    """A step does not end."""
    old = ship.kernel
    _ends(ship, ship.drop(steps=[{"run": [*PYTHON, "import time; time.sleep(3600)"], "timeout_s": 0.5}]), "failed")
    assert ship.kernel == old


def malformed(ship: Ship) -> None:
    """The file says what no instruction says."""
    _refusal(ship, lambda: drop(ship.home, {"steps": "git pull"}))


def foreign_owned(ship: Ship) -> None:
    """The file belongs to somebody else."""
    if os.getuid() != 0:
        return  # only root can give a file away

    def give_away() -> None:
        new = ship.home / ".foreign"
        new.write_text("{}")
        os.chown(new, 65534, 65534)
        new.replace(ship.home / NAME)

    _refusal(ship, give_away)


def _refusal(ship: Ship, do: Callable[[], object]) -> None:
    old, before = ship.kernel, ship.reports
    do()
    ship.until(lambda: ship.reports == before + 1, "the report of a refusal")
    ship.until(lambda: not (ship.home / NAME).exists(), "the file's end")
    assert ship.kernel == old
    assert max(reports(ship.home), key=lambda told: told["ended"])["verdict"] == "refused"


def half_written(ship: Ship) -> None:
    """The file is written slowly: it is carried out when it is whole, once."""
    name = f"slow{time.time_ns()}"
    text = json.dumps({"id": name})
    (ship.home / NAME).write_text(text[: len(text) // 2])
    time.sleep(0.5)
    (ship.home / NAME).write_text(text)
    _ends(ship, name, "done")


def two_in_a_row(ship: Ship) -> None:
    """A second file is dropped while the first is carried out."""
    first = ship.drop(steps=[{"run": [*PYTHON, "import time; time.sleep(0.3)"]}])
    ship.until(lambda: not (ship.home / NAME).exists(), "the first is taken")
    second = ship.drop()
    for name in (first, second):
        _ends(ship, name, "done")


def killed_in_migration(ship: Ship) -> None:
    """The new kernel is killed in its second migration: the first was committed, and is taken back."""
    name = ship.drop(steps=[{"run": MIGRATING}])
    ship.until((ship.home / "migrating").exists, "the migration")
    ship.until(lambda: ship.report(name) or _proving(ship), "the new kernel")
    os.kill(_proving(ship), signal.SIGKILL)
    (ship.home / "migrating").unlink()
    _ends(ship, name, "failed")
    assert ship.report(name)["image_put_back"] is True


def _proving(ship: Ship) -> int:
    for pid in ship.processes():
        if b"--prove" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return 0


def _doomed(stage: str, when: str, whom: str = "") -> Callable[[Ship], None]:
    fails = stage in (logbook.RETURNING, logbook.RETURNED)

    def line(ship: Ship) -> None:
        assert ship.watchdog is not None
        ship.watchdog.kill()
        ship.watchdog.wait()
        kernel = ship.kernel
        ship.start(f"{stage}:{when}:{whom}")
        ship.until(ship.serving, "adoption")
        assert ship.kernel == kernel
        name = ship.drop(steps=[{"run": BAD_PROOF if fails else NEWER}])
        ship.until(lambda: ship.watchdog is not None and ship.watchdog.poll() is not None, "the watchdog's death")
        ship.start()
        done = not fails and (stage == "close" or (stage, when) == (logbook.PROVEN, "after"))
        _ends(ship, name, "done" if done else "failed")

    who = "All processes are" if whom else "The watchdog is"
    line.__doc__ = f"{who} killed {when} it writes down `{stage}`{' of an upgrade that fails' if fails else ''}."
    return line


def watchdog_killed(ship: Ship) -> None:
    """Kill -9 of the watchdog, and the kernel dies before another one comes."""
    assert ship.watchdog is not None
    ship.watchdog.kill()
    ship.watchdog.wait()
    old = ship.kernel
    os.kill(old, signal.SIGKILL)
    ship.start()
    _replaced(ship, old)


PLAIN = (
    *(crash, exit_0, sigstop, starved_loop, boot_loop, clock_jump, disk_full, watchdog_killed),
    *(upgrade, settings_only, import_error, no_proof, failing_step, hanging_step, malformed, foreign_owned),
    *(half_written, two_in_a_row, killed_in_migration),
)
STAGES = (*(logbook.PREPARING, logbook.STOPPING, logbook.PROVING, logbook.PROVEN), "close")
STAGES += (logbook.RETURNING, logbook.RETURNED)
LINES: dict[str, Callable[[Ship], None]] = {
    **{line.__name__: line for line in PLAIN},
    **{f"killed {when} {stage}": _doomed(stage, when) for stage in STAGES for when in ("before", "after")},
    **{f"power lost {when} {stage}": _doomed(stage, when, "all") for stage in STAGES for when in ("before", "after")},
}


def run(ship: Ship, line: Callable[[Ship], None], *, loaded: bool = True) -> None:
    """Run one line with missions and sends going on, then check the ship; upgrades leave one report each."""
    before = ship.reports
    taken = sum(1 for end in ("done", "failed") for _ in ship.home.glob(f"update_instructions.*.{end}.json"))
    if loaded:
        with Load(ship):
            line(ship)
    else:
        line(ship)
    now = sum(1 for end in ("done", "failed") for _ in ship.home.glob(f"update_instructions.*.{end}.json"))
    assert ship.reports - before == now - taken, "not one report for each file"
    ship.check()


def main(argv: list[str]) -> int:
    """Run the lines so many times, each on a ship of its own, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.watchdog.matrix", description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--only", nargs="*", default=[], metavar="LINE")
    asked = parser.parse_args(argv)
    wrong = 0
    sys.stdout.write("| fault | runs | held | seconds, median | slowest |\n|---|---|---|---|---|\n")
    for name, line in LINES.items():
        if asked.only and name not in asked.only:
            continue
        took, held = _repeat(line, asked.times)
        wrong += asked.times - held
        sys.stdout.write(
            f"| {name} | {asked.times} | {held} | {sorted(took)[len(took) // 2]:.1f} | {max(took):.1f} |\n"
        )
        sys.stdout.flush()
    return 1 if wrong else 0


def _repeat(line: Callable[[Ship], None], times: int) -> tuple[list[float], int]:
    took, held = [0.0], 0
    with tempfile.TemporaryDirectory(prefix="batos-matrix-") as folder:
        ship = Ship(Path(folder) / "0")
        ship.prepare()
        for number in range(1, times + 1):
            began = time.monotonic()
            try:
                run(ship, line)
                ship.image_check()
                held += 1
            except Exception:  # a line that breaks must not end the others
                sys.stderr.write(f"{line.__doc__}\n{traceback.format_exc()}\n{ship.log()[-6000:]}\n")
                ship.stop()
                ship = Ship(Path(folder) / str(number))
                ship.prepare()
            took.append(time.monotonic() - began)
        ship.stop()
    return took[1:], held


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
