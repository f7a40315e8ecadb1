"""The form of a cycle's record, by version: a kernel goes on with cycles that an older one began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

Record = dict[str, Any]

VERSION = 2
"""Version of the records that this kernel writes."""


def _with_costs(record: Record) -> Record:
    """Version 2 knows what a cycle spent, which one it comes after, and who asked where no requester did."""
    return {"spent": {}, "after": None, "depth": 0, "origin": "", **record}


UPGRADES: dict[int, Callable[[Record], Record]] = {1: _with_costs}
"""What makes a record of a version one of the next."""


def current(record: Record) -> Record:
    """Give a record in this kernel's form.

    Raises:
        ModelError: A newer BAT OS began the cycle.
    """
    while record["schema"] < VERSION:
        record = {**UPGRADES[record["schema"]](record), "schema": record["schema"] + 1}
    if record["schema"] > VERSION:
        raise ModelError(
            f"The cycle {record['cycle_id']} was begun by a newer BAT OS (schema {record['schema']})",
            "Start that version again, or cancel the cycle there.",
        )
    return record
