"""The bare echo that bench `bridge` measures beside: a ROUTER of asyncio pyzmq with CURVE that sends back what comes.

Run as `python -m batos.bench.echo ENDPOINT KEYS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import zmq
import zmq.asyncio
import zmq.auth.asyncio

from batos.client.sync import new_loop


async def serve(endpoint: str, keys: Path) -> None:
    """Echo until the process is ended."""
    context = zmq.asyncio.Context()
    auth = zmq.auth.asyncio.AsyncioAuthenticator(context)
    auth.start()
    auth.configure_curve(domain="*", location=str(keys / "authorized"))
    socket = context.socket(zmq.ROUTER)
    public, secret = zmq.auth.load_certificate(keys / "server.key_secret")
    socket.curve_publickey, socket.curve_secretkey = public, secret or b""
    socket.curve_server = True
    socket.bind(endpoint)
    while True:
        await socket.send_multipart(await socket.recv_multipart())


def main() -> None:
    """Serve what the command line names."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve(sys.argv[1], Path(sys.argv[2])))


if __name__ == "__main__":
    main()
