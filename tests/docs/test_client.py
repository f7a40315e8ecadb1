"""The plain client and the script of the documentation, run against a real kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.docs.pages import blocks, page, section
from tests.kernel.harness import Kernel


@pytest.fixture
def run(tmp_path):
    """Runs the Python program under a heading of the protocol page against a kernel with the script of the testing page."""
    rules = json.loads(blocks(section(page("testing.md"), "The scripted mind"), "json")[0])
    kernel = Kernel(tmp_path, rules).start()

    def ran(heading, *options):
        (program,) = blocks(section(page("protocol.md"), heading), "python")
        done = subprocess.run(
            [sys.executable, *options, "-c", program],
            cwd=tmp_path,
            env={**os.environ, "BATOS_HOME": str(tmp_path), "BATOS_ZMQ_ENDPOINT": kernel.endpoint},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr + kernel.log()[-2000:]
        return done.stdout

    yield ran
    kernel.stop()


def test_the_client_of_the_page_teaches_and_sends(run):
    """With the page's script, the page's client sees a repair, an install and both answers, and ends well."""
    told = run("A client", "-P")
    assert "accepted" in told
    assert "NameError" in told
    assert "Hello, Ada!" in told
    assert "Hello, Bob!" in told


def test_the_library_teaches_and_raises_typed_errors(run):
    """The page's program with the library links, hears events in order, gets the result, and catches an error by its class."""
    told = run("The library").splitlines()
    assert told[0] == "linked"
    events = [line.split() for line in told[1 : told.index("COMPLETE Hello, Ada!")]]
    assert events[0] == ["accepted"]
    assert ["transition", "VALIDATING"] in events
    assert told[-2] == "NOT_UNDERSTOOD"
    assert told[-1].startswith("UnknownTarget: ")
