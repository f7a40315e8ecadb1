"""What an installation will fetch and how large it is, said before it begins; and what is missing for it.

The launcher runs this with a bare Python (`python3 -m batos.operator.plan`), so it uses the standard library and
the catalog of weights only. The process ends with 1 when something is missing that would let the build fail later.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from batos.errors import NoWeights
from batos.mind import catalog, device
from batos.operator import checks

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIGHT = "about 150 MB to fetch, 500 MB on disk"
_FULL = "about 450 MB to fetch, 1.8 GB on disk"
_FULL_CUDA = "about 450 MB to fetch where a CPU build of torch is at hand, about 3 GB with the usual CUDA build"
_BUILD = "is compiled here: about 5 minutes on 2 cores, once"


def main(argv: Sequence[str]) -> int:
    """Say what will be fetched; gives 1 when the machine lacks something, else 0."""
    parser = argparse.ArgumentParser(prog="python -m batos.operator.plan", description=__doc__)
    parser.add_argument("--light", action="store_true", help="without torch and what needs it")
    parser.add_argument("--models", nargs="*", metavar="NAME", default=[], help="weights that will be fetched")
    asked = parser.parse_args(argv)
    say = sys.stderr.write
    say("BAT OS sets itself up. What is already in place is skipped; the rest is fetched once:\n")
    for name, text in lines(light=asked.light, models=asked.models):
        say(f"  {name:<18} {text}\n")
    built = [] if is_built(Path.cwd()) else [checks.compiler()]
    return report([checks.python(), *built, checks.disk(Path.cwd())])


def lines(*, light: bool, models: Sequence[str]) -> list[tuple[str, str]]:
    """Give the plan as pairs of a name and what it costs."""
    cuda = platform.system() == "Linux" and platform.machine() == "x86_64"
    size = _LIGHT if light else _FULL_CUDA if cuda else _FULL
    plan = [("Python packages", f"{size}{'' if light else ' (BATOS_INSTALL=light leaves torch out: 150 MB)'}")]
    if not is_built(Path.cwd()):
        plan.append(("llama-cpp-python", _BUILD))
    return plan + [("weights", weight_line(name)) for name in models or default_models()]


def is_built(checkout: Path) -> bool:
    """Tell whether the checkout's environment has llama-cpp-python already."""
    environment = checkout / ".venv"
    return any(
        any(environment.glob(place)) for place in ("lib/python*/site-packages/llama_cpp", "Lib/site-packages/llama_cpp")
    )


def default_models() -> list[str]:
    """Name the weights that the settings in the environment ask for, as far as they can be read without pydantic."""
    engine = os.environ.get("BATOS_ENGINE", "auto")
    if engine.startswith("scripted:") or engine == "openai":
        return []
    asked = os.environ.get("BATOS_PERSONA_MODELS", "").strip()
    if asked:
        return sorted(set(json.loads(asked).values())) if asked.startswith("{") else [asked]
    return ["qwen2.5-coder-0.5b" if device.memory_bytes() < 6 * checks.GIB else "qwen2.5-coder-1.5b"]


def weight_line(name: str) -> str:
    """Say how large a model of the catalog is."""
    try:
        return f"{name}: {catalog.find(name).size:,} bytes, kept for all images"
    except NoWeights:
        return f"{name}: of the size that its source says"


def report(found: Sequence[checks.Check]) -> int:
    """Say what is missing; gives 1 when something is bad, else 0."""
    for check in found:
        if check.level == "bad":
            sys.stderr.write(f"\nMissing: {check.name}: {check.text}.\n  {check.mend}\n")
    return 1 if any(check.level == "bad" for check in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
