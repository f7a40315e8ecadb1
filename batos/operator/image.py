"""`image check`, `history`, `undo`, `pack`, `snapshot`, `statistics`: the image as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.operator import offline
from batos.operator.show import text

if TYPE_CHECKING:
    import argparse

    from batos.operator.show import Speaker
    from batos.settings import Settings

Message = dict[str, Any]


def ask(settings: Settings, speaker: Speaker, command: str, **fields: Any) -> Message:
    """Ask whoever has the image, say which way it went, and show progress; gives the report with `through`."""
    with offline.way(settings) as way:
        speaker.remark(offline.SAID[way.through])
        reply = way.ask(command, progress(speaker), **fields)
    reply.pop("id", None)
    reply.pop("status", None)
    return {**reply, "through": way.through}


def progress(speaker: Speaker) -> Any:
    """Give what shows events of progress: a line for each kind of work, which counts up where a person looks on."""
    shown = ""

    def hear(event: Message) -> None:
        nonlocal shown
        if event.get("event") != "progress":
            return
        what, done, total = event["what"], event["done"], event["total"]
        if what == shown and done != total and not speaker.err.is_terminal:
            return
        shown = what
        speaker.err.print(
            f"{what} {done}{f' of {total}' if total else ''}", style="dim", end="\r" if done != total else "\n"
        )

    return hear


def check(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Read everything and say what is not sound; exit code 1 when something is not."""
    report = ask(settings, speaker, "image", action="check", blobs=asked.blobs)
    if speaker.json:
        speaker.value(report)
    else:
        found = ", ".join(f"{report[key]} {key}" for key in ("records", "objects", "methods", "blobs"))
        speaker.out.print(f"read at {report['tid']}: {found}")
        speaker.table("not sound", ("object", "why"), [(bad["oid"], bad["why"]) for bad in report["bad"]])
        speaker.out.print("[red]not sound[/]" if report["bad"] else "[green]sound[/]")
    return 1 if report["bad"] else 0


def history(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """List the transactions of the image, newest first: who, when, why, what."""
    report = ask(settings, speaker, "changes", limit=asked.limit)
    if speaker.json:
        speaker.value(report)
    else:
        for row in report["changes"]:
            speaker.out.print(f"{row['tid']}  {row['time']}  {row['user'] or '-'}: {row['note'] or '-'}", markup=False)
            speaker.out.print(f"    {_what(row)}", markup=False)
    return 0


def undo(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Take the last change back."""
    del asked
    report = ask(settings, speaker, "undo")
    if speaker.json:
        speaker.value(report)
    else:
        undone = report["undone"]
        objects = ", ".join(row["name"] or row["oid"].hex for row in undone["objects"])
        speaker.out.print(f"undone: {undone['note'] or undone['tid']} of {undone['time']}", markup=False)
        speaker.out.print(f"  went back: {objects or 'records without a name'}", markup=False)
    return 0


def pack(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Drop old history."""
    report = ask(settings, speaker, "image", action="pack", **({} if asked.days is None else {"days": asked.days}))
    if speaker.json:
        speaker.value(report)
        return 0
    for name, key in (("database", "bytes"), ("blobs", "blob_bytes")):
        speaker.out.print(f"{name}: {report[key][0]:,} → {report[key][1]:,} bytes")
    speaker.out.print(f"history is kept from {report['until']} on")
    if report["held_by"]:
        speaker.out.print(f"[yellow]the snapshot {report['held_by']} holds the rest[/]: `image snapshot NAME --remove`")
    return 0


def snapshot(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Name this moment, let a name go, or list them."""
    fields = {"name": asked.name, "remove": asked.remove} if asked.name else {}
    report = ask(settings, speaker, "snapshot", **fields)
    if speaker.json:
        speaker.value(report)
    elif asked.name:
        done = "is no snapshot any more" if asked.remove else "is"
        speaker.out.print(f"{report['name']} {done} {report['tid']} ({report['time']})", markup=False)
    else:
        rows = [(row["name"], row["tid"], row["time"], row["user"]) for row in report["snapshots"]]
        speaker.table("snapshots", ("name", "tid", "time", "user"), rows)
    return 0


def statistics(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Show the image in figures."""
    del asked
    report = ask(settings, speaker, "image", action="statistics")
    if speaker.json:
        speaker.value(report)
    else:
        door = report.pop("door")
        speaker.pairs("image", report)
        speaker.pairs("door", door)
    return 0


def _what(row: Message) -> str:
    """What a transaction changed, on one line."""
    said = [f"{method['selector']} {method['version']}" for method in row["methods"]]
    for changed in row["objects"]:
        slots = [
            *(f"+{name}" for name in changed["added"]),
            *changed["changed"],
            *(f"-{n}" for n in changed["removed"]),
        ]
        said.append(f"{changed['name'] or changed['oid'].hex}: {', '.join(slots) or 'made'}")
    return "; ".join(said) or f"{row['records']} records"


def shown(value: Any) -> str:
    """A value for people; nothing for None."""
    return "" if value is None else text(value)
