"""Slash commands that take more than one request: compare, look back, export, personas."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from batos.client import slash
from batos.client.learning import learn
from batos.cognition.literals import call
from batos.errors import BadField

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batos.client.session import Session

Message = dict[str, Any]
PERSONAS = ("ALFRED", "BRICK", "ROBIN", "BABS")
_TID = re.compile(r"[0-9a-f]{16}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?")
_PAST = frozenset({"inspect", "history"})


async def diff(session: Session, args: list[str]) -> bool:
    """Compare two versions of a method: the last two where none are named."""
    request: Message = {"command": "diff", "target_oid": session.target, "selector": args[0]}
    if len(args) == 3:
        request["versions"] = [slash.version(args[1]), slash.version(args[2])]
    else:
        reply = await session.client.call("history", target_oid=session.target, selector=args[0])
        numbers = [int(item["version"]) for item in reply["versions"]]
        last = slash.version(args[1]) if len(args) == 2 else numbers[-1]
        earlier = [number for number in numbers if number < last]
        if not earlier:
            raise BadField(f"{args[0]} has no version before {last}", "/history SELECTOR lists the versions.")
        request["versions"] = [earlier[-1], last]
    return await session.run(request)


async def as_of(session: Session, args: list[str]) -> bool:
    """Ask the past: an object, a method's history, or a call."""
    moment, line = args
    name, _, rest = line.removeprefix("/").partition(" ")
    if name in _PAST:
        request = (slash.SLASHES[name].request or _nothing)([rest] if rest else [], session.target)
    else:
        read = call(line)
        if read is None:
            raise BadField(f"{line!r} is not asked of the past", "Ask for inspect, history SELECTOR, or write a call.")
        target, selector, values, named = read
        where = target or session.target
        request = {"command": "send", "target_oid": where, "selector": selector, "args": values, "kwargs": named}
    when = (
        {"time": moment.replace(" ", "T")}
        if _TIME.fullmatch(moment) and not _TID.fullmatch(moment)
        else {"tid": moment}
    )
    return await session.run({"command": "as_of", **when, "request": request})


async def export(session: Session, args: list[str]) -> bool:
    """Write an object as files into a folder."""
    reply = await session.client.call("image", action="export", target_oid=args[0] if args else session.target)
    folder = args[1] if len(args) > 1 else f"export_{args[0] if args else session.target}"
    files = dict(reply.get("files") or {})
    _write(folder, files)
    session.show.notice(f"{len(files)} files lie in {folder}.")
    return True


def _write(place: str, files: dict[Any, Any]) -> None:
    folder = Path(place).expanduser()
    for name, data in files.items():
        parts = PurePosixPath(str(name)).parts
        if not parts or ".." in parts or PurePosixPath(str(name)).is_absolute():
            raise BadField(f"The kernel named a file outside the folder: {name!r}")
        file = folder.joinpath(*parts)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data if isinstance(data, bytes) else str(data).encode())


async def personas(session: Session, args: list[str]) -> bool:
    """Show who the four personas are and which model each has."""
    del args
    rows = []
    for name in PERSONAS:
        seen = await session.client.call("inspect", target_oid=f"{name.lower()}_prototype_obj")
        codex = seen.get("slots", {}).get("codex")
        about = codex if isinstance(codex, dict) else {}
        rows.append([name, about.get("core_identity", ""), about.get("core_mission") or about.get("mission", "")])
    session.show.last_word({"command": "personas"}, {"status": "OK", "personas": rows})
    return True


async def cancel(session: Session, args: list[str]) -> bool:
    """Cancel a cycle; without a name the one that was started last and has not ended."""
    cycle = args[0] if args else await session.unfinished()
    if cycle is None:
        session.show.notice("Nothing is in progress.")
        return True
    return await session.run({"command": "cancel", "cycle_id": cycle})


async def approve(session: Session, args: list[str]) -> bool:
    """Install what waits, or switch asking on and off."""
    if args and args[0] in ("on", "off"):
        session.asks = args[0] == "on"
        how = (
            "I show you each method and ask before it is installed."
            if session.asks
            else "Methods are installed at once."
        )
        session.show.notice(how)
        return True
    return await _decide(session, args, "install")


async def reject(session: Session, args: list[str]) -> bool:
    """Reject what waits."""
    return await _decide(session, args, "reject")


async def _decide(session: Session, args: list[str], verdict: str) -> bool:
    cycle = args[0] if args else await session.unfinished(awaiting=True)
    if cycle is None:
        session.show.notice("Nothing waits for an approval.")
        return False
    well = await session.run({"command": "approve", "cycle_id": cycle, "verdict": verdict})
    if well and cycle not in session.watched:
        # Nobody here waits for its end yet: it began in another console, or before this one.
        return await session.run({"command": "follow", "cycle_id": cycle}) or verdict == "reject"
    return well


def _nothing(_args: list[str], _target: str) -> Message:
    return {}


ERRANDS: dict[str, Callable[[Session, list[str]], Awaitable[bool]]] = {
    "diff": diff,
    "as-of": as_of,
    "learn": learn,
    "export": export,
    "personas": personas,
    "cancel": cancel,
    "approve": approve,
    "reject": reject,
}
"""The commands by name; each gives whether it ended well."""
