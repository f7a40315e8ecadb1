"""`image diff`, `as-of`, `census`, `references`, `senders`, `implementors`: questions about the image and its past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.errors import BadField
from batos.operator.image import ask, shown
from batos.operator.objects import argument, show_object
from batos.operator.show import text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from batos.operator.show import Speaker
    from batos.settings import Settings


def diff(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Compare two versions of a method, or an object at two moments."""
    pair = [asked.first, asked.second]
    numbers = asked.method is not None and all(word.isdecimal() and len(word) < 16 for word in pair)
    fields: dict[str, Any] = {"versions": [int(word) for word in pair]} if numbers else {"tids": pair}
    if asked.method is not None:
        fields["selector"] = asked.method
    report = ask(settings, speaker, "diff", target_oid=asked.oid, **fields)
    if speaker.json:
        speaker.value(report)
        return 0
    for sign, key in (("+", "added"), ("-", "removed")):
        for name, value in report["slots"][key].items():
            speaker.out.print(f"{sign} {name}: {text(value)}", markup=False)
    for name, (old, new) in report["slots"]["changed"].items():
        speaker.out.print(f"! {name}: {text(old)} → {text(new)}", markup=False)
    speaker.out.print(report["unified"], markup=False, end="")
    return 0


def as_of(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Ask the past; exit code 1 when the message was not understood then."""
    request: dict[str, Any] = {"command": asked.ask, "target_oid": asked.oid}
    if asked.ask != "inspect":
        if asked.selector is None:
            raise BadField(f"`{asked.ask}` needs a SELECTOR")
        request["selector"] = asked.selector
    if asked.ask == "send":
        request["args"] = [argument(word) for word in asked.args]
    with_status = ask(settings, speaker, "as_of", tid=asked.moment, request=request)
    if speaker.json:
        speaker.value(with_status)
    elif asked.ask == "inspect":
        show_object(with_status, speaker)
    elif asked.ask == "history":
        _show_versions(with_status["versions"], speaker)
    elif "similar" in with_status:
        speaker.err.print(f"{asked.oid} did not understand {asked.selector}")
    else:
        speaker.out.print(text(with_status["result"]), markup=False)
        speaker.out.print(with_status.get("output") or "", end="", markup=False)
    return 1 if "similar" in with_status else 0


def census(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Count objects by prototype, and records by kind."""
    del asked
    report = ask(settings, speaker, "image", action="census")
    if speaker.json:
        speaker.value(report)
        return 0
    rows = [(row["name"] or row["oid"].hex, str(row["objects"]), f"{row['bytes']:,}") for row in report["prototypes"]]
    speaker.table("prototypes", ("prototype", "objects", "bytes"), rows)
    kinds = [(row["kind"], str(row["records"]), f"{row['bytes']:,}") for row in report["kinds"]]
    speaker.table("records", ("kind", "records", "bytes"), kinds)
    return 0


def references(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """List what refers to an object."""
    report = ask(settings, speaker, "image", action="references", target_oid=asked.oid)
    return _listed(speaker, report, "references", ("kind", "slots"))


def senders(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """List the methods that send a message."""
    report = ask(settings, speaker, "image", action="senders", selector=asked.selector)
    return _listed(speaker, report, "senders", ("selector", "version"))


def implementors(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """List who answers a message with a method or primitive of its own."""
    report = ask(settings, speaker, "image", action="implementors", selector=asked.selector)
    return _listed(speaker, report, "implementors", ("kind", "version", "signature", "summary"))


def _listed(speaker: Speaker, report: dict[str, Any], key: str, columns: Sequence[str]) -> int:
    if speaker.json:
        speaker.value(report)
        return 0
    rows = [(row["name"] or row["oid"].hex, *(_cell(row[column]) for column in columns)) for row in report[key]]
    speaker.table(key, ("object", *columns), rows)
    if not rows:
        speaker.out.print("none")
    return 0


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else shown(value)


def _show_versions(rows: list[dict[str, Any]], speaker: Speaker) -> None:
    table = [(str(row["version"]), row["time"], row["sha256"][:12], "active" if row["active"] else "") for row in rows]
    speaker.table("versions", ("version", "time", "digest", ""), table)
