"""The two ends of a cycle: COMPLETE runs the message and installs in one transaction, FAILED records why."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from batos import codec
from batos.calls.overlay import Overlay
from batos.cognition import brief as briefs
from batos.cognition.evidence import show_call
from batos.cognition.reach import reach_of
from batos.cognition.services import Context, LogLine, Step
from batos.errors import CodeError, ModelError, PolicyViolation, to_wire
from batos.image import cycles, failures, methods
from batos.memory import catalog

if TYPE_CHECKING:
    from batos.image import dispatch
    from batos.image.store import View


def digest(value: Any) -> str:
    """The sha256 of a text, or of plain data by its wire form."""
    data = value.encode() if isinstance(value, str) else codec.pack([dict(m) for m in value])
    return hashlib.sha256(data).hexdigest()


async def complete(ctx: Context) -> Step:
    """Run the original message on the candidate, then install: version, slots, catalog and last word together."""
    _check_evidence(ctx)
    proceed = bool(ctx.record["proceed"]) and not ctx.data.get("needs") and ctx.record["kind"] != "install"
    overlay = Overlay(ctx.services.image)
    outcome: dict[str, Any] = {}
    if proceed:
        try:
            overlay, outcome = await _proceed(ctx, ctx.data["verdict"]["sha256"])
        except PolicyViolation as error:
            return _stopped(ctx, error)
    elif ctx.data.get("needs") and ctx.record["proceed"]:
        outcome = {"needs": ctx.data["needs"]}

    def effect(view: View) -> dict[str, Any]:
        version = _install(view, ctx)
        overlay.apply(view)
        return {"version": version, **_settled(view, overlay, outcome)}

    last_word = {
        "status": "COMPLETE",
        "selector": ctx.brief["selector"],
        "installed": True,
        "source": ctx.data["generated_artifact"],
        "message": _message(ctx, outcome),
        **_said(outcome),
    }
    log = [
        ("METHOD_INSTALLED", {"selector": ctx.brief["selector"], "sha256": ctx.data["verdict"]["sha256"]}),
        ("FINAL_OUTCOME", {"outcome": "COMPLETE"}),
    ]
    return Step(None, log=log, effect=effect, last_word=last_word)


def _stopped(ctx: Context, error: PolicyViolation) -> Step:
    """End a mission whose method, right as its trial was, changes what is beyond its reach when it is really sent."""
    number = len(ctx.record["attempts"]) + 1
    found = {"source": ctx.data["generated_artifact"], "finding": error.message, "kind": "policy"}
    attempt = {"n": number, **found, "runs": len(ctx.data.get("evidence", []))}
    changes = {"attempts": [*ctx.record["attempts"], attempt], "error": to_wire(error), "failed_in": "COMPLETE"}
    event = {"event": "attempt", "n": number, "finding": error.message}
    log: list[LogLine] = [("VALIDATION_FAILURE", {"error": error.message, "attempt": number})]
    return Step("FAILED", changes=changes, events=[event], log=log)


async def understood(ctx: Context, looked: dispatch.Looked) -> Step:
    """End a mission whose message is understood by now: nothing is written, the message is sent."""
    brief = ctx.brief
    args, kwargs = brief.get("args", []), brief.get("kwargs", {})
    overlay = Overlay(ctx.services.image)
    needs = briefs.missing_values(looked.signature, args, kwargs)
    outcome: dict[str, Any] = {}
    if ctx.record["proceed"] and needs:
        outcome = {"needs": needs}
    elif ctx.record["proceed"]:
        overlay, outcome = await _proceed(ctx, looked.sha256)

    def effect(view: View) -> dict[str, Any]:
        overlay.apply(view)
        return _settled(view, overlay, outcome)

    last_word = {
        "status": "COMPLETE",
        "selector": brief["selector"],
        "installed": False,
        "version": looked.version,
        "source": looked.source,
        "message": f"{brief['selector']} was understood already.",
        **_said(outcome),
    }
    return Step(None, log=[("FINAL_OUTCOME", {"outcome": "COMPLETE"})], effect=effect, last_word=last_word)


def _settled(view: View, overlay: Overlay, outcome: dict[str, Any]) -> dict[str, Any]:
    """The result with the references that new objects have got with this transaction, or the error with its record."""
    if "post_mortem" in outcome:
        return {"call_error": {**outcome["call_error"], "failure": failures.record(view, outcome["post_mortem"])}}
    return {"result": overlay.settled(outcome["result"])} if "result" in outcome else {}


def _said(outcome: dict[str, Any]) -> dict[str, Any]:
    """What a last word has of the call."""
    return {key: value for key, value in outcome.items() if key != "post_mortem"}


def left_alone(ctx: Context, looked: dispatch.Looked) -> Step:
    """End a repair of a method that is right as it is."""
    selector = ctx.brief["selector"]
    last_word = {
        "status": "COMPLETE",
        "selector": selector,
        "installed": False,
        "version": looked.version,
        "source": looked.source,
        "message": f"{selector} keeps to all that is known of it; nothing was changed.",
    }
    return Step(None, log=[("FINAL_OUTCOME", {"outcome": "COMPLETE"})], last_word=last_word)


def _check_evidence(ctx: Context) -> None:
    """Hold the state machine to its promise, whatever the states before answered."""
    verdict = ctx.data.get("verdict") or {}
    if verdict.get("guardian") != "passed" or verdict.get("sha256") != digest(ctx.data["generated_artifact"]):
        raise ModelError("The source to install is not the one that the Guardian passed", "Start the mission again.")
    if not all(run.get("passed") for run in ctx.data.get("evidence", [])):
        raise ModelError("The evidence holds a run that did not pass", "Start the mission again.")


async def _proceed(ctx: Context, sha256: str) -> tuple[Overlay, dict[str, Any]]:
    """Send the original message to the source with this digest; its writes stay in the overlay."""
    image, sandbox = ctx.services.image, ctx.services.sandbox
    brief = ctx.brief
    overlay = Overlay(image, selector=brief["selector"], capabilities=ctx.services.capabilities)
    call = ctx.target, brief["selector"], brief.get("args", []), brief.get("kwargs", {})
    try:
        outcome = await sandbox.call(
            overlay,
            *call,
            source=ctx.data.get("generated_artifact"),
            reach=await reach_of(ctx),
        )
    except PolicyViolation:
        raise
    except CodeError as error:
        moment = overlay.tid or image.statistics()["tid"]
        post_mortem = failures.told(error, *call, sha256=sha256, tid=moment)
        return Overlay(image), {"call_error": to_wire(error), "post_mortem": post_mortem}
    said = {"output": outcome.output} if outcome.output else {}
    return overlay, {"result": outcome.result, **said}


def _install(view: View, ctx: Context) -> int:
    _check_evidence(ctx)
    brief, verdict, record = ctx.brief, ctx.data["verdict"], ctx.record
    target = view.get(ctx.target)
    installed = methods.install(
        view,
        target,
        brief["selector"],
        ctx.data["generated_artifact"],
        provenance(ctx),
        signature=verdict["signature"],
        summary=verdict["summary"] or _summary(brief),
    )
    about = (brief["selector"], verdict["signature"], verdict["summary"], brief.get("intent") or "")
    catalog.index_capability(view, ctx.target.hex, *about, source=ctx.data["generated_artifact"])
    if brief.get("intent") and record["kind"] == "mission":
        cycles.remember_words(view, brief["intent"], ctx.target.hex, _remembered(brief))
    return int(installed.version)


def _summary(brief: briefs.Brief) -> str:
    # A method that brought no docstring is described by the Architect's words.
    return str(brief.get("intent") or brief["selector"].replace("_", " "))


def _remembered(brief: briefs.Brief) -> briefs.Brief:
    return {key: value for key, value in brief.items() if key != "version"}


def provenance(ctx: Context) -> dict[str, Any]:
    """Everything that led to the version: mission, author, attempts, audit, evidence."""
    record = ctx.record
    origin = {"install": "architect", "correct": "correction"}.get(record["kind"], record["kind"])
    author = ctx.data.get("author", {})
    # The prompt drops its last snippets first.
    chunks = [snippet["id"] for snippet in ctx.data.get("retrieved_context", [])]
    used = len(chunks) - author.get("dropped", 0)
    return {
        "origin": origin,
        "asked_by": record.get("origin") or "requester",
        "cycle_id": record["cycle_id"],
        "mission_brief": ctx.brief,
        "mission_brief_hash": record["brief_hash"],
        "persona": record["persona"],
        "author": author,
        "chunks": chunks[:used],
        "chunks_dropped": chunks[used:],
        "attempts": record["attempts"],
        "chosen": ctx.data.get("chosen", {}),
        "guardian": {key: ctx.data["verdict"][key] for key in ("guardian", "mends", "warnings")},
        "evidence": ctx.data.get("evidence", []),
        "approved_by": record.get("approved"),
    }


def _message(ctx: Context, outcome: dict[str, Any]) -> str:
    selector, name = ctx.brief["selector"], ctx.record["target_name"]
    text = f"{name} now understands {selector}."
    if outcome.get("needs"):
        return f"{text} To send it, give {', '.join(outcome['needs'])}."
    if "call_error" in outcome:
        call = show_call(selector, ctx.brief.get("args", []), ctx.brief.get("kwargs", {}))
        return f"{text} {call} raised: {outcome['call_error']['message']}"
    return text


async def failed(ctx: Context) -> Step:
    """End the cycle with what went wrong; the target is as it was."""
    error = ctx.record.get("error") or {"type": "ModelError", "message": "The cycle failed", "hint": ""}
    best = max((item for item in ctx.record["attempts"] if item["n"]), key=briefs.rank, default=None)
    last_word = {
        "status": "FAILED",
        "state": ctx.record.get("failed_in"),
        "selector": ctx.brief["selector"],
        "error": error,
        "attempts": ctx.record["attempts"],
        "best": best,
        "message": error["message"],
    }
    log = [("FINAL_OUTCOME", {"outcome": "FAILED", "error": error["type"]})]
    return Step(None, log=log, last_word=last_word)
