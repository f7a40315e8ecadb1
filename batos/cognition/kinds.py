"""A result that is right but for its type: which type would make it the expected one."""

from __future__ import annotations

from typing import Any

from batos.cognition.compare import same


def kind_wanted(run: dict[str, Any], results: list[Any]) -> str:
    """The type that would make a result the expected one; empty where more than its type is wrong.

    Nearly anything is true: what is not 0 or 1 is only taken for a yes or no where the examples have both.
    """
    wanted, got = run["expected"].get("result"), run["got"].get("result")
    if "result" not in run["expected"] or "result" not in run["got"]:
        return ""
    outer = type(wanted).__name__
    if outer == "bool" and got not in (0, 1) and not (True in results and False in results):
        return ""
    if type(wanted) is not type(got) and _makes(_MAKERS.get(outer), got, wanted):
        return outer
    inner = {type(item).__name__ for item in wanted} if outer in ("list", "tuple") else set()
    kind = inner.pop() if len(inner) == 1 else ""
    made = _MAKERS.get(kind)
    if made in (None, bool) or not isinstance(got, (list, tuple)):
        return ""
    return f"{outer} of {kind}" if _makes(lambda items: _MAKERS[outer](map(made, items)), got, wanted) else ""


def _makes(maker: Any, got: Any, wanted: Any) -> bool:
    """Whether a maker makes one value of the other."""
    try:
        return maker is not None and same(maker(got), wanted)
    except (TypeError, ValueError, OverflowError):
        return False


_MAKERS: dict[str, Any] = {
    "tuple": tuple,
    "list": list,
    "set": set,
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
}
