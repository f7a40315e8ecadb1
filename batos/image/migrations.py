"""Numbered migrations of the image, each applied once and in its own transaction; the first is the awakening.

To change what images hold, add a function `mNNN_name` to the list and never change one that was released. The names
of those applied are in the root's `migrations_applied`, oldest first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from batos.image import genesis
from batos.image.codices import CODICES
from batos.image.methods import Primitive
from batos.image.store import Image, View

APPLIED = "migrations_applied"

Migration = Callable[[View], None]

_log = logging.getLogger("batos.image")


def m001_prototypal_awakening(view: View) -> None:
    """Make the primordial objects."""
    genesis.awaken(view, CODICES)


def m002_objects_from_methods(view: View) -> None:
    """Let every object make others that delegate to it."""
    traits = view.root["traits_obj"]
    if "create" not in traits._slots:
        traits.create = Primitive("create")


MIGRATIONS: tuple[Migration, ...] = (m001_prototypal_awakening, m002_objects_from_methods)


def migrate(image: Image, migrations: tuple[Migration, ...] = MIGRATIONS) -> list[str]:
    """Apply what the image lacks, in order; blocks until it is done.

    Returns:
        The names applied now: all of them on the first awakening, none on an ordinary resume.
    """
    there = image.read_now(applied).value
    newer = sorted(set(there) - {migration.__name__ for migration in migrations})
    if newer:
        _log.warning("the image was migrated by a newer version (%s); going on with it", ", ".join(newer))
    missing = [migration for migration in migrations if migration.__name__ not in there]
    for migration in missing:
        image.transact_now(_apply, migration, note=f"migration {migration.__name__}")
    return [migration.__name__ for migration in missing]


def applied(view: View) -> list[str]:
    """Give the names of the migrations that the image has had, oldest first."""
    return list(view.root.get(APPLIED, ()))


def _apply(view: View, migration: Migration) -> None:
    if migration.__name__ in applied(view):
        return
    migration(view)
    view.root[APPLIED] = (*applied(view), migration.__name__)
