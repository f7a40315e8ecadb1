"""The thread in which the image's units of work run, one after the other, and the way of their answers back.

Each hop between threads costs more than a small commit, so hops are shared: the thread takes what waits without
sleeping between units, and an event loop is woken once for all answers that lie ready, not once for each. While more
units wait it is woken when the next one waits for the disk, so that the two threads do not take turns at one processor.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from batos.errors import Stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    Deliver = Callable[[Any, BaseException | None], None]

T = TypeVar("T")


class Door:
    """Runs units of work in one thread, in the order in which they came.

    Attributes:
        waiting: Units that were taken and have not ended.
        highest: The most that ever waited at once.
    """

    def __init__(self, name: str) -> None:
        self._units: SimpleQueue[tuple[Callable[[], Any], Deliver, bool] | None] = SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()
        self._box: _Mailbox | None = None
        self._held: _Mailbox | None = None
        self.waiting = 0
        self.highest = 0
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[], T], *, tells: bool = False) -> T:
        """Run a unit and wait for it without blocking the loop; a cancelled caller leaves, the unit goes on.

        Args:
            work: The unit.
            tells: It calls `tell` itself, at a moment when this thread has nothing else to do.

        Raises:
            Stopping: The door is closed.
            Exception: Whatever the unit raises.
        """
        loop = asyncio.get_running_loop()
        box = self._box
        if box is None or box.loop is not loop:
            box = self._box = _Mailbox(loop)
        future: asyncio.Future[T] = loop.create_future()
        self._put(work, partial(self._hold, box, future), tells)
        return await future

    def tell(self) -> None:
        """Wake the loop for the answers that lie ready; from the door's own thread."""
        if self._held is not None:
            self._held.wake()
            self._held = None

    def run_now(self, work: Callable[[], T]) -> T:
        """Run a unit and block until it ends; for any thread but the door's own.

        Raises:
            RuntimeError: A unit waits for another one, which would hang for ever.
            Stopping: The door is closed.
            Exception: Whatever the unit raises.
        """
        future: Future[T] = Future()

        def deliver(value: T, error: BaseException | None) -> None:
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        self._put(work, deliver)
        return future.result()

    def close(self, last: Callable[[], None]) -> None:
        """Finish what waits, run `last`, end the thread; blocks. A second time it only waits."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._units.put((last, lambda _value, _error: None, False))
                self._units.put(None)
        self._thread.join()

    def inside(self) -> bool:
        """Tell whether this is the door's own thread."""
        return threading.current_thread() is self._thread

    def _put(self, work: Callable[[], T], deliver: Deliver, tells: bool = False) -> None:
        if self.inside():
            raise RuntimeError("A unit of work must not start another one and wait for it: call its function instead")
        with self._lock:
            if self._closed:
                raise Stopping("The image is closed")
            self.waiting += 1
            self.highest = max(self.highest, self.waiting)
            self._units.put((work, deliver, tells))

    def _hold(self, box: _Mailbox, future: asyncio.Future[T], value: T, error: BaseException | None) -> None:
        if self._held is not box:
            self.tell()
            self._held = box
        box.put(future, value, error)

    def _serve(self) -> None:
        while (unit := self._units.get()) is not None:
            work, deliver, tells = unit
            if not tells:
                self.tell()
            value: Any = None
            error: BaseException | None = None
            try:
                value = work()
            except StopIteration as raised:
                error = RuntimeError("A unit of work let a StopIteration out")
                error.__cause__ = raised
            except BaseException as raised:  # noqa: BLE001  # it is the caller's
                error = raised
            self.tell()
            with self._lock:
                self.waiting -= 1
            deliver(value, error)
            if self._units.empty():
                self.tell()
            # Nothing of a unit stays alive until the next one comes.
            del unit, work, deliver, value, error


class _Mailbox:
    """Answers for the tasks of one event loop; the loop is woken once for all that lie ready."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ready: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._called = False

    def put(self, future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
        """Lay an answer ready; from the door's thread."""
        self._ready.append((future, value, error))

    def wake(self) -> None:
        """Have the answers that lie ready handed over; from the door's thread."""
        if self._ready and not self._called:
            self._called = True
            # The loop may be gone before the answer came: nobody waits for it then.
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        # First the mark, then the answers: one that comes meanwhile calls again.
        self._called = False
        while self._ready:
            future, value, error = self._ready.popleft()
            if future.cancelled():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
