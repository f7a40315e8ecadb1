"""The mind host's loop: requests in order, cancels heard meanwhile, errors typed, an end when the kernel is gone."""

import os
import threading

import pytest

from batos.errors import BatosError, ModelError, from_wire
from batos.mind.frames import read_frame, write_frame
from batos.mind.host import Host, make_engine
from batos.mind.protocol import ModelSpec
from tests.mind.fake_host import Double


class Peer:
    """A host in threads, and the kernel's ends of its streams."""

    def __init__(self, make, folder):
        ends = [os.pipe(), os.pipe()]
        self.to_host, self.from_host = os.fdopen(ends[0][1], "wb"), os.fdopen(ends[1][0], "rb")
        self.source, self.target = os.fdopen(ends[0][0], "rb"), os.fdopen(ends[1][1], "wb")
        self.host = Host(self.source, self.target, make)
        self.threads = [threading.Thread(target=run) for run in (self.host.listen, self.host.work)]
        for thread in self.threads:
            thread.start()
        (folder / "w.bin").write_bytes(b"weights")
        self.model = {"name": "m", "path": str(folder / "w.bin"), "sha256": "d"}

    def ask(self, number, op, **fields):
        write_frame(self.to_host, {"op": op, "id": number, "model": self.model, **fields})

    def say(self, number, text, n=1):
        messages = ({"role": "user", "content": text},)
        self.ask(number, "generate", request={"state": "X", "messages": messages, "n": n})

    def until(self, number):
        """The frames up to the last one of a request."""
        frames: list = []
        while not frames or frames[-1].get("id") != number or not {"value", "error"} & set(frames[-1]):
            frames.append(read_frame(self.from_host))
        return frames

    def close(self):
        self.to_host.close()
        for thread in self.threads:
            thread.join()
        for stream in (self.from_host, self.source, self.target):
            stream.close()


@pytest.fixture
def peer(tmp_path):
    """A host whose models are doubles."""
    made = Peer(Double, tmp_path)
    yield made
    made.close()


def test_text_is_streamed_then_answered(peer):
    """A request gets its loading, its tokens and then its reply, each with its number."""
    peer.say(7, "say one two", n=2)
    frames = [frame for frame in peer.until(7) if "beat" not in frame]
    assert frames[0] == {"loading": "m", "id": 7}
    assert [frame["token"] for frame in frames if "token" in frame] == ["one", "two"]
    assert frames[-1]["value"]["texts"] == ("one two", "one two")


def test_tokens_that_nobody_hears_are_not_sent(peer):
    """A request that is not streamed gets its reply alone."""
    request = {"state": "X", "messages": ({"content": "say one two"},)}
    peer.ask(1, "generate", request=request, stream=False)
    frames = peer.until(1)
    assert [frame for frame in frames if "token" in frame] == []
    assert frames[-1]["value"]["texts"] == ("one two",)


def test_model_is_told_after_loading(peer):
    """After a load and after an unload the kernel hears which models are loaded."""
    peer.ask(1, "load")
    told = [frame["models"] for frame in peer.until(1) if "models" in frame]
    assert [model["name"] for model in told[-1]] == ["m"]
    peer.ask(2, "unload", name="m")
    assert [frame["models"] for frame in peer.until(2) if "models" in frame] == [[]]


def test_cancel_stops_a_writing_model(peer):
    """A cancel is heard while the model writes; the next request is served."""
    peer.say(1, "wait")
    while "token" not in read_frame(peer.from_host):
        pass
    write_frame(peer.to_host, {"op": "cancel", "id": 1})
    assert peer.until(1)[-1]["error"]["type"] == "Cancelled"
    peer.say(2, "say ok")
    assert peer.until(2)[-1]["value"]["texts"] == ("ok",)


def test_cancel_reaches_a_waiting_request(peer):
    """A request that is cancelled before its turn is never begun."""
    peer.say(1, "wait")
    peer.say(2, "say never")
    write_frame(peer.to_host, {"op": "cancel", "id": 2})
    write_frame(peer.to_host, {"op": "cancel", "id": 1})
    frames = peer.until(2)
    assert frames[-1]["error"]["type"] == "Cancelled"
    assert "never" not in [frame.get("token") for frame in frames]


def test_host_shows_that_it_is_alive(peer):
    """A model that works without writing lets beats be sent."""
    peer.say(1, "wait")
    while "beat" not in read_frame(peer.from_host):
        pass
    write_frame(peer.to_host, {"op": "cancel", "id": 1})
    assert peer.until(1)[-1]["error"]["type"] == "Cancelled"


@pytest.mark.parametrize(
    ("op", "fields", "kind", "text"),
    [
        ("generate", {"request": {"state": "X", "messages": ({"content": "long x"},)}}, "ContextTooLong", "7"),
        ("generate", {"request": {"state": "X", "messages": ({"content": "jump"},)}}, "ModelError", "KeyError"),
        ("dance", {}, "BadField", "dance"),
        ("load", {"model": {"name": "n", "path": "/nowhere"}}, "NoWeights", "/nowhere"),
    ],
)
def test_trouble_is_typed(peer, op, fields, kind, text):
    """Whatever goes wrong is an error of a known type, and the host goes on."""
    peer.ask(1, op, **fields)
    error = from_wire(peer.until(1)[-1]["error"])
    assert (type(error).__name__, text in str(error)) == (kind, True)
    peer.say(2, "say ok")
    assert "value" in peer.until(2)[-1]


def test_embeddings(peer):
    """Texts get one vector each."""
    peer.ask(1, "embed", texts=["a", "bcd"])
    assert peer.until(1)[-1]["value"] == [[1.0, 0.0], [3.0, 0.0]]


def test_wrong_engine_for_the_weights(tmp_path):
    """llama.cpp and a folder of weights do not go together, and the hint says what does."""
    with pytest.raises(ModelError) as caught:
        make_engine("llama.cpp", ModelSpec(name="m", path=str(tmp_path), kind="transformers"))
    assert "transformers" in caught.value.hint
    assert issubclass(type(caught.value), BatosError)
