"""Bench `translate`: words to messages on function-calling problems, beside the same weights asked without the translator.

Each function of a problem is given as what an object understands: selector, signature, docstring. The peer gets the same
functions as JSON in the usual prompt and writes freely. Problems and rules are `bfcl`'s. Results are kept in a file, so that
a run that was stopped goes on; the order is by chance, so that what was reached is a sample.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.bench import bfcl
from batos.bench.bfcl import CALLS, NO_CALLS, Call, Problem
from batos.bench.figures import Figure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from batos.bench.figures import Tell
    from batos.cognition.rulebook import Translation
    from batos.mind.protocol import Engine, GenerateReply, GenerateRequest

Result = dict[str, Any]
Key = tuple[str, str]
OURS, PEER = "ours", "peer"
_PEER = (
    "You have these functions, as JSON:\n{functions}\nAnswer the user's request with a call of one of them, as JSON alone: "
    '{{"name": …, "arguments": {{…}}}}. When none of them fits, answer: none'
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own options."""
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the problems")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="so many of each kind; 0: all")
    parser.add_argument("--skip", type=int, default=0, metavar="N", help="leave out so many of each kind first (0)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the order of the problems (0)")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b", metavar="NAME", help="the weights (%(default)s)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep results here, and go on from them")
    parser.add_argument("--reached", action="store_true", help="ask nothing: figures of the results that are there")


