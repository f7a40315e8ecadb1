"""`image check` and `image history`: whether the image is whole, and what changed it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batos.errors import BatosError, NotAllowed
from batos.operator import offline

if TYPE_CHECKING:
    import argparse

    from batos.operator.show import Speaker
    from batos.settings import Settings

_MANY = 100_000


def check(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Read every object and every method of the image; exit code 1 when one is not well."""
    del asked
    with offline.way(settings) as way:
        report = {"through": way.through, **_read_everything(way)}
        report["image"] = way.ask("status").get("image")
    if speaker.json:
        speaker.value(report)
    else:
        good = f"{report['objects']} objects and {report['methods']} methods read"
        speaker.out.print(f"{good} {'through the bridge' if way.through == 'bridge' else 'on the stopped image'}")
        speaker.table("not well", ("object", "why"), [(bad["oid"], bad["why"]) for bad in report["bad"]])
    return 1 if report["bad"] else 0


def history(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """List the transactions of the image, newest first."""
    with offline.way(settings) as way:
        if not isinstance(way, offline.Stopped):
            raise NotAllowed("The change log is read on the stopped image", "Stop the kernel: `./puter.sh stop`.")
        rows = way.image.read_now(_transactions, asked.limit).value
    if speaker.json:
        speaker.value(rows)
    else:
        table = [(row["tid"], row["time"], row["user"], row["note"]) for row in rows]
        speaker.table("transactions", ("tid", "time", "user", "note"), table)
    return 0


def _read_everything(way: offline.Way) -> dict[str, Any]:
    methods, bad = 0, []
    listed = way.ask("objects", limit=_MANY)["objects"]
    for row in listed:
        try:
            count, damaged = _read_object(way, row["oid"])
            methods += count
            bad += [{"oid": row["oid"].hex, "why": f"{name}: its text does not match its digest"} for name in damaged]
        except BatosError as error:
            bad.append({"oid": row["oid"].hex, "why": error.message})
    return {"objects": len(listed), "methods": methods, "bad": bad}


def _read_object(way: offline.Way, oid: Any) -> tuple[int, list[str]]:
    """Read an object and each version of its methods; gives the number of methods and the names of damaged ones."""
    methods = way.ask("inspect", target_oid=oid)["methods"]
    damaged = []
    for selector in methods:
        versions = way.ask("history", target_oid=oid, selector=selector)["versions"]
        damaged += [f"{selector} {v['version']}" for v in versions if v.get("damaged") or v.get("source") is None]
    return len(methods), damaged


def _transactions(view: Any, limit: int) -> list[dict[str, str]]:
    return [
        {
            "tid": base64.decodebytes(entry["id"] + b"\n").hex(),
            "time": datetime.fromtimestamp(entry["time"], UTC).isoformat(),
            "user": _words(entry["user_name"]),
            "note": _words(entry["description"]),
        }
        for entry in view.conn.db().undoLog(0, -limit)
    ]


def _words(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
