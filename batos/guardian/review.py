"""What a worker answers about a source: mended, audited, described; all of it plain data."""

from __future__ import annotations

import ast
from typing import Any

from batos.guardian.auditing import audit
from batos.guardian.idle import is_idle
from batos.guardian.mending import mend
from batos.guardian.modules import PURE_MODULES
from batos.guardian.slot_names import slots_of
from batos.guardian.syntax import Unreadable, parse


def review(source: str, selector: str, modules: frozenset[str] = PURE_MODULES) -> dict[str, Any]:
    """Mend and audit a source, and read its signature.

    Returns:
        `source`, `mends`, `findings`, `signature`, `parameters`, `summary`, `slots` (those that it names) and `idle`
        (whether it sets the flag but changes nothing).
    """
    mended, mends = mend(source, modules)
    findings = audit(mended, selector=selector, allowed_modules=modules)
    report: dict[str, Any] = {"source": mended, "mends": mends, "findings": [finding.as_dict() for finding in findings]}
    return report | _description(mended)


def _description(source: str) -> dict[str, Any]:
    try:
        tree = parse(source)
        method = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    except (Unreadable, StopIteration):
        return {"signature": "", "parameters": [], "summary": "", "slots": [], "idle": False}
    text = ast.get_docstring(method) or ""
    return {
        "signature": f"({ast.unparse(method.args)})",
        "parameters": parameters(method.args),
        "summary": text.strip().split("\n")[0].strip(),
        "slots": slots_of(tree),
        "idle": is_idle(tree),
    }


def parameters(args: ast.arguments) -> list[dict[str, Any]]:
    """List the named parameters after `self`, and which of them have a default."""
    plain = [*args.posonlyargs, *args.args]
    without = len(plain) - len(args.defaults)
    found = [{"name": arg.arg, "has_default": place >= without} for place, arg in enumerate(plain)]
    keyword = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    return found[1:] + [{"name": arg.arg, "has_default": default is not None} for arg, default in keyword]
