"""How the Architect sees what happens: for people on a terminal or in a pipe (`Show`), for programs (`JsonShow`).

Both hear the same: what the words were taken for, each event, the last word, notices and errors.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from batos import plain
from batos.errors import BatosError, to_wire

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from batos.client.live import LiveLine
    from batos.cognition.rulebook import Translation

Message = dict[str, Any]


class Reporter(Protocol):
    """What hears of a session's course.

    Attributes:
        detailed: Whether it wants last words with more than the kernel told: `provenance` of what was installed, `names` of
            an object's parents.
    """

    detailed: bool

    def notice(self, text: str) -> None:
        """Something to know, in a line."""

    def translated(self, text: str, translation: Translation) -> None:
        """What the words were taken for; a question back, where there is no request."""

    def started(self, request: Message) -> None:
        """A request goes out."""

    def event(self, event: Message) -> None:
        """An event of the running request."""

    def last_word(self, request: Message, reply: Message) -> None:
        """The request's last word."""

    def failed(self, error: BatosError) -> None:
        """An error of the client's own: no kernel, no key, words that make no request."""

    def pause(self) -> None:
        """The running request goes on unwatched."""

    def correcting(self, request: Message) -> None:
        """Words were taken for a correction."""


class JsonShow:
    """Prints each event and last word as one JSON line.

    Args:
        stream: Where to; stdout by default.
    """

    detailed = False

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def notice(self, text: str) -> None:
        """As an event `notice`."""
        self._print({"event": "notice", "text": text})

    def translated(self, text: str, translation: Translation) -> None:
        """As an event `translated`; without a request, a last word with the question follows."""
        fields = {"text": text, "kind": translation.kind, "source": translation.source}
        self._print({"event": "translated", **fields, "request": translation.request})
        if translation.request is None:
            status = "UNCLEAR" if translation.kind == "unclear" else "OK"
            by = {"persona": translation.persona} if translation.persona else {}
            self._print({"status": status, "kind": translation.kind, "question": translation.question, **by})

    def started(self, request: Message) -> None:
        """Nothing: `translated` told it."""

    def event(self, event: Message) -> None:
        """As it came, without the client's own `id`."""
        self._print({key: item for key, item in event.items() if key != "id"})

    def last_word(self, request: Message, reply: Message) -> None:
        """As it came, without the client's own `id`."""
        del request
        self._print({key: item for key, item in reply.items() if key != "id"})

    def failed(self, error: BatosError) -> None:
        """As a last word `ERROR`."""
        self._print({"status": "ERROR", "error": to_wire(error)})

    def pause(self) -> None:
        """Nothing: events still come."""

    def correcting(self, request: Message) -> None:
        """As an event `translated`."""
        self._print({"event": "translated", "kind": "correct", "source": "rules", "request": request})

    def _print(self, message: Message) -> None:
        stream = self._stream or sys.stdout
        print(json.dumps(plain.to_json(message), ensure_ascii=False), file=stream, flush=True)


class Show:
    """Prints for people: states as they pass, the installed source, results and errors.

    Args:
        console: Where to; by default stdout as it is at that moment.
        live: Whether a live line and streamed tokens are shown; by default on a terminal.
    """

    detailed = True

    def __init__(self, console: Console | None = None, *, live: bool | None = None) -> None:
        from rich.console import Console

        self.console = console or Console(highlight=False)
        self._live = self.console.is_terminal if live is None else live
        self._line: LiveLine | None = None
        self._started = 0.0

    def notice(self, text: str) -> None:
        """Something to know, in a line."""
        self._say(f"· {text}", "dim")

    def translated(self, text: str, translation: Translation) -> None:
        """What the words were taken for; a question back, where there is no request."""
        del text
        request = translation.request
        if request is None:
            self._end()
            mark = f"? {translation.persona}: " if translation.persona else ""
            self._say(f"{mark}{translation.question}", "yellow" if mark else "")
        elif translation.kind in ("teach", "send"):
            brief = request.get("mission_brief") or request
            self._say(
                f"→ {brief.get('selector')}{_shown_args(brief)}  ({translation.kind}, by {translation.source})", "cyan"
            )

    def started(self, request: Message) -> None:
        """A request goes out: the live line begins."""
        self._started = time.monotonic()
        if not self._live:
            return
        if self._line is None:
            from batos.client.live import LiveLine

            self._line = LiveLine(self.console)
            self._line.start()
        self._line.begin("translating" if request.get("command") == "translate" else "waiting")

    def event(self, event: Message) -> None:
        """An event of the running request."""
        from batos.client import narrate

        if self._line is not None:
            self._line.hear(event)
        shown = narrate.event(event, colour=self.console.is_terminal)
        if shown is not None:
            self._print(shown)

    def last_word(self, request: Message, reply: Message) -> None:
        """The request's last word: the live line ends."""
        from batos.client import narrate

        self._end()
        took = time.monotonic() - self._started
        for part in narrate.last_word(request, reply, took, colour=self.console.is_terminal):
            self._print(part)

    def failed(self, error: BatosError) -> None:
        """An error, in one block with its hint."""
        from batos.client import narrate

        self._end()
        for part in narrate.error_block(to_wire(error)):
            self._print(part)

    def block(self, part: RenderableType) -> None:
        """Print something that was rendered elsewhere."""
        self._print(part)

    def pause(self) -> None:
        """End the live line; the request goes on without it."""
        self._end()

    def correcting(self, request: Message) -> None:
        """What the correction was taken for."""
        self._say(f"→ {request['selector']}{_shown_args(request)} must give {request['result']!r}  (correct)", "cyan")

    def _say(self, text: str, style: str = "") -> None:
        from rich.text import Text

        from batos.client.render import safe

        self._print(Text(safe(text), style=style))

    def _print(self, part: RenderableType) -> None:
        # In a pipe lines are not broken: whoever reads them has a width of their own.
        self.console.print(part, soft_wrap=not self.console.is_terminal)

    def _end(self) -> None:
        if self._line is not None:
            self._line.stop()
            self._line = None


def _shown_args(brief: Message) -> str:
    values = [repr(item) for item in brief.get("args") or []]
    values += [f"{key}={item!r}" for key, item in (brief.get("kwargs") or {}).items()]
    if not values:
        values = [str(parameter.get("name")) for parameter in brief.get("parameters") or []]
    text = ", ".join(values)
    return f"({text if len(text) <= 200 else text[:199] + '…'})"
