"""On whose behalf units of work are done, and why: what the change log tells of a transaction that does not say itself.

It belongs to the task that serves a request, so that whatever the request writes carries it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, NamedTuple


class Acting(NamedTuple):
    """Who acts, and why.

    Attributes:
        user: The name of a client's key, or of a part of the system; "" when nobody said.
        why: Plain data: the command, its target and selector.
    """

    user: str
    why: dict[str, Any]


ACTING: ContextVar[Acting | None] = ContextVar("batos_acting", default=None)


def of(user: str, why: dict[str, Any] | None) -> Acting:
    """Who acts and why, where a unit of work says some of it itself."""
    task = ACTING.get() or Acting("", {})
    return Acting(user or task.user, {**task.why, **(why or {})})
