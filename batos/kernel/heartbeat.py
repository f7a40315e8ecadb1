"""The autotelic heartbeat: when nothing else is to be done, ALFRED looks after the image.

Each beat audits every installed method again, runs its evidence again, retries one failed mission that was not retried
before, checks the image and packs it. It is bounded in time, and there is never more than one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from typing import TYPE_CHECKING, Any

from batos.cognition.acceptance import Mandate
from batos.cognition.trial import Duties, Trial
from batos.errors import BatosError
from batos.image import cycles, dispatch, laws, mirrors
from batos.image.methods import MethodVersion
from batos.image.objects import own
from batos.image.values import to_plain
from batos.wire_image import ImageWork

if TYPE_CHECKING:
    from batos.image.view import View
    from batos.kernel.uvm import BatOS_UVM

_log = logging.getLogger("batos.kernel")
_LOOK_SECONDS = 1.0
_SHARE = 0.5
"""Of the time between two beats that one may take."""
_LEAST_SECONDS, _MOST_SECONDS = 10.0, 300.0
_FAILED = 200
"""How many of the last failed missions are looked at."""

Row = dict[str, Any]


class Heartbeat:
    """Beats every HEARTBEAT_SECONDS, when no mission is in progress."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._uvm = uvm
        self._last: Row = {}
        self._beats = 0
        self._reached = ("", "")
        self._mended: set[tuple[str, str, int]] = set()

    def statistics(self) -> Row:
        """How many beats there were, and what the last one found."""
        return {"beats": self._beats, "last": dict(self._last)}

    async def run(self) -> None:
        """Beat until it is cancelled."""
        while True:
            await asyncio.sleep(self._uvm.settings.heartbeat_seconds)
            await self._quiet_moment()
            try:
                await self.beat()
            except BatosError as error:
                _log.warning("heartbeat: %s", error.message)
            except Exception:  # noqa: BLE001 - the next beat must come, whatever this one met
                _log.exception("heartbeat: a fault of the kernel ended the beat")

    async def beat(self) -> Row:
        """Look after the image once; gives what was found, which is also a line of the metacognition log."""
        began = time.monotonic()
        share = _SHARE * self._uvm.settings.heartbeat_seconds
        deadline = began + min(_MOST_SECONDS, max(_LEAST_SECONDS, share))
        found: Row = {"audited": 0, "findings": [], "rerun": 0, "failing": [], "retried": None, "repaired": None}
        for method in self._turned((await self._uvm.image.study(installed)).value):
            if time.monotonic() > deadline or not self._idle():
                found["cut_short"] = True
                break
            await self._look_at(method, found)
            self._reached = method["holder"].hex, method["selector"]
        if not found.get("cut_short"):
            found["retried"] = await self._retry()
            found |= await self._tidy()
        ill = next((row for row in found["failing"] if _named(row) not in self._mended), None)
        if ill is not None and self._uvm.settings.self_missions == "on":
            self._mended.add(_named(ill))
            found["repaired"] = await self._repair(ill)
        found["seconds"] = round(time.monotonic() - began, 3)
        self._beats, self._last = self._beats + 1, found
        await self._uvm.log(
            {"cycle_id": None, "event_type": "HEARTBEAT", "current_state": None, "persona": "ALFRED", **found}
        )
        return found

    async def _quiet_moment(self) -> None:
        for wait in itertools.repeat(_LOOK_SECONDS):
            if self._idle():
                return
            await asyncio.sleep(wait)

    def _idle(self) -> bool:
        return self._uvm.orchestrator.statistics()["in_progress"] == 0

    def _turned(self, methods: list[Row]) -> list[Row]:
        """Methods in the order of their names, from where the last beat came to an end; so each has its turn."""
        ordered = sorted(methods, key=lambda method: (method["holder"].hex, method["selector"]))
        after = [m for m in ordered if (m["holder"].hex, m["selector"]) > self._reached]
        return after + ordered[: len(ordered) - len(after)]

    async def _look_at(self, method: Row, found: Row) -> None:
        settings, name = self._uvm.settings, f"{method['holder'].hex}.{method['selector']}"
        audit = await self._uvm.sandbox.audit(method["source"], method["selector"], policy=settings.guardian_policy)
        found["audited"] += 1
        # What would have to be mended breaks a rule, too: what is installed was mended before.
        amiss = [finding["message"] for finding in audit.findings] + [
            f"it lacks a mend: {mend}" for mend in audit.mends
        ]
        found["findings"] += [f"{name}: {message}" for message in amiss[:1]]
        if not method["examples"] and not method["laws"]:
            return
        brief = {"selector": method["selector"], "examples": method["examples"]}
        trial = Trial(
            self._uvm.image,
            self._uvm.sandbox,
            method["holder"],
            brief,
            Duties(tuple(method["laws"]), active=method["source"], since=method["since"]),
            capabilities=self._uvm.capabilities,
        )
        verdict = await trial.run(method["source"], proceed=False)
        found["rerun"] += 1
        if not verdict.passed:
            found["failing"].append({"target": method["holder"].hex, **_of(method), "finding": verdict.finding})

    async def _retry(self) -> str | None:
        """Start the newest failed mission that was not retried before; gives its selector."""
        for record in (await self._uvm.image.study(failed)).value:
            named = f"heartbeat retries {record['cycle_id']}"
            mandate = Mandate(
                target=record["target"],
                brief=record["brief"],
                brief_hash=record["brief_hash"],
                proceed=False,
                request_id=named,
                body_hash="retry",
                origin="heartbeat",
            )
            try:
                if await self._uvm.orchestrator.known(mandate) is None:
                    await self._uvm.orchestrator.accept(mandate)
                    return str(record["selector"])
            except BatosError as error:
                _log.info("the mission %s cannot be retried: %s", record["selector"], error.message)
        return None

    async def _repair(self, failing: Row) -> str | None:
        """Start a repair of a method whose evidence does not hold any more: a mission of the system's own making.

        One that comes after another mission, or waits for a person, goes on without the beat.
        """
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                word = await self._uvm.keeper.repair(failing["target"], failing["selector"], origin="heartbeat")
        except TimeoutError:
            return None
        return str(failing["selector"]) if word.get("installed") else None

    async def _tidy(self) -> Row:
        """Check the image, and pack it by retention."""
        told: Row = {}
        try:
            report = await asyncio.to_thread(self._uvm.upkeep.do, ImageWork(command="image", action="check"), _quiet)
            told["image"] = "damaged" if report["bad"] else "sound"
            await asyncio.to_thread(self._uvm.upkeep.pack, None, _quiet)
            told["packed"] = True
        except BatosError as error:
            told["image"] = error.message
        return told


