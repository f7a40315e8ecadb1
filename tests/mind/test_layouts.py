"""The list of layouts that llama.cpp may bring weights into."""

import subprocess
import sys

from batos.mind import layouts, llama_native

LEAVE_ONE_OUT = """
import llama_cpp
from batos.mind import layouts
before = layouts.names(llama_cpp)
gone = before[0] if before else "none"
layouts.leave_out(llama_cpp, gone)
assert layouts.names(llama_cpp) == before[1:], before
layouts.leave_out(llama_cpp, "no such layout")
assert layouts.names(llama_cpp) == before[1:], before
"""


def test_amx_is_never_used():
    """The layout that ends the process with the first prompt is not on the list of a library that we have loaded."""
    assert "AMX" not in layouts.names(llama_native.library())


def test_one_is_left_out():
    """What is left out is gone, the others stay in their order, and a name that is not there changes nothing."""
    subprocess.run([sys.executable, "-c", LEAVE_ONE_OUT], check=True, timeout=60)
