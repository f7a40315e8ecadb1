"""A real kernel process with the scripted mind, and a plain pyzmq client for it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import zmq
import zmq.auth

from batos import codec

ROOT = Path(__file__).parent.parent.parent
DECOMPOSE = {"state": "DECOMPOSING", "text": '["python method"]'}


def free_endpoint() -> str:
    """A loopback endpoint that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def writes(selector: str, source: str, **more) -> dict:
    """A rule of the script: what the scripted mind writes for a selector."""
    return {"state": "SYNTHESIZING", "match": rf"\b{selector}\b", "text": source, **more}


class Kernel:
    """A kernel process in a home of its own."""

    def __init__(self, home: Path, rules=(), **env: str) -> None:
        self.home = home
        self.endpoint = free_endpoint()
        script = home / "script.json"
        script.write_text(json.dumps([DECOMPOSE, *rules]))
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("BATOS_")},
            "BATOS_HOME": str(home),
            "BATOS_ZMQ_ENDPOINT": self.endpoint,
            "BATOS_ENGINE": f"scripted:{script}",
            "HF_HUB_OFFLINE": "1",
            **{f"BATOS_{key}": value for key, value in env.items()},
        }
        self.process: subprocess.Popen | None = None
        self.command = [sys.executable, str(ROOT / "batos.py")]

    def start(self, **env: str) -> Kernel:
        """Start it, and wait until it answers."""
        with (self.home / "kernel.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.home,
                env={**self.env, **{f"BATOS_{key}": value for key, value in env.items()}},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the kernel ended with {self.process.returncode}: {self.log()[-2000:]}")
            if (self.home / "keys" / "server.key").exists():
                with Client(self) as client:
                    if client.ask({"command": "ping"}, timeout=1):
                        return self
            time.sleep(0.05)
        raise RuntimeError(f"the kernel does not answer: {self.log()[-2000:]}")

    def log(self) -> str:
        """What it printed."""
        return (self.home / "kernel.log").read_text()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> int:
        """Ask it to stop; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode


class Client:
    """A DEALER with the client's key; `ask` gives the last word, `events` holds what came before it."""

    _ids = itertools.count(1)

    def __init__(self, kernel: Kernel, *, key: bool = True, context: zmq.Context | None = None) -> None:
        self.socket = (context or zmq.Context.instance()).socket(zmq.DEALER)
        self.socket.linger = 0
        if key and kernel.env.get("BATOS_CURVE") != "off":
            keys = kernel.home / "keys"
            self.socket.curve_serverkey, _ = zmq.auth.load_certificate(keys / "server.key")
            self.socket.curve_publickey, self.socket.curve_secretkey = zmq.auth.load_certificate(
                keys / "client.key_secret"
            )
        self.socket.connect(kernel.endpoint)
        self.events: list[dict] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def send(self, message: dict) -> int:
        """Send a request; gives its id."""
        number = next(self._ids)
        self.socket.send(codec.pack({"id": number, **message}))
        return number

    def receive(self, timeout: float = 30) -> dict | None:
        """The next message, None after the time."""
        if not self.socket.poll(int(timeout * 1000)):
            return None
        return codec.unpack(self.socket.recv_multipart()[-1])

    def ask(self, message: dict, timeout: float = 60) -> dict | None:
        """Send a request and give its last word."""
        return self.last_word(self.send(message), timeout)

    def last_word(self, number: int, timeout: float = 60) -> dict | None:
        """The last word of a request that was sent."""
        self.events = []
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            reply = self.receive(left)
            if reply is None:
                return None
            if reply.get("id") != number:
                continue
            if "status" in reply:
                return reply
            self.events.append(reply)
        return None

    def teach(self, selector: str, *, request: dict | None = None, **brief) -> dict | None:
        """Start a cycle on genesis_obj."""
        return self.ask(mission(selector, request=request, **brief))

    def call(self, selector: str, *args, target="genesis_obj", **kwargs) -> dict | None:
        """Send a message without learning."""
        return self.ask(
            {
                "command": "send",
                "target_oid": target,
                "selector": selector,
                "args": list(args),
                "kwargs": kwargs,
                "learn": False,
            }
        )


def mission(selector: str, *, request: dict | None = None, **brief) -> dict:
    """The request that starts a cycle on genesis_obj."""
    fields = {"type": "unhandled_message", "selector": selector, "intent": selector.replace("_", " "), **brief}
    return {
        "command": "initiate_cognitive_cycle",
        "target_oid": "genesis_obj",
        "mission_brief": fields,
        **(request or {}),
    }
