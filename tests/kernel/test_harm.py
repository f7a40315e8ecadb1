"""A method that misbehaves harms its own call alone, even where the Guardian's policy lets everything pass."""

import pytest

from tests.kernel.harness import Client, Kernel, writes

BODIES = {
    "forever": "    while True:\n        pass\n",
    "glutton": "    return len([bytearray(1 << 20) for _ in range(4096)])\n",
    "crash": "    import ctypes\n    return ctypes.string_at(0)\n",
    "leave": "    import os\n    os._exit(3)\n",
    "kill_parent": "    import os\n    os.kill(os.getppid(), 9)\n",
    "read_keys": "    return open('keys/server.key_secret').read()\n",
    "flood": "    while True:\n        print('x' * 10000)\n    return 0\n",
}
EXPECTED = {
    "forever": "DeadlineExceeded",
    "glutton": "MemoryExceeded",
    "crash": "MethodError",
    "leave": "MethodError",
    "kill_parent": "MethodError",
    "read_keys": "MethodError",
    "flood": "DeadlineExceeded",
}


@pytest.fixture(scope="module")
def harmed(tmp_path_factory):
    """A kernel whose policy stops nothing, with the methods installed."""
    rules = [writes(name, f"def {name}(self):\n{body}") for name, body in BODIES.items()]
    kernel = Kernel(
        tmp_path_factory.mktemp("home"), rules, GUARDIAN_POLICY="warn", CALL_SECONDS="3", CALL_MEMORY_MB="64"
    ).start()
    with Client(kernel) as client:
        for name in BODIES:
            assert client.teach(name, request={"proceed": False})["status"] == "COMPLETE", name
    yield kernel
    kernel.stop()


@pytest.mark.parametrize("selector", BODIES)
def test_harms_its_own_call_alone(harmed, selector):
    """The call ends with a typed error; the kernel answers as before, from the same process."""
    with Client(harmed) as client:
        assert client.call(selector)["error"]["type"] == EXPECTED[selector]
        assert client.ask({"command": "ping"})["status"] == "OK"
    assert harmed.process.poll() is None


def test_policy_stops_it_first(tmp_path):
    """Under the strict policy such a method is never installed: the mission fails and names the finding."""
    kernel = Kernel(tmp_path, [writes("crash", f"def crash(self):\n{BODIES['crash']}")]).start()
    try:
        with Client(kernel) as client:
            reply = client.teach("crash")
    finally:
        kernel.stop()
    assert reply["status"] == "FAILED"
    assert reply["error"]["type"] == "PolicyViolation"
    assert "ctypes" in reply["error"]["message"]
