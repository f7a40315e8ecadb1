"""The console in a real terminal: a session from teaching to rollback, driven in tmux; its screens are kept.

`CONSOLE_SCREENS=FOLDER` writes each screen as a text file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.kernel.harness import ROOT, Kernel, writes

TMUX = shutil.which("tmux")
RULES = [
    writes("greet_user", "def greet_user(self, name):\n    return f'Hello, {name}!'\n", times=1),
    writes("greet_user", "def greet_user(self, name):\n    return f'Good day, {name}.'\n"),
    writes("slow_thing", "def slow_thing(self):\n    return 1\n", delay_s=60),
    {"state": "CONVERSING", "text": "The Living Image is the database, as ROBIN says: it is what the system is."},
]


class Terminal:
    """A tmux session of 80 columns that runs the console."""

    def __init__(self, kernel: Kernel, screens: Path | None, **env: str) -> None:
        self.name = f"batos-{uuid.uuid4().hex[:8]}"
        self.screens = screens
        self.number = 0
        self.typed = ""
        variables = [f"{key}={value}" for key, value in {**kernel.env, "TERM": "screen-256color", **env}.items()]
        shown = [item for item in variables if item.split("=")[0] in ("PATH", "TERM", "HOME", "LANG", "NO_COLOR")]
        shown += [item for item in variables if item.startswith("BATOS_")]
        command = ["env", *shown, sys.executable, str(ROOT / "chat_client.py")]
        self._tmux("new-session", "-d", "-s", self.name, "-x", "80", "-y", "50", *command)

    def _tmux(self, *words: str) -> str:
        # A server of its own: other sessions of the machine are not touched.
        ran = subprocess.run([TMUX, "-L", self.name, *words], capture_output=True, text=True, check=True, cwd=ROOT)
        return ran.stdout

    def screen(self) -> str:
        """What is seen, with what has scrolled away."""
        return self._tmux("capture-pane", "-p", "-J", "-S", "-500", "-t", self.name)

    def sees(self, text: str, seconds: float = 40) -> str:
        """Wait until a text is seen after the last line that was typed; gives the screen."""
        end = time.monotonic() + seconds
        while text not in (screen := self.screen()).split(self.typed or "\0")[-1]:
            assert time.monotonic() < end, f"{text!r} is not in:\n{screen}"
            time.sleep(0.05)
        return screen

    def say(self, line: str, text: str) -> str:
        """Type a line, wait for a text in what comes after it, and keep the screen."""
        self._tmux("send-keys", "-t", self.name, "-l", line)
        self.typed = ""
        self.sees(f"Architect > {line[:30]}")
        self.typed = f"Architect > {line[:30]}"
        self._tmux("send-keys", "-t", self.name, "Enter")
        screen = self.sees(text)
        self.number += 1
        if self.screens is not None:
            self.screens.mkdir(parents=True, exist_ok=True)
            (self.screens / f"{self.number:02d}.txt").write_text(self._pane(), encoding="utf-8")
        return screen

    def _pane(self) -> str:
        return self._tmux("capture-pane", "-p", "-t", self.name).rstrip() + "\n"

    def press(self, key: str) -> None:
        """Press a key."""
        self._tmux("send-keys", "-t", self.name, key)

    def ended(self) -> bool:
        """Whether the console has left."""
        ran = subprocess.run([TMUX, "-L", self.name, "has-session"], capture_output=True, check=False)
        return ran.returncode != 0

    def close(self) -> None:
        """End the session, and its server with it."""
        subprocess.run([TMUX, "-L", self.name, "kill-server"], capture_output=True, check=False)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel for the console."""
    if TMUX is None:
        pytest.skip("tmux is not installed")
    running = Kernel(tmp_path_factory.mktemp("home"), RULES, TRANSLATOR="rules").start()
    yield running
    running.stop()


@pytest.fixture
def terminal(kernel):
    """The console in a terminal."""
    place = os.environ.get("CONSOLE_SCREENS")
    opened = Terminal(kernel, Path(place) if place else None)
    opened.sees("Architect >")
    yield opened
    opened.close()


def test_from_teaching_to_rollback(kernel, terminal, until):
    """Teach, call, improve with an approval, compare, look back, talk, roll back, cancel, survive a restart, leave."""
    terminal.say("create a method called greet_user with parameter name to greet a user", "version 1 is installed")
    terminal.sees("def greet_user(self, name):")
    terminal.sees("evidence")
    terminal.say("greet_user('Ada')", "Hello, Ada!")
    terminal.say("/approve on", "ask before it is installed")
    terminal.say("improve greet_user: be more formal", "waits for your approval")
    terminal.sees("+    return f'Good day, {name}.'")
    terminal.say("greet_user('Bob')", "Hello, Bob!")
    terminal.say("/approve", "version 2 is installed")
    terminal.say("/approve off", "installed at once")
    terminal.say("greet_user('Bob')", "Good day, Bob.")
    terminal.say("/history greet_user", "active")
    terminal.say("/diff greet_user", "-    return f'Hello, {name}!'")
    terminal.say("/explain greet_user", "Guardian")
    terminal.say("/inspect", "greet_user(self, name)")
    terminal.say("/search living image", "golden_dataset")
    terminal.say("What is the Living Image?", "ROBIN")
    terminal.say("/personas", "BABS")
    terminal.say("/models", "scripted")
    terminal.say("/status", ", up ")
    terminal.say("/rollback greet_user 1", "version 3")
    terminal.say("greet_user('Eve')", "Hello, Eve!")
    terminal.say("/history nothing_here", "↳")
    terminal.say("/help", "/as-of MOMENT LINE")
    terminal.say("slow_thing()", "SYNTHESIZING")
    terminal.press("Typed meanwhile, " * 8)
    terminal.sees("2 s ")
    assert "Typed" not in terminal.screen()
    terminal.press("C-c")
    terminal.sees("Cancelled")
    kernel.kill()
    terminal.sees("The kernel went away")
    kernel.start()
    terminal.sees("The kernel is back")
    shown = terminal.say("greet_user('Zoe')", "Hello, Zoe!")
    terminal.press("C-c")
    terminal.sees("once more leaves")
    terminal.press("C-c")
    until(terminal.ended, "the console's end")
    assert "Hello, Zoe!" in shown
