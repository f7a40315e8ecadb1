"""Clients that die, stall, never read, or come in crowds: bounded memory, and others are unharmed."""

import contextlib
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import zmq

from batos import codec
from tests.kernel.harness import ROOT, Client, Kernel, mission, writes

MIB = 1 << 20
RULES = [
    writes("slow_one", "def slow_one(self):\n    return 1\n", delay_s=1),
    writes("talker", "def talker(self):\n    return 'word ' * 3000\n"),
]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel with small limits."""
    running = Kernel(tmp_path_factory.mktemp("home"), RULES, MAX_MESSAGE_BYTES="65536", QUEUE_LIMIT="300").start()
    yield running
    running.stop()


def _memory(kernel):
    return int(Path(f"/proc/{kernel.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def _bridge(client):
    return client.ask({"command": "status"})["bridge"]


def test_a_reader_that_never_reads(kernel):
    """Fifty megabytes that nobody reads cost a few; others are answered meanwhile, and a late reader is too."""
    with Client(kernel) as other, Client(kernel) as deaf:
        deaf.socket.rcvhwm = 1
        deaf.socket.rcvbuf = 8192
        inspect = {"command": "inspect", "target_oid": "genesis_obj"}
        assert other.ask(inspect)["status"] == "OK"
        other.ask({"command": "set", "target_oid": "genesis_obj", "slots": {"filler": "x" * 15_000}})
        before = _memory(kernel)
        for number in range(3000):
            deaf.socket.send(codec.pack({"id": number, **inspect}))
        while (told := _bridge(other))["in_progress"] > 1 or told["requests"] < 3000:
            assert other.ask({"command": "ping"}, timeout=30)["status"] == "OK"
        assert _memory(kernel) - before < 25 * MIB
        assert told["waiting_bytes"] < MIB
        assert told["dropped"] > 0
        heard = []
        while deaf.socket.poll(2000):
            reply = codec.unpack(deaf.socket.recv())
            heard.append(reply["id"])
            assert reply["status"] == "OK" or reply["error"]["type"] == "Busy"
        assert len(heard) == len(set(heard)) > 0
        assert deaf.ask({"command": "ping"})["status"] == "OK"
        other.ask({"command": "remove", "target_oid": "genesis_obj", "slot": "filler"})


STREAM = """
import sys, zmq, zmq.auth
from batos import codec
socket = zmq.Context.instance().socket(zmq.DEALER)
socket.curve_serverkey, _ = zmq.auth.load_certificate(sys.argv[2] + "/server.key")
socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(sys.argv[2] + "/client.key_secret")
socket.connect(sys.argv[1])
socket.send(codec.pack(%r))
while True:
    print(socket.recv(), flush=True)
"""


def test_clients_killed_mid_stream(kernel, until):
    """Clients killed while a mission streams to them: the mission ends well, and nothing of them stays."""
    code = STREAM % mission("slow_one")
    command = [sys.executable, "-c", code, kernel.endpoint, str(kernel.home / "keys")]
    clients = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(3)]
    for client in clients:
        client.stdout.readline()
        client.kill()
        client.wait()
        client.stdout.close()
    with Client(kernel) as other:
        until(lambda: other.call("slow_one").get("result") == 1, "the mission's method")
        until(lambda: _bridge(other)["in_progress"] <= 1, "the end of what they waited for")
        assert kernel.process.poll() is None


def test_half_open_connections(kernel):
    """Sixty connections that say nothing, half a greeting or noise leave everybody else alone."""
    where = urlsplit(kernel.endpoint)
    with contextlib.ExitStack() as stack, Client(kernel) as other:
        for number in range(60):
            raw = stack.enter_context(socket.create_connection((where.hostname, where.port)))
            raw.sendall([b"", b"\xff\0\0\0\0\0\0\0\x01\x7f\x03", b"GET / HTTP/1.1\r\n\r\n"][number % 3])
        for _ in range(20):
            assert other.ask({"command": "ping"}, timeout=10)["status"] == "OK"


def test_ids_reused(kernel):
    """The same id in many requests at once gets one last word for each; so does the same request_id, from one cycle."""
    with Client(kernel) as client:
        for _ in range(50):
            client.socket.send(codec.pack({"id": "same", "command": "cycles"}))
        assert [client.receive(10)["id"] for _ in range(50)] == ["same"] * 50
        words = []
        for number in (1, 1, 2):
            named = {**mission("talker"), "id": number, "request_id": "one name"}
            client.socket.send(codec.pack(named))
        while len(words) < 3:
            reply = client.receive(30)
            if "status" in reply:
                words.append(reply)
        assert {word["status"] for word in words} == {"COMPLETE"}
        assert len({word["cycle_id"] for word in words}) == 1
        assert client.receive(0.2) is None


def test_five_hundred_connections(kernel):
    """Five hundred clients at once are all answered, in bounded memory, and leave nothing behind."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip(f"this process may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    context = zmq.Context()
    context.max_sockets = 2000
    try:
        before = _memory(kernel)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(kernel, context=context)) for _ in range(500)]
            numbers = [client.send({"command": "ping"}) for client in clients]
            for client, number in zip(clients, numbers, strict=True):
                assert client.last_word(number, 60)["status"] == "OK"
            assert _memory(kernel) - before < 100 * MIB
        with Client(kernel) as client:
            assert client.ask({"command": "ping"})["status"] == "OK"
    finally:
        context.term()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_full_queue_answers_at_once(tmp_path):
    """With two requests in progress and a limit of two, a third is told so at once, with a hint; `ping` still works."""
    kernel = Kernel(tmp_path, [writes("endless", "", delay_s=60)], QUEUE_LIMIT="2").start()
    try:
        with Client(kernel) as client:
            client.send(mission("endless"))
            cycle = client.receive(20)["cycle_id"]
            client.send({"command": "follow", "cycle_id": cycle})
            started = time.monotonic()
            reply = client.ask({"command": "objects"})
            assert reply["error"]["type"] == "Busy"
            assert reply["error"]["hint"]
            assert client.ask({"command": "ping"})["status"] == "OK"
            assert time.monotonic() - started < 30
    finally:
        kernel.stop()
