"""The Node.js client of the protocol page, as it stands there: teaches, sends, and follows over a restart of the kernel."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.docs.pages import blocks, page, section
from tests.kernel.harness import Kernel, writes

NODE, NPM = shutil.which("node"), shutil.which("npm")
HELLO = writes(
    "greet_user", "def greet_user(self, name):\n    return (f'Hello, {name}!', {1, 2})\n", delay_s=2, times=2
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the packages that the page names."""
    if NODE is None or NPM is None:
        pytest.skip("Node.js or npm is not installed")
    place = tmp_path_factory.mktemp("node")
    (command,) = [
        line for line in section(page("protocol.md"), "A client in Node.js").splitlines() if "npm install" in line
    ]
    packages = command.strip().split()[2:]
    quiet = ["--no-audit", "--no-fund", "--no-progress", "--prefer-offline", "--prefix", str(place)]
    try:
        ran = subprocess.run(
            [NPM, "install", *quiet, *packages], cwd=place, capture_output=True, text=True, timeout=150, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm reaches no registry in time")
    if ran.returncode != 0:
        pytest.skip(f"npm cannot install {packages}: {ran.stderr.strip()[-200:]}")
    (program,) = blocks(section(page("protocol.md"), "A client in Node.js"), "js")
    (place / "client.mjs").write_text(program, encoding="utf-8")
    return place


def test_it_teaches_sends_and_follows_after_a_restart(folder, tmp_path):
    """The kernel is killed while the mission is written; the same Node process hears the rest, each event once."""
    kernel = Kernel(tmp_path, [HELLO]).start()
    env = {**os.environ, "BATOS_HOME": str(tmp_path), "BATOS_ZMQ_ENDPOINT": kernel.endpoint}
    program = subprocess.Popen(
        [NODE, "client.mjs"], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    told = []
    try:
        for line in program.stdout:
            told.append(line.strip())
            if line.strip().endswith("transition SYNTHESIZING"):
                kernel.kill()
                kernel.start()
        assert program.wait(60) == 0, told
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
        kernel.stop()
    assert "linked again" in told, told
    numbers = [int(line.split()[0]) for line in told if line[0].isdigit()]
    assert numbers == list(range(1, len(numbers) + 1)), told
    assert told[-2].startswith("COMPLETE [ 'Hello, Ada!', Set(2) { 1, 2 } ]"), told
    assert told[-1].startswith("OK [ 'Hello, Bob!', Set(2) { 1, 2 } ]"), told


def test_the_program_is_short():
    """It has under 80 lines."""
    (program,) = blocks(section(page("protocol.md"), "A client in Node.js"), "js")
    assert len(program.splitlines()) < 80
