"""Draw `docs/console.svg`: the console of a real run, as its terminal showed it. Needs tmux and a running system.

    python docs/console_picture.py "greet_user('Ada')" "/history greet_user"

Each argument is a line that is typed at the prompt; the picture is taken when all have been answered.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
SESSION = "batos-picture"
PROMPT = "Architect > "
WIDTH, HEIGHT = 92, 40


def main() -> None:
    """Run the console in tmux, type the lines, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", nargs="+", help="what is typed at the prompt")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "console.svg")
    parser.add_argument("--seconds", type=float, default=300, help="how long one line may take")
    options = parser.parse_args()
    size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
    # A tmux server that runs already has an environment of its own.
    settings = [part for name, value in os.environ.items() if "BATOS" in name for part in ("-e", f"{name}={value}")]
    _tmux("new-session", "-d", "-s", SESSION, *size, *settings, f"{sys.executable} {ROOT / 'chat_client.py'}")
    try:
        _wait(1, options.seconds)
        for count, line in enumerate(options.lines, start=2):
            _tmux("send-keys", "-t", SESSION, "-l", line)
            _tmux("send-keys", "-t", SESSION, "Enter")
            _wait(count, options.seconds)
        _draw(_tmux("capture-pane", "-e", "-p", "-S", "-200", "-t", SESSION), options.out)
    finally:
        _tmux("kill-session", "-t", SESSION)


def _wait(prompts: int, seconds: float) -> None:
    """Wait until so many prompts are on the screen and the last one is empty."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.3)
        lines = _tmux("capture-pane", "-p", "-S", "-200", "-t", SESSION).rstrip().splitlines()
        asked = [line for line in lines if line.startswith(PROMPT.rstrip())]
        if len(asked) >= prompts and lines[-1].strip() == PROMPT.strip():
            return
    sys.exit("the console did not answer in time")


def _draw(screen: str, file: Path) -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen.rstrip().removesuffix(PROMPT.rstrip())))
    console.save_svg(str(file), title="BAT OS")
    sys.stdout.write(f"{file}\n")


def _tmux(*arguments: str) -> str:
    return subprocess.run(["tmux", *arguments], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
