"""Methods that are shut off because they kept failing: a system slot of their holder, by selector and version.

A new version, or a rollback, has another number, and so is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batos.image.methods import MethodVersion
from batos.image.objects import UvmObject, own

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.image.view import View

SLOT = "_quarantined_"


def shut(view: View, ref: Ref, selector: str, version: int) -> bool:
    """Shut a version of an object's own method off; gives whether it was the active one."""
    obj = view.get(ref)
    method = own(obj).get(selector)
    if not isinstance(method, MethodVersion) or method.version != version:
        return False
    setattr(obj, SLOT, {**own(obj).get(SLOT, {}), selector: version})
    return True


def is_shut(holder: UvmObject, method: MethodVersion) -> bool:
    """Tell whether a version is shut off."""
    shut_off: dict[str, int] = own(holder).get(SLOT) or {}
    return shut_off.get(method.selector) == method.version
