"""The probe and the watchdog with a real kernel: what was learned survives kill -9."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading

import pytest

from batos.client import SyncClient
from batos.settings import Settings
from batos.watchdog.files import read_json
from batos.watchdog.probe import Probe, listening
from batos.watchdog.service import Watchdog

RULES = [{"state": "SYNTHESIZING", "match": "tell_seven", "text": "def tell_seven(self):\n    return 7\n"}]
BRIEF = {"type": "unhandled_message", "selector": "tell_seven", "intent": "tell seven"}


@pytest.fixture
def settings(home, monkeypatch) -> Settings:
    """A home with a scripted model and a port of its own."""
    (home / "script.json").write_text(json.dumps(RULES))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("BATOS_ENGINE", "scripted:script.json")
    monkeypatch.setenv("BATOS_ZMQ_ENDPOINT", f"tcp://127.0.0.1:{port}")
    monkeypatch.setenv("BATOS_WATCH_SECONDS", "1")
    return Settings.load()


def test_a_method_survives_the_kernels_death(settings, until):
    """A kernel that was killed is replaced, and the new one answers with what the old one learned."""
    watchdog = Watchdog(settings)
    thread = threading.Thread(target=watchdog.run)
    thread.start()

    def serving() -> int | None:
        status = read_json(settings.home / "run" / "watchdog.json")
        return status["kernel_pid"] if status.get("state") == "serving" else None

    try:
        until(serving)
        first = serving()
        with SyncClient.from_settings(settings) as client:
            taught = client.call("initiate_cognitive_cycle", target_oid="genesis_obj", mission_brief=BRIEF, timeout=60)
            assert (taught["status"], taught["result"]) == ("COMPLETE", 7)
            os.kill(first, signal.SIGKILL)
            until(lambda: serving() not in (None, first))
            told = client.call("send", target_oid="genesis_obj", selector="tell_seven", learn=False, timeout=60)
            assert told["result"] == 7
    finally:
        watchdog.stop()
        thread.join(30)
    assert not thread.is_alive()
    assert not listening(settings.zmq_endpoint)


def test_nobody_listens(settings):
    """A ping where nobody listens, or before there are keys, is None at once."""
    probe = Probe(settings)
    assert probe.ping(30) is None
    settings.keys_path.mkdir()
    (settings.keys_path / "client.key_secret").touch()
    assert probe.ping(30) is None
    probe.close()


@pytest.mark.parametrize("endpoint", ["tcp://127.0.0.1:1", "tcp://nowhere", "ipc:///nonexistent/socket", "tcp://[::1"])
def test_odd_endpoints_do_not_listen(endpoint):
    """Whatever the endpoint, the answer is a plain no."""
    assert listening(endpoint) is False


def test_listening_finds_both_kinds(tmp_path):
    """A TCP server and a Unix socket are found; a wildcard address means this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listening(f"tcp://127.0.0.1:{port}")
        assert listening(f"tcp://*:{port}")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        assert listening(f"ipc://{tmp_path / 's'}")
