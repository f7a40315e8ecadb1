"""VALIDATING: the Guardian's audit, the trial, and the choice among the candidates that passed both."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batos.cognition import approach, finishing, forms, growth, probing, prompts
from batos.cognition import brief as briefs
from batos.cognition.acceptance import MENDING
from batos.cognition.reach import reach_of
from batos.cognition.services import Context, Step
from batos.cognition.trial import Duties, Trial, Verdict
from batos.cognition.voting import vote
from batos.errors import BatosError, CodeError, CovenantViolationError, PolicyViolation
from batos.image import dispatch, failures, laws

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.codec import Ref
    from batos.image.view import View
    from batos.sandbox.world import Audit, Reach

_FAILED_CALLS = 5
_WRAPS = ("tuple", "list", "set", "int", "float", "str", "bool")


@dataclass(slots=True)
class _Passed:
    """A candidate that may be installed."""

    audit: Audit
    verdict: Verdict
    needs: list[str]
    mends: list[str]
    place: int = 1
    """Which of the attempt's candidates it is, from 1."""
    copies: int = 1
    doubt: str = ""
    attempt: int = 0
    """The attempt that it is of; 0: this one."""
    author: dict[str, Any] | None = None
    """Who wrote it, where that was not in this attempt."""


Finding = briefs.Finding


async def validating(ctx: Context) -> Step:
    """Audit and try each candidate; of those that pass one goes on, else the best finding goes back."""
    passed: list[_Passed] = []
    findings: list[Finding] = []
    sources = ctx.data["candidates"]
    # A cycle of an older build has not counted them, nor noted what was mended.
    counts, reshaped = ctx.data.get("copies") or [1] * len(sources), ctx.data.get("reshaped") or [[]] * len(sources)
    for place, (source, times, mends) in enumerate(zip(sources, counts, reshaped, strict=True), 1):
        checked = await _check(ctx, source, mends)
        if isinstance(checked, _Passed):
            checked.place, checked.copies = place, times
            passed.append(checked)
        else:
            findings.append({**checked, "candidate": place})
    passed, doubted = await _without_doubt(ctx, passed)
    findings += doubted
    if not passed and _is_last(ctx):
        passed = await _doubted_before(ctx)
    if not passed:
        return _repair(ctx, findings, doubted)
    chosen = passed[0]
    if len(passed) > 1:
        inputs = probing.inputs(ctx.brief, chosen.audit.parameters)
        votes = [item.copies for item in passed]
        best, record = await vote(ctx, [item.audit.source for item in passed], inputs, votes)
        chosen = passed[best]
        if record is not None:
            chosen.verdict.evidence.append(record)
    before = (await ctx.services.image.read(dispatch.look, ctx.target, ctx.brief["selector"])).value.source
    return _step(ctx, chosen, findings, _diff(before, chosen.audit.source))


async def _without_doubt(ctx: Context, passed: list[_Passed]) -> tuple[list[_Passed], list[Finding]]:
    """Put candidates back that lose what they are to keep, as long as there is another attempt: then they have to do."""
    words = prompts.words(ctx.brief)
    steps = any(example.get("steps") for example in briefs.examples(ctx.brief))
    if not passed or ctx.record["kind"] == "install" or steps or not growth.demanded(words):
        return passed, []
    trial = _trial(ctx, Duties(), await reach_of(ctx))
    for item in passed:
        record = await trial.doubt(item.audit.source, words, must_change=approach.should_change_object(words))
        if record is not None:
            item.verdict.evidence.append(record)
            item.doubt = record.get("doubt", "")
    sure = [item for item in passed if not item.doubt]
    if not sure and _is_last(ctx):
        return passed, []
    doubted = [item for item in passed if item.doubt]
    return sure, [
        {**_finding(p.audit, p.mends, p.doubt, runs=len(p.verdict.evidence)), "candidate": p.place} for p in doubted
    ]


async def _doubted_before(ctx: Context) -> list[_Passed]:
    """What passed in an attempt before this one and was put back on a doubt: where nothing better came, it has to do."""
    again = []
    for kept in ctx.data.get("doubted", []):
        checked = await _check(ctx, kept["source"], kept["mends"])
        if isinstance(checked, _Passed):
            checked.place, checked.attempt, checked.author = kept["candidate"], kept["n"], kept["author"]
            again.append(checked)
    return again


def _is_last(ctx: Context) -> bool:
    return len(ctx.record["attempts"]) + 1 >= int(ctx.services.settings.attempts)


