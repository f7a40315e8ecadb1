"""A kernel whose mind host makes doubles instead of models: everything else is as it is, the host is a process of its own.

Run as a program it is the kernel; `DOUBLE_STALL_SECONDS` says how long its host may be silent, `DOUBLE_CUDA` how many
CUDA devices there seem to be.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from batos.kernel import main, uvm
from batos.mind import device, service
from tests.kernel.harness import Client, Kernel, mission

HOST = Path(__file__).parents[1] / "mind" / "fake_host.py"
VECTORS = "vectors"


def doubled(home: Path, models: object = "tiny.gguf", *, stall_seconds: float = 60.0, **env: str) -> Kernel:
    """Such a kernel in a home of its own, with small files in the places of weights; not started."""
    (home / "tiny.gguf").write_bytes(b"GGUF")
    (home / VECTORS).mkdir()
    (home / VECTORS / "modules.json").write_text("{}")
    (home / VECTORS / "model.safetensors").write_bytes(b"v")
    kernel = Kernel(home, PERSONA_MODELS=str(models), SENTENCE_TRANSFORMER_MODEL=VECTORS, **env)
    kernel.command = [sys.executable, __file__]
    search = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    kernel.env |= {
        "BATOS_ENGINE": "llama.cpp",
        "PYTHONPATH": os.pathsep.join(filter(None, search)),
        "XDG_CACHE_HOME": str(home / "cache"),
        "DOUBLE_STALL_SECONDS": str(stall_seconds),
    }
    return kernel


def begun(client: Client, selector: str, **brief: str) -> tuple[int, str]:
    """A mission `wait_…` whose generation has begun: the number of its request and its cycle."""
    number, cycle, token = client.send(mission(selector, **brief)), None, None
    while token is None:
        event = client.receive()
        cycle = event.get("cycle_id", cycle) if event.get("event") == "accepted" else cycle
        token = event.get("text") if event.get("event") == "token" and event.get("text") == "waiting" else None
    return number, cycle


if __name__ == "__main__":
    assert uvm.HostMind is service.HostMind  # it knows the class; what `open_mind` makes has another host
    stall = float(os.environ["DOUBLE_STALL_SECONDS"])
    command = [sys.executable, str(HOST)]
    if "DOUBLE_CUDA" in os.environ:
        device.cuda_devices = lambda: int(os.environ["DOUBLE_CUDA"])
        device.cuda_memory_bytes = lambda: int(os.environ["DOUBLE_CUDA"]) << 32
    service.HostMind = functools.partial(service.HostMind, command=command, stall_seconds=stall)
    sys.exit(main.main(sys.argv[1:]))