def run(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Ask for every problem that has no result yet, and count."""
    picked = {"sample": options.sample, "skip": options.skip, "seed": options.seed}
    problems = [item for kind in (*CALLS, NO_CALLS) for item in bfcl.read(options.data, kind, **picked)]
    random.Random(options.seed).shuffle(problems)  # noqa: S311 - an order, not a secret
    results = _kept(options.results)
    left = [] if options.reached else [item for item in _questions(problems) if _key(*item) not in results]
    tell(f"{len(problems)} problems, {len(left)} questions to be asked")
    if left:
        engine = _engine(options)
        try:
            for number, (problem, who) in enumerate(left, 1):
                result = asyncio.run(_ask(engine, problem, who))
                results[_key(problem, who)] = result
                _keep(options.results, result)
                verdict = "right" if result["right"] else "wrong"
                tell(f"{number}/{len(left)} {problem['id']} {who}: {verdict}  {result['told']}")
        finally:
            engine.close()
    return _figures([results[key] for item in _questions(problems) if (key := _key(*item)) in results])


def _questions(problems: list[Problem]) -> list[tuple[Problem, str]]:
    """Whom to ask what: both about each call, and the peer last about what is no call, which no figure needs."""
    asked = [(problem, who) for problem in problems for who in (OURS, PEER)]
    return sorted(asked, key=lambda item: item[1] == PEER and item[0]["kind"] == NO_CALLS)


def _key(problem: Problem, who: str) -> Key:
    return problem["id"], who


def _figures(results: list[Result]) -> list[Figure]:
    right = {(result["id"], result["who"]): result["right"] for result in results}
    calls = [result for result in results if result["kind"] in CALLS and result["who"] == OURS]
    none = [result for result in results if result["kind"] == NO_CALLS and result["who"] == OURS]
    pairs = [(item["right"], right[item["id"], PEER]) for item in calls if (item["id"], PEER) in right]
    alone = [result["right"] for result in results if result["kind"] == NO_CALLS and result["who"] == PEER]
    parts = ", ".join(f"{kind} {told([item['right'] for item in calls if item['kind'] == kind])}" for kind in CALLS)
    lead, low, high = difference(pairs)
    beside = f"; the weights alone {told(alone)}" if alone else ""
    return [
        Figure("right function and arguments", _percent([item["right"] for item in calls]), 75, ">=", "%", parts),
        Figure(
            "points above the same weights without the translator",
            lead,
            10,
            ">=",
            "",
            f"95 % interval {low:+.1f} to {high:+.1f}; they: {told([theirs for _, theirs in pairs])}",
        ),
        Figure(
            "irrelevance told apart",
            _percent([item["right"] for item in none]),
            60,
            ">=",
            "%",
            told([item["right"] for item in none]) + beside,
        ),
    ]


def _percent(right: Sequence[bool]) -> float:
    return 100 * sum(right) / max(1, len(right))


def told(right: Sequence[bool]) -> str:
    """A share in words, with its 95 % interval by Wilson's score."""
    n, share, z = max(1, len(right)), _percent(right) / 100, 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return f"{100 * share:.1f} % ({100 * (middle - half):.0f} to {100 * (middle + half):.0f}) of {len(right)}"


def difference(pairs: Sequence[tuple[bool, bool]]) -> tuple[float, float, float]:
    """How many points the first of each pair is ahead, and the 95 % interval of that, the pairs' normal approximation."""
    n = max(1, len(pairs))
    steps = [int(ours) - int(theirs) for ours, theirs in pairs]
    mean = sum(steps) / n
    half = 1.96 * math.sqrt(max(0.0, sum(step * step for step in steps) / n - mean * mean) / n)
    return 100 * mean, 100 * (mean - half), 100 * (mean + half)


async def _ask(engine: Engine, problem: Problem, who: str) -> Result:
    async def ask(request: GenerateRequest) -> GenerateReply:
        return engine.generate(request, lambda _text: None, lambda: False)

    text, functions = problem["question"][0][-1]["content"], problem["function"]
    if who == PEER:
        said = (await ask(_peer_request(text, functions))).texts[0]
        call = read_call(said)
    else:
        found = await _translated(ask, text, functions)
        call = call_of(found, functions)
        said = f"{found.kind} by {found.source}: {call or found.question}"
    return {
        "id": problem["id"],
        "kind": problem["kind"],
        "who": who,
        "right": bfcl.fits(call, problem),
        "told": said[:500],
    }


async def _translated(ask: Any, text: str, functions: list[dict[str, Any]]) -> Translation:
    from batos.cognition import deciding, translation

    understands = [bfcl.understood(function) for function in functions]
    return translation.explicit(text, understands) or await deciding.by_model(ask, text, understands)


def call_of(found: Translation, functions: list[dict[str, Any]]) -> Call | None:
    """The call that a translation sends, with its arguments by name; None where it sends none."""
    if found.kind != "send" or found.request is None:
        return None
    function = bfcl.named(found.request["selector"], functions)
    if function is None:
        return None
    by_place = dict(zip(bfcl.ordered(function), found.request["args"], strict=False))
    return found.request["selector"], {**by_place, **found.request["kwargs"]}


def _peer_request(text: str, functions: list[dict[str, Any]]) -> GenerateRequest:
    from batos.mind.protocol import GenerateRequest

    system = _PEER.format(functions=json.dumps(functions))
    messages = ({"role": "system", "content": system}, {"role": "user", "content": text})
    return GenerateRequest(state="TRANSLATING", messages=messages, max_tokens=300, stop=("\n```",))


def read_call(told: str) -> Call | None:
    """The first call in an answer as it was written, code fences and words around it allowed; None where it has none."""
    start = told.find("{")
    if start < 0:
        return None
    try:
        fields, _ = json.JSONDecoder().raw_decode(told[start:])
    except ValueError:
        return ("", {})
    if not isinstance(fields, dict) or not isinstance(fields.get("name"), str):
        return ("", {})
    given = fields.get("arguments", fields.get("parameters", {}))
    return bfcl.selector(fields["name"]), given if isinstance(given, dict) else {}


def _engine(options: argparse.Namespace) -> Engine:
    from batos.mind import select
    from batos.mind.llamacpp import LlamaEngine

    return LlamaEngine(select.resolve(options.settings, options.model))


def _kept(file: Path | None) -> dict[Key, Result]:
    if file is None or not file.exists():
        return {}
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {(line["id"], line["who"]): line for line in lines}


def _keep(file: Path | None, result: Result) -> None:
    if file is not None:
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(result) + "\n")
