"""Tells systemd how the watchdog is: ready, still there, stopping (the protocol of `sd_notify`, in plain Python)."""

from __future__ import annotations

import contextlib
import os
import socket
import time

_A_BEAT = 0.4
"""The share of `WatchdogSec` after which systemd hears from us again."""
_LONGER = "EXTEND_TIMEOUT_USEC=120000000"


class Notifier:
    """Speaks to the socket in `NOTIFY_SOCKET`; says nothing where there is none."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._every = _microseconds(os.environ.get("WATCHDOG_USEC", "")) * _A_BEAT
        self._last = 0.0
        self._ready = self._ending = False

    def ready(self, status: str) -> None:
        """Say that the kernel serves; the first time it ends the start of the service."""
        self._send(*(() if self._ready else ("READY=1",)), f"STATUS={status}")
        self._ready = True

    def status(self, text: str) -> None:
        """Say what happens, in words."""
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Say that the watchdog's own loop goes round; call it often, it is sent when it is time."""
        if self._every and time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            # A start that waits for an image to be mended, or a stop that puts one back, is not cut off.
            self._send("WATCHDOG=1", *(() if self._ready and not self._ending else (_LONGER,)))

    def stopping(self) -> None:
        """Say that the service ends."""
        self._ending = True
        self._send("STOPPING=1")

    def _send(self, *lines: str) -> None:
        family = getattr(socket, "AF_UNIX", None)
        if not self._address or family is None:
            return
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as out:
            out.connect(self._address)
            out.sendall("\n".join(line.replace("\n", " ") for line in lines).encode())


def _microseconds(text: str) -> float:
    """Seconds of a number of microseconds; 0 for what is none."""
    return int(text) / 1e6 if text.isdigit() else 0.0
