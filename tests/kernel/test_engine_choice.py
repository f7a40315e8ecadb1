"""Which engine a kernel has and why: `status` says it, to programs and to people."""

import json
import subprocess
import sys

import pytest

from batos.mind.device import installed
from tests.kernel.doubled import doubled
from tests.kernel.harness import ROOT, Client

FULL = all(installed(name) for name in ("torch", "transformers", "bitsandbytes")) and "+cpu" not in installed("torch")


@pytest.mark.parametrize(
    ("setting", "devices", "engine", "why"),
    [
        ("auto", 0, "llama.cpp", "there is no CUDA device, and llama.cpp is the quicker engine on a CPU"),
        ("auto", 1, "transformers" if FULL else "llama.cpp", "there is a CUDA device"),
        ("transformers", 0, "transformers", "the setting ENGINE says so"),
    ],
)
def test_status_says_which_engine_and_why(tmp_path, setting, devices, engine, why):
    """`auto` chooses by the device; the engine and the reason stand in `status`, and in what the operator's command prints."""
    kernel = doubled(tmp_path)
    kernel.env |= {"BATOS_ENGINE": setting, "DOUBLE_CUDA": str(devices), "COLUMNS": "300"}
    kernel.start()
    try:
        with Client(kernel) as client:
            mind = client.ask({"command": "status"})["mind"]
        assert mind["engine"] == engine
        assert why in mind["reason"]
        command = [sys.executable, "-m", "batos", "status"]
        told = subprocess.run(command, cwd=ROOT, env=kernel.env, capture_output=True, text=True, check=True).stdout
        assert why in " ".join(told.split()), told
        told = subprocess.run(
            [*command, "--json"], cwd=ROOT, env=kernel.env, capture_output=True, text=True, check=True
        )
        assert why in json.loads(told.stdout)["kernel"]["mind"]["reason"]
    finally:
        kernel.stop()
