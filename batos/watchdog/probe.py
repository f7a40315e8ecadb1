"""Whether a kernel answers: a `ping` on the Synaptic Bridge, and before that a look whether anybody listens."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from batos.client.sync import SyncClient
from batos.errors import BatosError

if TYPE_CHECKING:
    from batos.settings import Settings


def listening(endpoint: str, seconds: float = 0.5) -> bool:
    """Tell whether anything accepts connections at a `tcp://` or `ipc://` endpoint."""
    try:
        if endpoint.startswith("ipc://"):
            return _connects_unix(endpoint.removeprefix("ipc://"), seconds)
        parts = urlsplit(endpoint)
        host = "127.0.0.1" if parts.hostname in (None, "*", "0.0.0.0") else str(parts.hostname)  # noqa: S104 - compared
        with socket.create_connection((host, parts.port or 0), seconds):
            return True
    except (OSError, ValueError):
        return False


def _connects_unix(path: str, seconds: float) -> bool:
    family = getattr(socket, "AF_UNIX", None)
    if family is None or not Path(path).exists():
        return False
    with socket.socket(family) as probe:
        probe.settimeout(seconds)
        probe.connect(path)
        return True


class Probe:
    """Asks the kernel of these settings over the bridge; keeps one connection."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: SyncClient | None = None

    def ping(self, seconds: float) -> dict[str, Any] | None:
        """Give the kernel's answer to `ping`, None where none came in time."""
        return self._ask({"command": "ping"}, seconds)

    def status(self, seconds: float) -> dict[str, Any] | None:
        """Give the kernel's answer to `status`, None where none came in time."""
        return self._ask({"command": "status"}, seconds)

    def shutdown(self, grace: float = 0) -> None:
        """Ask the kernel to end; whether it does shows later.

        Args:
            grace: How long its cycles may take to the end of their states, in seconds; 0 lets them begin these again.
        """
        if self._ask({"command": "shutdown", **({"grace_s": grace} if grace else {})}, 2.0) is None and grace:
            self._ask({"command": "shutdown"}, 2.0)  # an older kernel knows no grace

    def close(self) -> None:
        """Let the connection go."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        if not (self._settings.keys_path / "client.key_secret").exists() and self._settings.curve == "on":
            return None
        if self._client is None and not listening(self._settings.zmq_endpoint, seconds):
            return None
        with contextlib.suppress(BatosError, TimeoutError, OSError):
            self._client = self._client or SyncClient.from_settings(self._settings)
            reply = self._client.request(message, timeout=seconds)
            return reply if reply.get("status") == "OK" else None
        self.close()
        return None
