"""What kernels are started from: a release is a folder of code with its environment.

The first is the folder in which BAT OS was set up. An upgrade with steps makes another one under
`BATOS_HOME/releases/ID`, as a copy in which the steps run; `releases/current` names the release that serves. Once made,
a release is never edited: the next upgrade makes another copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batos.watchdog import copying, files

if TYPE_CHECKING:
    from batos.settings import Settings
    from batos.watchdog.copying import Tick

_BIN = "Scripts" if sys.platform == "win32" else "bin"
_PIP = "#!{python}\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"


@dataclass(frozen=True)
class Release:
    """A folder of code and the interpreter that runs it.

    Args:
        name: The id of the upgrade that made it; empty for the folder in which BAT OS was set up.
        code: Holds `batos.py` and the package.
        python: The interpreter.
        environment: Its virtual environment; None where the system's own Python runs the code.
    """

    name: str
    code: Path
    python: Path
    environment: Path | None

    @classmethod
    def own(cls) -> Release:
        """The folder and the interpreter that this process runs from."""
        environment = Path(sys.prefix) if sys.prefix != sys.base_prefix else None
        return cls("", Path(__file__).resolve().parents[2], Path(sys.executable), environment)

    def command(self, *arguments: str) -> list[str]:
        """The command that starts its kernel."""
        return [str(self.python), str(self.code / "batos.py"), *arguments]

    @property
    def search_path(self) -> str:
        """Where commands are looked for: first beside its interpreter, so that `pip` is that of the environment."""
        return os.pathsep.join([str(self.python.parent), os.environ.get("PATH", os.defpath)])


class Releases:
    """The releases of one BATOS_HOME.

    Args:
        home: BATOS_HOME.
        base: The release that serves as long as no upgrade made another one.
    """

    def __init__(self, home: Path, base: Release | None = None) -> None:
        self._folder = home / "releases"
        self._link = self._folder / "current"
        self.base = base or Release.own()

    @property
    def current(self) -> Release:
        """The release that kernels are started from."""
        try:
            name = self._link.readlink().name if self._link.is_symlink() else self._link.read_text("utf-8").strip()
        except OSError:
            return self.base
        found = self.named(name)
        return found if (found.code / "batos.py").exists() else self.base

    def named(self, name: str) -> Release:
        """The release of a name; whether it is there is not looked at."""
        if not name:
            return self.base
        code = self._folder / name
        environment = code / ".venv"
        return Release(name, code, environment / _BIN / Path(self.base.python).name, environment)

    def switch(self, name: str) -> None:
        """Let `current` name another release, in one step; the empty name is the first release."""
        if not name:
            self._link.unlink(missing_ok=True)
        else:
            new = self._folder / ".current.new"
            new.unlink(missing_ok=True)
            try:
                new.symlink_to(name)
            except OSError:  # Windows, without the right to make links
                new.write_text(name, encoding="utf-8")
            new.replace(self._link)
        if self._folder.is_dir():
            files.sync_folder(self._folder)

    def build(self, name: str, settings: Settings, tick: Tick) -> Release:
        """Make a copy of the current release under a new name.

        Raises:
            OSError: It cannot be written.
        """
        old, new = self.current, self.named(name)
        self.remove(name)
        self._folder.mkdir(exist_ok=True)
        leave = state_of(settings, old.code)
        tick()
        copying.room_for(old.code, old.environment, leave, self._folder)
        copying.copy_code(old.code, new.code, leave, tick)
        assert new.environment is not None
        if old.environment is not None:
            copying.copy_environment(old.environment, new.environment, {old.code: new.code}, tick)
        else:
            _environment_over(old.python, new.environment)
        if not new.python.exists():
            raise FileNotFoundError(f"the copy of the environment has no {new.python}")
        return new

    def remove(self, name: str) -> None:
        """Remove a release; the first one and one that is not there stay as they are.

        Its name is free at once; its many files go in the background, or with the next removal.
        """
        if name and (self._folder / name).exists():
            (self._folder / name).rename(self._folder / f".removed-{name}-{time.time_ns()}")
        removed = list(self._folder.glob(".removed-*"))
        if removed:
            threading.Thread(target=_remove, args=(removed,), name="removal", daemon=True).start()

    def prune(self, keep: set[str]) -> None:
        """Remove all releases but these, and the one that this process itself runs from."""
        keep = keep | {self.base.code.name}
        if self._folder.is_dir():
            for entry in self._folder.iterdir():
                spared = entry.name.startswith(".") or entry.name in keep
                if entry.is_dir() and not entry.is_symlink() and not spared:
                    self.remove(entry.name)


def _remove(folders: list[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def state_of(settings: Settings, code: Path) -> list[Path]:
    """What of BATOS_HOME must not be copied with the code, where the two lie within each other."""
    home = settings.home
    if home != code and home.is_relative_to(code):
        return [home]
    named = [settings.blob_path, settings.keys_path, settings.path(settings.metacognition_log_file)]
    named += [settings.path(settings.lora_staging_dir), settings.weights_cache]
    named += [home / name for name in ("run", "releases", "backups", "batos.toml", ".architect_history")]
    image = settings.image_path
    return [*named, *home.glob("update_*.json"), *image.parent.glob(f"{image.name}*")]


def _environment_over(python: Path, folder: Path) -> None:
    """Make an environment that sees the packages of the system's Python and takes new ones itself."""
    make = [str(python), "-m", "venv", "--system-site-packages", "--without-pip", str(folder)]
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"an environment cannot be made: {(done.stderr or done.stdout).strip()[-500:]}")
    if sys.platform != "win32":
        pip = folder / _BIN / "pip"
        pip.write_text(_PIP.format(python=folder / _BIN / python.name), encoding="utf-8")
        pip.chmod(0o755)
