"""Missions that come out right: MBPP through a real kernel, beside the same weights asked once directly.

Each problem is a mission (its words, the selector, the names of the parameters, the first test as an example where it
is one) and a direct question with the same words and the same example, answered greedily. The other tests judge both.
Every answer is a line of the results file; a later run skips what is there and totals all of it.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from batos.bench import mbpp, synth_totals
from batos.bench.kernel_process import KernelProcess

if TYPE_CHECKING:
    import argparse

    from batos.bench.figures import Figure, Tell
    from batos.bench.mbpp import Problem
    from batos.client.sync import SyncClient
    from batos.settings import Settings

_MISSION_SECONDS = 3600.0
_DIRECT_TOKENS = 1024

Line = dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this bench's options."""
    parser.add_argument("--data", type=Path, required=True, help="folder with the problems (*.jsonl)")
    parser.add_argument("--problems", type=int, default=60, help="how many problems (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="which problems: seed of their order (default 0)")
    parser.add_argument("--skip", type=int, default=0, metavar="N", help="leave out so many of that order first (0)")
    parser.add_argument("--model", default="qwen2.5-coder-0.5b", help="the model behind the missions")
    parser.add_argument("--direct-model", default="", help="the model that is asked once (default: the same)")
    parser.add_argument(
        "--results", type=Path, help="results file, one JSON line an answer; a later run goes on with it"
    )


def run(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Answer what the results file lacks, then total all that it has."""
    direct_model = options.direct_model or options.model
    known = synth_totals.read(options.results)
    problems = chosen(mbpp.read(options.data), options.problems, options.seed, options.skip)
    for model, arm in ((direct_model, "direct"), (options.model, "mission")):
        done = {line["task"] for line in known if (line["arm"], line["model"]) == (arm, model)}
        left = [problem for problem in problems if problem.task not in done]
        answer = _direct if arm == "direct" else _missions
        for number, line in enumerate(answer(left, model, options.settings) if left else (), 1):
            known.append({"format": synth_totals.FORMAT, "arm": arm, "model": model, **line})
            if options.results is not None:
                synth_totals.append(options.results, known[-1])
            verdict = "solved" if not line["loss"] else line["loss"]
            tell(f"{arm} {number}/{len(left)}: {line['selector']} {verdict}, {line['seconds']:.1f} s")
    return synth_totals.figures(known, options.model, direct_model)


def chosen(problems: list[Problem], count: int, seed: int, skip: int = 0) -> list[Problem]:
    """`count` problems in the order that a seed gives, from the one after the first `skip` on."""
    ordered = sorted(problems, key=lambda problem: problem.task)
    Random(seed).shuffle(ordered)  # noqa: S311 - an order, not a secret
    return ordered[skip : skip + count]


def _missions(problems: list[Problem], model: str, settings: Settings) -> Any:
    """Give each problem to one kernel, as a mission for an object of its own."""
    named = {"weights_cache": str(settings.weights_cache), "engine": settings.engine}
    with KernelProcess(**named, persona_models=model) as kernel:
        for problem in problems:
            yield _mission(kernel.client, problem)


def _mission(client: SyncClient, problem: Problem) -> Line:
    target = client.call("create")["oid"]
    began = time.monotonic()
    request = {"target_oid": target, "mission_brief": problem.brief(), "proceed": False}
    word = client.request({"command": "initiate_cognitive_cycle", **request}, timeout=_MISSION_SECONDS)
    seconds = time.monotonic() - began
    line: Line = {"task": problem.task, "selector": problem.selector, "seconds": round(seconds, 3)}
    if word["status"] == "ERROR":
        return {**line, "loss": "error", "error": word["error"]["message"][:500], "tokens": 0}
    cycle = client.request({"command": "cycle", "cycle_id": word["cycle_id"]})
    spent = cycle["spent"]
    line |= {
        "tokens": spent["completion_tokens"],
        "prompt_tokens": spent["prompt_tokens"],
        "cycle_seconds": cycle["seconds"],
        "outside_seconds": round(max(0.0, cycle["seconds"] - spent["model_seconds"] - spent["sandbox_seconds"]), 4),
        "sandbox_seconds": spent["sandbox_seconds"],
        "attempts": len(cycle["attempts"]) + (word["status"] == "COMPLETE"),
    }
    if word["status"] != "COMPLETE":
        last = cycle["attempts"][-1] if cycle["attempts"] else {}
        loss = {"syntax": "not parsed", "covenant": "audit", "policy": "audit", "trial": "trial"}
        line["loss"] = loss.get(str(last.get("kind")), "error")
        return {**line, "finding": word["error"]["message"][:500], "source": last.get("source", "")}
    return {
        **line,
        "loss": mbpp.judge(problem, word["source"], method=True),
        "source": word["source"],
        "evidence_fails": not _holds(client, target, problem),
    }


def _holds(client: SyncClient, target: Any, problem: Problem) -> bool:
    """Whether what was installed passes its own example when it is sent."""
    from batos.cognition.compare import same

    if problem.example is None:
        return True
    example = problem.example
    message = {"target_oid": target, "selector": problem.selector, "learn": False}
    reply = client.request({"command": "send", **message, "args": example["args"], "kwargs": example["kwargs"]})
    return reply["status"] == "OK" and same(example["result"], reply["result"])


def _direct(problems: list[Problem], model: str, settings: Settings) -> Any:
    """Ask the model each problem once, greedily."""
    from batos.mind import select
    from batos.mind.service import open_mind

    loop = asyncio.new_event_loop()
    mind = open_mind(settings, lambda name: select.resolve(settings, name))
    try:
        for problem in problems:
            yield loop.run_until_complete(_asked(mind, problem, model))
    finally:
        loop.run_until_complete(mind.close())
        loop.close()


async def _asked(mind: Any, problem: Problem, model: str) -> Line:
    from batos.mind.protocol import GenerateRequest

    request = GenerateRequest(
        state="DIRECT",
        model=model,
        messages=({"role": "user", "content": problem.question()},),
        max_tokens=_DIRECT_TOKENS,
        intent=problem.words,
        selector=problem.selector,
    )
    began = time.monotonic()
    reply = await mind.generate(request)
    seconds = time.monotonic() - began
    source = mbpp.code_of(reply.texts[0], problem.selector)
    return {
        "task": problem.task,
        "selector": problem.selector,
        "seconds": round(seconds, 3),
        "tokens": reply.completion_tokens,
        "prompt_tokens": reply.prompt_tokens,
        "loss": await asyncio.to_thread(mbpp.judge, problem, source, method=False),
        "source": source,
    }
