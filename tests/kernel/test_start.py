"""The kernel's start: exit codes, what it says, and what it never imports."""

import os
import socket
import subprocess
import sys
import time

import pytest

from tests.kernel.harness import ROOT, Client, Kernel


def _run(kernel, **env):
    return subprocess.run(
        [sys.executable, str(ROOT / "batos.py")],
        env={**kernel.env, **env},
        cwd=kernel.home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_second_kernel_is_refused(tmp_path):
    """A second process on the same image exits 3 and says what to do."""
    kernel = Kernel(tmp_path).start()
    try:
        second = _run(kernel, BATOS_ZMQ_ENDPOINT="ipc://" + str(tmp_path / "other"))
    finally:
        kernel.stop()
    assert second.returncode == 3
    assert "BATOS_HOME" in second.stderr


def test_a_taken_endpoint(tmp_path):
    """An endpoint in use exits 6."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        ended = _run(Kernel(tmp_path), BATOS_ZMQ_ENDPOINT=taken)
    assert ended.returncode == 6
    assert "BATOS_ZMQ_ENDPOINT" in ended.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("BATOS_WORKERS", "none"), ("BATOS_ENGINE", "magic"), ("BATOS_CURVE", "perhaps")]
)
def test_a_bad_setting(tmp_path, name, value):
    """A wrong setting exits 5 and names itself, the value and what is allowed."""
    ended = _run(Kernel(tmp_path), **{name: value})
    assert ended.returncode == 5
    assert name in ended.stderr
    assert repr(value) in ended.stderr


def test_a_damaged_image(tmp_path):
    """An image that is not one exits 4 and stays as it is."""
    (tmp_path / "live_image.fs").write_bytes(b"not an image" * 100)
    ended = _run(Kernel(tmp_path))
    assert ended.returncode == 4
    assert (tmp_path / "live_image.fs").read_bytes() == b"not an image" * 100


def _wait_for(kernel, text, count):
    """Wait until the kernel has printed something so often."""
    deadline = time.monotonic() + 30
    while kernel.log().count(text) < count and time.monotonic() < deadline:
        time.sleep(0.02)


def test_what_a_person_sees(tmp_path):
    """The first start says that the image awakens, a later one that it resumes; both that all is nominal."""
    kernel = Kernel(tmp_path).start()
    _wait_for(kernel, "Awaiting", 1)
    assert kernel.stop() == 0
    first = kernel.log()
    kernel.start()
    _wait_for(kernel, "Awaiting", 2)
    kernel.stop()
    second = kernel.log()[len(first) :]
    assert "Prototypal Awakening" in first
    assert "resumes" in second
    assert all("All systems nominal" in text and "Awaiting the Architect's command" in text for text in (first, second))


@pytest.mark.skipif(os.name != "posix", reason="ipc needs a POSIX system")
def test_over_ipc(tmp_path):
    """The bridge serves over ipc too, with its keys."""
    kernel = Kernel(tmp_path)
    kernel.endpoint = kernel.env["BATOS_ZMQ_ENDPOINT"] = f"ipc://{tmp_path / 'bridge'}"
    kernel.start()
    try:
        with Client(kernel) as client:
            assert client.ask({"command": "ping"})["ready"] is True
        with Client(kernel, key=False) as stranger:
            assert stranger.ask({"command": "ping"}, timeout=1) is None
    finally:
        kernel.stop()


def test_keys_are_private(tmp_path):
    """Secret keys have mode 0600, and the generated client is an operator: it may stop the kernel."""
    kernel = Kernel(tmp_path).start()
    try:
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "keys").glob("*.key_secret")}
        assert modes == {"client.key_secret": 0o600, "server.key_secret": 0o600}
        with Client(kernel) as client:
            assert client.ask({"command": "shutdown"})["status"] == "OK"
        assert kernel.process.wait(20) == 0
    finally:
        kernel.stop()
