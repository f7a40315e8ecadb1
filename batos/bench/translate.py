"""Bench `translate`: words to messages on function-calling problems, beside the same weights asked without the translator.

A folder holds `simple_python.jsonl`, `multiple.jsonl` and `irrelevance.jsonl` in the layout of the Berkeley Function
Calling Leaderboard. Each function is given as what an object understands: selector, signature, docstring. The peer gets the
same functions as JSON in the usual prompt and writes freely. A result counts when the right function is named with values
that the ground truth accepts. Results are kept in a file, so that a run that was stopped goes on.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.bench.figures import Figure

if TYPE_CHECKING:
    import argparse

    from batos.bench.figures import Tell
    from batos.cognition.rulebook import Translation
    from batos.mind.protocol import Engine, GenerateReply, GenerateRequest

Problem = dict[str, Any]
Call = tuple[str, dict[str, Any]]
CALLS = ("simple_python", "multiple")
NO_CALLS = "irrelevance"
_TYPES = {
    "integer": "int",
    "float": "float",
    "number": "float",
    "string": "str",
    "boolean": "bool",
    "array": "list",
    "tuple": "tuple",
    "dict": "dict",
    "object": "dict",
}
_PEER = (
    "You have these functions, as JSON:\n{functions}\nAnswer the user's request with a call of one of them, as JSON alone: "
    '{{"name": …, "arguments": {{…}}}}. When none of them fits, answer: none'
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own options."""
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="the problems")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="so many of each kind; 0: all")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="which sample (0)")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b", metavar="NAME", help="the weights (%(default)s)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep results here, and go on from them")


