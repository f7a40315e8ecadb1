"""Fuzz of the bridge: 20 000 frames here; `FUZZ_FRAMES=1000000` for the run by hand."""

import contextlib
import os
import random
import time

import pytest
import zmq

from tests.kernel.fuzz import frames
from tests.kernel.harness import Client, Kernel

FRAMES = int(os.environ.get("FUZZ_FRAMES", "20000"))
ROUND = 500


@pytest.mark.timeout(max(300, FRAMES // 50))
def test_any_frames_from_anybody(tmp_path):
    """Valid requests between random frames are answered, strangers hear nothing, and nothing of it all stays."""
    chance = random.Random(20260101)
    kernel = Kernel(tmp_path, QUEUE_LIMIT="200").start()
    try:
        with Client(kernel) as guest:
            known = [Client(kernel) for _ in range(4)]
            strangers = [Client(kernel, key=False) for _ in range(2)]
            for stranger in strangers:
                stranger.socket.sndhwm = 10
            sent, early = 0, 0
            while sent < FRAMES:
                sent += _round(chance, known, strangers)
                assert guest.ask({"command": "ping"}, timeout=120)["status"] == "OK"
                early = early or (sent >= FRAMES // 4 and _memory(kernel)) or 0
            for client in known:
                client.socket.close()
            assert kernel.process.poll() is None
            _comes_to_rest(guest)
            assert not any(stranger.socket.poll(0) for stranger in strangers)
            for stranger in strangers:
                stranger.socket.close()
            assert _memory(kernel) < early * 1.3
        assert "a fault of the kernel" not in kernel.log()
        assert kernel.stop() == 0
    finally:
        kernel.stop()


def _round(chance, known, strangers):
    """Send a round, and count what went out; two of the known clients read what comes, the others never do."""
    sent = 0
    for _ in range(ROUND):
        client = chance.choice(known) if chance.random() < 0.9 else chance.choice(strangers)
        with contextlib.suppress(zmq.Again):
            client.socket.send_multipart(frames(chance), zmq.NOBLOCK)
            sent += 1
    for client in known[:2]:
        while client.socket.poll(0):
            client.socket.recv_multipart()
    return sent


def _comes_to_rest(client):
    """Ask the same client until nothing is in progress: each question has its answer, none is lost."""
    deadline = time.monotonic() + 120
    while client.ask({"command": "status"}, timeout=30)["bridge"]["in_progress"] > 1:
        assert time.monotonic() < deadline, "requests are still in progress"
        time.sleep(0.05)


def _memory(kernel):
    with open(f"/proc/{kernel.process.pid}/statm") as file:
        return int(file.read().split()[1])
