"""Copies of code and environment, and the releases made of them: the originals stay as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from batos.settings import Settings
from batos.watchdog import copying
from batos.watchdog.releases import Release, Releases


def _nothing() -> None:
    """No tick."""


def _texts(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its path."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def _git(folder: Path, *words: str) -> str:
    asked = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(folder), *words]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def code(home) -> Path:
    """A code folder that is BATOS_HOME too, with state in it."""
    (home / "batos.py").write_text("print('served')\n")
    (home / "batos").mkdir()
    (home / "batos" / "part.py").write_text("VALUE = 1\n")
    for name in ("live_image.fs", "live_image.fs.index", "metacognition.jsonl", "batos.toml", "update_report.x.json"):
        (home / name).write_text("")
    for name in ("live_image.fs.blob", "keys", "run", "releases", "backups", ".venv", "batos/__pycache__"):
        (home / name).mkdir()
        (home / name / "held").write_text("state")
    (home / "batos.toml").write_text("WORKERS = 2\n")
    return home


class TestCode:
    def test_code_comes_along_and_state_does_not(self, code):
        """Of a folder that is both, only the code is in the new release."""
        releases = Releases(code, Release("", code, Path(sys.executable), None))
        made = releases.build("next", Settings.load(), _nothing)
        assert {name for name in _texts(made.code) if not name.startswith(".venv")} == {"batos.py", "batos/part.py"}

    def test_links_that_leave_the_folder_are_followed(self, tmp_path):
        """What a link outside names is copied, so that a step cannot change it through the link; links inside stay."""
        outside, source, target = tmp_path / "outside", tmp_path / "source", tmp_path / "target"
        outside.mkdir()
        source.mkdir()
        (outside / "part.py").write_text("1\n")
        (source / "package").symlink_to(outside)
        (source / "real.py").write_text("2\n")
        (source / "alias.py").symlink_to("real.py")
        copying.copy_code(source, target, [], _nothing)
        assert not (target / "package").is_symlink()
        (target / "package" / "part.py").write_text("changed\n")
        assert (outside / "part.py").read_text() == "1\n"
        assert (target / "alias.py").readlink() == Path("real.py")

    def test_a_pull_in_the_copy_leaves_the_original(self, tmp_path):
        """A clone and a worktree both come along with a history of their own, in which git works."""
        origin, clone, tree = tmp_path / "origin", tmp_path / "clone", tmp_path / "tree"
        origin.mkdir()
        _git(origin, "init", "-q", "-b", "main")
        (origin / "batos.py").write_text("old\n")
        _git(origin, "add", ".")
        _git(origin, "commit", "-qm", "old")
        _git(tmp_path, "clone", "-q", str(origin), str(clone))
        _git(clone, "worktree", "add", "-q", "-b", "side", str(tree), "--track", "origin/main")
        (origin / "batos.py").write_text("new\n")
        _git(origin, "commit", "-qam", "new")
        for number, source in enumerate((clone, tree)):
            before = _texts(source), _git(source, "rev-parse", "HEAD")
            copy = tmp_path / f"copy{number}"
            copying.copy_code(source, copy, [], _nothing)
            _git(copy, "pull", "-q", "--ff-only")
            assert (copy / "batos.py").read_text() == "new\n"
            assert _git(copy, "status", "--porcelain") == ""
            assert (_texts(source), _git(source, "rev-parse", "HEAD")) == before


class TestEnvironment:
    @pytest.fixture
    def environment(self, tmp_path) -> Path:
        """A small environment with a script, an editable install and a large library."""
        folder = tmp_path / "old" / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        site = next(folder.glob("lib/python*/site-packages"))
        (site / "__editable__.batos.pth").write_text(f"{tmp_path / 'old'}\n")
        (site / "library.so").write_bytes(bytes(1 << 20))
        (site / "small.py").write_text("VALUE = 1\n")
        tool = folder / "bin" / "tool"
        tool.write_text(f"#!{folder}/bin/python\nimport sys\nprint(sys.prefix)\n")
        tool.chmod(0o755)
        return folder

    def test_the_copy_is_an_environment_of_its_own(self, environment, tmp_path):
        """Its scripts run its own interpreter, its path files name the new code, and nothing names the old folder."""
        new = tmp_path / "new" / ".venv"
        copying.copy_environment(environment, new, {tmp_path / "old": tmp_path / "new"}, _nothing)
        done = subprocess.run([str(new / "bin" / "tool")], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(new)
        site = next(new.glob("lib/python*/site-packages"))
        assert (site / "__editable__.batos.pth").read_text() == f"{tmp_path / 'new'}\n"

    def test_a_copy_that_lies_within_the_old_code(self, environment, tmp_path):
        """Where BATOS_HOME is the code's folder the new release lies in it; its scripts run its own interpreter all the same."""
        old = tmp_path / "old"
        new = old / "releases" / "next"
        other = next(environment.glob("lib/python*/site-packages")) / "other.pth"
        other.write_text(f"{old}-er\n")
        copying.copy_environment(environment, new / ".venv", {old: new}, _nothing)
        done = subprocess.run([str(new / ".venv" / "bin" / "tool")], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(new / ".venv")
        site = next((new / ".venv").glob("lib/python*/site-packages"))
        assert (site / "__editable__.batos.pth").read_text() == f"{new}\n"
        assert (site / "other.pth").read_text() == f"{old}-er\n"

    def test_what_an_installer_does_to_the_copy_leaves_the_original(self, environment, tmp_path):
        """Files and libraries that are edited in place stay as they were in the environment that serves."""
        before = _texts(environment)
        new = tmp_path / "new" / ".venv"
        copying.copy_environment(environment, new, {}, _nothing)
        site = next(new.glob("lib/python*/site-packages"))
        with (site / "small.py").open("a") as out:
            out.write("VALUE = 2\n")
        with (site / "library.so").open("r+b") as out:
            out.write(b"edited")
        assert _texts(environment) == before


class TestReleases:
    @pytest.fixture
    def releases(self, tmp_path, home) -> Releases:
        """The releases of a home whose first one has code and no environment."""
        code = tmp_path / "code"
        code.mkdir()
        (code / "batos.py").write_text("")
        return Releases(home, Release("", code, Path(sys.executable), None))

    def test_the_link_names_what_serves(self, releases, home):
        """Without a link the first release serves; switching is a rename, and switching back removes the link."""
        assert releases.current == releases.base
        releases.build("one", Settings.load(), _nothing)
        releases.switch("one")
        assert releases.current.code == home / "releases" / "one"
        releases.switch("")
        assert releases.current == releases.base

    def test_a_release_that_does_not_fit_is_not_begun(self, releases, home, monkeypatch):
        """Where code and environment have no room on the disk, nothing is copied, and it is said how much is needed."""
        monkeypatch.setattr(copying.shutil, "disk_usage", lambda _: SimpleNamespace(free=copying.SPARE_BYTES - 1))
        with pytest.raises(OSError, match="a new release needs 256 MiB, the disk has 255 left"):
            releases.build("one", Settings.load(), _nothing)
        assert not list((home / "releases").iterdir())

    def test_a_link_to_nothing_means_the_first_release(self, releases, home):
        """A release that somebody removed by hand does not stop the system."""
        (home / "releases").mkdir()
        releases.switch("gone")
        assert releases.current == releases.base

    def test_an_environment_over_the_systems_python(self, releases):
        """Where BAT OS runs without an environment, a release gets one, with a pip that installs into it."""
        made = releases.build("one", Settings.load(), _nothing)
        asked = [str(made.python), "-c", "import sys; print(sys.prefix)"]
        assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == str(made.environment)
        assert str(made.python) in (made.environment / "bin" / "pip").read_text()
