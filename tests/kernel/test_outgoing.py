"""Replies on their way out, and that sending them loses nothing of what comes in."""

import asyncio
import contextlib
import time

import zmq

from batos import codec
from batos.kernel.bridge import Bridge
from batos.settings import Settings
from tests.kernel.harness import free_endpoint


async def _no_answer(message, peer, emit):
    return {"status": "OK", "text": message.get("text", "")}


def _dealer(context, endpoint, *, hwm=1000):
    socket = context.socket(zmq.DEALER)
    socket.linger, socket.rcvhwm, socket.rcvbuf = 0, hwm, 8192
    socket.connect(endpoint)
    return socket


def _ask(socket, number, text=""):
    socket.send(codec.pack({"id": number, "command": "objects", "text": text}))


async def _answered(socket, seconds):
    for _ in range(int(seconds / 0.01)):
        with contextlib.suppress(zmq.Again):
            return codec.unpack(socket.recv(zmq.NOBLOCK))["id"]
        await asyncio.sleep(0.01)
    return None


async def _fill(bridge, deaf):
    """Let replies pile up until the deaf peer takes no more."""
    number = 0
    while not bridge.statistics()["slow_peers"]:
        number += 1
        _ask(deaf, number, "x" * 20_000)
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def _bridge(tmp_path):
    endpoint = free_endpoint()
    bridge = Bridge(Settings(zmq_endpoint=endpoint, curve="off", home=tmp_path), _no_answer)
    bridge.bind()
    serving = asyncio.create_task(bridge.serve())
    try:
        yield bridge, endpoint
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        bridge.close()


async def test_a_send_that_fails_loses_no_request(tmp_path):
    """A request that came just before a reply found its peer full, or gone, is answered all the same."""
    with zmq.Context() as context, contextlib.ExitStack() as stack:
        async with _bridge(tmp_path) as (bridge, endpoint):
            deaf = stack.enter_context(_dealer(context, endpoint, hwm=1))
            other = stack.enter_context(_dealer(context, endpoint))
            await _fill(bridge, deaf)
            failing = [bridge._out._turn, lambda: bridge._out.send((b"nobody",), {}, b"x")]
            for number in range(6):
                _ask(other, number)
                time.sleep(0.02)  # the loop is busy while the request comes in
                failing[number % 2]()
                assert await _answered(other, 10) == number
