"""The seven states of the Prototypal State Machine: what each does with a cycle.

Each state's prototype in the image names one of these functions in its slot `_process_synthesis_`. Which state may
follow which is a fixed table: whatever a state answers, the orchestrator holds it to `NEXT`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from batos.cognition import brief as briefs
from batos.cognition import finishing, prompts
from batos.cognition.candidates import extract
from batos.cognition.portrait import codex_of, self_portrait
from batos.cognition.rulebook import teach_phrase
from batos.cognition.services import Context, Step
from batos.cognition.trial import Trial, Verdict
from batos.errors import BatosError, CodeError, CovenantViolationError, PolicyViolation
from batos.image import dispatch
from batos.memory import catalog
from batos.mind.protocol import GenerateRequest

if TYPE_CHECKING:
    from batos.image.store import View
    from batos.sandbox.world import Audit

NEXT: dict[str, frozenset[str]] = {
    "IDLE": frozenset({"DECOMPOSING", "VALIDATING", "FAILED"}),
    "DECOMPOSING": frozenset({"DELEGATING", "FAILED"}),
    "DELEGATING": frozenset({"SYNTHESIZING", "FAILED"}),
    "SYNTHESIZING": frozenset({"VALIDATING", "FAILED"}),
    "VALIDATING": frozenset({"SYNTHESIZING", "COMPLETE", "FAILED"}),
    "COMPLETE": frozenset({"FAILED"}),
    "FAILED": frozenset(),
}

_CONTEXT_CHARACTERS = 2000
_RELEVANT = 0.45  # least score of a snippet or a method: what is beside the point costs seconds to read
_SNIPPETS_A_QUERY = 2
_KNOWN_METHODS = 6
_SIMILAR = 3


async def idle(ctx: Context) -> Step:
    """Begin: a mission is decomposed; the Architect's own source goes straight to its trial."""
    return Step("VALIDATING" if ctx.record["kind"] == "install" else "DECOMPOSING")


async def decomposing(ctx: Context) -> Step:
    """BRICK turns the mission into one to three search queries."""
    codex = (await ctx.services.image.read(codex_of, "brick_prototype_obj")).value
    reply = await ctx.services.mind.generate(
        GenerateRequest(
            state="DECOMPOSING",
            persona="BRICK",
            messages=prompts.decomposing(codex, ctx.brief),
            schema=prompts.QUERIES_SCHEMA,
            max_tokens=96,
            intent=ctx.brief.get("intent") or "",
            selector=ctx.brief["selector"],
        ),
        ctx.on_token,
    )
    queries = _queries(reply.texts[0]) or [prompts.words(ctx.brief)]
    return Step(
        "DELEGATING",
        data={"research_plan": queries},
        events=[{"event": "artifact", "kind": "research_plan", "queries": queries}],
        log=[("ARTIFACT_GENERATED", {"artifact_type": "research_plan", "queries": queries})],
    )


