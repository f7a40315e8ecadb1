"""The seven states of the Prototypal State Machine: what each does with a cycle.

Each state's prototype in the image names one of these functions in its slot `_process_synthesis_`; `batos.image.machine` has
which it may have. Which state may follow which is a fixed table: whatever a state answers, the orchestrator holds it to `NEXT`.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from batos.cognition import approach, finishing, forms, prompts
from batos.cognition import brief as briefs
from batos.cognition.acceptance import MENDING
from batos.cognition.portrait import codex_of, self_portrait, telling_words
from batos.cognition.rulebook import teach_phrase
from batos.cognition.services import Context, Step
from batos.cognition.validating import still_right, validating
from batos.image import dispatch, machine
from batos.memory import catalog
from batos.memory.words import words_of
from batos.mind.protocol import GenerateReply, GenerateRequest

NEXT: dict[str, frozenset[str]] = {
    "IDLE": frozenset({"DECOMPOSING", "SYNTHESIZING", "VALIDATING", "FAILED"}),
    "DECOMPOSING": frozenset({"DELEGATING", "FAILED"}),
    "DELEGATING": frozenset({"SYNTHESIZING", "FAILED"}),
    "SYNTHESIZING": frozenset({"VALIDATING", "FAILED"}),
    "VALIDATING": frozenset({"SYNTHESIZING", "COMPLETE", "FAILED"}),
    "COMPLETE": frozenset({"FAILED"}),
    "FAILED": frozenset(),
}

_CONTEXT_CHARACTERS = 2000
_RELEVANT = 0.45
"""Least score of a snippet or a method: what is beside the point costs seconds to read.

A chunk of usual length that has each of the query's words once scores 0.45 by words. With vectors two fifths of that come from
meaning, so a text must be like the query too. A method's score is the share of the words that it has, or its likeness.

The score alone tells too little: words that Fractal Memory has never seen do not count in it, so in «a method to shuffle
a deck of cards» all weight is on «method». Hence what is shown shares telling words with the mission, or is very like it.
"""
_LIKE = 0.6
"""Likeness from which a text needs no words in common with the mission; score from which one word is enough."""
_SNIPPETS_A_QUERY = 2
_QUERY_CHARACTERS = 200
_KNOWN_METHODS = 6
_SHARED = 2
_SIMILAR = 3


async def idle(ctx: Context) -> Step:
    """Begin: a mission is decomposed, unless its message is understood by now; own source goes straight to its trial."""
    if ctx.record["kind"] == "install":
        return Step("VALIDATING")
    if ctx.record["kind"] in MENDING:
        return await _mend(ctx)
    if ctx.record["kind"] == "mission" and ctx.brief.get("version") != "new":
        looked = (await ctx.services.image.read(dispatch.look, ctx.target, ctx.brief["selector"])).value
        if looked.kind == "method":
            return await finishing.understood(ctx, looked)
    return Step("DECOMPOSING")


async def _mend(ctx: Context) -> Step:
    """Begin a repair with what is wrong with the method that is there; one that is right stays."""
    looked = (await ctx.services.image.read(dispatch.look, ctx.target, ctx.brief["selector"])).value
    verdict = await still_right(ctx, looked.source)
    if verdict.passed:
        return finishing.left_alone(ctx, looked)
    found = {
        "n": 0,
        "source": looked.source,
        "finding": verdict.finding,
        "kind": "trial",
        "runs": len(verdict.evidence),
    }
    event = {"event": "attempt", "n": 0, "finding": verdict.finding}
    return Step("SYNTHESIZING", changes={"attempts": [found]}, events=[event])


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
    return _planned(_queries(reply.texts[0]) or [prompts.words(ctx.brief)], persona="BRICK", form=reply.form)


async def decomposing_by_words(ctx: Context) -> Step:
    """The mission's own words are the query: no model is asked."""
    return _planned([prompts.words(ctx.brief)[:_QUERY_CHARACTERS]])


