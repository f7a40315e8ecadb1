"""The sandbox's processes in the life of a real kernel: none outlives it, and a dead zygote is replaced.

`BATOS_ENDS=5 python -m pytest -s tests/kernel/test_sandbox_ends.py` kills so many kernels and prints how long each one's workers
outlived it; the suite kills one, and asserts no time.
"""

import os
import signal
import time

import pytest

from tests.kernel.harness import Client, Kernel
from tests.sandbox.attacks.siege import children_of

KERNELS = int(os.environ.get("BATOS_ENDS", "1"))
SPIN = "def spin(self):\n    while True: pass\n"
ONE = "def one(self):\n    return 1\n"


def install(client: Client, **sources: str) -> None:
    """Install methods on genesis_obj."""
    for selector, source in sources.items():
        request = {"command": "install", "target_oid": "genesis_obj", "selector": selector, "source": source}
        assert client.ask(request)["status"] == "COMPLETE"


@pytest.mark.parametrize("turn", range(KERNELS))
def test_no_worker_outlives_a_killed_kernel(tmp_path, until, turn):
    """After kill -9 of the kernel in the middle of a call, zygote and workers are gone too."""
    kernel = Kernel(tmp_path, CALL_SECONDS="60").start()
    try:
        with Client(kernel) as client:
            install(client, spin=SPIN)
            client.send({"command": "send", "target_oid": "genesis_obj", "selector": "spin", "learn": False})
            until(lambda: len(children_of(kernel.process.pid)) >= 4, "a worker that spins")
            family = children_of(kernel.process.pid)
        began = time.monotonic()
        kernel.process.send_signal(signal.SIGKILL)
        until(lambda: not any(_runs(pid) for pid in family), "the end of every process", seconds=10)
        print(f"kernel {turn}: {len(family)} processes gone after {1000 * (time.monotonic() - began):.0f} ms")
        assert kernel.process.wait(30) == -signal.SIGKILL
    finally:
        kernel.stop()


def test_a_killed_zygote_is_replaced(tmp_path, until):
    """After kill -9 of the zygote the next message is answered, by workers of another zygote."""
    kernel = Kernel(tmp_path).start()
    try:
        with Client(kernel) as client:
            install(client, one=ONE)
            zygote = client.ask({"command": "status"})["sandbox"]["zygote"]
            os.kill(zygote, signal.SIGKILL)
            assert client.call("one")["result"] == 1
            until(lambda: client.ask({"command": "status"})["sandbox"]["restarts"] == 1, "another zygote")
            assert client.call("one")["result"] == 1
            sandbox = client.ask({"command": "status"})["sandbox"]
            assert (sandbox["zygote"] != zygote, sandbox["level"]) == (True, "full")
    finally:
        kernel.stop()


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
