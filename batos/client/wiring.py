"""How the client's socket is set up: reconnecting, heartbeats, and the key files of CURVE."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import zmq
import zmq.asyncio

if TYPE_CHECKING:
    from pathlib import Path

RECONNECT_MS, RECONNECT_MAX_MS = 100, 1000
HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS = 5000, 20_000


def configure(socket: zmq.asyncio.Socket) -> None:
    """Set a DEALER up: it sends on a complete link alone, links again by itself, and notices a dead peer.

    Its heartbeats tell the kernel, by their time to live, when to take this client for dead. It takes in all that comes:
    one that stopped reading would miss the answers to its heartbeats, and cut off a kernel that is well.
    """
    socket.linger = 0
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.RCVHWM, 0)


def read_certificates(folder: Path) -> tuple[bytes, bytes, bytes] | None:
    """The server's public key and the client's pair; None while they are not there, or not whole."""
    from zmq.auth import load_certificate

    with contextlib.suppress(OSError, ValueError):
        server, _ = load_certificate(folder / "server.key")
        public, secret = load_certificate(folder / "client.key_secret")
        if secret is not None:
            return server, public, secret
    return None