def _planned(queries: list[str], **told: str) -> Step:
    told = {name: value for name, value in told.items() if value}
    by = {name: value for name, value in told.items() if name == "persona"}
    return Step(
        "DELEGATING",
        data={"research_plan": queries},
        events=[{"event": "artifact", "kind": "research_plan", "queries": queries, **by}],
        log=[("ARTIFACT_GENERATED", {"artifact_type": "research_plan", "queries": queries, **told})],
    )


def _queries(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return (
        [q.strip()[:_QUERY_CHARACTERS] for q in found if isinstance(q, str) and q.strip()][:3]
        if isinstance(found, list)
        else []
    )


async def delegating(ctx: Context) -> Step:
    """BABS searches Fractal Memory, and what the target can do already."""
    queries, told = ctx.data["research_plan"], prompts.words(ctx.brief)
    # «create a method to» is in every mission, and says nothing of this one.
    taught = teach_phrase(told)
    wanted = taught[2] if taught is not None else told
    memory = ctx.services.memory
    # All at once: none of them waits for more than one vector of a busy model.
    methods, *hits = await asyncio.gather(
        memory.similar(ctx.target, wanted, _KNOWN_METHODS),
        *(memory.search(query, _SNIPPETS_A_QUERY + _KNOWN_METHODS) for query in queries),
    )
    near = [hit["selector"] for hit in methods if _is_near(hit, wanted)]
    signatures = (await ctx.services.image.read(dispatch.signatures, ctx.target)).value
    known = [line for line in signatures if line.partition("(")[0] in near]
    snippets = _snippets([found["results"] for found in hits], telling_words(wanted))
    similar = near[:_SIMILAR]
    events: list[dict[str, Any]] = [
        {"event": "artifact", "kind": "context", "snippets": len(snippets), "persona": "BABS"}
    ]
    if similar:
        events.append({"event": "similar", "selectors": similar})
    return Step(
        "SYNTHESIZING",
        data={"retrieved_context": snippets, "known": known},
        events=events,
        log=[("RESEARCH_COMPLETE", {"context_snippets": len(snippets), "persona": "BABS"})],
    )


def _is_near(method: dict[str, Any], wanted: str) -> bool:
    """Tell whether a method is so close to the mission that the model should know it."""
    shared = set(words_of(wanted)) & set(words_of(f"{method['selector']} {method['summary']}"))
    return bool(method["score"] >= (_RELEVANT if shared else _LIKE))


def _snippets(found: Sequence[list[dict[str, Any]]], about: set[str]) -> list[dict[str, Any]]:
    """What Fractal Memory has on each query, once each, within the budget; methods are told of elsewhere.

    A snippet must share words of weight with the mission itself: small models follow whatever they are shown.
    """
    snippets: dict[str, dict[str, Any]] = {}
    budget = _CONTEXT_CHARACTERS
    for hits in found:
        told = [hit for hit in hits if hit["metadata"].get("kind") != catalog.METHOD and _is_told(hit, about)]
        for hit in told[:_SNIPPETS_A_QUERY]:
            key = f"{hit['doc_id']}::{hit['chunk']}"
            if key not in snippets and len(hit["text"]) <= budget:
                budget -= len(hit["text"])
                snippets[key] = {"id": key, "text": hit["text"]}
    return list(snippets.values())


def _is_told(hit: dict[str, Any], about: set[str]) -> bool:
    """Tell whether a chunk is about what the mission is about; one without telling words is about nothing."""
    shared = about & telling_words(hit["text"])
    # A single word may stand in a text by chance; one that says it again and again is about it.
    enough = _RELEVANT if len(shared) >= _SHARED else _LIKE
    return bool(
        hit["likeness"] >= _LIKE or (len(shared) >= max(1, min(_SHARED, len(about))) and hit["score"] >= enough)
    )


async def synthesizing(ctx: Context) -> Step:
    """The target's persona writes the method: once greedily where examples prove it, else several candidates."""
    brief, attempts, words = ctx.brief, ctx.record["attempts"], prompts.words(ctx.brief)
    attempt = len(attempts) + 1
    seen = (await ctx.services.image.read(self_portrait, ctx.target, ctx.record["persona"], words)).value
    known = ctx.data.get("known", [])
    form = approach.form_of(brief, words, slots=seen["slots"], known=known, before=attempts)
    plan = approach.plan(brief, attempts, form=form, settings=ctx.services.settings)
    opening = prompts.opening(brief, form)
    context = [s["text"] for s in ctx.data.get("retrieved_context", [])]
    request = GenerateRequest(
        state="SYNTHESIZING",
        persona=ctx.record["persona"],
        messages=prompts.synthesizing(
            seen["codex"],
            brief,
            form=form,
            slots=seen["slots"],
            context=context,
            known=known,
            findings=attempts if plan.finding else [],
        ),
        optional=tuple(f"- {snippet}" for snippet in context),
        prefill=f"```python\n{prompts.documented(brief) if plan.doctests else opening}",
        stop=prompts.STOP,
        max_tokens=plan.most or ctx.services.settings.max_new_tokens,
        temperature=plan.temperature,
        seed=attempt * 1000,
        n=plan.n,
        intent=brief.get("intent") or "",
        selector=brief["selector"],
    )
    reply = await ctx.services.mind.generate(request, ctx.on_token)
    shaped = [_source(text, brief, form, opening) for text in reply.texts]
    copies, mends = Counter(source for source, _ in shaped), dict(shaped)
    sources = list(copies)
    told = {
        "context_used": len(context) - reply.dropped,
        "context_dropped": reply.dropped,
        "candidates": len(sources),
        "persona": request.persona,
    }
    return Step(
        "VALIDATING",
        data={
            "candidates": sources,
            "copies": list(copies.values()),
            "reshaped": [mends[source] for source in sources],
            "author": {**_author(request, reply), "form": form},
            "generated_artifact": sources[0],
        },
        events=[
            {"event": "artifact", "kind": "code", "text": source, "attempt": attempt, "persona": request.persona}
            for source in sources
        ],
        log=[("ARTIFACT_GENERATED", {"artifact_type": "code", **told})],
    )


def _author(request: GenerateRequest, reply: GenerateReply) -> dict[str, Any]:
    """Who wrote the candidates, and how; it goes into the provenance."""
    return {
        "persona": request.persona,
        "model": reply.model,
        "model_sha256": reply.model_sha256,
        "adapter": reply.adapter,
        "engine": reply.engine,
        "prompt_sha256": finishing.digest([*request.messages, {"role": "assistant", "content": request.prefill}]),
        "seed": request.seed,
        "temperature": request.temperature,
        "candidates": len(reply.texts),
        "tokens": {"prompt": reply.prompt_tokens, "completion": reply.completion_tokens},
        "dropped": reply.dropped,
        "seconds": round(reply.seconds, 3),
    }


def _source(text: str, brief: dict[str, Any], form: approach.Form, opening: str) -> tuple[str, list[str]]:
    """The candidate in an answer, and what was mended to make a method of it."""
    source, mends = forms.as_method(text, brief["selector"], opening, briefs.parameter_names(brief))
    if form == "function":
        return source, mends
    recursed, more = forms.recursing(source, brief["selector"])
    return recursed, mends + more


StateFunction = Callable[[Context], Awaitable[Step]]

STATES: dict[str, StateFunction] = {
    "psm.idle": idle,
    "psm.decomposing": decomposing,
    machine.WORDS: decomposing_by_words,
    "psm.delegating": delegating,
    "psm.synthesizing": synthesizing,
    "psm.validating": validating,
    "psm.complete": finishing.complete,
    "psm.failed": finishing.failed,
}

STATE_NAMES = tuple(NEXT)
