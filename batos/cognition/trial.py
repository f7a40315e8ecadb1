"""The trial: a candidate runs in the sandbox on a copy of the target's real state; what it shows is the evidence."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batos.calls.overlay import Overlay
from batos.cognition import brief as briefs
from batos.cognition import growth
from batos.cognition.compare import same
from batos.cognition.evidence import at_line, error_name, expected, kept, show_call
from batos.cognition.kinds import kind_wanted
from batos.errors import CodeError, PolicyViolation, UnknownTarget
from batos.image import failures
from batos.plain import shown

if TYPE_CHECKING:
    from batos.calls.overlay import Capabilities
    from batos.codec import Ref
    from batos.cognition.services import Runner
    from batos.image.store import Image
    from batos.sandbox.world import Outcome, Reach


NOT_COMPARED = "not compared: its moment was packed away"
_STUMBLES = ("KeyError", "TypeError", "AttributeError")
_PLAIN_BACK = "A slot gives back plain data: a Counter or a defaultdict comes back as a dict, so read it with get"
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
        active: The source of the method that is there; what a good call changes with it must go on being changed.
        since: The moment whose state the brief's examples speak of; None: the one that is there.
    """

    examples: tuple[dict[str, Any], ...] = ()
    calls: tuple[dict[str, Any], ...] = ()
    failed: tuple[dict[str, Any], ...] = ()
    active: str = ""
    since: str | None = None


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
        capabilities: Capabilities | None = None,
        reach: Reach | None = None,
    ) -> None:
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
        told = [example for example in told if not any(_same_call(example, other) for other in law)]
        examples = law + await self._in_order(source, told)
        for example in examples:
            finding = await self._steps(source, example, verdict.evidence)
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

    async def _in_order(self, source: str, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Take the examples in the Architect's words as one session, as a doctest is, where they hold so; else each alone."""
        given = list(self._brief.get("examples", []))
        session = {"steps": [example for example in told if example not in given]}
        if len(session["steps"]) < 2 or await self._steps(source, session, []):
            return told
        return [*(example for example in told if example in given), session]

    async def _steps(self, source: str, example: dict[str, Any], evidence: list[dict[str, Any]]) -> str:
        """Run an example on a copy of the state that it speaks of.

        Where that was packed away, a law is held against what is there, unless the method that is there fails it, too: then
        its object has gone on, and nothing can be told.
        """
        law = example.get("kind") == "law"
        moment = example.get("tid") if law else self._duties.since
        try:
            return await self._on(moment, source, example, evidence)
        except UnknownTarget:
            if moment is None:
                raise
        active = self._duties.active
        if law:
            runs: list[dict[str, Any]] = []
            finding = await self._on(None, source, example, runs)
            if not finding or not active or not await self._on(None, active, example, []):
                evidence += runs
                return finding
        evidence.append({"kind": example.get("kind", "example"), "skipped": NOT_COMPARED, "passed": True})
        return ""

    async def _on(self, at: str | None, source: str, example: dict[str, Any], evidence: list[dict[str, Any]]) -> str:
        overlay = Overlay(self._image, at=at, selector=self._selector, capabilities=self._capabilities)
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
                "args": kept(args),
                "kwargs": kept(kwargs),
                "expected": kept(expected(step)),
                "got": kept(got),
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
            return f"{call} raised {got['message']}" + at_line(got)
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
        record: dict[str, Any] = {"kind": kind, "args": kept(args), "kwargs": kept(kwargs), "tid": call["tid"]}
        evidence.append(record)
        finding = ""
        try:
            # What a good call changes is held against what it changed so far.
            reach = self._reach if kind == "failed call" and call["receiver"] == self._target else None
            outcome = await self._make(overlay, call["receiver"], args, kwargs, source, reach)
            record["got"] = {"result": kept(overlay.described(outcome.result))}
            if kind == "good call" and not same(call["result"], outcome.result):
                shown_call = show_call(self._selector, args, kwargs)
                finding = f"{shown_call} gave {shown(call['result'])} so far and must go on so, but gave {shown(outcome.result)}"
            elif kind == "good call" and self._duties.active:
                finding = await self._other_changes(call, overlay)
        except UnknownTarget:
            record["skipped"] = NOT_COMPARED
        except CodeError as error:
            record["got"] = {"error": error_name(error), "message": error.message, "line": error.details.get("line")}
            finding = f"{show_call(self._selector, args, kwargs)} raised {error.message}" + at_line(record["got"])
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
        args, kwargs = told[1]
        record = {"kind": "another call", "args": kept(args), "kwargs": kept(kwargs), "passed": True}
        first, other = (show_call(self._selector, *call) for call in told)
        try:
            for args, kwargs in (told[0], *told):
                await self._make(overlay, self._target, args, kwargs, source, self._reach)
                left.append((await overlay.snapshot(self._target))[0])
        except (CodeError, _Beyond) as error:
            # It may have been made for other arguments, or not take the same twice.
            if len(left) < 2 or not overlay.writes or not isinstance(error, CodeError) or not _stumbles(error):
                return None
            return record | {
                "doubt": f"{other if len(left) > 2 else first}, called after {first}, raised {error.message}. {_PLAIN_BACK}"
            }
        record["changed"] = sorted(overlay.writes.get(self._target, {}))
        if not overlay.writes and not must_change:
            return None
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
        record: dict[str, Any] = {"kind": kind, "args": kept(args), "kwargs": kept(kwargs), "passed": False}
        evidence.append(record)
        try:
            outcome = await self._make(overlay, self._target, args, kwargs, source, self._reach)
        except CodeError as error:
            got = {"error": error_name(error), "message": error.message, "line": error.details.get("line")}
            record["got"] = got
            if kind == "second call" and failures.refused(error.details.get("traceback")):
                record["passed"] = True  # much may be done once only
                return ""
            return f"{call} raised {error.message}" + at_line(got)
        changed = sorted({name for slots in overlay.writes.values() for name in slots})
        record |= {"got": {"result": kept(overlay.described(outcome.result))}, "passed": True}
        if changed:
            record["changed"] = changed
        finding = _printed(outcome.result, outcome.output, call)
        record["passed"] = not finding
        return finding


def _stumbles(error: CodeError) -> bool:
    """Whether a call raised what code raises that takes a slot for more than the plain data that it holds."""
    return error_name(error) in _STUMBLES and not failures.refused(error.details.get("traceback"))


def _same_call(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one.get("steps") or other.get("steps"):
        return False
    return all(same(one.get(key) or empty, other.get(key) or empty) for key, empty in (("args", []), ("kwargs", {})))


def _printed(result: Any, output: str, call: str) -> str:
    # Small models print where they should answer.
    return (
        f"{call} printed its answer and returned None: return it instead" if result is None and output.strip() else ""
    )