async def _check(ctx: Context, source: str, reshaped: list[str]) -> _Passed | Finding:
    """Check one candidate, which was mended so far as told: what it passed with, else its source and finding."""
    sandbox, brief = ctx.services.sandbox, ctx.brief
    own = ctx.record["kind"] == "install"
    source, returned = (source, []) if own else forms.returning(source)
    audit = await sandbox.audit(source, brief["selector"], policy=ctx.services.settings.guardian_policy)
    mends = [*reshaped, *returned, *audit.mends]
    if audit.findings:
        return _finding(audit, mends, "; ".join(_show_finding(f) for f in audit.findings[:3]), audit.findings)
    wrong = briefs.signature_finding(audit.parameters, brief)
    wrong = wrong or await _forgetful(ctx, audit)
    if wrong:
        return _finding(audit, mends, wrong)
    needs = briefs.needs(audit.parameters, brief)
    verdict = await _try(ctx, audit, needs)
    if verdict.passed:
        names = [str(p["name"]) for p in audit.parameters]
        cheat = "" if own else forms.repeats(audit.source, names, briefs.examples(brief))
        if cheat:
            return _finding(audit, mends, cheat, runs=len(verdict.evidence))
        return _Passed(audit, verdict, needs, mends)
    mended = await _wrapped(ctx, audit, verdict, needs, mends)
    against = [{"kind": "policy"}] if verdict.beyond else []
    return mended or _finding(audit, mends, verdict.finding, against, len(verdict.evidence))


async def _try(ctx: Context, audit: Audit, needs: list[str]) -> Verdict:
    own = ctx.record["kind"] == "install"
    proceed = bool(ctx.record["proceed"]) and not needs and not own
    kept = (await ctx.services.image.read(duties, ctx.target, ctx.brief["selector"], ctx.record["kind"])).value
    trial = _trial(ctx, kept, await reach_of(ctx))
    must_change = not own and approach.changes_object(prompts.words(ctx.brief))
    return await trial.run(audit.source, proceed=proceed, must_change=must_change)


def duties(view: View, target: Ref, selector: str, kind: str) -> Duties:
    """What a new version of a method must keep to: permanent examples always; the harm rule adds its calls to a repair."""
    law = tuple(laws.examples(view, target, selector))
    active = dispatch.look(view, target, selector)
    if kind not in MENDING:
        return Duties(law, active=active.source)
    failed = tuple(failures.against(view, selector, active)[:_FAILED_CALLS])
    good = tuple(laws.calls(view, target, selector))
    moment = laws.since(view, target, selector)
    return Duties(law, good, failed if kind == "repair" else (), active.source, moment)


async def still_right(ctx: Context, source: str) -> Verdict:
    """Try the method that is there on all that it must keep to."""
    kept = (await ctx.services.image.read(duties, ctx.target, ctx.brief["selector"], ctx.record["kind"])).value
    return await _trial(ctx, kept).run(source, proceed=False)


def _trial(ctx: Context, kept: Duties, reach: Reach | None = None) -> Trial:
    parts = ctx.services
    return Trial(parts.image, parts.sandbox, ctx.target, ctx.brief, kept, capabilities=parts.capabilities, reach=reach)


async def _wrapped(ctx: Context, audit: Audit, verdict: Verdict, needs: list[str], mends: list[str]) -> _Passed | None:
    """Mend a result that is right but for its kind: a list where the example has a tuple, and the like."""
    kind = verdict.kind_wanted
    if not set(kind.split(" of ")) <= set(_WRAPS) or ctx.record["kind"] == "install":
        return None
    names = [str(p["name"]) for p in audit.parameters]
    source = forms.wrapped(audit.source, ctx.brief["selector"], names, kind)
    if source is None:
        return None
    again = await ctx.services.sandbox.audit(
        source, ctx.brief["selector"], policy=ctx.services.settings.guardian_policy
    )
    if again.findings:
        return None
    tried = await _try(ctx, again, needs)
    mend = f"made the result a {kind}, as the examples have it"
    return _Passed(again, tried, needs, [*mends, mend, *again.mends]) if tried.passed else None


async def _forgetful(ctx: Context, audit: Audit) -> str:
    """Say so, once, when a candidate means to change the object but never makes the slot that it reads."""
    if not audit.idle or ctx.record["attempts"] or ctx.record["kind"] == "install":
        return ""
    there = (await ctx.services.image.read(dispatch.snapshot, ctx.target)).value
    absent = [name for name in audit.slots if name not in there.slots and name not in there.understands]
    if not absent:
        return ""
    return (
        f"it never sets self.{absent[0]}, which the object does not have yet, so nothing is remembered from call to call: "
        f"assign self.{absent[0]} before self._p_changed = True"
    )


