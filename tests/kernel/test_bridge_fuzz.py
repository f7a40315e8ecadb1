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
    kernel = Kernel(tmp_path, QUEUE_LIMIT="200", MAX_MESSAGE_BYTES=str(1 << 18)).start()
    try:
        with Client(kernel) as guest:
            known = [Client(kernel) for _ in range(4)]
            strangers = [Client(kernel, key=False) for _ in range(2)]
            for stranger in strangers:
                stranger.socket.sndhwm = 10
            sent, early = 0, 0
            while sent < FRAMES:
                sent += _round(chance, guest, known, strangers)
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


def _round(chance, guest, known, strangers):
    """Send a round until the kernel has heard it, and count it; two of the known clients read what comes, two never do."""
    heard, sent = _requests(guest), 0
    for _ in range(ROUND):
        client = chance.choice(known) if chance.random() < 0.9 else chance.choice(strangers)
        with contextlib.suppress(zmq.Again):
            client.socket.send_multipart(frames(chance), zmq.NOBLOCK)
            sent += client in known
    for client in known[:2]:
        while client.socket.poll(0):
            client.socket.recv_multipart()
    asked = 1
    while _requests(guest) < heard + sent + asked:
        assert asked < 20_000, "frames were lost"
        asked += 1
        time.sleep(0.01)
    return sent


def _requests(guest):
    """Requests that the kernel has heard, with this question."""
    return guest.ask({"command": "status"}, timeout=120)["bridge"]["requests"]


def _comes_to_rest(guest):
    """Ask the same client until nothing is in progress: each question has its answer, none is lost."""
    deadline = time.monotonic() + 120
    while guest.ask({"command": "status"}, timeout=30)["bridge"]["in_progress"] > 1:
        assert time.monotonic() < deadline, "requests are still in progress"
        time.sleep(0.05)


def _memory(kernel):
    with open(f"/proc/{kernel.process.pid}/statm") as file:
        return int(file.read().split()[1])
