"""Lines to a server: however silent it is, who leaves is gone at once, and nobody else waits for a thread."""

import asyncio
import os
import socket
import threading
import urllib.request

import pytest

from batos.errors import Cancelled
from batos.mind import lines
from batos.mind.lines import Line
from batos.mind.openai import OpenAIMind
from batos.mind.protocol import GenerateRequest

MANY = min(32, (os.cpu_count() or 1) + 4) + 8
"""More than asyncio's own threads."""
ASKED = GenerateRequest(state="X", messages=({"role": "user", "content": "Hi"},))
BEGUN = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
BEGUN_IN_PIECES = BEGUN.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n") + b'8\r\ndata: {"'


class Silent:
    """A server that takes requests, says what it was given, and then nothing until its client hangs up."""

    def __init__(self, said=b""):
        self.said = said
        self.heard, self.gone = threading.Semaphore(0), threading.Semaphore(0)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=MANY)
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self):
        """Where it listens."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"

    def close(self):
        """Listen no more."""
        self.listener.shutdown(socket.SHUT_RDWR)  # a close alone does not end `accept`
        self.listener.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._hold, args=(connection,), daemon=True).start()

    def _hold(self, connection):
        with connection:
            data = b""
            while not data.endswith(b"}"):
                data += connection.recv(65536)
            connection.sendall(self.said)
            self.heard.release()
            while connection.recv(65536):
                pass
            self.gone.release()


def counted(semaphore, number=1):
    """Wait until something has happened so often; not in asyncio's threads, which are what the test is about."""
    done, loop = asyncio.Event(), asyncio.get_running_loop()

    def wait():
        assert all(semaphore.acquire(timeout=60) for _ in range(number))
        loop.call_soon_threadsafe(done.set)

    threading.Thread(target=wait, daemon=True).start()
    return asyncio.wait_for(done.wait(), 60)


@pytest.fixture(params=[b"", BEGUN, BEGUN_IN_PIECES], ids=["nothing", "headers", "half a piece"])
def silent(request):
    """A server that has said nothing, its headers alone, or a part of its answer."""
    made = Silent(request.param)
    yield made
    made.close()


async def test_a_cancel_hangs_up_on_a_silent_server(silent):
    """Whoever cancels has its line cut at once, however long the server would have been silent."""
    mind = OpenAIMind(silent.url, models="m", timeout=600)
    asking = asyncio.create_task(mind.generate(ASKED))
    await counted(silent.heard)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await counted(silent.gone)
    assert mind._lines == set()


async def test_closing_ends_all_that_wait(silent):
    """`close` ends generation and embedding in the middle of their wait."""
    mind = OpenAIMind(silent.url, models="m", timeout=600)
    asking = [asyncio.create_task(mind.generate(ASKED)), asyncio.create_task(mind.embed(["text"]))]
    await counted(silent.heard, 2)
    await mind.close()
    async with asyncio.timeout(60):
        ends = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(end) for end in ends] == [Cancelled, Cancelled]
    await counted(silent.gone, 2)


async def test_many_that_wait_hold_up_nobody():
    """More requests wait for a silent server than asyncio has threads: all are sent, and its threads are free."""
    silent = Silent()
    mind = OpenAIMind(silent.url, models="m", timeout=600)
    asking = [asyncio.create_task(mind.generate(ASKED)) for _ in range(MANY)]
    try:
        await counted(silent.heard, MANY)
        async with asyncio.timeout(60):
            assert await asyncio.to_thread(lambda: "free") == "free"
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        silent.close()
    await counted(silent.gone, MANY)


def test_nothing_is_opened_on_a_line_that_was_cut():
    """A connection that comes about after the cut is ended before anything is sent on it."""
    silent, line = Silent(), Line()
    line.cut()
    assert line.is_cut
    assert line.rest(60)
    with pytest.raises(OSError, match="the line was cut"):
        line.open(urllib.request.Request(silent.url), 60)
    silent.close()


async def test_work_that_fails_raises_where_it_was_asked_for():
    """A line's thread gives back what the work gave, or what it raised."""
    line = Line()
    assert await line.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await line.run(divmod, 7, 0)


def test_lines_under_tls_are_cut_too():
    """What is opened for https belongs to its line as well."""
    handlers = lines._opener().handle_open
    assert [type(handlers[scheme][0]).__name__ for scheme in ("http", "https")] == ["_HttpHandler", "_HttpsHandler"]
