"""Taking a mission in: the durable record that a cycle begins with. Everything here runs inside a unit of work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from batos import codec
from batos.cognition import schema
from batos.errors import BadField
from batos.image import cycles, laws, lookup, methods, outbox

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.image.objects import UvmObject
    from batos.image.store import View

MENDING = ("correct", "repair")
"""Kinds of cycles that mend a method which is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """What a requester wants of a cycle.

    Args:
        target: Name of a root object, or a reference.
        brief: The mission brief, checked, as plain data.
        brief_hash: sha256 of the brief as received.
        proceed: Whether the message is to be sent once it is understood.
        kind: `mission`; `install` for the Architect's own source; `correct` for a permanent example and the repair that it
            asks for; `repair` for a method that failed.
        source: The Architect's own source.
        request_id: The requester's durable name for the request, or empty.
        body_hash: sha256 of the whole request, to tell another one with the same name.
        origin: Who asks where no requester does: `heartbeat`, `self-repair`, `method SELECTOR of OBJECT`.
        depth: How deep in calls it came up: 0 for a requester's own, 1 for a message that a method sent, 2 for one that a method
            sent which was learned for that, and so on.
    """

    target: str | Ref
    brief: dict[str, Any]
    brief_hash: str
    proceed: bool = True
    kind: str = "mission"
    source: str = ""
    request_id: str = ""
    body_hash: str = ""
    origin: str = ""
    depth: int = 0


def known(view: View, mandate: Mandate) -> str | None:
    """The cycle that the mandate's `request_id` names already.

    Raises:
        BadField: It names one that began with another body.
    """
    if not mandate.request_id:
        return None
    bound = cycles.request(view, mandate.request_id)
    if bound is None:
        return None
    if bound["body"] != mandate.body_hash:
        raise BadField(
            f"The request_id {mandate.request_id!r} came with another body before", "Choose a new request_id."
        )
    return str(bound["cycle_id"])


def accept(view: View, mandate: Mandate, cycle_id: str, default_persona: str, now: str) -> dict[str, Any]:
    """Open a cycle, or find the one to join; gives `cycle_id` and whether it is `new`."""
    there = known(view, mandate)
    if there is not None:
        return {"cycle_id": there, "new": False}
    if mandate.kind in MENDING:
        mandate = _mending(view, mandate, now)
    target = view.resolve(mandate.target)
    ref = view.ref(target)
    _check_slot(target, mandate)
    joined, after = _others(view, ref, mandate)
    if joined is None:
        record = _record(view, mandate, cycle_id, target, _persona(view, target, mandate.brief, default_persona), now)
        record["after"] = after
        cycles.open_cycle(view, cycle_id, record, [{"event": "accepted", "cycle_id": cycle_id}])
        told = {"selector": record["selector"], "target_oid": ref.hex}
        own = {"asked_by": mandate.origin} if mandate.origin else {}
        outbox.append(view, line(record, "MISSION_ACCEPTED", now, {**told, **own}))
    elif mandate.brief.get("approve"):
        _ask_approval(view, joined)
    if mandate.request_id:
        cycles.bind_request(view, mandate.request_id, joined or cycle_id, mandate.body_hash)
    return {"cycle_id": joined or cycle_id, "new": joined is None}


def joins(view: View, mandate: Mandate) -> bool:
    """Tell whether a mandate would join a cycle that is there, and so needs no place of its own."""
    if known(view, mandate) is not None:
        return True
    return _others(view, view.ref(view.resolve(mandate.target)), mandate)[0] is not None


def _others(view: View, ref: Ref, mandate: Mandate) -> tuple[str | None, str | None]:
    """The active cycle that a mandate joins, and the one that it comes after.

    A mission joins one that asks for the same. One that asks for something else of the same selector (another call of it,
    say) waits until that has ended, so that the method is written once, and so does one that wants an approval where it is
    too late to ask. The Architect's own source is never dropped in favour of a mission that is on its way.
    """
    if mandate.kind == "install":
        return None, None
    wanted, last = _asked(mandate.kind, mandate.brief, proceed=mandate.proceed), None
    for record in cycles.alike(view, ref, mandate.brief["selector"]):
        alike = _asked(record["kind"], record["brief"], proceed=record["proceed"]) == wanted
        late = record["state"] == "COMPLETE" and mandate.brief.get("approve") and not record.get("approved")
        if mandate.kind != "correct" and alike and not late:
            return str(record["cycle_id"]), None
        last = str(record["cycle_id"])
    return None, last


