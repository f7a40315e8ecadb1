"""Missions without a prompt: from the command line or from a pipe, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from batos.client.bridge import Client
from batos.client.session import Session
from batos.client.translator import Translator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from batos.client.show import Reporter
    from batos.settings import Settings

ALL_WELL, SOME_FAILED, NO_KERNEL = 0, 1, 2
LEAVING = frozenset({"exit", "quit", "/quit", "/exit"})


async def run(
    settings: Settings, lines: Iterable[str] | None, show: Reporter, *, target: Any, patience: float | None
) -> int:
    """Run missions and give the exit code: 0 when all ended COMPLETE or OK, 1 otherwise, 2 without a kernel.

    Args:
        settings: Where the kernel is, and who translates.
        lines: The missions; None reads stdin line by line, where a line may be a slash command too.
        show: Hears what happens.
        target: The object that the missions are for.
        patience: Seconds to wait for a kernel that is not there.
    """
    absent = [False]

    def on_link(what: str) -> None:
        if what == "lost":
            absent[0] = True
            show.notice("The kernel went away; I wait for it.")
        elif what == "linked" and absent[0]:
            absent[0] = False
            show.notice("The kernel is back.")

    client = Client.from_settings(settings, on_link=on_link, patience=patience)
    translator = Translator(client, settings, show.notice)
    session = Session(client, translator, show, target)
    try:
        with interrupts(on_interrupt(session)):
            return await _each(session, _from(lines) if lines is not None else read_lines())
    finally:
        translator.close()
        await client.close()


async def _each(session: Session, lines: AsyncIterator[str]) -> int:
    well = True
    async for line in lines:
        text = line.strip()
        if text.casefold() in LEAVING:
            break
        if text:
            well &= await session.line(text)
        if session.unreachable:
            return NO_KERNEL
    return ALL_WELL if well else SOME_FAILED


async def _from(lines: Iterable[str]) -> AsyncIterator[str]:
    for line in lines:
        yield line


async def read_lines() -> AsyncIterator[str]:
    """Lines of stdin as they come; a line that ends with a backslash goes on in the next one."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(RuntimeError):
            for line in sys.stdin:
                loop.call_soon_threadsafe(queue.put_nowait, line.rstrip("\r\n"))
            loop.call_soon_threadsafe(queue.put_nowait, None)

    # A daemon: a thread that waits for stdin must not keep the process alive.
    threading.Thread(target=read, name="stdin", daemon=True).start()
    held: list[str] = []
    while (line := await queue.get()) is not None:
        if line.endswith("\\"):
            held.append(line[:-1])
            continue
        yield "\n".join([*held, line])
        held.clear()
    if held:
        yield "\n".join(held)


def on_interrupt(session: Session) -> Callable[[], None]:
    """The first Ctrl-C cancels the mission, the second leaves."""
    presses = [0]
    working: set[asyncio.Task[None]] = set()
    main = asyncio.current_task()

    def interrupted() -> None:
        presses[0] += 1
        if presses[0] == 1:
            task = asyncio.get_running_loop().create_task(session.cancel())
            working.add(task)
            task.add_done_callback(working.discard)
        elif main is not None:
            main.cancel()

    return interrupted


@contextlib.contextmanager
def interrupts(handler: Callable[[], None]) -> Iterator[None]:
    """Call `handler` on the event loop for each Ctrl-C while this is open."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = signal.signal(signal.SIGINT, lambda _number, _frame: loop.call_soon_threadsafe(handler))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
