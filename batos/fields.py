"""Fields of messages that many commands share: selectors, names, targets, and what every request has."""

from __future__ import annotations

import keyword
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from batos.codec import Ref


def _selector(value: str) -> str:
    if not value.isidentifier() or keyword.iskeyword(value) or value.startswith("_"):
        raise ValueError("a selector is a Python identifier that is no keyword and has no leading underscore")
    return value


def _name(value: str) -> str:
    if not value.isidentifier() or keyword.iskeyword(value) or value.startswith("_"):
        raise ValueError("a name is a Python identifier without a leading underscore")
    if is_oid_text(value):
        raise ValueError("a name must not read as an oid")
    return value


def _target(value: Any) -> Any:
    if isinstance(value, Ref):
        return value
    if type(value) is int and 0 <= value < 1 << 64:
        return Ref(value.to_bytes(8, "big"))
    if isinstance(value, str) and value:
        if len(value) == 16 and is_oid_text(value):
            return Ref(bytes.fromhex(value))
        if value.isdecimal() and value.isascii() and int(value) < 1 << 64:
            return Ref(int(value).to_bytes(8, "big"))
        return value
    raise ValueError("a target is a root object's name, an oid (16 hex digits or an integer) or a reference")


def is_oid_text(value: str) -> bool:
    """Tell whether a text reads as an oid: 16 hex digits, or decimal digits."""
    if value.isdecimal():
        return True
    return len(value) == 16 and all(c in "0123456789abcdefABCDEF" for c in value)


Selector = Annotated[str, Field(max_length=200), AfterValidator(_selector)]
Name = Annotated[str, Field(max_length=200), AfterValidator(_name)]
Target = Annotated[Any, BeforeValidator(_target)]
Kwargs = dict[Selector, Any]
DocName = Annotated[str, Field(min_length=1, max_length=1000)]
Origin = Annotated[str, Field(max_length=100)]
"""What names the source of documents to the client that reads it; "" for none."""


class Schema(BaseModel):
    """Base of all messages: strict types, unknown fields are left alone."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    def given(self) -> dict[str, Any]:
        """The fields that were set, as plain data; values stay as they came, a reference as a reference."""
        return {name: _given(getattr(self, name)) for name in type(self).model_fields if name in self.model_fields_set}


def _given(value: Any) -> Any:
    if isinstance(value, Schema):
        return value.given()
    return [_given(item) for item in value] if type(value) is list else value


class Request(Schema):
    """What every command has: `id` comes back in each reply, `request_id` names a cycle durably."""

    command: str
    id: Any = None
    request_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class OnTarget(Request):
    """A request about one object."""

    target_oid: Target
