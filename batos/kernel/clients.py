"""Who asks, by name: what the change log says of a client is the name of its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.codec import Ref
from batos.image.acting import Acting
from batos.kernel import keys

if TYPE_CHECKING:
    from pathlib import Path

    from batos.kernel.bridge import Peer

LOCAL = "local"
"""The name of a client where there are no keys."""

_TOLD = ("target_oid", "selector", "request_id")


class Clients:
    """Knows the names of the keys that have asked.

    Args:
        folder: The folder of keys.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}

    def name(self, peer: Peer) -> str:
        """The name of a peer's key."""
        if not peer.key:
            return LOCAL
        if peer.key not in self._names:
            self._names = {entry.public: entry.name for entry in keys.listed(self._folder)}
        return self._names.get(peer.key, peer.key)

    def acting(self, request: Any, peer: Peer) -> Acting:
        """On whose behalf a request writes, and why: its command, target, selector and durable name."""
        why = {"command": request.command}
        for field in _TOLD:
            value = getattr(request, field, None)
            if value is not None:
                why[field] = value.hex if isinstance(value, Ref) else str(value)
        return Acting(self.name(peer), why)
