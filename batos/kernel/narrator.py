"""What a person sees on the kernel's side: a line for each thing that happens to the system."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from batos.cognition.services import Record, Step
    from batos.errors import BatosError
    from batos.settings import Settings

_log = logging.getLogger("batos")


def awakening(*, first: bool, path: Path) -> None:
    """Say that the image is about to be opened."""
    if first:
        _log.info("Prototypal Awakening: the Living Image %s is made", path.name)
    else:
        _log.info("The Living Image %s resumes", path.name)


def ready(settings: Settings, resumed: int, level: str, refusal: BatosError | None) -> None:
    """Say what serves now."""
    if refusal is None:
        _log.info("Sandbox: %s", level)
    else:
        _log.warning("Generated code is refused: %s %s", refusal.message, refusal.hint)
    if resumed:
        _log.info("%d unfinished cycles go on", resumed)
    _log.info("All systems nominal on %s. Awaiting the Architect's command.", settings.zmq_endpoint)


def step(record: Record, done: Step) -> None:
    """Tell a state change of a cycle, the Guardian's verdict, the install and the end."""
    name, selector = record["cycle_id"][:8], record["selector"]
    for event_type, fields in done.log:
        if event_type == "VALIDATION_SUCCESS":
            mends = f", mended: {'; '.join(fields['mends'])}" if fields.get("mends") else ""
            _log.info("[%s] Guardian: %s keeps the Covenant%s", name, selector, mends)
        elif event_type == "VALIDATION_FAILURE":
            _log.info("[%s] attempt %s: %s", name, fields["attempt"], fields["error"])
        elif event_type == "METHOD_INSTALLED":
            _log.info("[%s] %s installed on %s", name, selector, record["target_name"])
    if done.to is not None:
        _log.info("[%s] %s: %s → %s", name, selector, record["state"], done.to)
    elif done.last_word is not None:
        _log.info("[%s] %s ended: %s", name, selector, done.last_word["message"])
    elif done.changes.get("awaiting"):
        _log.info("[%s] %s waits for the Architect's approval", name, selector)


def stopping() -> None:
    """Say that the kernel goes down."""
    _log.info("The kernel stops; unfinished cycles rest in the image")
