"""The prompt: lines, history, several lines, completion, Ctrl-C, and a kernel that comes and goes."""

from __future__ import annotations

import asyncio
import io
import os
import re
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console as Screen

from batos.client.console import HISTORY_FILE, MORE, Console, Known, continuation, unechoed
from batos.client.show import Show
from batos.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.client.double import Double

ALT_ENTER, CTRL_C, CTRL_D = "\x1b\r", "\x03", "\x04"


class Desk:
    """A console whose keys are sent and whose screen is read by the test."""

    def __init__(self, keys: Any, screen: io.StringIO, run: asyncio.Task[int]) -> None:
        self.type = keys.send_text
        self.screen = screen
        self.run = run

    async def sees(self, pattern: str) -> str:
        """Wait until the screen shows a pattern."""
        while not re.search(pattern, self.screen.getvalue()):
            assert not self.run.done(), self.screen.getvalue()
            await asyncio.sleep(0.01)
        return self.screen.getvalue()


@pytest.fixture
def desk(kernel: Double) -> Callable[[], Any]:
    """Opens a console of the double."""
    kernel.answers |= {
        "cycles": lambda _r, _s: {
            "status": "OK",
            "cycles": [{"cycle_id": "c9", "selector": "old_one", "state": "VALIDATING"}],
        },
        "inspect": lambda _r, _s: {"status": "OK", "methods": {"greet_user": {}}, "understands": ["clone"]},
        "objects": lambda _r, _s: {"status": "OK", "objects": [{"name": "genesis_obj"}]},
        "translate": lambda _r, _s: {"status": "OK", "kind": "unclear", "request": None, "understands": []},
        "send": lambda r, _s: {"status": "OK", "result": r["args"], "tid": "0" * 16},
    }

    @asynccontextmanager
    async def opened() -> AsyncIterator[Desk]:
        settings = Settings.load(home=kernel.home, zmq_endpoint=kernel.endpoint, translator="rules")
        screen = io.StringIO()
        with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
            console = Console(settings, Show(Screen(file=screen, width=80)), target="genesis_obj")
            run = asyncio.create_task(console.run())
            try:
                yield Desk(keys, screen, run)
                await run
            finally:
                run.cancel()

    return opened


async def test_a_session_from_greeting_to_exit(kernel: Double, desk: Any) -> None:
    """The console greets, tells of unfinished missions, runs lines, keeps them in the history, and `exit` leaves."""
    async with desk() as one:
        await one.sees("old_one is still in progress: /follow c9")
        one.type("greet_user(1)\r")
        await one.sees(r"\[1\]")
        one.type("first(1,\\\r2)\r")
        await one.sees(r"\[1, 2\]")
        one.type(f"second(3,{ALT_ENTER}4)\r")
        await one.sees(r"\[3, 4\]")
        one.type("exit\r")
    assert one.run.result() == 0
    history = (kernel.home / HISTORY_FILE).read_text()
    assert "+greet_user(1)" in history
    assert (kernel.home / HISTORY_FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("keys", [CTRL_C + CTRL_C, CTRL_D, "/quit\r", "QUIT\r"])
async def test_ways_to_leave(desk: Any, keys: str) -> None:
    """Ctrl-C twice, Ctrl-D, /quit and quit leave with code 0."""
    async with desk() as one:
        await one.sees("command")
        one.type(keys)
    assert one.run.result() == 0


async def test_the_kernel_gone_and_back_is_shown(kernel: Double, desk: Any) -> None:
    """A restart of the kernel is told, and the session goes on."""
    async with desk() as one:
        await one.sees("command")
        await kernel.stop()
        await one.sees("The kernel went away")
        await kernel.start()
        await one.sees("The kernel is back")
        one.type("greet_user(7)\r")
        shown = await one.sees(r"\[7\]")
        one.type("exit\r")
    assert shown.index("went away") < shown.index("is back") < shown.index("[7]")


async def test_waiting_for_the_kernel_is_said(kernel: Double, desk: Any) -> None:
    """A console that starts first says that it waits, and greets when the kernel comes."""
    await kernel.stop()
    async with desk() as one:
        await one.sees("I wait for the kernel at")
        await kernel.start()
        shown = await one.sees("command")
        one.type("exit\r")
    assert shown.index("I wait") < shown.index("nominal")


def test_completion_knows_commands_selectors_and_objects() -> None:
    """Slash commands complete at the start of a line, selectors and objects by word."""
    known = Known()
    known.selectors, known.objects = ["greet_user", "_clone_"], ["genesis_obj"]

    def complete(text: str) -> list[str]:
        return [item.text for item in known.get_completions(Document(text), CompleteEvent())]

    assert complete("/hi") == ["/history"]
    assert complete("/history gr") == ["greet_user"]
    assert complete("g") == ["greet_user", "genesis_obj"]
    assert complete("genesis_obj.gr") == ["greet_user"]
    assert complete("greet_user(gen") == ["genesis_obj"]
    assert complete("_") == []
    assert complete("") == []


def test_only_lines_that_were_begun_have_a_mark() -> None:
    """A line that the terminal wraps goes on without one, so that it does not look like two."""
    assert continuation(12, 1, 0) == MORE
    assert continuation(12, 0, 1) == " " * 12


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no termios")
def test_keys_pressed_meanwhile_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a mission runs the terminal does not echo, but Ctrl-C still interrupts; after it the terminal is as it was."""
    import pty
    import termios

    ours, theirs = pty.openpty()
    with open(ours, "rb"), open(theirs, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        before = termios.tcgetattr(theirs)
        assert before[3] & termios.ECHO
        with unechoed():
            during = termios.tcgetattr(theirs)
            assert not during[3] & termios.ECHO
            assert during[3] & termios.ISIG
        assert termios.tcgetattr(theirs) == before


def test_without_a_terminal_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a pipe for stdin, or none at all, a line runs all the same."""
    for stdin in (io.StringIO(), open(os.devnull, encoding="utf-8")):  # noqa: SIM115
        monkeypatch.setattr(sys, "stdin", stdin)
        ran = False
        with unechoed():
            ran = True
        stdin.close()
        assert ran
