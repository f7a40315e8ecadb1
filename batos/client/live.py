"""The live line of a running request: state, attempt, pace and time, with what is being written above it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from batos.client.render import safe

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

TAIL_LINES = 12
TAIL_CHARACTERS = 4000
PATIENCE_SECONDS = 0.3


class LiveLine:
    """Shows a request's course at the foot of the terminal and leaves nothing behind.

    Args:
        console: The terminal.
    """

    def __init__(self, console: Console) -> None:
        self._began = time.monotonic()
        self._state = "waiting"
        self._attempt = 1
        self._text = ""
        self._tokens = 0
        self._first_token = 0.0
        self._spinner = Spinner("dots")
        self._live = Live(self, console=console, refresh_per_second=8, transient=True)

    def start(self) -> None:
        """Begin to show."""
        self._live.start()

    def stop(self) -> None:
        """Take the line away."""
        self._live.stop()

    def begin(self, state: str) -> None:
        """Something begins that tells no events yet."""
        self._state = state

    def hear(self, event: dict[str, Any]) -> None:
        """Take in an event of the request."""
        kind = event.get("event")
        if kind == "transition":
            self._state = str(event.get("to", ""))
            self._forget()
        elif kind == "attempt":
            self._attempt = int(event.get("n") or 0) + 1
            self._forget()
        elif kind == "utterance":
            self._forget()
        elif kind == "token":
            self._state = str(event.get("persona") or self._state)
            if self._tokens == 0:
                self._first_token = time.monotonic()
            self._tokens += 1
            self._text = (self._text + str(event.get("text", "")))[-TAIL_CHARACTERS:]

    def line(self) -> str:
        """The line as text."""
        parts = [self._state]
        if self._attempt > 1:
            parts.append(f"attempt {self._attempt}")
        writing = time.monotonic() - self._first_token
        if self._tokens > 1 and writing > 0:
            parts.append(f"{self._tokens / writing:.0f} tokens/s")
        parts.append(f"{time.monotonic() - self._began:.0f} s")
        return " · ".join(parts)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render for rich; a request that is answered at once shows nothing."""
        if time.monotonic() - self._began < PATIENCE_SECONDS:
            return
        parts: list[RenderableType] = []
        if self._text:
            tail = safe(self._text).split("\n")[-TAIL_LINES:]
            parts.append(Text("\n".join(tail), style="dim", no_wrap=True, overflow="ellipsis"))
        self._spinner.update(text=Text(f" {self.line()}   Ctrl-C cancels", style="cyan"))
        parts.append(self._spinner)
        yield Group(*parts)

    def _forget(self) -> None:
        self._text = ""
        self._tokens = 0
