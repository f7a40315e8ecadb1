"""Plain data in a slot whatever is in it: as it is where a slot can hold it, packed where not (it has references).

A reference that is kept so does not keep its object alive, and may point at nothing later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos import codec
from batos.image.values import Unstorable, check_storable, to_plain

if TYPE_CHECKING:
    from batos.image.store import View


def keep(value: Any) -> Any:
    """Give the form of plain data that a slot can hold; a copy.

    Raises:
        CodecError: It is not plain data.
    """
    packed = codec.pack(value)
    plain = codec.unpack(packed)
    if isinstance(plain, bytes):
        return packed
    try:
        check_storable(plain)
    except Unstorable:
        return packed
    return plain


def give(view: View, stored: Any) -> Any:
    """Give the plain data back that `keep` made the form of; a copy."""
    return codec.unpack(stored) if isinstance(stored, bytes) else to_plain(view, stored)
