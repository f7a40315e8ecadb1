"""The reply of `status` for people: what one looks for first, then the figures of each part that are not nought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.client.render import cell, size, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

_TOLD = frozenset({"id", "status", "version", "uptime", "models", "memory", "sandbox"})
_NOT_FOR_PEOPLE = frozenset({"sha256", "path", "pid", "zygote", "last_death"})
_FIGURES = frozenset({"uid", "probes", "time_zones"})
"""What the sandbox tells of its layers that is none."""
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def status(reply: Mapping[str, Any]) -> RenderableType:
    """How the system is: version, models, memory, sandbox, and a row for each part."""
    rows = [["BAT OS", f"{reply['version']}, up {duration(reply.get('uptime'))}"]] if reply.get("version") else []
    rows += [["models", "; ".join(map(_model, reply.get("models") or []))]]
    rows += [["memory", f"{size(reply['memory'])} of models"]] if reply.get("memory") else []
    rows += [["sandbox", _sandbox(dict(reply.get("sandbox") or {}))]]
    told = {name: part for name, part in reply.items() if name not in _TOLD}
    if isinstance(told.get("mind"), dict):
        told["mind"] = {name: part for name, part in told["mind"].items() if name not in ("models", "memory")}
    return table(["", ""], [row for row in [*rows, *_rows(told, without_noughts=True)] if row[1]])


def fields(reply: Mapping[str, Any]) -> RenderableType:
    """Any other reply: a line a field, what is nested in words, without what is empty."""
    told = {name: part for name, part in reply.items() if name not in ("id", "status")}
    return table(["", ""], _rows(told))


def duration(seconds: Any) -> str:
    """Seconds for people: the two greatest units."""
    if not isinstance(seconds, (int, float)):
        return "–"
    left = int(seconds)
    parts: list[str] = []
    for unit, name in _UNITS:
        count, left = divmod(left, unit)
        if count or (unit == 1 and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def _model(item: Any) -> str:
    if not isinstance(item, dict):
        return cell(item)
    weight = f" ({size(item['bytes'])})" if item.get("bytes") else ""
    return f"{item.get('name')} {item.get('state', '')}".rstrip() + weight


def _sandbox(about: dict[str, Any]) -> str:
    layers = dict(about.pop("layers", None) or {})
    on = [name for name, state in layers.items() if state and name not in _FIGURES and not name.startswith("missing")]
    missing = [str(name) for name in layers.get("missing") or []]
    level = ": ".join(filter(None, (str(about.pop("level", "")), ", ".join(on))))
    lacks = f"lacks {', '.join(missing)}" if missing else ""
    return "; ".join(filter(None, (level, lacks, _in_words(about, without_noughts=True))))


def _rows(told: Mapping[str, Any], *, without_noughts: bool = False) -> list[list[str]]:
    rows = [[name, _in_words(item, without_noughts=without_noughts)] for name, item in told.items()]
    return [row for row in rows if row[1]]


def _in_words(item: Any, *, without_noughts: bool = False) -> str:
    """A nested value as a list of words: maps as `key value`, lists and maps in brackets below the top."""
    if isinstance(item, dict):
        told = [
            (key, _in_words(part, without_noughts=without_noughts), isinstance(part, (dict, list)))
            for key, part in item.items()
            if key not in _NOT_FOR_PEOPLE and not (without_noughts and part == 0)
        ]
        return ", ".join(f"{key} ({part})" if nested else f"{key} {part}" for key, part, nested in told if part)
    if isinstance(item, list):
        return "; ".join(filter(None, (_in_words(part, without_noughts=without_noughts) for part in item)))
    if isinstance(item, bool):
        return "yes" if item else "no"
    return f"{item:.6g}" if isinstance(item, float) else "" if item in (None, "") else cell(item)
