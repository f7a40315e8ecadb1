"""Errors cross the wire and say what to do."""

import pytest

from batos import errors


def _all():
    found, todo = [], [errors.BatosError]
    while todo:
        cls = todo.pop()
        found.append(cls)
        todo += [sub for sub in cls.__subclasses__() if sub.__module__ == errors.__name__]
    return found


@pytest.mark.parametrize("cls", _all(), ids=lambda cls: cls.__name__)
def test_every_error_crosses_the_wire(cls):
    """An error comes back as its own type with its message, hint and details; each has a hint and stands in the tree."""
    sent = errors.to_wire(cls("it happened", line=3))
    back = errors.from_wire(sent)
    assert type(back) is cls
    assert (back.message, back.hint, back.details) == ("it happened", cls.hint_default, {"line": 3})
    assert cls.hint_default
    assert cls.__name__ in (errors.__doc__ or "")


def test_a_fault_of_ours_is_named_so():
    """Any other exception goes out as InternalError, and an unknown type comes in as the root."""
    sent = errors.to_wire(ZeroDivisionError("x"))
    assert sent["type"] == "InternalError"
    assert type(errors.from_wire(sent)) is errors.BatosError


def test_details_never_hide_the_type():
    """A detail called `type` does not replace the error's type."""
    assert errors.to_wire(errors.BadField("x", type="y"))["type"] == "BadField"


def test_exit_codes():
    """The codes that the watchdog knows."""
    codes = {cls.__name__: cls.exit_code for cls in errors.StartError.__subclasses__()}
    assert codes == {"ImageInUse": 3, "ImageDamaged": 4, "BadSetting": 5, "EndpointTaken": 6}
