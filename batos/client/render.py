"""What replies look like: values, tables and lists as rich renderables, safe for a terminal."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from batos.codec import Ref

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

MAX_LINES = 40
LINE = 80
MAX_ROWS = 50
MAX_COLUMNS = 6
MAX_CELL = 400
FOUND_LINES = 3
_WHOLE = frozenset({"oid", "cycle", "version", "state", "started"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def safe(text: str) -> str:
    """A text without control characters: what a method answers must not steer the terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text.replace("\r\n", "\n"))


def folded(text: str, limit: int = MAX_LINES) -> Text:
    """A text of at most `limit` lines, long ones counted as several, with a word on how much is left out."""
    lines = safe(text).split("\n")
    kept: list[str] = []
    room = limit
    while len(kept) < len(lines) and room > 0:
        kept.append(lines[len(kept)][: room * LINE])
        room -= max(1, -(-len(kept[-1]) // LINE))
    shown = Text("\n".join(kept))
    cut = len(lines[len(kept) - 1]) - len(kept[-1])
    more = [f"{len(lines) - len(kept)} more lines"] if len(lines) > len(kept) else []
    more += [f"{cut} more characters"] if cut else []
    if more:
        shown.append(f"\n… {' and '.join(more)}; a client with --json prints them all", style="dim")
    return shown


def value(item: Any) -> RenderableType:
    """A result: text as it is, a list of like maps or a map of scalars as a table, anything else as Python writes it."""
    if isinstance(item, (str, dt.date, dt.time, dt.timedelta)):
        return folded(str(item))
    if isinstance(item, list) and len(item) > 1 and all(isinstance(row, dict) and row for row in item):
        columns = list(dict.fromkeys(key for row in item for key in row))
        if len(columns) <= MAX_COLUMNS:
            return table([str(key) for key in columns], [[row.get(key, "") for key in columns] for row in item])
    if isinstance(item, dict) and len(item) > 1 and all(_is_scalar(part) for part in item.values()):
        return table(["key", "value"], [list(pair) for pair in item.items()])
    return folded(_pretty(item))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> RenderableType:
    """Rows under a line of column names; long tables are folded."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, show_header=any(columns))
    for column in columns:
        # A name that is to be copied into a command stays in one piece.
        made.add_column(safe(column), overflow="fold", no_wrap=column in _WHOLE)
    for row in rows[:MAX_ROWS]:
        made.add_row(*(Text(safe(cell(part))) for part in row))
    if len(rows) <= MAX_ROWS:
        return made
    return Group(made, Text(f"… {len(rows) - MAX_ROWS} more rows; a client with --json prints them all", style="dim"))


def cell(item: Any) -> str:
    """A value in one cell."""
    if isinstance(item, str):
        text = item
    elif isinstance(item, dt.datetime):
        text = item.isoformat(" ", "seconds")
    elif item is None:
        text = "–"
    else:
        text = repr(item)
    return text if len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"


def inspection(reply: dict[str, Any]) -> RenderableType:
    """The reply of `inspect`."""
    methods = dict(reply.get("methods") or {})
    parts: list[RenderableType] = [_title(str(reply.get("name") or reply.get("oid")), f"oid {_oid(reply.get('oid'))}")]
    if reply.get("parents"):
        names = dict(reply.get("names") or {})
        parts.append(
            Text(f"parents  {', '.join(names.get(_oid(parent), _oid(parent)) for parent in reply['parents'])}")
        )
    if reply.get("slots"):
        parts.append(table(["slot", "value"], [[name, _short(item)] for name, item in reply["slots"].items()]))
    if methods:
        rows = [
            [f"{name}{m.get('signature', '')}", m.get("version"), m.get("summary", "")] for name, m in methods.items()
        ]
        parts.append(table(["method", "version", "what it does"], rows))
    others = [name for name in reply.get("understands", []) if name not in methods and not name.startswith("_")]
    if others:
        parts.append(Text(f"by delegation  {', '.join(others)}", overflow="fold"))
    if reply.get("ambiguous"):
        parts.append(Text(f"two parents differ on  {', '.join(reply['ambiguous'])}", style="yellow"))
    return Group(*parts)


def objects(reply: dict[str, Any]) -> RenderableType:
    """The reply of `objects`."""
    listed = reply.get("objects") or []
    names = {_oid(item.get("oid")): str(item["name"]) for item in listed if item.get("name")}
    rows = []
    for item in listed:
        parents = [names.get(_oid(parent), _oid(parent)) for parent in item.get("parents") or []]
        rows.append([item.get("name") or "", _oid(item.get("oid")), ", ".join(parents)])
    return table(["name", "oid", "parents"], rows)


def history(reply: dict[str, Any]) -> RenderableType:
    """The reply of `history`: the versions, and the source of the active one."""
    versions = reply.get("versions") or []
    rows = []
    for item in versions:
        origin = dict(item.get("provenance") or {})
        when = str(item.get("time", ""))[:19].replace("T", " ")
        rows.append([item.get("version"), "active" if item.get("active") else "", when, _author(origin)])
    active = next((item for item in versions if item.get("active")), None)
    parts: list[RenderableType] = [table(["version", "", "time", "by"], rows)]
    if active is not None:
        parts += [Text(""), source(str(active.get("source", "")))]
    return Group(*parts)


def found(reply: dict[str, Any]) -> RenderableType:
    """The reply of `search`."""
    results = reply.get("results") or []
    if not results:
        return Text("Nothing relevant was found in Fractal Memory.")
    parts: list[RenderableType] = []
    for item in results:
        parts.append(_title(f"{item.get('doc_id')} · {item.get('chunk')}", f"score {float(item.get('score', 0)):.2f}"))
        parts.append(folded(str(item.get("text", "")).strip(), FOUND_LINES))
    return Group(*parts)


def cycles(reply: dict[str, Any]) -> RenderableType:
    """The reply of `cycles`; ✗ counts the attempts that failed."""
    rows = []
    for item in reply.get("cycles") or []:
        attempts = item.get("attempts")
        count = len(attempts) if isinstance(attempts, list) else attempts
        state = f"awaits {item['awaiting']}" if item.get("awaiting") else item.get("state")
        started = str(item.get("started", ""))[5:16].replace("T", " ")
        rows.append([item.get("cycle_id"), state, count or "", started, item.get("selector")])
    return table(["cycle", "state", "✗", "started", "selector"], rows)


def models(reply: dict[str, Any]) -> RenderableType:
    """The reply of `models`."""
    listed = reply.get("models") or []
    rows = [[item.get("name"), item.get("state"), size(item.get("bytes"))] for item in listed if isinstance(item, dict)]
    return table(["model", "state", "size"], rows) if rows else Text("There are no models.")


def diff(text: str, *, colour: bool = True) -> RenderableType:
    """A unified difference, highlighted where the console has colours."""
    if not colour:
        return Text(safe(text.rstrip()))
    from rich.syntax import Syntax

    return Syntax(safe(text.rstrip()), "diff", theme="ansi_dark", background_color="default", word_wrap=True)


def difference(reply: dict[str, Any]) -> RenderableType:
    """The reply of `diff`: what changed in source and slots."""
    parts: list[RenderableType] = [diff(str(reply["unified"]))] if reply.get("unified") else []
    slots = {kind: items for kind, items in dict(reply.get("slots") or {}).items() if items}
    parts += [Text(f"{kind}  {_short(items)}", overflow="fold") for kind, items in slots.items()]
    return Group(*parts) if parts else Text("They are the same.")


def runs(listed: Sequence[dict[str, Any]]) -> RenderableType:
    """The runs of a trial: the call, what it gave, what it had to give."""
    rows = []
    for run in listed:
        values = [*map(repr, run.get("args") or []), *(f"{k}={v!r}" for k, v in dict(run.get("kwargs") or {}).items())]
        mark = str(run.get("skipped") or ("passed" if run.get("passed") else "failed"))
        rows.append([f"({', '.join(values)})", _outcome(run.get("got")), _outcome(run.get("expected")), mark])
    return table(["tried with", "gave", "must give", ""], rows)


def explanation(reply: dict[str, Any]) -> RenderableType:
    """The reply of `explain`: the version, its source, and where it came from."""
    origin = dict(reply.get("provenance") or {})
    author, guardian = dict(origin.get("author") or {}), dict(origin.get("guardian") or {})
    brief = dict(origin.get("mission_brief") or {})
    rows: list[list[Any]] = [
        ["version", f"{reply.get('version')}{' (active)' if reply.get('active') else ''}"],
        ["installed", f"{str(reply.get('time', ''))[:19]}  tid {reply.get('tid')}"],
        ["wanted", brief.get("intent") or brief.get("selector")],
        ["written by", _author(origin)],
        [
            "prompt",
            author.get("prompt_sha256")
            and f"sha256 {str(author.get('prompt_sha256', ''))[:16]}, seed {author.get('seed')}",
        ],
        ["chosen", _chosen(dict(origin.get("chosen") or {}))],
        ["from memory", ", ".join(map(str, origin.get("chunks") or [])) or "nothing"],
        ["no room for", ", ".join(map(str, origin.get("chunks_dropped") or []))],
        ["Guardian", f"{guardian.get('guardian', '')} {'; '.join(map(str, guardian.get('mends') or []))}".strip()],
    ]
    parts: list[RenderableType] = [table(["", ""], [row for row in rows if row[1]])]
    parts += [
        Text(f"attempt {attempt.get('n')} failed: {safe(str(attempt.get('finding')))}", style="yellow")
        for attempt in origin.get("attempts") or []
    ]
    if origin.get("evidence"):
        parts.append(runs(origin["evidence"]))
    return Group(*parts, Text(""), source(str(reply.get("source", ""))))


def _chosen(chosen: dict[str, Any]) -> str:
    """Which candidate was installed, where there was a choice."""
    if chosen.get("candidates", 1) < 2:
        return ""
    refused = len(chosen.get("refused") or [])
    return (
        f"candidate {chosen['candidate']} of {chosen['candidates']} in attempt {chosen['attempt']}, {refused} refused"
    )


def personas(reply: dict[str, Any]) -> RenderableType:
    """Who the personas are."""
    return table(["persona", "is", "is there for"], reply.get("personas") or [])


def capabilities(reply: dict[str, Any]) -> RenderableType:
    """The reply of `capabilities`."""
    rows = [[item.get("signature") or item.get("selector"), item.get("summary", "")] for item in reply["capabilities"]]
    return table(["capability", "what it does"], rows)


def _author(origin: dict[str, Any]) -> str:
    """Who wrote a version: a model as a persona, or the Architect; after a roll back, whose source it has."""
    author = dict(origin.get("author") or {})
    persona = author.get("persona") or origin.get("persona")
    if origin.get("origin") == "architect":
        wrote = "the Architect"
    else:
        wrote = " as ".join(str(part) for part in (author.get("model"), persona) if part)
    again = f"version {origin['rollback_of']} again" if origin.get("rollback_of") else ""
    return ", ".join(filter(None, (wrote, again)))


def _outcome(item: Any) -> str:
    if isinstance(item, dict) and set(item) == {"result"}:
        return repr(item["result"])
    return "–" if item is None else _short(item)


def source(text: str, *, colour: bool = True) -> RenderableType:
    """Python source, highlighted where the console has colours."""
    if not colour:
        return Text(safe(text.rstrip()))
    from rich.syntax import Syntax

    return Syntax(safe(text.rstrip()), "python", theme="ansi_dark", background_color="default", word_wrap=True)


def size(count: Any) -> str:
    """Bytes for people."""
    if not isinstance(count, (int, float)):
        return "–"
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.2f} GiB"


def _pretty(item: Any) -> str:
    from rich.pretty import pretty_repr

    return pretty_repr(item, max_width=78, max_string=20_000)


def _short(item: Any) -> str:
    if isinstance(item, dict) and set(item) == {"kind", "size"}:
        return f"({item['kind']}, {size(item['size'])})"
    text = repr(item)
    return text if len(text) <= 160 else f"{text[:159]}…"


def _title(name: str, rest: str) -> Text:
    return Text.assemble((safe(name), "bold"), "  ", (rest, "dim"))


def _oid(item: Any) -> str:
    return item.hex if isinstance(item, Ref) else str(item)


def _is_scalar(item: Any) -> bool:
    return not isinstance(item, (dict, list, tuple, set, frozenset)) and not (isinstance(item, str) and "\n" in item)
