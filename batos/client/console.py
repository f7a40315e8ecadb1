"""The Architect's prompt: history, several lines, completion, and a session that survives the kernel's restart."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from typing import TYPE_CHECKING, Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.patch_stdout import patch_stdout

from batos import __version__
from batos.client import slash
from batos.client.bridge import Client
from batos.client.missions import LEAVING, interrupts, on_interrupt
from batos.client.session import ENDED, Session
from batos.client.translator import Translator
from batos.errors import BatosError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

    from batos.client.show import Show
    from batos.settings import Settings

PROMPT = "Architect > "
MORE = "        … > "
HISTORY_FILE = ".architect_history"
QUIET_SECONDS = 0.7
ASK_SECONDS = 5.0
_WORD_END = re.compile(r"[.(,=]")


class Console:
    """The prompt and its session.

    Args:
        settings: Where the kernel is, who translates, where the history lies.
        show: Prints.
        target: The object that is spoken to first.
    """

    def __init__(self, settings: Settings, show: Show, *, target: Any) -> None:
        self._settings = settings
        self._show = show
        self._known = Known()
        self._away = False
        self.client = Client.from_settings(settings, on_link=self._on_link)
        self.translator = Translator(self.client, settings, show.notice)
        self.session = Session(self.client, self.translator, show, target, detach=True)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Prompt until the Architect leaves; gives the exit code."""
        try:
            with patch_stdout(raw=True):
                if await self._greet():
                    await self._prompts()
        finally:
            for task in self._tasks:
                task.cancel()
            self.translator.close()
            await self.client.close()
        return 0

    async def _greet(self) -> bool:
        """Wait for the kernel, saying so, and greet; False when the Architect leaves meanwhile."""
        leave = asyncio.Event()
        with interrupts(leave.set):
            hello = asyncio.create_task(self.client.call("ping"))
            gone = asyncio.create_task(leave.wait())
            done, _ = await asyncio.wait({hello, gone}, timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self._show.notice(f"I wait for the kernel at {self.client.endpoint}; Ctrl-C leaves.")
                await asyncio.wait({hello, gone}, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            if not hello.done():
                hello.cancel()
                return False
        try:
            hello.result()
        except BatosError as error:
            self._show.failed(error)
            return False
        self._show.notice(f"BAT OS {__version__}: all systems nominal. I await the Architect's command (/help).")
        await self._unfinished()
        self._later(self._learn())
        return True

    async def _unfinished(self) -> None:
        """Tell of missions that are still in progress, from another console or from before a restart."""
        with contextlib.suppress(BatosError):
            reply = await self.client.call("cycles", limit=50, timeout=ASK_SECONDS)
            for item in reply.get("cycles", []):
                if item.get("awaiting") == "approval":
                    self._show.notice(
                        f"{item.get('selector')} waits for your approval: /approve {item.get('cycle_id')}"
                    )
                elif item.get("state") not in ENDED:
                    self._show.notice(f"{item.get('selector')} is still in progress: /follow {item.get('cycle_id')}")

    async def _prompts(self) -> None:
        session = self._prompt_session()
        once = False
        while True:
            try:
                text = await session.prompt_async(PROMPT)
            except KeyboardInterrupt:
                if once:
                    return
                once = True
                self._show.notice("Ctrl-C once more leaves.")
                continue
            except EOFError:
                return
            once = False
            if text.strip().casefold() in LEAVING:
                return
            if text.strip():
                await self._line(text)

    async def _line(self, text: str) -> None:
        work = asyncio.create_task(self.session.line(text))
        with interrupts(on_interrupt(self.session)), unechoed():
            await work
        self._later(self._learn())

    def _prompt_session(self) -> PromptSession[str]:
        return PromptSession(
            history=_history(self._settings),
            completer=self._known,
            complete_while_typing=False,
            key_bindings=bindings(),
            multiline=True,
            prompt_continuation=continuation,
            enable_history_search=True,
        )

    async def _learn(self) -> None:
        """Learn what there is to complete."""
        with contextlib.suppress(BatosError):
            seen = await self.client.call("inspect", target_oid=self.session.target, timeout=ASK_SECONDS)
            listed = await self.client.call("objects", limit=1000, timeout=ASK_SECONDS)
            self._known.selectors = sorted({*seen.get("methods", {}), *seen.get("understands", [])})
            self._known.objects = sorted(str(item["name"]) for item in listed.get("objects", []) if item.get("name"))

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_link(self, what: str) -> None:
        if what == "lost":
            self._away = True
            self._show.notice("The kernel went away; I wait for it, and so do missions in progress.")
        elif what == "linked" and self._away:
            self._away = False
            self._show.notice("The kernel is back.")


class Known(Completer):
    """Completes slash commands, selectors and objects."""

    def __init__(self) -> None:
        self.selectors: list[str] = []
        self.objects: list[str] = []

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Give what may stand at the cursor."""
        del complete_event
        before = document.text_before_cursor
        # `genesis_obj.greet` and `greet_user(other` are completed after the dot and the bracket.
        word = _WORD_END.split(document.get_word_before_cursor(WORD=True))[-1]
        if before.startswith("/") and " " not in before:
            for name, item in slash.SLASHES.items():
                if f"/{name}".startswith(before):
                    yield Completion(f"/{name}", -len(before), display_meta=item.does)
            return
        for kind, names in (("selector", self.selectors), ("object", self.objects)):
            for name in names:
                if word and name.startswith(word) and not name.startswith("_"):
                    yield Completion(name, -len(word), display_meta=kind)


def continuation(width: int, _line: int, wrapped: int) -> str:
    """What stands before a further line: a mark where the Architect began one, nothing where the terminal was too narrow."""
    return " " * width if wrapped else MORE


@contextlib.contextmanager
def unechoed() -> Iterator[None]:
    """Keys that are pressed while a mission runs wait for the next prompt, and do not mix with what is shown."""
    try:
        import termios
    except ImportError:  # pragma: no cover - Windows does not echo what nobody reads
        yield
        return
    try:
        place = sys.stdin.fileno()
        before = termios.tcgetattr(place)
    except (OSError, ValueError, termios.error):  # no terminal
        yield
        return
    quiet = [*before]
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(place, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(place, termios.TCSANOW, before)


def bindings() -> KeyBindings:
    """Enter sends, unless the line ends with a backslash; Alt-Enter begins a new line."""
    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _newline(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _history(settings: Settings) -> History:
    file = settings.home / HISTORY_FILE
    try:
        file.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(file)
