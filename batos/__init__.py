"""BAT OS: a living image for local language models.

General layout; imports point down only, and `tests/test_layers.py` holds this::

    batos.py  chat_client.py  min_watchdog_service.py  python -m batos
    operator/                          the operator's commands
    bench/                             speed and quality, measured
    kernel/      client/   watchdog/   the UVM · the Architect's side · supervision
    cognition/                         cycles, states, prompts, translation
    calls/                             one message send: overlay, nested sends, retries
    memory/      mind/     sandbox/    knowledge · models · generated code
    image/                             the one door to ZODB
    guardian/                          the Persistence Covenant
    wire · wire_cognition · wire_image · fields · journal  messages and the metacognition log
    codec · guarded · plain            plain data
    settings · errors                  settings, exceptions
    testing/                           doubles that ship

`client`, `watchdog` and `sandbox` never import `kernel` or `image`; `mind` and `image` never import each other. The
names below load on first use, so that a process has only what it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batos.errors import CovenantViolationError as CovenantViolationError
    from batos.guardian import PersistenceGuardian as PersistenceGuardian
    from batos.image.objects import UvmObject as UvmObject
    from batos.kernel.uvm import BatOS_UVM as BatOS_UVM
    from batos.memory.text_index import PersistentTextIndex as PersistentTextIndex

__version__ = "0.1.0"

_HOME = {
    "BatOS_UVM": "batos.kernel.uvm",
    "CovenantViolationError": "batos.errors",
    "PersistenceGuardian": "batos.guardian",
    "PersistentTextIndex": "batos.memory.text_index",
    "UvmObject": "batos.image.objects",
}

__all__ = [
    "BatOS_UVM",
    "CovenantViolationError",
    "PersistenceGuardian",
    "PersistentTextIndex",
    "UvmObject",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'batos' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """Name what is public."""
    return sorted(__all__)
