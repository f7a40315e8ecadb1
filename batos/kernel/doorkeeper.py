"""Who may enter the bridge: CURVE keys against the folder of authorised ones, which is read again when it changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import zmq
import zmq.auth
from zmq.auth.base import Authenticator

from batos.kernel import keys

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger("batos.bridge")
LOOK_SECONDS = 1.0


class Doorkeeper:
    """Admits authorised keys, and knows the role of each.

    Args:
        folder: The folder of keys.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authorized = folder / "authorized"
        self._stamp: object = None
        self._changed = 0
        self._auth: Authenticator | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.roles: dict[str, str] = {}
        """The role of each authorised key, which is Z85 text."""

    def admits(self, key: str) -> bool:
        """Whether a key is authorised now: who was revoked is not heard from that moment on.

        The folder's time tells of a file that came or went; what was written into one is seen within LOOK_SECONDS.
        """
        try:
            changed = self._authorized.stat().st_mtime_ns
        except OSError:
            changed = 0
        if changed != self._changed:
            self._changed = changed
            self._look_now()
        return key in self.roles

    def is_operator(self, key: str) -> bool:
        """Whether a key is an operator's."""
        return self.roles.get(key) == keys.OPERATOR

    def guard(self, context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes]) -> None:
        """Make a socket ask for keys; on the running event loop."""
        self._auth = Authenticator(context)
        self._auth.start()
        self._auth.configure_curve_callback(domain="*", credentials_provider=self)
        socket.curve_publickey, socket.curve_secretkey = keys.server_keys(self._folder)
        socket.curve_server = True
        asyncio.get_running_loop().add_reader(self._auth.zap_socket.fileno(), self._asked)
        self._look()

    def callback(self, domain: str, key: bytes) -> bool:
        """Decide on a key (ZeroMQ's authenticator asks): 32 bytes as Z85."""
        del domain
        return self.admits(key.decode("ascii", "replace"))

    def close(self) -> None:
        """Admit nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._auth is not None:
            with contextlib.suppress(RuntimeError):  # the loop may be gone
                asyncio.get_running_loop().remove_reader(self._auth.zap_socket.fileno())
            self._auth.stop()
            self._auth = None

    def _asked(self) -> None:
        while self._auth is not None:
            try:
                request = self._auth.zap_socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._look_now()
            # It waits for nothing: a REP socket answers one request before it takes the next.
            answer = self._auth.handle_zap_message(request)
            with contextlib.suppress(StopIteration):
                answer.send(None)

    def _look(self) -> None:
        self._look_now()
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look_now(self) -> None:
        """Read the folder again when it has changed: who was revoked is out from now on."""
        stamp = keys.stamp(self._folder)
        if stamp == self._stamp:
            return
        before = set(self.roles)
        self.roles = keys.roles(self._folder)
        self._stamp = stamp
        if before and before != set(self.roles):
            _log.info("The authorised keys changed: %d may enter", len(self.roles))
