"""`inspect`, `send` and `status`: the operator's look at single objects and at the whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from batos.operator import offline
from batos.operator.show import text
from batos.watchdog import files
from batos.watchdog import main as watchdog

if TYPE_CHECKING:
    import argparse

    from batos.operator.show import Speaker
    from batos.settings import Settings


def inspect(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Show an object: its slots, methods, parents, and what it understands."""
    with offline.way(settings) as way:
        speaker.remark(offline.SAID[way.through])
        reply = way.ask("inspect", target_oid=asked.oid)
    del reply["status"]
    reply.pop("id", None)
    if speaker.json:
        speaker.value({**reply, "through": way.through})
        return 0
    show_object(reply, speaker)
    return 0


def send(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Send a message to an object; exit code 1 when it is not understood."""
    args = [argument(word) for word in asked.args]
    fields = {"target_oid": asked.oid, "selector": asked.selector, "args": args, "learn": asked.learn}
    with offline.way(settings) as way:
        speaker.remark(offline.SAID[way.through])
        reply = way.ask("send", **fields)
    reply.pop("id", None)
    good = reply["status"] in {"OK", "COMPLETE"}
    if speaker.json:
        speaker.value({**reply, "through": way.through})
    elif good:
        speaker.out.print(text(reply.get("result")), markup=False)
        speaker.out.print(reply.get("output") or "", end="", markup=False)
    else:
        near = ", ".join(str(near.get("selector", near)) for near in reply.get("similar", []))
        speaker.err.print(f"{asked.oid} does not understand {asked.selector}{f'; close: {near}' if near else ''}")
    return 0 if good else 1


def status(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Show what runs; exit code 1 when no kernel does."""
    del asked
    found: dict[str, Any] = {"home": str(settings.home), "endpoint": settings.zmq_endpoint}
    found["watchdog"] = _watchdog(settings)
    if offline.kernel_answers(settings):
        with offline.way(settings) as way:
            found["kernel"] = way.ask("status")
        found["kernel"].pop("id", None)
    if speaker.json:
        speaker.value(found)
    else:
        _show_status(found, speaker)
    return 0 if "kernel" in found else 1


def argument(word: str) -> Any:
    """An argument of the command line: JSON where it parses, else text."""
    try:
        return json.loads(word)
    except ValueError:
        return word


def _watchdog(settings: Settings) -> dict[str, Any] | None:
    return files.read_json(settings.home / "run" / "watchdog.json") if watchdog.running(settings.home) else None


def show_object(reply: dict[str, Any], speaker: Speaker) -> None:
    """Write what `inspect` gave, for people."""
    speaker.out.print(f"[bold]{reply.get('name', 'object')}[/]  oid {reply['oid'].hex}")
    parents = ", ".join(text(parent) for parent in reply["parents"])
    speaker.out.print(f"parents: {parents or 'none'}\n")
    methods = [(s, str(m["version"]), m["signature"], m["summary"]) for s, m in reply["methods"].items()]
    speaker.table("methods", ("selector", "version", "signature", "summary"), methods)
    speaker.pairs("slots", reply["slots"])
    speaker.out.print("understands: " + (", ".join(reply["understands"]) or "nothing"))
    if reply["ambiguous"]:
        speaker.out.print(f"[yellow]ambiguous: {', '.join(reply['ambiguous'])}[/]")


def _show_status(found: dict[str, Any], speaker: Speaker) -> None:
    guard = found["watchdog"]
    speaker.pairs(
        "",
        {
            "home": found["home"],
            "endpoint": found["endpoint"],
            "watchdog": f"{guard.get('state')}: {guard.get('message')}" if guard else "not running",
            "kernel": "serves" if "kernel" in found else "does not answer",
        },
    )
    for name, value in found.get("kernel", {}).items():
        if isinstance(value, dict):
            speaker.pairs(name, value)
        elif name != "status":
            speaker.out.print(f"{name}: {text(value)}", markup=False)
