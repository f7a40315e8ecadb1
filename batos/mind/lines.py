"""Lines to a server: requests that block a thread of their own, and can be cut from any other one.

A thread that waits for a silent server cannot be asked to stop, so its socket is shut down: then its read ends. The threads
are daemons and none of asyncio's: however many wait, nothing else waits for a thread, and neither does the end of the process.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import urllib.request
from concurrent.futures import Future
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Line:
    """The connections of one piece of work, which end with it."""

    def __init__(self) -> None:
        self._cut = threading.Event()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []

    @property
    def is_cut(self) -> bool:
        """Whether nobody waits for an answer any more."""
        return self._cut.is_set()

    def cut(self) -> None:
        """End what is open, and all that would be opened; whoever reads has come to the end at once."""
        with self._lock:
            self._cut.set()
            for one in self._sockets:
                with suppress(OSError):  # it was closed
                    socket.socket.shutdown(one, socket.SHUT_RDWR)  # below TLS, which must not be changed while it reads

    def rest(self, seconds: float) -> bool:
        """Wait so long, or until it is cut; gives whether it was."""
        return self._cut.wait(seconds)

    def take(self, one: socket.socket) -> None:
        """Take in a socket that was opened for this work.

        Raises:
            ConnectionAbortedError: It is cut.
        """
        with self._lock:
            if self.is_cut:
                raise ConnectionAbortedError("the line was cut")
            self._sockets.append(one)

    def open(self, request: urllib.request.Request, timeout: float) -> Any:
        """As `urllib.request.urlopen`, in the calling thread."""
        request.line = self  # type: ignore[attr-defined]
        return _opener().open(request, timeout=timeout)

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Run what blocks in a thread of its own. A cancelled caller leaves at once; `cut` ends the work."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                future.set_result(work(*args))
            except BaseException as error:  # noqa: BLE001 - it is raised where the work was asked for
                future.set_exception(error)

        threading.Thread(target=run, name="line", daemon=True).start()
        return await asyncio.wrap_future(future)


class _Http(http.client.HTTPConnection):
    def __init__(self, *args: Any, line: Line, **more: Any) -> None:
        super().__init__(*args, **more)
        self._line = line

    def connect(self) -> None:
        super().connect()
        self._line.take(self.sock)


class _Https(http.client.HTTPSConnection):
    def __init__(self, *args: Any, line: Line, **more: Any) -> None:
        super().__init__(*args, **more)
        self._line = line

    def connect(self) -> None:
        super().connect()
        self._line.take(self.sock)


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Http, line=_line_of(req)), req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Https, line=_line_of(req)), req)


def _line_of(request: urllib.request.Request) -> Line:
    # The request that a redirect makes has none, and its answer is waited for.
    line = getattr(request, "line", None)
    return line if isinstance(line, Line) else Line()


@cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_HttpHandler, _HttpsHandler)
