"""The results file of `bench synth`, and what its lines come to."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

from batos.bench.figures import Figure
from batos.errors import BadField

if TYPE_CHECKING:
    from pathlib import Path

Line = dict[str, Any]

FORMAT = 1
"""Version of the lines in the results file."""

BOUNDS = {
    ("qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b"): 15.0,
    ("qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"): 0.0,
    ("qwen2.5-coder-1.5b", "qwen2.5-coder-1.5b"): 10.0,
}
"""By how many points missions must beat the direct question, by the models of both."""

_RESAMPLES = 10_000
_ANOTHER = "Name another file with --results, or take it up with the version that wrote it."


def read(file: Path | None) -> list[Line]:
    """The lines of a results file; none where there is no file yet.

    Raises:
        BadField: A line is not of this version's format: its answers would be counted as what they are not.
    """
    if file is None or not file.exists():
        return []
    return [_line(text, f"line {n} of {file}") for n, text in enumerate(_texts(file), 1) if text.strip()]


def _texts(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def _line(text: str, where: str) -> Line:
    try:
        line = json.loads(text)
    except ValueError:
        raise BadField(f"{where} is not JSON", _ANOTHER) from None
    given = line.get("format") if isinstance(line, dict) else None
    if given != FORMAT:
        raise BadField(f"{where} has the format {given!r}, and this version reads {FORMAT}", _ANOTHER)
    return dict(line)


def append(file: Path, line: Line) -> None:
    """Add a line; it is there when this returns, so that a run that is ended loses nothing."""
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


def figures(lines: list[Line], model: str, direct_model: str) -> list[Figure]:
    """Total the problems that both have answered."""
    missions = {line["task"]: line for line in lines if (line["arm"], line["model"]) == ("mission", model)}
    direct = {line["task"]: line for line in lines if (line["arm"], line["model"]) == ("direct", direct_model)}
    both = [(missions[task], direct[task]) for task in sorted(missions.keys() & direct.keys())]
    if not both:
        return []
    return [*_solved(both, model, direct_model), *_costs(both, same=model == direct_model)]


def interval(differences: list[int], seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of a mean of paired differences (-1, 0 or 1), in points, by a bootstrap over the pairs."""
    chance, n = Random(seed), len(differences)  # noqa: S311 - a resampling, not a secret
    means = sorted(sum(chance.choices(differences, k=n)) / n for _ in range(_RESAMPLES))
    return 100 * means[int(0.025 * _RESAMPLES)], 100 * means[int(0.975 * _RESAMPLES) - 1]


def _solved(both: list[tuple[Line, Line]], model: str, direct_model: str) -> list[Figure]:
    n = len(both)
    mine, theirs = sum(not m["loss"] for m, _ in both), sum(not d["loss"] for _, d in both)
    low, high = interval([(not m["loss"]) - (not d["loss"]) for m, d in both])
    bound = BOUNDS.get((model, direct_model))
    clear = 0.0 if model == direct_model and bound is not None else None
    return [
        Figure(
            f"{model} through BAT OS, solved", 100 * mine / n, unit="%", note=f"{mine} of {n}; lost: {_losses(both, 0)}"
        ),
        Figure(
            f"{direct_model} asked once, solved",
            100 * theirs / n,
            unit="%",
            note=f"{theirs} of {n}; lost: {_losses(both, 1)}",
        ),
        Figure(
            "difference", 100 * (mine - theirs) / n, bound, ">=", "points", f"95 % interval {low:+.1f} to {high:+.1f}"
        ),
        Figure("lower end of its 95 % interval", low, clear, ">", "points", "paired bootstrap"),
    ]


def _losses(both: list[tuple[Line, Line]], arm: int) -> str:
    counted = Counter(pair[arm]["loss"] for pair in both if pair[arm]["loss"])
    return ", ".join(f"{count} {loss}" for loss, count in counted.most_common()) or "none"


def _costs(both: list[tuple[Line, Line]], *, same: bool) -> list[Figure]:
    """What a solved problem costs; tokens of other weights are reported beside, not judged."""
    n = len(both)
    per_solved = [
        sum(pair[arm]["tokens"] for pair in both) / max(1, sum(not pair[arm]["loss"] for pair in both))
        for arm in (0, 1)
    ]
    cycle = sum(m.get("cycle_seconds", 0.0) for m, _ in both)
    outside = sum(m.get("outside_seconds", 0.0) for m, _ in both)
    seconds = [sum(pair[arm]["seconds"] for pair in both) / n for arm in (0, 1)]
    note = f"{per_solved[0]:.0f} against {per_solved[1]:.0f} tokens"
    return [
        Figure(
            "completion tokens a solved problem, to the direct call's",
            per_solved[0] / max(1.0, per_solved[1]),
            5 if same else None,
            note=note,
        ),
        Figure("time outside model and sandbox", 100 * outside / max(cycle, 1e-9), 3, unit="%"),
        Figure(
            "installed methods that fail their own evidence",
            float(sum(bool(m.get("evidence_fails")) for m, _ in both)),
            0,
        ),
        Figure("seconds a problem through BAT OS", seconds[0], unit="s"),
        Figure("seconds a problem asked once", seconds[1], unit="s"),
    ]