def _ask_approval(view: View, cycle_id: str) -> None:
    """Make a cycle that somebody joins wait for an approval before it installs."""
    record = cycles.load(view, cycle_id)
    if record is not None and not record["brief"].get("approve"):
        cycles.save(view, cycle_id, {"brief": {**record["brief"], "approve": True}}, [])


def _mending(view: View, mandate: Mandate, now: str) -> Mandate:
    """Turn to the object that holds the method, with the brief that the method was made from; an example becomes law.

    Raises:
        UnknownTarget: The target does not answer the selector by a method.
    """
    selector = mandate.brief["selector"]
    ref = laws.holder(view, mandate.target, selector)
    if mandate.kind == "correct":
        for example in mandate.brief.get("examples", []):
            laws.add_example(view, ref, selector, {**example, "time": now, "tid": view.tid})
    told = methods.version(view, view.get(ref), selector)["provenance"].get("mission_brief", {})
    kept = {key: told[key] for key in ("intent", "parameters", "persona", "examples") if told.get(key)}
    brief = {"type": "unhandled_message", "selector": selector, **kept, "version": "new"}
    if mandate.brief.get("approve"):
        brief["approve"] = True
    return replace(mandate, target=ref, brief=brief, proceed=False)


def _asked(kind: str, brief: dict[str, Any], *, proceed: bool) -> bytes:
    call = [brief.get("args") or [], brief.get("kwargs") or {}] if proceed else []
    return codec.pack([kind, proceed, brief.get("version"), call])


def _check_slot(target: UvmObject, mandate: Mandate) -> None:
    """Refuse a mission that could not be installed in the end."""
    selector = mandate.brief["selector"]
    if selector in target._slots and not isinstance(target._slots[selector], methods.MethodVersion):
        raise BadField(
            f"{selector!r} is a slot of {mandate.target}, not a method", "Choose another selector, or remove the slot."
        )


def _record(view: View, mandate: Mandate, cycle_id: str, target: UvmObject, persona: str, now: str) -> dict[str, Any]:
    name = mandate.target if isinstance(mandate.target, str) else mandate.target.hex
    data = {"candidates": [mandate.source], "generated_artifact": mandate.source} if mandate.kind == "install" else {}
    return {
        "cycle_id": cycle_id,
        "schema": schema.VERSION,
        "kind": mandate.kind,
        "state": "IDLE",
        "target": view.ref(target),
        "target_name": name,
        "selector": mandate.brief["selector"],
        "brief": mandate.brief,
        "brief_hash": mandate.brief_hash,
        "proceed": mandate.proceed,
        "persona": persona,
        "origin": mandate.origin,
        "depth": mandate.depth,
        "started": now,
        "updated": now,
        "elapsed": 0.0,
        "attempts": [],
        "awaiting": None,
        "data": data,
    }


def _persona(view: View, target: UvmObject, brief: dict[str, Any], default: str) -> str:
    """The brief's persona, else the one of the nearest codex by delegation, else the default."""
    wanted = str(brief.get("persona") or "").upper()
    if wanted:
        if f"{wanted.lower()}_prototype_obj" not in view.root:
            raise BadField(f"There is no persona {wanted!r}", "There are ALFRED, BRICK, ROBIN and BABS.")
        return wanted
    found = lookup.find(target, "codex")
    named = found.value.get("persona") if found is not None and isinstance(found.value, dict) else None
    return str(named or default).upper()


def line(record: dict[str, Any], event_type: str, now: str, fields: dict[str, Any]) -> dict[str, Any]:
    """One line of the metacognition log, without its sequence number."""
    return {
        "timestamp": now,
        "cycle_id": record["cycle_id"],
        "mission_brief_hash": record["brief_hash"],
        "event_type": event_type,
        "current_state": record["state"],
        **fields,
    }
