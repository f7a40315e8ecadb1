"""A kernel's end of the bridge for tests: a ROUTER with CURVE that answers by a script of Python functions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import zmq
import zmq.asyncio
import zmq.auth
import zmq.auth.asyncio

from batos import codec

if TYPE_CHECKING:
    from pathlib import Path

Message = dict[str, Any]


class Double:
    """Answers requests with `answers[command](request, say)`; what it returns is the last word, None is silence."""

    def __init__(self, home: Path, endpoint: str = "") -> None:
        self.home = home
        self.endpoint = endpoint
        self.heard: list[Message] = []
        self.answers: dict[str, Any] = {"ping": lambda _request, _say: {"status": "OK", "ready": True}}
        self._socket: Any = None

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    def make_keys(self) -> None:
        self.keys.mkdir(parents=True, exist_ok=True)
        (self.keys / "authorized").mkdir(exist_ok=True)
        for name in ("server", "client"):
            if not (self.keys / f"{name}.key_secret").exists():
                zmq.auth.create_certificates(self.keys, name)
        (self.keys / "authorized" / "client.key").write_bytes((self.keys / "client.key").read_bytes())

    async def start(self) -> None:
        self.make_keys()
        self._context = zmq.asyncio.Context()
        self._auth = zmq.auth.asyncio.AsyncioAuthenticator(self._context)
        self._auth.start()
        self._auth.configure_curve(domain="*", location=str(self.keys / "authorized"))
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 0
        public, secret = zmq.auth.load_certificate(self.keys / "server.key_secret")
        self._socket.curve_publickey, self._socket.curve_secretkey = public, secret
        self._socket.curve_server = True
        if self.endpoint:
            self._socket.bind(self.endpoint)
        else:
            self.endpoint = f"tcp://127.0.0.1:{self._socket.bind_to_random_port('tcp://127.0.0.1')}"
        self._task = asyncio.create_task(self._serve())

    async def stop(self) -> None:
        """Vanish as a killed kernel does: nothing more is said."""
        if self._socket is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        # Its task first: it watches a descriptor whose number the next socket may get.
        watching = self._auth._AsyncioAuthenticator__task
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        self._auth.stop()
        self._socket.close(linger=0)
        self._context.term()
        self._socket = None

    async def _serve(self) -> None:
        while True:
            peer, frame = await self._socket.recv_multipart()
            request = codec.unpack(frame)
            self.heard.append(request)

            async def say(event: Message, peer: bytes = peer, request: Message = request) -> None:
                await self._socket.send_multipart([peer, codec.pack({"id": request.get("id"), **event})])

            answer = self.answers[request["command"]](request, say)
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer is not None:
                await say(answer)
