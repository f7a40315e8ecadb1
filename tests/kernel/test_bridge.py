"""Frames, fields, keys and limits of the Synaptic Bridge."""

import random

import pytest

from batos import codec
from batos.kernel.bridge import peek_id
from tests.kernel.harness import Client

WRONG = [
    {},
    {"command": 5},
    {"command": "nope"},
    {"command": "send", "target_oid": [], "selector": 3},
    {"command": "send", "target_oid": "genesis_obj", "selector": "for"},
    {"command": "send", "target_oid": "genesis_obj", "selector": "_hidden"},
    {"command": "send", "target_oid": "nobody", "selector": "x"},
    {"command": "initiate_cognitive_cycle", "mission_brief": "x"},
    {
        "command": "initiate_cognitive_cycle",
        "target_oid": "genesis_obj",
        "mission_brief": {"type": "other", "selector": "x"},
    },
    {"command": "follow", "cycle_id": "none"},
    {"command": "cycles", "limit": -1},
    {"command": "create", "name": "0123456789abcdef"},
    {"command": "create", "name": "genesis_obj"},
    {"command": "remove", "target_oid": "traits_obj"},
    {"command": "rollback", "target_oid": "genesis_obj", "selector": "nothing", "version": 1},
    {"command": "search", "query": 5},
    {"command": "remember", "doc_id": "", "text": "x"},
]


class TestFrames:
    @pytest.mark.parametrize("message", WRONG, ids=lambda m: repr(m)[:60])
    def test_wrong_fields_get_an_error(self, client, message):
        """Every wrong request gets one error reply with its id, a type, a message and a hint."""
        reply = client.ask(message, timeout=10)
        assert reply["status"] == "ERROR"
        assert {"type", "message", "hint"} <= set(reply["error"])
        assert reply["error"]["type"] != "InternalError"

    @pytest.mark.parametrize("frame", [b"", b"\xff\x00garbage", codec.pack([1, 2]), codec.pack(None), b"\x81"])
    def test_what_is_no_map_gets_bad_frame(self, client, frame):
        """A frame that is not a msgpack map gets BadFrame with id nil."""
        client.socket.send(frame)
        reply = client.receive(10)
        assert reply["id"] is None
        assert reply["error"]["type"] == "BadFrame"

    def test_random_bytes_never_stop_it(self, client):
        """A kernel that was sent 300 random frames answers a ping."""
        noise = random.Random(7)
        for _ in range(300):
            client.socket.send(noise.randbytes(noise.randrange(60)))
        assert client.ask({"command": "ping"}, timeout=20)["status"] == "OK"

    def test_a_large_message_is_too_large(self, client):
        """Twenty megabytes get TooLarge, with the id; the next request is answered."""
        reply = client.ask({"command": "ping", "text": "x" * 20_000_000})
        assert reply["error"]["type"] == "TooLarge"
        assert client.ask({"command": "ping"})["status"] == "OK"

    def test_a_delimiter_is_given_back(self, client):
        """An empty frame before the message, as REQ sockets send, comes back before the reply."""
        client.socket.send_multipart([b"", codec.pack({"command": "ping"})])
        assert client.socket.poll(10_000)
        frames = client.socket.recv_multipart()
        assert frames[0] == b""
        assert codec.unpack(frames[1])["status"] == "OK"

    def test_no_key_no_reply(self, kernel):
        """A peer without a key hears nothing."""
        with Client(kernel, key=False) as stranger:
            assert stranger.ask({"command": "ping"}, timeout=1) is None


class TestPeekId:
    @pytest.mark.parametrize("value", ["abc", "x" * 200, 5, 300, 70_000, 5_000_000_000])
    def test_the_first_entry_is_found(self, value):
        """The id of a map that begins with it is read without reading the map."""
        assert peek_id(codec.pack({"id": value, "rest": "x" * 100})) == value
        assert peek_id(codec.pack({"id": value, **{str(n): n for n in range(40)}})) == value

    @pytest.mark.parametrize(
        "frame", [b"\x81", b"\x81\xa2id", b"\x80", b"\x81\xa2id\xc1", codec.pack({"x": 1, "id": 2})]
    )
    def test_what_is_not_there_is_none(self, frame):
        """Anything else gives None."""
        assert peek_id(frame) is None
