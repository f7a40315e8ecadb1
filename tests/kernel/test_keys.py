"""Keys: made once, authorised by name, revoked on a running kernel."""

import contextlib
import stat

import pytest
import zmq
import zmq.auth

from batos.errors import BadField, UnknownTarget
from batos.kernel import keys
from tests.kernel.harness import Client, Kernel


class _As(Client):
    """A client with the keys of another folder."""

    def __init__(self, kernel, folder):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.curve_serverkey, _ = zmq.auth.load_certificate(folder / "server.key")
        self.socket.curve_publickey, self.socket.curve_secretkey = zmq.auth.load_certificate(
            folder / "client.key_secret"
        )
        self.socket.connect(kernel.endpoint)
        self.events = []


class TestFiles:
    def test_added_listed_and_revoked(self, tmp_path):
        """A client that is added has a folder that a client can use, its role, and nothing of it stays when revoked."""
        keys.ensure_keys(tmp_path)
        folder = keys.add(tmp_path, "laptop")
        assert {entry.name: entry.role for entry in keys.listed(tmp_path)} == {"client": "operator", "laptop": ""}
        assert {file.name for file in folder.iterdir()} == {"server.key", "client.key", "client.key_secret"}
        assert stat.S_IMODE((folder / "client.key_secret").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        keys.revoke(tmp_path, "laptop")
        assert not folder.exists()
        assert [entry.name for entry in keys.listed(tmp_path)] == ["client"]

    @pytest.mark.parametrize("name", ["", "../x", "a/b", "authorized", "server", ".hidden", "x" * 80])
    def test_names_that_are_none(self, tmp_path, name):
        """A name that is a path, reserved or too long is refused, and nothing is written."""
        keys.ensure_keys(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(BadField):
            keys.add(tmp_path, name)
        with pytest.raises(UnknownTarget):
            keys.revoke(tmp_path, name)
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_name_is_taken_once(self, tmp_path):
        """A second client of the same name is refused."""
        keys.add(tmp_path, "laptop", keys.OPERATOR)
        with pytest.raises(BadField):
            keys.add(tmp_path, "laptop")

    def test_the_own_client_stays_revoked(self, tmp_path):
        """The generated client that was revoked does not come back with the next start; `add` brings it back."""
        keys.ensure_keys(tmp_path)
        keys.revoke(tmp_path, "client")
        keys.ensure_keys(tmp_path)
        assert keys.listed(tmp_path) == []
        keys.add(tmp_path, "client", keys.OPERATOR)
        assert keys.listed(tmp_path)[0].role == keys.OPERATOR


class TestRunning:
    def test_added_and_revoked_on_a_running_kernel(self, tmp_path):
        """Who was added enters, and may not stop the kernel; who was revoked is not heard from that moment, and hears nothing."""
        kernel = Kernel(tmp_path).start()
        folder = tmp_path / "keys"
        try:
            own = keys.add(folder, "laptop")
            copy = tmp_path / "copy"
            own.rename(copy)
            with _As(kernel, copy) as laptop, Client(kernel) as other:
                assert laptop.ask({"command": "ping"}, timeout=20)["status"] == "OK"
                assert laptop.ask({"command": "shutdown"})["error"]["type"] == "NotAllowed"
                number = laptop.send({"command": "subscribe", "topics": ["image"]})
                assert laptop.receive(10)["event"] == "subscribed"
                keys.revoke(folder, "laptop")
                laptop.send({"command": "set", "target_oid": "genesis_obj", "slots": {"forbidden": 1}})
                assert laptop.ask({"command": "ping"}, timeout=0.3) is None
                assert "forbidden" not in other.ask({"command": "inspect", "target_oid": "genesis_obj"})["slots"]
                other.ask({"command": "set", "target_oid": "genesis_obj", "slots": {"seen": 1}})
                assert laptop.last_word(number, 0.7) is None
                assert laptop.events == []
                with _As(kernel, copy) as again:
                    assert again.ask({"command": "ping"}, timeout=1) is None
                assert other.ask({"command": "ping"})["status"] == "OK"
        finally:
            assert kernel.stop() == 0

    def test_ipc_is_for_this_user_alone(self, tmp_path):
        """An ipc socket has the mode 0600; a second kernel does not take it away."""
        kernel = Kernel(tmp_path, CURVE="off")
        place = tmp_path / "bridge.sock"
        kernel.endpoint = kernel.env["BATOS_ZMQ_ENDPOINT"] = f"ipc://{place}"
        kernel.start()
        second = tmp_path / "second"
        second.mkdir()
        try:
            with Client(kernel) as client:
                assert client.ask({"command": "ping"})["status"] == "OK"
            assert stat.S_IMODE(place.stat().st_mode) == 0o600
            thief = Kernel(second, CURVE="off")
            thief.endpoint = thief.env["BATOS_ZMQ_ENDPOINT"] = kernel.endpoint
            with contextlib.suppress(RuntimeError):  # the first kernel answers for it, or it has ended already
                thief.start()
            assert thief.process.wait(30) == 6
            with Client(kernel) as client:
                assert client.ask({"command": "ping"})["status"] == "OK"
        finally:
            kernel.stop()
