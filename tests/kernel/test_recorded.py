"""Recorded good calls: one in so many, few and small, and written beside the calls, which stay free of writes."""

from batos.image import laws
from batos.image.store import Image
from tests.kernel.harness import Client, Kernel

SOURCE = "def twice(self, n):\n    return n * 2\n"
NOTE = "calls that came out well"


def _install(client):
    request = {"command": "install", "target_oid": "genesis_obj", "selector": "twice", "source": SOURCE}
    assert client.ask(request)["status"] == "COMPLETE"


def _kept_count(client):
    return client.ask({"command": "status"})["repair"]["kept_calls"]


def _records(client):
    return [row for row in client.ask({"command": "changes"})["changes"] if row["note"] == NOTE]


def _kept(home):
    """The calls of `twice` that the stopped image holds."""
    image = Image(home / "live_image.fs", home / "live_image.fs.blob")
    try:
        return image.read_now(lambda view: laws.calls(view, view.ref(view.resolve("genesis_obj")), "twice")).value
    finally:
        image.close_now()


def test_one_in_so_many_is_kept_and_reads_write_nothing(tmp_path, until):
    """Each fifth call is kept, later, by a transaction of its own that says so; the calls themselves write nothing."""
    kernel = Kernel(tmp_path, RECORD_EVERY="5").start()
    try:
        with Client(kernel) as client:
            _install(client)
            replies = [client.call("twice", n) for n in range(4)]
            assert _records(client) == []
            replies.append(client.call("twice", 4))
            until(lambda: _kept_count(client) == 1, "the fifth call")
            (written,) = _records(client)
            assert written["tid"] > replies[4]["tid"]
            assert written["objects"] == []
            replies += [client.call("twice", n) for n in range(5, 10)]
            until(lambda: _kept_count(client) == 2, "the tenth call")
            assert len(_records(client)) == 2
            changes = client.ask({"command": "changes", "limit": 1000})["changes"]
    finally:
        kernel.stop()
    assert [reply["result"] for reply in replies] == [2 * n for n in range(10)]
    assert "send twice" not in [row["note"] for row in changes]
    assert all(row["why"] == {"record": True} for row in changes if row["note"] == NOTE)
    kept = [(row["args"], row["result"], row["tid"]) for row in _kept(tmp_path)]
    assert kept == [([n], 2 * n, replies[n]["tid"]) for n in (4, 9)]


def test_few_and_small_ones_are_kept(tmp_path, until):
    """Of many calls the newest few are kept, one for each arguments; one whose values are large is not."""
    kernel = Kernel(tmp_path, RECORD_EVERY="1").start()
    try:
        with Client(kernel) as client:
            _install(client)
            client.call("twice", "x" * 10_000)
            for n in [*range(laws.CALLS + 3), 4]:
                client.call("twice", n)
            until(lambda: _kept_count(client) == laws.CALLS + 4, "the calls")
    finally:
        kernel.stop()
    assert [row["args"][0] for row in _kept(tmp_path)] == [n for n in range(3, laws.CALLS + 3) if n != 4] + [4]


def test_none_are_kept_where_none_are_asked_for(tmp_path, until):
    """With RECORD_EVERY 0 no call is kept, also of a method that has failed."""
    kernel = Kernel(tmp_path, RECORD_EVERY="0", FAILURE_LIMIT="100").start()
    try:
        with Client(kernel) as client:
            _install(client)
            assert client.call("twice", None)["error"]["type"] == "MethodError"
            for n in range(5):
                client.call("twice", n)
            until(lambda: client.ask({"command": "status"})["repair"]["looked_after"] == 1, "a look at the failure")
            assert (_kept_count(client), _records(client)) == (0, [])
    finally:
        kernel.stop()
    assert _kept(tmp_path) == []