def _queries(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return [q.strip()[:200] for q in found if isinstance(q, str) and q.strip()][:3] if isinstance(found, list) else []


async def delegating(ctx: Context) -> Step:
    """BABS searches Fractal Memory, and what the target can do already."""
    queries, told = ctx.data["research_plan"], prompts.words(ctx.brief)
    # «create a method to» is in every mission, and says nothing of this one.
    taught = teach_phrase(told)
    wanted = taught[2] if taught is not None else told
    found = (await ctx.services.image.read(_research, queries, ctx.target, wanted)).value
    snippets, known, similar = found["snippets"], found["known"], found["similar"]
    events: list[dict[str, Any]] = [{"event": "artifact", "kind": "context", "snippets": len(snippets)}]
    if similar:
        events.append({"event": "similar", "selectors": similar})
    return Step(
        "SYNTHESIZING",
        data={"retrieved_context": snippets, "known": known},
        events=events,
        log=[("RESEARCH_COMPLETE", {"context_snippets": len(snippets)})],
    )


def _research(view: View, queries: list[str], target: Any, words: str) -> dict[str, Any]:
    hits = catalog.similar(view, target, words, _KNOWN_METHODS)
    near = [hit["selector"] for hit in hits if hit["score"] >= _RELEVANT]
    known = [line for line in dispatch.signatures(view, target) if line.partition("(")[0] in near]
    return {"snippets": _snippets(view, queries), "known": known, "similar": near[:_SIMILAR]}


def _snippets(view: View, queries: list[str]) -> list[dict[str, Any]]:
    """What Fractal Memory has on the queries, once each, within the budget; methods are told of elsewhere."""
    snippets: dict[str, dict[str, Any]] = {}
    budget = _CONTEXT_CHARACTERS
    for query in queries:
        hits = catalog.search(view, query, _SNIPPETS_A_QUERY + _KNOWN_METHODS, None)
        told = [hit for hit in hits if hit["metadata"].get("kind") != catalog.METHOD and hit["score"] >= _RELEVANT]
        for hit in told[:_SNIPPETS_A_QUERY]:
            key = f"{hit['doc_id']}::{hit['chunk']}"
            if key not in snippets and len(hit["text"]) <= budget:
                budget -= len(hit["text"])
                snippets[key] = {"id": key, "text": hit["text"]}
    return list(snippets.values())


async def synthesizing(ctx: Context) -> Step:
    """The target's persona writes the method: once greedily, then several sampled candidates with the finding."""
    brief, attempt = ctx.brief, len(ctx.record["attempts"]) + 1
    told = prompts.words(brief)
    seen = (await ctx.services.image.read(self_portrait, ctx.target, ctx.record["persona"], told)).value
    settings = ctx.services.settings
    opening = prompts.opening(brief)
    first = attempt == 1
    request = GenerateRequest(
        state="SYNTHESIZING",
        persona=ctx.record["persona"],
        messages=prompts.synthesizing(
            seen["codex"],
            brief,
            slots=seen["slots"],
            context=[s["text"] for s in ctx.data.get("retrieved_context", [])],
            known=ctx.data.get("known", []),
            findings=ctx.record["attempts"],
        ),
        prefill=f"```python\n{opening}",
        stop=("\n```",),
        max_tokens=settings.max_new_tokens,
        temperature=0.0 if first else 0.7,
        seed=attempt * 1000,
        n=1 if first else settings.candidates,
        intent=brief.get("intent") or "",
        selector=brief["selector"],
    )
    reply = await ctx.services.mind.generate(request, ctx.on_token)
    sources = list(dict.fromkeys(extract(text, brief["selector"], opening) for text in reply.texts))
    author = {
        "persona": ctx.record["persona"],
        "model": reply.model,
        "model_sha256": reply.model_sha256,
        "engine": reply.engine,
        "prompt_sha256": finishing.digest(request.messages),
        "seed": request.seed,
        "temperature": request.temperature,
        "candidates": len(reply.texts),
        "tokens": {"prompt": reply.prompt_tokens, "completion": reply.completion_tokens},
        "seconds": round(reply.seconds, 3),
    }
    used = len(ctx.data.get("retrieved_context", []))
    return Step(
        "VALIDATING",
        data={"candidates": sources, "author": author, "generated_artifact": sources[0]},
        events=[{"event": "artifact", "kind": "code", "text": source, "attempt": attempt} for source in sources],
        log=[("ARTIFACT_GENERATED", {"artifact_type": "code", "context_used": used, "candidates": len(sources)})],
    )


async def validating(ctx: Context) -> Step:
    """Audit and trial of each candidate; the first that passes goes on, else the best finding goes back."""
    findings: list[dict[str, str]] = []
    for source in ctx.data["candidates"]:
        checked = await _check(ctx, source)
        if isinstance(checked, Step):
            return checked
        findings.append(checked)
    return _repair(ctx, findings)


async def _check(ctx: Context, source: str) -> Step | dict[str, str]:
    """Check one candidate: a step when it passed, else its source and finding."""
    sandbox, brief = ctx.services.sandbox, ctx.brief
    audit = await sandbox.audit(source, brief["selector"], policy=ctx.services.settings.guardian_policy)
    if audit.findings:
        return _finding(audit.source, "; ".join(_show_finding(f) for f in audit.findings[:3]), audit.findings)
    wrong = briefs.signature_finding(audit.parameters, brief)
    wrong = wrong or await _forgetful(ctx, audit)
    if wrong:
        return _finding(audit.source, wrong, [])
    needs = briefs.needs(audit.parameters, brief)
    proceed = bool(ctx.record["proceed"]) and not needs and ctx.record["kind"] != "install"
    verdict = await Trial(ctx.services.image, sandbox, ctx.target, brief).run(audit.source, proceed=proceed)
    if not verdict.passed:
        return _finding(audit.source, verdict.finding, [])
    before = (await ctx.services.image.read(dispatch.look, ctx.target, brief["selector"])).value.source
    return _passed(ctx, audit, verdict, needs, _diff(before, audit.source))


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


def _passed(ctx: Context, audit: Audit, verdict: Verdict, needs: list[str], diff: str) -> Step:
    data = {
        "generated_artifact": audit.source,
        "validation_error": None,
        "verdict": {
            "guardian": "passed",
            "sha256": finishing.digest(audit.source),
            "mends": audit.mends,
            "warnings": audit.warnings,
            "signature": audit.signature,
            "summary": audit.summary,
            "parameters": audit.parameters,
        },
        "evidence": verdict.evidence,
        "needs": needs,
    }
    log = [("VALIDATION_SUCCESS", {"guardian": "passed", "mends": audit.mends, "runs": len(verdict.evidence)})]
    if ctx.services.settings.approvals == "on" and not ctx.record.get("approved"):
        event = {
            "event": "approval_needed",
            "source": audit.source,
            "diff": diff,
            "evidence": verdict.evidence,
        }
        return Step(None, changes={"awaiting": "approval"}, data=data, events=[event], log=log)
    return Step("COMPLETE", data=data, log=log)


def _repair(ctx: Context, findings: list[dict[str, str]]) -> Step:
    """Send the cycle back with what was found, or end it when the attempts are used up."""
    best = findings[0]
    number = len(ctx.record["attempts"]) + 1
    attempts = [*ctx.record["attempts"], {"n": number, **best}]
    event = {"event": "attempt", "n": number, "finding": best["finding"]}
    log = [("VALIDATION_FAILURE", {"error": best["finding"], "attempt": number})]
    if ctx.record["kind"] == "install" or number >= ctx.services.settings.attempts:
        failed = Step("FAILED", changes={"attempts": attempts, "error": _why(best, number)}, events=[event], log=log)
        failed.data = {"validation_error": best["finding"]}
        return failed
    log.append(("REPAIR_ATTEMPT", {"attempt": number + 1}))
    return Step(
        "SYNTHESIZING",
        changes={"attempts": attempts},
        data={"validation_error": best["finding"]},
        events=[event],
        log=log,
    )


def _why(best: dict[str, str], number: int) -> dict[str, Any]:
    cls: type[BatosError] = {"covenant": CovenantViolationError, "policy": PolicyViolation}.get(
        best.get("kind", ""), CodeError
    )
    name = "MethodError" if cls is CodeError else cls.__name__
    tries = "the attempt" if number == 1 else f"the last of {number} attempts"
    hint = "Say more exactly what is wanted, give an example, or install your own source."
    return {"type": name, "message": f"No method came out right; {tries} failed: {best['finding']}", "hint": hint}


def _finding(source: str, text: str, findings: list[dict[str, Any]]) -> dict[str, str]:
    kind = str(findings[0].get("kind", "")) if findings else "trial"
    return {"source": source, "finding": text, "kind": kind}


def _show_finding(finding: dict[str, Any]) -> str:
    line = f" (line {finding['line']})" if finding.get("line") else ""
    mend = f": {finding['mend']}" if finding.get("mend") else ""
    return f"{finding['message']}{line}{mend}"


StateFunction = Callable[[Context], Awaitable[Step]]

STATES: dict[str, StateFunction] = {
    "psm.idle": idle,
    "psm.decomposing": decomposing,
    "psm.delegating": delegating,
    "psm.synthesizing": synthesizing,
    "psm.validating": validating,
    "psm.complete": finishing.complete,
    "psm.failed": finishing.failed,
}

STATE_NAMES = tuple(NEXT)