def installed(view: View) -> list[Row]:
    """The active methods of all objects, with what they must keep to."""
    rows = []
    for obj in mirrors.everyone(view):
        view.breathe()
        for selector, value in list(own(obj).items()):
            if isinstance(value, MethodVersion):
                brief = to_plain(view, value.provenance).get("mission_brief", {})
                ref = view.ref(obj)
                rows.append(
                    {
                        "holder": ref,
                        "selector": selector,
                        "source": value.source,
                        "version": value.version,
                        "since": laws.since(view, ref, selector),
                        "examples": brief.get("examples") or [],
                        "laws": laws.examples(view, ref, selector),
                    }
                )
    return rows


def failed(view: View) -> list[Row]:
    """Failed missions whose message nobody understands yet, newest first."""
    records = cycles.listing(view, "FAILED", _FAILED)
    return [record for record in records if _is_open(view, record)]


def _is_open(view: View, record: Row) -> bool:
    error = (record.get("error") or {}).get("type")
    if (
        record["kind"] != "mission"
        or (record.get("origin") and not record.get("depth"))
        or not record.get("ended")
        or error in ("Cancelled", "UnknownTarget")
    ):
        return False
    try:
        return dispatch.look(view, record["target"], record["selector"]).kind == "missing"
    except BatosError:
        return False


def _named(failing: Row) -> tuple[str, str, int]:
    return failing["target"], failing["selector"], failing["version"]


def _of(method: Row) -> Row:
    return {key: method[key] for key in ("selector", "version")}


def _quiet(what: str, done: int, total: int) -> None:
    del what, done, total
