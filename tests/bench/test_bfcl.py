"""When a call is right on a function-calling problem, and what a share of right ones says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from batos.bench import bfcl, translate
from batos.cognition import translation

FUNCTION = {
    "name": "loan.pay",
    "description": "Pay.",
    "parameters": {
        "type": "dict",
        "properties": {
            "note": {"type": "string", "description": "A note."},
            "amount": {"type": "float", "description": "How much."},
            "times": {"type": "integer", "description": "How often."},
            "tags": {"type": "array", "items": {"type": "string"}, "description": "Tags."},
            "options": {"type": "dict", "description": "Options."},
        },
        "required": ["amount", "times"],
    },
}
TRUTH = {
    "amount": [10.5, 3.0],
    "times": [2],
    "note": ["New York, NY", ""],
    "tags": [["a b", "c"], ""],
    "options": [{"deep": [True, ""], "level": [1]}, ""],
}
PROBLEM = {"id": "x", "function": [FUNCTION], "ground_truth": [{"loan.pay": TRUTH}]}
RIGHT = {"amount": 10.5, "times": 2}


@pytest.mark.parametrize(
    "given",
    [
        RIGHT,
        {**RIGHT, "amount": 3},
        {**RIGHT, "note": "new york ny"},
        {**RIGHT, "tags": ["A-B", "c"]},
        {**RIGHT, "options": {"level": 1}},
        {**RIGHT, "options": {"level": 1, "deep": True}},
    ],
)
def test_accepted_calls_are_right(given: dict[str, Any]) -> None:
    """Any accepted value will do, an integer for a float, texts without regard to case and punctuation."""
    assert bfcl.fits(("loan_pay", given), PROBLEM)


@pytest.mark.parametrize(
    "given",
    [
        {"amount": 10.5},
        {**RIGHT, "times": 2.0},
        {**RIGHT, "times": "2"},
        {**RIGHT, "amount": 10.6},
        {**RIGHT, "note": "Boston"},
        {**RIGHT, "tags": ["c", "a b"]},
        {**RIGHT, "tags": "a b"},
        {**RIGHT, "options": {"deep": True}},
        {**RIGHT, "options": {"level": 1, "other": 1}},
        {**RIGHT, "unknown": 1},
    ],
)
def test_other_calls_are_wrong(given: dict[str, Any]) -> None:
    """A required value that is missing, an unknown one, one of another type or that is not accepted: each is wrong."""
    assert not bfcl.fits(("loan_pay", given), PROBLEM)


def test_without_an_accepted_call_none_is_right() -> None:
    """Where nothing fits, silence is right; where something fits it is wrong, and so is another function."""
    assert bfcl.fits(None, {**PROBLEM, "ground_truth": None})
    assert not bfcl.fits(("loan_pay", RIGHT), {**PROBLEM, "ground_truth": None})
    assert not bfcl.fits(None, PROBLEM)
    assert not bfcl.fits(("other", RIGHT), PROBLEM)


def test_a_function_reads_as_what_an_object_understands() -> None:
    """Required parameters come first, and a message that was translated gives its arguments by their names."""
    about = bfcl.understood(FUNCTION)
    assert about["signature"].startswith("(self, amount: float, times: int, note: str = None, tags: list[str] = None")
    found = translation.explicit("loan_pay(3, 2, note='x')", [about])
    assert found is not None
    assert translate.call_of(found, [FUNCTION]) == ("loan_pay", {"amount": 3, "times": 2, "note": "x"})


@pytest.mark.parametrize(
    ("told", "call"),
    [
        ('```json\n{"name": "a.b", "arguments": {"x": 1}}', ("a_b", {"x": 1})),
        ('[{"name": "a", "parameters": {}}]', ("a", {})),
        ("none", None),
        ("{broken", ("", {})),
    ],
)
def test_the_peers_call_is_read_as_written(told: str, call: Any) -> None:
    """Fences and words around a call are allowed; what is no call of a function is wrong, not silence."""
    assert translate.read_call(told) == call


def test_samples_do_not_overlap(tmp_path) -> None:
    """What is skipped is what a sample of the same seed held."""
    (tmp_path / "simple_python.jsonl").write_text("\n".join(f'{{"id": {n}}}' for n in range(30)))
    first = bfcl.read(tmp_path, "simple_python", sample=10, seed=3)
    rest = bfcl.read(tmp_path, "simple_python", skip=10, seed=3)
    assert {item["id"] for item in first}.isdisjoint(item["id"] for item in rest)
    assert len(first) + len(rest) == 30


def test_shares_have_intervals() -> None:
    """Shares come with Wilson's interval, leads with that of the pairs."""
    assert translate.told([True] * 80 + [False] * 20) == "80.0 % (71 to 87) of 100"
    lead, low, high = translate.difference([(True, False)] * 20 + [(True, True)] * 80)
    assert lead == 20
    assert (round(low), round(high)) == (12, 28)


def test_results_go_on_where_a_run_was_stopped(tmp_path, monkeypatch) -> None:
    """Answers that are in the file are not asked again, and the figures count what was reached."""
    for kind in (*bfcl.CALLS, bfcl.NO_CALLS):
        truth = "" if kind == bfcl.NO_CALLS else ', "ground_truth": [1]'
        (tmp_path / f"{kind}.jsonl").write_text(f'{{"id": "{kind}"{truth}}}')
    asked = []

    async def answer(engine: Any, problem: dict[str, Any], who: str) -> dict[str, Any]:
        asked.append((problem["id"], who))
        return {"id": problem["id"], "kind": problem["kind"], "who": who, "right": who == "ours", "told": ""}

    monkeypatch.setattr(translate, "_ask", answer)
    monkeypatch.setattr(translate, "_engine", lambda options: SimpleNamespace(close=lambda: None))
    picked = {"data": tmp_path, "sample": 0, "skip": 0, "seed": 0, "results": tmp_path / "kept", "reached": False}
    options = SimpleNamespace(**picked)
    figures = translate.run(options, lambda text: None)
    assert [figure.value for figure in figures] == [100, 100, 100]
    assert len(asked) == 6
    assert asked[-1] == (bfcl.NO_CALLS, "peer")
    translate.run(options, lambda text: None)
    assert len(asked) == 6
