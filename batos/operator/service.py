"""`python -m batos service install`: the watchdog as a service of systemd, for one BATOS_HOME."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.errors import BadSetting, NotAllowed
from batos.watchdog.releases import Releases

if TYPE_CHECKING:
    import argparse

    from batos.operator.show import Speaker
    from batos.settings import Settings

_UNIT = """\
[Unit]
Description=BAT OS, the living image in {home_plain}
After=network.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={python} {script} --background
WorkingDirectory={home_path}
Environment={home}
{environment}Restart=always
RestartSec=2
WatchdogSec=60
TimeoutStartSec={ready}
TimeoutStopSec={stop}
KillMode=process
SuccessExitStatus=0 143
{user}
[Install]
WantedBy={target}
"""
_KEPT = re.compile(r"BATOS_\w+|LLAMA_MODEL_PATH|OPENAI_BASE_URL")
_LEFT_OUT = {"BATOS_HOME", "BATOS_SUPERVISED", "BATOS_OPENAI_API_KEY"}
"""Said elsewhere, or secret: a unit can be read by everybody."""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    service = commands.add_parser("service", parents=[common], help="run as a service of the system")
    actions = service.add_subparsers(dest="action", required=True, metavar="ACTION")
    install = actions.add_parser("install", parents=[common], help="write the unit of systemd for this BATOS_HOME")
    install.add_argument("--print", action="store_true", dest="show", help="write it to standard output only")
    install.add_argument("--system", action="store_true", help="for the whole machine; default: for this user")
    install.add_argument("--name", default="batos", help="the unit's name (batos)")
    install.add_argument("--user", default="", help="with --system: the user that it runs as (the folder's owner)")


def install(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Print the unit, or write it where systemd looks for it."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", asked.name):
        raise BadSetting(f"The name {asked.name!r} is none for a unit", "Use letters, digits, dots, - and _.")
    text = unit(settings, system=asked.system, user=asked.user)
    if asked.show:
        sys.stdout.write(text)
        return 0
    if sys.platform != "linux":
        raise NotAllowed("Units are for systemd on Linux", "docs/operations.md has examples for other systems.")
    folder = Path("/etc/systemd/system") if asked.system else _user_units()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{asked.name}.service"
    file.write_text(text, encoding="utf-8")
    control = "systemctl" if asked.system else "systemctl --user"
    if speaker.json:
        speaker.value({"unit": str(file)})
        return 0
    speaker.out.print(f"{file} is written. To start it now and with the machine:", markup=False)
    speaker.out.print(f"  {control} daemon-reload && {control} enable --now {asked.name}", markup=False)
    if not asked.system:
        speaker.out.print("  loginctl enable-linger    # so that it runs while you are logged out", markup=False)
    return 0


def unit(settings: Settings, *, system: bool = False, user: str = "") -> str:
    """The text of the unit.

    Args:
        settings: Whose BATOS_HOME is served, and how long start and stop may take.
        system: Whether it is for the whole machine.
        user: Whom it runs as then; empty: the owner of BATOS_HOME.
    """
    first = Releases(settings.home).base
    kept = {key: value for key, value in os.environ.items() if _KEPT.fullmatch(key) and key not in _LEFT_OUT}
    lines = "".join(f"Environment={_word(f'{key}={value}')}\n" for key, value in sorted(kept.items()))
    owner = user or (settings.home.owner() if system and settings.home.exists() else "")
    return _UNIT.format(
        home_plain=str(settings.home).replace("%", "%%"),
        home_path=str(settings.home).replace("%", "%%"),
        home=_word(f"BATOS_HOME={settings.home}"),
        python=_command(first.python),
        script=_command(first.code / "min_watchdog_service.py"),
        environment=lines,
        ready=int(settings.ready_seconds) + 30,
        stop=int(settings.stop_grace_seconds) + 30,
        user=f"User={owner}\n" if owner else "",
        target="multi-user.target" if system else "default.target",
    )


def _word(text: str) -> str:
    """One word of a unit file: quoted, its specifiers and quotes escaped."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"'


def _command(path: Path) -> str:
    """A word of a command, in which variables are put in too."""
    return _word(str(path)).replace("$", "$$")


def _user_units() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "systemd" / "user"
