"""A model named by its hub id, fetched by the hub's own library from a hub on this machine."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("huggingface_hub")

COMMIT = "c" * 40
WEIGHTS = os.urandom(3 << 20)
FILES = {"config.json": b'{"model_type": "tiny"}', "model.safetensors": WEIGHTS, "training_args.bin": b"not asked for"}


class Hub(BaseHTTPRequestHandler):
    """The part of a hub's protocol that a fetch uses: the listing of a repository, and files with their digests."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def log_message(self, *args):
        """Nothing on the screen."""

    def _answer(self, *, body):
        hub = self.server
        if self.path.startswith("/api/models/owner/tiny"):
            return self._send(200, json.dumps(hub.listing()).encode(), body, {"Content-Type": "application/json"})
        name = self.path.rsplit("/", 1)[1]
        if name not in hub.files or "/owner/tiny/resolve/" not in self.path:
            return self._send(200 if self.path == "/" else 404, b"", body, {})
        data = hub.files[name]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        start = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        if body:
            hub.asked.append((name, start))
            hub.holds.wait(20)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return self._send(206 if start else 200, data[start:], body, headers)

    def _send(self, code, data, body, headers):
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


class Server(ThreadingHTTPServer):
    """A hub with one repository."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Hub)
        self.files, self.asked, self.holds = dict(FILES), [], threading.Event()
        self.sha256 = hashlib.sha256(WEIGHTS).hexdigest()
        self.holds.set()

    def listing(self):
        """What the hub tells of the repository."""
        siblings = [
            {"rfilename": name, "size": len(data), "blobId": "b" * 40, **self._lfs(name, data)}
            for name, data in self.files.items()
        ]
        return {"id": "owner/tiny", "sha": COMMIT, "siblings": siblings, "tags": [], "private": False}

    def _lfs(self, name, data):
        if not name.endswith(".safetensors"):
            return {}
        return {"lfs": {"sha256": self.sha256, "size": len(data), "pointerSize": 130}}


@pytest.fixture
def hub():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.holds.set()
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def fetching(hub, tmp_path):
    """Start `models fetch owner/tiny` against the hub."""

    def start():
        environment = {
            **os.environ,
            "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(tmp_path / "hf"),
            "BATOS_WEIGHTS_CACHE": str(tmp_path / "cache"),
            "BATOS_HUB_SECONDS": "20",
        }
        command = [sys.executable, "-m", "batos", "models", "fetch", "owner/tiny"]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    return start


def _folder(tmp_path):
    return tmp_path / "cache/hub/owner--tiny"


def test_a_repository_is_fetched_whole(hub, fetching, tmp_path):
    """The files that an engine needs come, and no others; progress tells how much of how much; again nothing is asked."""
    out, said = (process := fetching()).communicate(timeout=120)
    assert process.returncode == 0, said
    assert (_folder(tmp_path) / "model.safetensors").read_bytes() == WEIGHTS
    assert not (_folder(tmp_path) / "training_args.bin").exists()
    assert "of 3.0 MiB" in " ".join((out + said).split())
    hub.asked.clear()
    process = fetching()
    process.communicate(timeout=120)
    assert (process.returncode, hub.asked) == (0, [])


def test_other_bytes_than_the_hub_tells_are_refused(hub, fetching, tmp_path):
    """Weights whose digest is not the one that the hub lists are thrown away, and the user is told."""
    hub.sha256 = "0" * 64
    process = fetching()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "model.safetensors has another digest" in " ".join(said.split())
    assert not (_folder(tmp_path) / "model.safetensors").exists()
    assert not (_folder(tmp_path) / ".complete").exists()


def test_a_fetch_is_interrupted_and_goes_on(hub, fetching, tmp_path):
    """Ctrl-C ends it while the hub is silent, and says so; the next fetch takes what is still missing."""
    hub.holds.clear()
    process = fetching()
    deadline = time.monotonic() + 60
    while not hub.asked and time.monotonic() < deadline:
        time.sleep(0.02)
    assert hub.asked
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    hub.holds.set()
    assert process.returncode not in (0, None)
    assert "Traceback" not in said
    assert not (_folder(tmp_path) / ".complete").exists()
    process = fetching()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert (_folder(tmp_path) / "model.safetensors").read_bytes() == WEIGHTS