def _diff(before: str, after: str) -> str:
    """What an install would change, as a unified diff."""
    lines = difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), "active", "new")
    return "".join(lines)


def _step(ctx: Context, chosen: _Passed, findings: list[Finding], diff: str) -> Step:
    audit, verdict = chosen.audit, chosen.verdict
    mends = chosen.mends
    data = {
        "generated_artifact": audit.source,
        "validation_error": None,
        "verdict": {
            "guardian": "passed",
            "sha256": finishing.digest(audit.source),
            "mends": mends,
            "warnings": audit.warnings,
            "signature": audit.signature,
            "summary": audit.summary,
            "parameters": audit.parameters,
        },
        "evidence": verdict.evidence,
        "needs": chosen.needs,
        "chosen": {
            "attempt": chosen.attempt or len(ctx.record["attempts"]) + 1,
            "candidate": chosen.place,
            "candidates": len(ctx.data["candidates"]),
            "refused": [{"candidate": item["candidate"], "finding": item["finding"]} for item in findings],
        },
    }
    if chosen.author is not None:
        data["author"] = chosen.author
    done = {"guardian": "passed", "mends": mends, "runs": len(verdict.evidence)}
    skipped = sum("skipped" in run for run in verdict.evidence)
    log = [("VALIDATION_SUCCESS", done | ({"not_compared": skipped} if skipped else {}))]
    asks = ctx.services.settings.approvals == "on" or ctx.record["brief"].get("approve", False)
    if asks and not ctx.record.get("approved"):
        event = {"event": "approval_needed", "source": audit.source, "diff": diff, "evidence": verdict.evidence}
        return Step(None, changes={"awaiting": "approval"}, data=data, events=[event], log=log)
    return Step("COMPLETE", data=data, log=log)


def _repair(ctx: Context, findings: list[Finding], doubted: list[Finding]) -> Step:
    """Send the cycle back with what was found, or end it when the attempts are used up."""
    best = max(findings, key=briefs.rank)
    number = len(ctx.record["attempts"]) + 1
    author = {"author": ctx.data["author"]} if ctx.data.get("author") else {}
    attempts = [*ctx.record["attempts"], {"n": number, **best, **author}]
    event = {"event": "attempt", "n": number, "finding": best["finding"]}
    log = [("VALIDATION_FAILURE", {"error": best["finding"], "attempt": number})]
    if ctx.record["kind"] == "install" or number >= ctx.services.settings.attempts:
        failed = Step("FAILED", changes={"attempts": attempts, "error": _why(best, number)}, events=[event], log=log)
        failed.data = {"validation_error": best["finding"]}
        return failed
    log.append(("REPAIR_ATTEMPT", {"attempt": number + 1}))
    kept = [{key: one[key] for key in ("source", "mends", "candidate")} for one in doubted]
    kept = [{**one, "n": number, "author": ctx.data.get("author")} for one in kept]
    return Step(
        "SYNTHESIZING",
        changes={"attempts": attempts},
        data={"validation_error": best["finding"], "doubted": [*ctx.data.get("doubted", []), *kept]},
        events=[event],
        log=log,
    )


def _why(best: Finding, number: int) -> dict[str, Any]:
    cls: type[BatosError] = {"covenant": CovenantViolationError, "policy": PolicyViolation}.get(
        best.get("kind", ""), CodeError
    )
    name = "MethodError" if cls is CodeError else cls.__name__
    tries = "the attempt" if number == 1 else f"the last of {number} attempts"
    hint = "Say more exactly what is wanted, give an example, or install your own source."
    return {"type": name, "message": f"No method came out right; {tries} failed: {best['finding']}", "hint": hint}


def _finding(
    audit: Audit, mends: list[str], text: str, findings: Sequence[dict[str, Any]] = (), runs: int = 0
) -> Finding:
    """An attempt as it is kept: the source as it was tried, what was mended in it, and what was found."""
    kind = str(findings[0].get("kind", "")) if findings else "trial"
    return {"source": audit.source, "mends": mends, "finding": text, "kind": kind, "runs": runs}


def _show_finding(finding: dict[str, Any]) -> str:
    line = f" (line {finding['line']})" if finding.get("line") else ""
    mend = f": {finding['mend']}" if finding.get("mend") else ""
    return f"{finding['message']}{line}{mend}"