def run(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Ask for every problem that has no result yet, and count."""
    problems = [problem for kind in (*CALLS, NO_CALLS) for problem in read(options.data, kind, options)]
    results = _kept(options.results)
    left = [problem for problem in problems if problem["id"] not in results]
    random.Random(options.seed).shuffle(left)  # noqa: S311 - what was reached so far is a sample of all kinds
    tell(f"{len(problems)} problems, {len(left)} to be asked")
    if left:
        engine = _engine(options)
        try:
            for number, problem in enumerate(left, 1):
                result = asyncio.run(_ask(engine, problem))
                results[problem["id"]] = result
                _keep(options.results, result)
                tell(
                    f"{number}/{len(left)} {problem['id']}: {'right' if result['ours'] else 'wrong'}  {result['told']}"
                )
        finally:
            engine.close()
    return _figures([results[problem["id"]] for problem in problems])


def read(folder: Path, kind: str, options: argparse.Namespace) -> list[Problem]:
    """The problems of a kind, or a sample of them."""
    lines = (folder / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
    problems = [{**json.loads(line), "kind": kind} for line in lines if line.strip()]
    if not options.sample or options.sample >= len(problems):
        return problems
    return random.Random(options.seed).sample(problems, options.sample)  # noqa: S311 - a sample, not a secret


def _figures(results: list[dict[str, Any]]) -> list[Figure]:
    calls = [result for result in results if result["kind"] in CALLS]
    none = [result for result in results if result["kind"] == NO_CALLS]
    ours, peer = _percent(calls, "ours"), _percent(calls, "peer")
    parts = ", ".join(f"{kind} {_percent([r for r in calls if r['kind'] == kind], 'ours'):.1f} %" for kind in CALLS)
    beside = f"the weights alone {_percent(none, 'peer'):.1f} %; {len(none)} problems"
    return [
        Figure("right function and arguments", ours, 75, ">=", "%", f"{parts}; {len(calls)} problems"),
        Figure(
            "points above the same weights without the translator", ours - peer, 10, ">=", "", f"they: {peer:.1f} %"
        ),
        Figure("irrelevance told apart", _percent(none, "ours"), 60, ">=", "%", beside),
    ]


def _percent(results: list[dict[str, Any]], who: str) -> float:
    return 100 * sum(bool(result[who]) for result in results) / max(1, len(results))


async def _ask(engine: Engine, problem: Problem) -> dict[str, Any]:
    from batos.cognition import deciding, translation

    async def ask(request: GenerateRequest) -> GenerateReply:
        return engine.generate(request, lambda _text: None, lambda: False)

    text = problem["question"][0][-1]["content"]
    functions = problem["function"]
    understands = [understood(function) for function in functions]
    found = translation.explicit(text, understands) or await deciding.by_model(ask, text, understands)
    told = (await ask(_peer_request(text, functions))).texts[0]
    ours, peer = call_of(found, functions), read_call(told)
    truth = problem.get("ground_truth")
    return {
        "id": problem["id"],
        "kind": problem["kind"],
        "ours": fits(ours, truth),
        "peer": fits(peer, truth),
        "told": f"{found.kind} by {found.source}: {ours or found.question}",
        "peer_told": told[:500],
    }


def understood(function: dict[str, Any]) -> dict[str, Any]:
    """A function as what an object understands."""
    listed = function["parameters"]["properties"]
    needed = set(function["parameters"].get("required", []))
    names = sorted(listed, key=lambda name: name not in needed)
    inside = [_parameter(name, listed[name], needed=name in needed) for name in names]
    doc = "\n".join(
        [function["description"], "", "Args:", *(f"    {n}: {listed[n].get('description', '')}" for n in names)]
    )
    signature = f"(self, {', '.join(inside)})"
    return {
        "selector": selector(function["name"]),
        "signature": signature,
        "summary": function["description"],
        "doc": doc,
    }


def _parameter(name: str, about: dict[str, Any], *, needed: bool) -> str:
    return f"{name}: {_annotation(about)}" + ("" if needed else f" = {about.get('default')!r}")


def _annotation(about: dict[str, Any]) -> str:
    if about.get("enum"):
        return f"Literal[{', '.join(map(repr, about['enum']))}]"
    kind = _TYPES.get(about.get("type", ""), "object")
    items = about.get("items")
    return f"{kind}[{_annotation(items)}]" if kind in ("list", "tuple") and isinstance(items, dict) else kind


def selector(name: str) -> str:
    """A function's name as a selector."""
    return re.sub(r"\W", "_", name)


def call_of(found: Translation, functions: list[dict[str, Any]]) -> Call | None:
    """The call that a translation sends, with its arguments by name; None where it sends none."""
    if found.kind != "send" or found.request is None:
        return None
    name = found.request["selector"]
    function = next((item for item in functions if selector(item["name"]) == name), None)
    if function is None:
        return None
    needed = set(function["parameters"].get("required", []))
    names = sorted(function["parameters"]["properties"], key=lambda item: item not in needed)
    return name, {**dict(zip(names, found.request["args"], strict=False)), **found.request["kwargs"]}


def _peer_request(text: str, functions: list[dict[str, Any]]) -> GenerateRequest:
    from batos.mind.protocol import GenerateRequest

    system = _PEER.format(functions=json.dumps(functions))
    messages = ({"role": "system", "content": system}, {"role": "user", "content": text})
    return GenerateRequest(state="TRANSLATING", messages=messages, max_tokens=300)


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
    return selector(fields["name"]), given if isinstance(given, dict) else {}


def fits(call: Call | None, truth: list[dict[str, dict[str, list[Any]]]] | None) -> bool:
    """Whether a call is one that the ground truth accepts; without a truth no call is right."""
    if not truth:
        return call is None
    if call is None:
        return False
    accepted = {selector(name): values for item in truth for name, values in item.items()}.get(call[0])
    if accepted is None or not set(call[1]) <= set(accepted):
        return False
    return all(
        any(_same(call[1][name], value) for value in values if value != "" or call[1][name] == "")
        if name in call[1]
        else "" in values
        for name, values in accepted.items()
    )


def _same(given: Any, accepted: Any) -> bool:
    if isinstance(given, bool) or isinstance(accepted, bool):
        return given is accepted
    if isinstance(given, (int, float)) and isinstance(accepted, (int, float)):
        return abs(given - accepted) <= 1e-9 * max(1.0, abs(accepted))
    if isinstance(given, str) and isinstance(accepted, str):
        return _plain(given) == _plain(accepted)
    if isinstance(given, (list, tuple)) and isinstance(accepted, (list, tuple)):
        return len(given) == len(accepted) and all(map(_same, given, accepted))
    if isinstance(given, dict) and isinstance(accepted, dict):
        # Values of a map are lists of what is accepted, as at the top.
        return set(given) <= set(accepted) and all(
            any(_same(given[key], value) for value in values) if key in given else "" in values
            for key, values in ((key, part if isinstance(part, list) else [part]) for key, part in accepted.items())
        )
    return bool(given == accepted)


def _plain(text: str) -> str:
    return re.sub(r"[ ,./\-_*^]", "", text).casefold().replace("'", '"')


def _engine(options: argparse.Namespace) -> Engine:
    from batos.mind import select
    from batos.mind.llamacpp import LlamaEngine

    return LlamaEngine(select.resolve(options.settings, options.model))


def _kept(file: Path | None) -> dict[str, dict[str, Any]]:
    if file is None or not file.exists():
        return {}
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {line["id"]: line for line in lines}


def _keep(file: Path | None, result: dict[str, Any]) -> None:
    if file is not None:
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(result) + "\n")
