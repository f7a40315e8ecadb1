"""The launcher, with an environment that stands in for `.venv`: nothing is installed, everything else is real."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import batos
from batos.watchdog.main import running

ROOT = Path(batos.__file__).parents[1]
WORDS = "create a method to report the current system time"
RULES = [
    {"state": "DECOMPOSING", "text": '["time"]'},
    {
        "state": "SYNTHESIZING",
        "match": "time",
        "text": "def report_the_current_system_time(self):\n    return 'a quarter past nine'\n",
    },
]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a bash script")


class Checkout:
    """A checkout whose environment is this interpreter's, and a home of its own."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        for name in ("puter.sh", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder / name)
        for name in ("batos", "batos.py", "chat_client.py", "min_watchdog_service.py", "persona_codex.jsonl"):
            (folder / name).symlink_to(ROOT / name)
        self.python = folder / ".venv" / "bin" / "python"
        self.python.parent.mkdir(parents=True)
        self.python.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}" "$@"\n')
        self.python.chmod(0o755)
        self.stamp("full dev")
        (home / "script.json").write_text(json.dumps(RULES))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.env = {
            **os.environ,
            "BATOS_HOME": str(home),
            "BATOS_ENGINE": "scripted:script.json",
            "BATOS_TRANSLATOR": "rules",
            "BATOS_ZMQ_ENDPOINT": f"tcp://127.0.0.1:{self.port}",
        }

    def stamp(self, extras: str) -> None:
        """Say that the environment holds these extras of these project files."""
        texts = [(self.folder / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
        print_ = subprocess.run(
            ["cksum"], input=f"{self.folder}\n".encode() + b"".join(texts), capture_output=True, check=True
        )
        (self.folder / ".venv" / ".batos-stamp").write_text(print_.stdout.decode() + extras + "\n")

    def run(self, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the launcher to its end."""
        command = ["bash", str(self.folder / "puter.sh"), *argv]
        return subprocess.run(
            command,
            env={**self.env, **env},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def checkout(tmp_path: Path, home: Path):
    """A checkout; what it left running is stopped."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    made = Checkout(folder, home)
    yield made
    if running(home):
        made.run("stop")
    assert not running(home)


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH with the few tools that the launcher itself needs: no Python, no compiler."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "cat", "cksum", "dirname", "mkdir", "sed"):
        (tools / name).symlink_to(str(shutil.which(name)))
    return str(tools)


def test_a_mission_installs_a_method_and_the_second_time_it_answers(checkout):
    """The story: the states pass, the source and the result are shown; later the same words write nothing."""
    first = checkout.run("--mission", WORDS)
    assert first.returncode == 0, first.stderr
    assert "VALIDATING" in first.stdout
    assert "def report_the_current_system_time" in first.stdout
    assert "a quarter past nine" in first.stdout
    assert not running(checkout.home)
    second = checkout.run("--mission", WORDS, "--json")
    lines = [json.loads(line) for line in second.stdout.splitlines()]
    assert second.returncode == 0
    assert lines[-1]["status"] == "COMPLETE"
    assert lines[-1]["installed"] is False
    assert lines[-1]["result"] == "a quarter past nine"


def test_a_mission_that_fails_is_told_by_the_exit_code(checkout):
    """One failing mission among several makes the exit code 1."""
    done = checkout.run("--mission", "create a method to fold the laundry", "--mission", WORDS)
    assert done.returncode == 1
    assert "a quarter past nine" in done.stdout


def test_what_runs_is_used_and_left_running(checkout):
    """With --stay the system stays; a second launcher uses it and leaves it; stop ends it."""
    assert checkout.run("--stay", "--mission", WORDS).returncode == 0
    assert running(checkout.home)
    again = checkout.run("--mission", WORDS)
    assert again.returncode == 0
    assert "already runs" in again.stderr
    status = checkout.run("status")
    assert status.returncode == 0
    assert "serving" in status.stdout
    assert checkout.run("stop").returncode == 0
    assert not running(checkout.home)
    assert checkout.run("status").returncode == 1


def test_a_kernel_that_cannot_start_is_told(checkout):
    """An address in use ends the launcher with 2, with the mend, and with nothing left running."""
    with socket.create_server(("127.0.0.1", checkout.port)):
        done = checkout.run("--stay", "--mission", WORDS)
    assert done.returncode == 2
    assert "BATOS_ZMQ_ENDPOINT" in done.stderr
    assert done.stdout == ""
    assert not running(checkout.home)


def test_a_wrong_setting_is_told(checkout):
    """A wrong setting ends the launcher with 2 and its name."""
    done = checkout.run("--mission", WORDS, BATOS_WORKERS="none")
    assert done.returncode == 2
    assert "BATOS_WORKERS" in done.stderr


def test_wrong_arguments_are_told(checkout):
    """Unknown arguments and missing values end with 2 and start nothing."""
    assert checkout.run("--mision", "x").returncode == 2
    assert checkout.run("--mission").returncode == 2
    assert checkout.run("--help").returncode == 0
    assert not (checkout.home / "run" / "watchdog.json").exists()


def test_without_a_python_the_mend_is_named(checkout, bare_path):
    """Where no Python fits, the launcher says which it needs and makes nothing."""
    shutil.rmtree(checkout.folder / ".venv")
    done = checkout.run(PATH=bare_path, HOME=bare_path, PYENV_ROOT=bare_path)
    assert done.returncode == 1
    assert "Python 3.11" in done.stderr
    assert not (checkout.folder / ".venv").exists()


def test_a_missing_compiler_is_named_before_anything_is_made(checkout, bare_path):
    """Where the compiler is missing, the launcher says so before it makes an environment."""
    shutil.rmtree(checkout.folder / ".venv")
    done = checkout.run(PATH=bare_path, BATOS_PYTHON=sys.executable, CC="", CXX="")
    assert done.returncode == 1
    assert "compiler" in done.stderr
    assert "llama-cpp-python" in done.stderr
    assert not (checkout.folder / ".venv").exists()


def test_changed_project_files_are_noticed(checkout, bare_path):
    """After a change of the project's requirements the environment is not taken as in place."""
    with (checkout.folder / "pyproject.toml").open("a") as out:
        out.write("# changed\n")
    done = checkout.run(PATH=bare_path, BATOS_PYTHON=sys.executable, CC="", CXX="")
    assert "BAT OS sets itself up" in done.stderr
    assert done.returncode == 1
