"""What the machine has for models."""

import os
import subprocess
import sys

import pytest

from batos.mind import device


def test_cores_and_memory_are_there():
    """There is at least one core, no more than the system has, and some memory."""
    assert 1 <= device.cores() <= (os.cpu_count() or 1)
    assert device.memory_bytes() > 1 << 28


@pytest.mark.parametrize(("text", "cores"), [("150000 100000\n", 2), ("50000 100000\n", 1), ("max 100000\n", 8)])
def test_container_limits_cores(tmp_path, monkeypatch, text, cores):
    """A container's share of processor time limits the cores, rounded up."""
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(device, "_CGROUP_CPU", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert device.cores() == cores


def test_container_limits_memory(tmp_path, monkeypatch):
    """A container's memory limit counts where it is lower than the machine's memory."""
    (tmp_path / "limit").write_text("1000\n")
    monkeypatch.setattr(device, "_CGROUP_LIMITS", (tmp_path / "limit", tmp_path / "absent"))
    assert device.memory_bytes.__wrapped__() == 1000


def test_installed_tells_versions():
    """An installed package has a version, another one none."""
    assert device.installed("pytest")
    assert device.installed("no-such-package-at-all") == ""


def test_kernel_side_loads_no_engine():
    """What the kernel imports of the mind brings in neither an engine nor numpy."""
    code = (
        "import sys; from batos.mind import service, select, sources, openai; select.choose_engine('auto');"
        "print([m for m in ('torch', 'llama_cpp', 'transformers', 'numpy', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=os.getcwd(), check=True)
    assert done.stdout.strip() == "[]"
