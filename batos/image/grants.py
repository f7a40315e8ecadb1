"""What methods may do beyond their call: a system slot of the object that does it for them, by capability.

A capability is a primitive without an effect on any object. Whoever holds an object that was granted one may have it done,
so an object is granted it, and handed to the methods that need it. Grants stay with their object: clones and exports have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batos.errors import UnknownTarget
from batos.image.objects import UvmObject, own

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batos.image.registry import Target
    from batos.image.view import View

SLOT = "_granted_"

Limits = dict[str, int]


def grant(view: View, target: Target, capability: str, limits: Mapping[str, int]) -> None:
    """Grant an object a capability, or change the limits of a grant.

    Args:
        view: The unit of work.
        target: The object that the messages go to.
        capability: The name of a primitive.
        limits: `calls`, the most uses in one top-level call.

    Raises:
        UnknownTarget: There is no such object.
    """
    obj = view.resolve(target)
    setattr(obj, SLOT, {**of(obj), capability: dict(limits)})


def revoke(view: View, target: Target, capability: str) -> None:
    """Take a grant back.

    Raises:
        UnknownTarget: There is no such object, or it was not granted that.
    """
    obj = view.resolve(target)
    left = of(obj)
    if left.pop(capability, None) is None:
        raise UnknownTarget(f"The object was not granted {capability!r}")
    if left:
        setattr(obj, SLOT, left)
    else:
        delattr(obj, SLOT)


def of(obj: UvmObject) -> dict[str, Limits]:
    """The limits of each capability that an object was granted."""
    return dict(own(obj).get(SLOT) or {})
