"""Run every attack's control, then every attack in every configuration of walls: `python -m tests.sandbox.attacks`.

It prints how many got out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.sandbox.attacks import ATTACKS, CATEGORIES
from tests.sandbox.attacks.alone import BECOME_ORDINARY, ROOT, others_than_said
from tests.sandbox.attacks.siege import Siege

WALLS = ("seccomp", "rlimits", "landlock", "namespaces")
CONFIGURATIONS: dict[str, set[str]] = {
    "all walls": set(),
    "namespaces off": {"namespaces"},
    "landlock off": {"landlock"},
    **{f"{wall} alone": set(WALLS) - {wall} for wall in WALLS},
    "no wall but the process": set(WALLS),
}
HOLDS = ("all walls", "namespaces off", "landlock off")


def main() -> None:
    """Run what the command line asks for; exit 1 when an attack got out where none may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", choices=CONFIGURATIONS, help="one configuration, as this user; prints escapes as JSON"
    )
    asked = parser.parse_args()
    if asked.only:
        escapes = asyncio.run(_besiege(asked.only))
        print(json.dumps(escapes))
        sys.exit(1 if escapes and asked.only in HOLDS else 0)
    other = others_than_said(ATTACKS)
    print(
        f"without walls {len(ATTACKS) - len(other)} of {len(ATTACKS)} do what is said of them; not: {other}",
        file=sys.stderr,
    )
    users = ["root", "an ordinary user"] if os.getuid() == 0 else ["an ordinary user"]
    rows, held = [], True
    for user in users:
        for name in CONFIGURATIONS:
            escapes = _in_a_process(name, ordinary=user != "root" and os.getuid() == 0)
            held = held and not (escapes and name in HOLDS)
            rows.append(f"| {user} | {name} | {len(escapes)} | {_by_category(escapes)} |")
            print(rows[-1], file=sys.stderr, flush=True)
            print(json.dumps(escapes), file=sys.stderr)
    print(f"| kernel runs as | walls | of {len(ATTACKS)} got out | where |\n|---|---|---|---|")
    print("\n".join(rows))
    sys.exit(0 if held else 1)


async def _besiege(configuration: str) -> dict[str, str]:
    without = frozenset(CONFIGURATIONS[configuration])
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        Path(folder, "victim").write_text("x")
        Path(folder, "victim").chmod(0o666)
        async with Siege(without, Path(folder) if configuration not in HOLDS else None) as siege:
            escapes = {}
            for attacks in CATEGORIES.values():
                escapes |= await siege.run(attacks)
                if strays := await siege.strays():
                    escapes[f"after {attacks[-1].name}"] = f"{len(strays)} processes are left"
            return escapes


def _in_a_process(configuration: str, *, ordinary: bool) -> dict[str, str]:
    program = (BECOME_ORDINARY if ordinary else "") + "from tests.sandbox.attacks.__main__ import main; main()"
    command = [sys.executable, "-P", "-c", program, "--only", configuration]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, check=False)
    escapes: dict[str, str] = json.loads(done.stdout or b'{"all": "the run did not end"}')
    return escapes


def _by_category(escapes: dict[str, str]) -> str:
    home = {attack.name: name for name, attacks in CATEGORIES.items() for attack in attacks}
    counts = Counter(home.get(name, "processes left") for name in escapes)
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "-"


if __name__ == "__main__":
    main()
