"""The plain client and the script of the documentation, run against a real kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.docs.pages import blocks, page, section
from tests.kernel.harness import Kernel


def test_the_client_of_the_page_teaches_and_sends(tmp_path):
    """With the page's script, the page's client sees a repair, an install and both answers, and ends well."""
    rules = json.loads(blocks(section(page("testing.md"), "The scripted mind"), "json")[0])
    (client,) = blocks(section(page("protocol.md"), "A client"), "python")
    kernel = Kernel(tmp_path, rules).start()
    try:
        ran = subprocess.run(
            [sys.executable, "-P", "-c", client],
            cwd=tmp_path,
            env={**os.environ, "BATOS_HOME": str(tmp_path), "BATOS_ZMQ_ENDPOINT": kernel.endpoint},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        kernel.stop()
    assert ran.returncode == 0, ran.stderr + kernel.log()[-2000:]
    assert "accepted" in ran.stdout
    assert "NameError" in ran.stdout
    assert "Hello, Ada!" in ran.stdout
    assert "Hello, Bob!" in ran.stdout
