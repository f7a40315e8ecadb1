"""How the bridge's socket is set up and bound: limits, dead peers, files, and an address that is really free.

The kernel sends no heartbeats of ZeroMQ's. A client that reads slowly does not answer them, so it would be cut off and lose
its replies, and libzmq up to 4.3.5 ends the client's process by an assertion when it reads on after that. TCP asks whether
a silent peer is alive; a client may ask for more with heartbeats of its own and their time to live.
"""

from __future__ import annotations

import contextlib
import socket as sockets
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

from batos.errors import EndpointTaken
from batos.kernel import keys
from batos.kernel.outgoing import PIPE

if TYPE_CHECKING:
    from batos.settings import Settings

CUT_OFF = 4
"""A peer that sends a message of so many times MAX_MESSAGE_BYTES is cut off."""
INCOMING = 64
ALIVE_IDLE_SECONDS, ALIVE_SECONDS, ALIVE_COUNT = 10, 5, 3
"""TCP asks a peer that is silent for so long, every so often; so many questions without an answer end the connection."""
HANDSHAKE_MS = 10_000
BACKLOG = 1024
FILES = 8192
LINGER_MS = 1000


def configure(socket: zmq.Socket[bytes], settings: Settings) -> None:
    """Set the ROUTER up: bounded pipes, dead peers noticed, replies without a peer refused rather than swallowed."""
    socket.linger = LINGER_MS
    socket.sndhwm, socket.rcvhwm = PIPE, INCOMING
    socket.maxmsgsize = CUT_OFF * settings.max_message_bytes
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, ALIVE_IDLE_SECONDS)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, ALIVE_SECONDS)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, ALIVE_COUNT)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.BACKLOG, BACKLOG)
    socket.ipv6 = "[" in settings.zmq_endpoint
    # Written whatever the setting says: switching CURVE back on then needs no new keys.
    keys.ensure_keys(settings.keys_path)
    _allow_files(FILES)


def bind(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Bind; a socket in the file system is for this user alone.

    Raises:
        EndpointTaken: The address is in use.
    """
    scheme, _, place = endpoint.partition("://")
    file = Path(place) if scheme == "ipc" and not place.startswith("@") else None
    if file is not None and _is_served(file):
        raise EndpointTaken(f"{endpoint} cannot be bound: another process serves it")
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise EndpointTaken(f"{endpoint} cannot be bound: {error}") from None
    if file is not None:
        with contextlib.suppress(OSError):
            file.chmod(0o600)


def _is_served(file: Path) -> bool:
    """Whether somebody listens on a socket in the file system: ZeroMQ would take it away from them."""
    if not hasattr(sockets, "AF_UNIX") or not file.is_socket():
        return False
    with sockets.socket(sockets.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.settimeout(1.0)
        probe.connect(str(file))
        return True
    return False


def _allow_files(count: int) -> None:
    """Let the process have many connections, where the system allows it."""
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
