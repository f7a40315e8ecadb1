"""The trial: a candidate runs in the sandbox on a copy of the target's real state; what it shows is the evidence."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batos import codec
from batos.calls.overlay import Overlay
from batos.cognition import brief as briefs
from batos.cognition import growth
from batos.cognition.compare import same
from batos.cognition.kinds import kind_wanted
from batos.errors import BatosError, CodeError, MethodError, PolicyViolation, UnknownTarget
from batos.plain import shown

if TYPE_CHECKING:
    from batos.calls.overlay import Capabilities
    from batos.codec import Ref
    from batos.cognition.services import Runner
    from batos.image.store import Image
    from batos.sandbox.world import Outcome, Reach


NOT_COMPARED = "not compared: its moment was packed away"
_UNCHANGED = "{call} changed nothing: keep what is to be remembered in a slot of self, as in self.notes"


@dataclass(slots=True)
class Verdict:
    """What a trial found.

    Args:
        passed: Whether the candidate may be installed.
        finding: What went wrong first, for people and for the model; empty when it passed.
        evidence: One plain record for each run.
        kind_wanted: The type that the result should have been made of, where only its type was wrong.
        beyond: Whether it changed what is beyond its reach.
    """

    passed: bool
    finding: str = ""
    evidence: list[dict[str, Any]] = field(default_factory=list)
    kind_wanted: str = ""
    beyond: bool = False


@dataclass(frozen=True, slots=True)
class Duties:
    """What a method must keep to beside the brief.

    Args:
        examples: Its permanent examples; they stand above those of the brief.
        calls: Calls of it that came out well, each to be made again at its moment.
        failed: Calls that raised, which must come back.
        active: The source that made the good calls, whose changes they must go on making; empty: not asked for.
    """

    examples: tuple[dict[str, Any], ...] = ()
    calls: tuple[dict[str, Any], ...] = ()
    failed: tuple[dict[str, Any], ...] = ()
    active: str = ""


class _Beyond(Exception):
    """A candidate changed what is beyond its reach; the text says what, and what to do instead."""


class Trial:
    """Runs candidates of one mission.

    Args:
        image: The image.
        sandbox: Where candidates run.
        target: The object that is to understand the selector.
        brief: The mission brief.
        duties: What the method must keep to besides.
        at: The moment whose state it runs on; None takes what is there now.
        capabilities: Runs the primitives that objects may be granted, by name.
        reach: What a candidate may change besides its object; None does not hold it to anything.
    """

    def __init__(
        self,
        image: Image,
        sandbox: Runner,
        target: Ref,
        brief: briefs.Brief,
        duties: Duties | None = None,
        *,
        at: str | None = None,
        capabilities: Capabilities | None = None,
        reach: Reach | None = None,
    ) -> None:
        self._at = at
        self._reach = reach
        self._capabilities = capabilities
        self._duties = duties or Duties()
        self._image = image
        self._sandbox = sandbox
        self._target = target
        self._brief = brief
        self._selector = str(brief["selector"])

    async def _make(
        self,
        overlay: Overlay,
        receiver: Ref,
        args: list[Any],
        kwargs: dict[str, Any],
        source: str,
        reach: Reach | None = None,
    ) -> Outcome:
        """Make one call of a source."""
        call = overlay, receiver, self._selector, args, kwargs
        try:
            return await self._sandbox.call(*call, source=source, fixed=True, reach=reach)
        except PolicyViolation as error:
            raise _Beyond(f"{error.message}. {error.hint}") from None

    async def run(self, source: str, *, proceed: bool, must_change: bool = False) -> Verdict:
        """Try a candidate on every example, each on a fresh copy; without examples on the arguments to proceed with.

        Args:
            source: The candidate, audited.
            proceed: Whether the brief's call is to be made.
            must_change: Whether a call without examples must change its object.
        """
        evidence: list[dict[str, Any]] = []
        try:
            return await self._run(source, evidence, proceed=proceed, must_change=must_change)
        except _Beyond as beyond:
            evidence.append({"kind": "beyond its reach", "message": str(beyond), "passed": False})
            return Verdict(passed=False, finding=str(beyond), evidence=evidence, beyond=True)

    async def _run(self, source: str, evidence: list[dict[str, Any]], *, proceed: bool, must_change: bool) -> Verdict:
        verdict = Verdict(passed=True, evidence=evidence)
        # Reading examples off long words takes its time: not on the loop.
        told = await asyncio.to_thread(briefs.examples, self._brief)
        law = [{**example, "kind": "law"} for example in self._duties.examples]
        examples = law + [example for example in told if not any(_same_call(example, other) for other in law)]
        for example in examples:
            overlay = Overlay(self._image, at=self._at, selector=self._selector, capabilities=self._capabilities)
            finding = await self._steps(overlay, source, example, verdict.evidence)
            if finding:
                kind = kind_wanted(verdict.evidence[-1], [item.get("result") for item in examples])
                return Verdict(passed=False, finding=finding, evidence=verdict.evidence, kind_wanted=kind)
        for kind, again in (("good call", self._duties.calls), ("failed call", self._duties.failed)):
            for call in again:
                finding = await self._again(source, call, kind, verdict.evidence)
                if finding:
                    return Verdict(passed=False, finding=finding, evidence=verdict.evidence)
        if not examples and proceed:
            finding = await self._rehearse(source, verdict.evidence, must_change=must_change)
            if finding:
                return Verdict(passed=False, finding=finding, evidence=verdict.evidence)
        return verdict

    async def _steps(
        self, overlay: Overlay, source: str, example: dict[str, Any], evidence: list[dict[str, Any]]
    ) -> str:
        for step in example.get("steps") or [example]:
            finding = await self._one(overlay, source, step, evidence)
            if finding:
                return finding
        return ""

    async def _one(self, overlay: Overlay, source: str, step: dict[str, Any], evidence: list[dict[str, Any]]) -> str:
        args, kwargs = step.get("args", []), step.get("kwargs", {})
        got: dict[str, Any] = {}
        try:
            outcome = await self._make(overlay, self._target, args, kwargs, source, self._reach)
            got["result"] = overlay.described(outcome.result)
        except CodeError as error:
            got["error"] = error_name(error)
            got["message"] = error.message
            got["line"] = error.details.get("line")
        finding = self._judge(step, got) or await self._judge_slots(step, overlay)
        evidence.append(
            {
                "kind": step.get("kind", "example"),
                "args": _kept(args),
                "kwargs": _kept(kwargs),
                "expected": _kept(_expected(step)),
                "got": _kept(got),
                "passed": not finding,
            }
        )
        return finding

    def _judge(self, step: dict[str, Any], got: dict[str, Any]) -> str:
        call = show_call(self._selector, step.get("args", []), step.get("kwargs", {}))
        wanted_error = step.get("error")
        if wanted_error:
            if got.get("error") == wanted_error:
                return ""
            return f"{call} must raise {wanted_error}, but " + (
                f"raised {got['error']}" if "error" in got else f"gave {shown(got['result'])}"
            )
        if "error" in got:
            return f"{call} raised {got['message']}" + _at_line(got)
        if "result" in step and not same(step["result"], got["result"]):
            return f"{call} must give {shown(step['result'])}, but gave {shown(got['result'])}"
        return ""

    async def _judge_slots(self, step: dict[str, Any], overlay: Overlay) -> str:
        wanted = step.get("slots") or {}
        if not wanted:
            return ""
        slots, _ = await overlay.snapshot(self._target)
        for name, value in wanted.items():
            if name not in slots:
                return f"afterwards self.{name} must be {shown(value)}, but there is no such slot"
            if not same(value, slots[name]):
                return f"afterwards self.{name} must be {shown(value)}, but is {shown(slots[name])}"
        return ""

    async def _again(self, source: str, call: dict[str, Any], kind: str, evidence: list[dict[str, Any]]) -> str:
        """Make a call of the past again, at its moment: what came out well must come out the same, the rest must come back."""
        overlay = Overlay(self._image, at=call["tid"], selector=self._selector)
        args, kwargs = call["args"], call["kwargs"]
        record: dict[str, Any] = {"kind": kind, "args": _kept(args), "kwargs": _kept(kwargs), "tid": call["tid"]}
        evidence.append(record)
        finding = ""
        try:
            # What a good call changes is held against what it changed so far.
            reach = self._reach if kind == "failed call" and call["receiver"] == self._target else None
            outcome = await self._make(overlay, call["receiver"], args, kwargs, source, reach)
            record["got"] = {"result": _kept(overlay.described(outcome.result))}
            if kind == "good call" and not same(call["result"], outcome.result):
                shown_call = show_call(self._selector, args, kwargs)
                finding = f"{shown_call} gave {shown(call['result'])} so far and must go on so, but gave {shown(outcome.result)}"
            elif kind == "good call" and self._duties.active:
                finding = await self._other_changes(call, overlay)
        except UnknownTarget:
            record["skipped"] = NOT_COMPARED
        except CodeError as error:
            record["got"] = {"error": error_name(error), "message": error.message, "line": error.details.get("line")}
            finding = f"{show_call(self._selector, args, kwargs)} raised {error.message}" + _at_line(record["got"])
        record["passed"] = not finding
        return finding

    async def _other_changes(self, call: dict[str, Any], overlay: Overlay) -> str:
        """What a good call changes otherwise than the active method does at the same moment."""
        before = Overlay(self._image, at=call["tid"], selector=self._selector)
        args, kwargs = call["args"], call["kwargs"]
        try:
            await self._make(before, call["receiver"], args, kwargs, self._duties.active)
        except CodeError:
            return ""  # the active method fails there: nothing to go by
        for ref in before.writes.keys() | overlay.writes.keys():
            old, new = before.writes.get(ref, {}), overlay.writes.get(ref, {})
            for name in sorted(old.keys() | new.keys()):
                if name not in old or name not in new or not same(old[name], new[name]):
                    return f"{show_call(self._selector, args, kwargs)} must leave {name} as it did so far"
        return ""

    async def _rehearse(self, source: str, evidence: list[dict[str, Any]], *, must_change: bool) -> str:
        """Make the brief's call; one that changes the object is made twice, so that the second sees the first's effect."""
        overlay = Overlay(self._image, selector=self._selector, capabilities=self._capabilities)
        finding = await self._call(source, overlay, evidence, "call")
        if finding:
            return finding
        if overlay.writes:
            return await self._call(source, overlay, evidence, "second call")
        if must_change:
            call = show_call(self._selector, self._brief.get("args", []), self._brief.get("kwargs", {}))
            evidence[-1]["passed"] = False
            return _UNCHANGED.format(call=call)
        return ""

    async def doubt(self, source: str, words: str, *, must_change: bool) -> dict[str, Any] | None:
        """Make calls one after the other, and look whether what the first kept outlives the others.

        Args:
            source: A candidate that passed.
            words: The mission's words.
            must_change: Whether the calls must change something.

        Returns:
            A record for the evidence, with a `doubt` where something is lost; None where that cannot be told.
        """
        told = growth.calls(self._brief)
        if told is None:
            return None
        overlay = Overlay(self._image, selector=self._selector, capabilities=self._capabilities)
        left = [(await overlay.snapshot(self._target))[0]]
        try:
            for args, kwargs in (told[0], *told):
                await self._make(overlay, self._target, args, kwargs, source, self._reach)
                left.append((await overlay.snapshot(self._target))[0])
        except (CodeError, _Beyond):
            return None  # it was made for other arguments, or does not take the same twice
        args, kwargs = told[1]
        changed = sorted(overlay.writes.get(self._target, {}))
        record = {
            "kind": "another call",
            "args": _kept(args),
            "kwargs": _kept(kwargs),
            "changed": changed,
            "passed": True,
        }
        if not overlay.writes and not must_change:
            return None
        first, other = (show_call(self._selector, *call) for call in told)
        lost = growth.doubt(words, told, left)
        if not overlay.writes:
            record["doubt"] = _UNCHANGED.format(call=first)
        elif lost:
            record["doubt"] = (
                f"after {first}, the same again and {other}, self.{lost} is {shown(left[-1][lost])}: what calls before kept "
                f"is gone. Add to what is in self.{lost} already, and make it only where it is not there yet"
            )
        return record

    async def _call(self, source: str, overlay: Overlay, evidence: list[dict[str, Any]], kind: str) -> str:
        args, kwargs = self._brief.get("args", []), self._brief.get("kwargs", {})
        call = show_call(self._selector, args, kwargs) + (" again" if kind == "second call" else "")
        record: dict[str, Any] = {"kind": kind, "args": _kept(args), "kwargs": _kept(kwargs), "passed": False}
        evidence.append(record)
        try:
            outcome = await self._make(overlay, self._target, args, kwargs, source, self._reach)
        except CodeError as error:
            got = {"error": error_name(error), "message": error.message, "line": error.details.get("line")}
            record["got"] = got
            return f"{call} raised {error.message}" + _at_line(got)
        changed = sorted({name for slots in overlay.writes.values() for name in slots})
        record |= {"got": {"result": _kept(overlay.described(outcome.result))}, "passed": True}
        if changed:
            record["changed"] = changed
        finding = _printed(outcome.result, outcome.output, call)
        record["passed"] = not finding
        return finding


def _same_call(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one.get("steps") or other.get("steps"):
        return False
    return all(same(one.get(key) or empty, other.get(key) or empty) for key, empty in (("args", []), ("kwargs", {})))


_EVIDENCE_BYTES = 4096
_EVIDENCE_DEPTH = 16


def _kept(value: Any) -> Any:
    """A value as evidence keeps it: itself where it is small and shallow, else its text."""
    try:
        small = len(codec.pack(value)) <= _EVIDENCE_BYTES
    except codec.CodecError:
        small = False
    return value if small and not _deeper(value, _EVIDENCE_DEPTH) else {"shown": shown(value)}


def _deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if not isinstance(value, (list, tuple, set, frozenset)):
        return False
    return levels == 0 or any(_deeper(item, levels - 1) for item in value)


def error_name(error: BatosError) -> str:
    """The name of what a call raised: the method's own exception, or our type."""
    if isinstance(error, MethodError):
        return str(error.details.get("error_type") or "MethodError")
    return type(error).__name__


def show_call(selector: str, args: list[Any], kwargs: dict[str, Any]) -> str:
    """A call as people write it, long values folded."""
    parts = [shown(arg) for arg in args] + [f"{key}={shown(value)}" for key, value in kwargs.items()]
    return f"{selector}({', '.join(parts)})"


def _printed(result: Any, output: str, call: str) -> str:
    # Small models print where they should answer.
    return (
        f"{call} printed its answer and returned None: return it instead" if result is None and output.strip() else ""
    )


def _expected(step: dict[str, Any]) -> dict[str, Any]:
    return {
        key: step[key]
        for key in ("result", "error", "slots")
        if step.get(key) is not None or (key == "result" and key in step)
    }


def _at_line(got: dict[str, Any]) -> str:
    return f" at line {got['line']}" if got.get("line") else ""
