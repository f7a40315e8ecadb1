"""What evidence keeps of a call, as plain data, and how a call is shown to people and to the model."""

from __future__ import annotations

from typing import Any

from batos import codec
from batos.errors import BatosError, MethodError
from batos.plain import shown

_BYTES = 4096
_DEPTH = 16


def kept(value: Any) -> Any:
    """A value as evidence keeps it: itself where it is small and shallow, else its text."""
    try:
        small = len(codec.pack(value)) <= _BYTES
    except codec.CodecError:
        small = False
    return value if small and not _deeper(value, _DEPTH) else {"shown": shown(value)}


def _deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if not isinstance(value, (list, tuple, set, frozenset)):
        return False
    return levels == 0 or any(_deeper(item, levels - 1) for item in value)


def error_name(error: BatosError) -> str:
    """The name of what a call raised: the method's own exception, or our type."""
    if isinstance(error, MethodError):
        return str(error.details.get("error_type") or "MethodError")
    return type(error).__name__


def show_call(selector: str, args: list[Any], kwargs: dict[str, Any]) -> str:
    """A call as people write it, long values folded."""
    parts = [shown(arg) for arg in args] + [f"{key}={shown(value)}" for key, value in kwargs.items()]
    return f"{selector}({', '.join(parts)})"


def expected(step: dict[str, Any]) -> dict[str, Any]:
    """What an example asks for."""
    return {
        key: step[key]
        for key in ("result", "error", "slots")
        if step.get(key) is not None or (key == "result" and key in step)
    }


def at_line(got: dict[str, Any]) -> str:
    """Where a call raised, as the end of a sentence."""
    return f" at line {got['line']}" if got.get("line") else ""
