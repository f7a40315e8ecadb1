"""Slash commands: what each takes, and the request that it makes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batos.errors import BadField

Message = dict[str, Any]
MakeRequest = Callable[[list[str], str], Message]
_ARGUMENT = re.compile(r"""(?:"[^"]*"|'[^']*')(?=\s|$)|\S+""")


@dataclass(frozen=True, slots=True)
class Slash:
    """One slash command.

    Args:
        usage: Its arguments; those in brackets may be left out.
        does: What it does, in a line.
        request: Makes the request of the arguments and the present target; None: the session does it itself.
        least: How many arguments it needs.
        most: How many it takes; the last one takes the rest of the line.
        written: Whether the last one is taken as it is written, with its quotes.
    """

    usage: str
    does: str
    request: MakeRequest | None = None
    least: int = 0
    most: int = 1
    written: bool = False


def version(text: str) -> int:
    """Read a version's number; `v2` is 2.

    Raises:
        BadField: It is none.
    """
    if not text.removeprefix("v").isdecimal():
        raise BadField(f"{text!r} is no version; versions are 1, 2, 3 …", "/history SELECTOR lists them.")
    return int(text.removeprefix("v"))


SLASHES: dict[str, Slash] = {
    "help": Slash("", "list these commands", most=0),
    "use": Slash("OBJECT", "speak to another object: a name or an oid", least=1),
    "inspect": Slash(
        "[OBJECT]", "show an object", lambda a, target: {"command": "inspect", "target_oid": a[0] if a else target}
    ),
    "objects": Slash(
        "[PROTOTYPE]",
        "list objects",
        lambda a, _: {"command": "objects", **({"prototype": a[0]} if a else {})},
    ),
    "history": Slash(
        "SELECTOR",
        "list a method's versions",
        lambda a, target: {"command": "history", "target_oid": target, "selector": a[0]},
        least=1,
    ),
    "explain": Slash(
        "SELECTOR",
        "tell where a method came from",
        lambda a, target: {"command": "explain", "target_oid": target, "selector": a[0]},
        least=1,
    ),
    "diff": Slash("SELECTOR [N [M]]", "compare two versions; without numbers the last", least=1, most=3),
    "as-of": Slash("MOMENT LINE", "ask the past: inspect, history X, or a call", least=2, most=2, written=True),
    "rollback": Slash(
        "SELECTOR VERSION",
        "reinstall an old version",
        lambda a, target: {"command": "rollback", "target_oid": target, "selector": a[0], "version": version(a[1])},
        least=2,
        most=2,
    ),
    "remove": Slash(
        "SELECTOR",
        "remove a method; its history stays",
        lambda a, target: {"command": "remove", "target_oid": target, "selector": a[0]},
        least=1,
    ),
    "search": Slash(
        "WORDS", "search Fractal Memory", lambda a, _: {"command": "search", "query": a[0], "top_k": 5}, least=1
    ),
    "remember": Slash(
        "NAME TEXT",
        "learn a text",
        lambda a, _: {"command": "remember", "doc_id": a[0], "text": a[1], "metadata": {"source": "Architect"}},
        least=2,
        most=2,
    ),
    "learn": Slash("PATH", "learn a file, or a folder of them", least=1),
    "forget": Slash("NAME", "forget a text", lambda a, _: {"command": "forget", "doc_id": a[0]}, least=1),
    "cycles": Slash(
        "[STATE]",
        "list cycles",
        lambda a, _: {"command": "cycles", "limit": 20, **({"state": a[0].upper()} if a else {})},
    ),
    "follow": Slash("CYCLE", "watch a cycle to its end", lambda a, _: {"command": "follow", "cycle_id": a[0]}, least=1),
    "cancel": Slash("[CYCLE]", "cancel a cycle, else the newest that goes on"),
    "approve": Slash("[CYCLE]", "install what waits; on or off: ask from now on?"),
    "reject": Slash("[CYCLE]", "reject what waits for approval"),
    "personas": Slash("", "show who the personas are", most=0),
    "export": Slash("[OBJECT [FOLDER]]", "write an object as files", most=2),
    "models": Slash("", "list models", lambda _a, _t: {"command": "models", "action": "list"}, most=0),
    "status": Slash("", "tell how the system is", lambda _a, _t: {"command": "status"}, most=0),
    "quit": Slash("", "leave; so does `exit`", most=0),
}


def parse(line: str) -> tuple[str, list[str]]:
    """Read a line that begins with a slash.

    Returns:
        The command's name and its arguments; the last one holds the rest of the line.

    Raises:
        BadField: There is no such command, or arguments are missing or too many.
    """
    name, _, rest = line.strip().removeprefix("/").partition(" ")
    name = name.casefold()
    slash = SLASHES.get(name)
    if slash is None:
        near = _near(name)
        raise BadField(f"There is no command /{name}", f"Do you mean /{near}?" if near else "/help lists the commands.")
    parts = _parts(rest.strip(), slash)
    if not slash.least <= len(parts) <= slash.most:
        raise BadField(f"/{name} takes {slash.usage or 'no arguments'}", f"Write it as: /{name} {slash.usage}".rstrip())
    return name, parts


def _near(name: str) -> str:
    """The command that a mistyped one was meant to be; empty when none is near."""
    begun = [known for known in SLASHES if name and known.startswith(name)]
    return next(iter(begun or difflib.get_close_matches(name, SLASHES, 1)), "")


def _parts(rest: str, slash: Slash) -> list[str]:
    """Arguments between spaces, or in quotes; a backslash is a sign like others, since paths on Windows have them."""
    found = list(_ARGUMENT.finditer(rest))
    if slash.most == 0:
        return [item[0] for item in found]
    parts = [_bare(item[0]) for item in found[: slash.most]]
    if len(found) > slash.most or (slash.written and len(found) == slash.most):
        parts[-1] = rest[found[slash.most - 1].start() :]
    return parts


def _bare(argument: str) -> str:
    quoted = len(argument) > 1 and argument[0] == argument[-1] and argument[0] in "\"'"
    return argument[1:-1] if quoted else argument
