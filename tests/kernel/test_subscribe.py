"""The command `subscribe`: what happens, in order, until the client unsubscribes or the kernel stops."""

import asyncio

import pytest

from batos.errors import Stopping
from batos.kernel.feed import KEPT, Feed
from tests.kernel.harness import Client, Kernel, mission, writes

HELLO = writes("greet_user", "def greet_user(self, name):\n    return f'Hello, {name}!'\n")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel that can write one method."""
    running = Kernel(tmp_path_factory.mktemp("home"), [HELLO]).start()
    yield running
    running.stop()


def _until(client, number, ends):
    heard = []
    while True:
        message = client.receive(20)
        assert message is not None
        assert message["event"] != "waiting"
        if message["id"] == number:
            heard.append(message)
            if ends(message):
                return heard


def test_a_mission_is_seen_from_outside(kernel):
    """Who subscribed sees each state of a mission and the image move, without a gap; unsubscribing ends both requests."""
    with Client(kernel) as watcher, Client(kernel) as client:
        number = watcher.send({"command": "subscribe", "topics": ["cycles", "image"]})
        assert watcher.receive(10)["event"] == "subscribed"
        cycle = client.teach("greet_user", args=["Ada"], version="new")["cycle_id"]
        heard = _until(watcher, number, lambda m: m.get("ended") == "COMPLETE")
        tid = client.ask({"command": "set", "target_oid": "genesis_obj", "slots": {"seen": 1}})["tid"]
        heard += _until(watcher, number, lambda m: m.get("tid", "") >= tid)
        states = [m["to"] for m in heard if m["event"] == "cycle" and "to" in m]
        assert states == ["DECOMPOSING", "DELEGATING", "SYNTHESIZING", "VALIDATING", "COMPLETE"]
        assert {m["cycle_id"] for m in heard if m["event"] == "cycle"} == {cycle}
        assert [m["seq"] for m in heard] == list(range(1, len(heard) + 1))
        assert {m["event"] for m in heard} == {"cycle", "image"}
        end = watcher.send({"command": "subscribe"})
        words = {}
        while len(words) < 2:
            message = watcher.receive(10)
            if "status" in message:
                words[message["id"]] = message
        assert words[end]["ended"] == 1
        assert words[number]["status"] == "OK"
        client.ask({"command": "set", "target_oid": "genesis_obj", "slots": {"seen": 2}})
        assert watcher.receive(0.5) is None


def test_an_unknown_topic_is_refused(kernel):
    """A topic that there is not gets an error that names the field."""
    with Client(kernel) as client:
        reply = client.ask({"command": "subscribe", "topics": ["weather"]})
        assert reply["error"]["type"] == "BadField"
        assert "topics" in reply["error"]["message"]


def test_a_kernel_that_stops_says_so(tmp_path):
    """Subscribers hear `Stopping` when the kernel goes down, and do not hold it up."""
    kernel = Kernel(tmp_path, [HELLO]).start()
    with Client(kernel) as watcher:
        number = watcher.send({"command": "subscribe", "topics": ["cycles"]})
        assert watcher.receive(10)["event"] == "subscribed"
        assert kernel.stop() == 0
        assert watcher.last_word(number, 10)["error"]["type"] == "Stopping"


def test_a_subscriber_far_behind_is_told_what_it_missed():
    """Past KEPT events the oldest go, and the count of them comes first."""

    async def scene():
        feed = Feed({})
        told = []
        behind = asyncio.Event()

        async def emit(event):
            told.append(event)
            if event["event"] == "subscribed":
                await behind.wait()

        subscription = asyncio.create_task(feed.subscribe(b"peer", ["cycles"], emit))
        await asyncio.sleep(0)

        class Step:
            to, changes, last_word = "DELEGATING", {}, None

        record = {"cycle_id": "c", "selector": "s", "state": "DECOMPOSING"}
        for _ in range(KEPT + 5):
            feed.cycle(record, Step)
        behind.set()
        while len(told) < KEPT + 2:
            await asyncio.sleep(0)
        assert told[1]["event"] == "missed"
        assert told[1]["count"] == 5
        assert [event["seq"] for event in told[2:]] == list(range(6, KEPT + 6))
        feed.close()
        with pytest.raises(Stopping):
            await subscription
        assert feed.statistics() == {"subscriptions": 0}

    asyncio.run(scene())


def test_both_sides_of_a_join_hear_the_same(kernel):
    """Two clients with one request_id hear the same events in the same order, and the same last word."""
    with Client(kernel) as one, Client(kernel) as two:
        request = {**mission("greet_user", args=["Bob"], version="new"), "request_id": "joined"}
        numbers = one.send(request), two.send(request)
        words = one.last_word(numbers[0]), two.last_word(numbers[1])
        assert words[0]["cycle_id"] == words[1]["cycle_id"]
        stories = [[(m["event"], m["seq"]) for m in c.events if m["event"] != "token"] for c in (one, two)]
        assert stories[0] == stories[1]
        assert [seq for _, seq in stories[0]] == sorted(seq for _, seq in stories[0])


@pytest.mark.parametrize("looks", [{}, {"image": lambda: {"tid": 1}}], ids=["told", "looked at"])
async def test_a_subscriber_whose_peer_goes_leaves_nothing_behind(looks):
    """A subscription that is cancelled, as the bridge does with a peer that is gone, leaves no task that waits for ever."""
    feed, subscribed = Feed(looks), asyncio.Event()

    async def emit(event):
        subscribed.set()

    task = asyncio.create_task(feed.subscribe(b"peer", ["cycles", *looks], emit))
    await subscribed.wait()
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert feed.statistics() == {"subscriptions": 0}
