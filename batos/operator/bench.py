"""`python -m batos bench NAME`: run a bench and say which figures hold."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from batos.bench.figures import Figure
    from batos.operator.show import Speaker
    from batos.settings import Settings

BENCHES: dict[str, str] = {
    "image": "the Living Image: reads, lookups, commits, size and opening, beside bare ZODB and SQLite",
    "bridge": "round trips, pipelines and memory of the Synaptic Bridge, beside a bare echo",
    "sandbox": "what the sandbox's walls cost, beside a bare fork, and pings while it is attacked",
    "translate": "words that become the right message, beside the same weights asked without the translator",
    "vessel": "start, return after a kill, hangs noticed, and what an upgrade costs in time",
    "minds": "real weights through the mind host, beside the same libraries called directly",
    "memory": "what Fractal Memory finds, how quickly, and what it costs, beside other chunkers and bare zope.index",
    "synth": "missions that come out right, beside the same weights asked once",
}
"""The benches by name, and what each measures; `batos/bench/<name>.py` has `run`, and `arguments` for options."""


def run(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Run one bench; 1 when a figure falls short."""
    module = import_module(f"batos.bench.{asked.name}")
    options = parser(asked.name, module).parse_args(asked.options)
    options.settings = settings
    speaker.json = speaker.json or options.json
    figures: list[Figure] = module.run(options, speaker.remark)
    if speaker.json:
        speaker.value([figure.plain() for figure in figures])
    else:
        speaker.table(f"bench {asked.name}", ("figure", "value", "must", "holds", "note"), map(_row, figures))
    return 0 if all(figure.holds for figure in figures) else 1


def parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    """The parser of one bench's own options."""
    own = argparse.ArgumentParser(prog=f"python -m batos bench {name}", description=f"Measures {BENCHES[name]}.")
    own.add_argument("--json", action="store_true", help="answer in JSON, for programs")
    if hasattr(module, "arguments"):
        module.arguments(own)
    return own


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    value = f"{figure.value:.4g}" + (f" {figure.unit}" if figure.unit else "")
    verdict = "-" if figure.bound is None else "yes" if figure.holds else "NO"
    return figure.figure, value, figure.must, verdict, figure.note
