"""The Architect's side of the Synaptic Bridge: the library client, the console, missions from the command line.

`Client` (asyncio) and `SyncClient` (blocking) are for programs; the rest serves `chat_client.py`. Nothing here imports
the kernel, the image or torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batos.client.bridge import Client as Client
    from batos.client.sync import SyncClient as SyncClient

_HOME = {"Client": "batos.client.bridge", "SyncClient": "batos.client.sync"}

__all__ = ["Client", "SyncClient"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'batos.client' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
