"""Closing a client while its link breaks all the time."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import zmq.auth

ROOT = Path(__file__).parent.parent.parent
CLOSES = 100
LINKS = 20
PROGRAM = """
import asyncio, sys
from pathlib import Path
from batos.client import wiring
from batos.client.bridge import Client
from batos.client.sync import new_loop

wiring.RECONNECT_MS = wiring.RECONNECT_MAX_MS = 1

async def main(keys, endpoint, closes, links):
    for _ in range(closes):
        client = Client(endpoint, keys)
        await client._open(client._prepare({"command": "ping"}, None))
        for _ in range(links):
            client._socket.connect(endpoint)
        await asyncio.sleep(0.01)
        await client.close()
    print("closed", closes)

with asyncio.Runner(loop_factory=new_loop) as runner:
    runner.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
"""


def _hang_up(listener: socket.socket) -> None:
    """Take every connection and end it at once."""
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()


def test_a_client_whose_link_breaks_over_and_over_can_be_closed(tmp_path: Path) -> None:
    """Links that break at every moment never hold up `close`: libzmq's thread, which tells of them, finds its reader."""
    for name in ("server", "client"):
        zmq.auth.create_certificates(tmp_path, name)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        threading.Thread(target=_hang_up, args=(listener,), daemon=True).start()
        endpoint = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), endpoint, str(CLOSES), str(LINKS)]
        try:
            ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            raise AssertionError("a client hangs while it is closed") from None
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    assert ran.stdout.strip() == f"closed {CLOSES}", ran.stderr
