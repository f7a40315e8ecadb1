"""What a candidate does to slots is tried before it is installed."""

from tests.kernel.harness import Client, Kernel, writes

OWN_NAME = "def tally(self):\n    setattr(self, 'tal' + 'ly', 1)\n    self._p_changed = True\n    return 1\n"
RIGHT = "def tally(self):\n    self.total = getattr(self, 'total', 0) + 1\n    self._p_changed = True\n    return self.total\n"
NOT_DATA = "def gather(self):\n    self.things = [object()]\n    self._p_changed = True\n"


def test_a_slot_never_takes_the_name_of_a_message(tmp_path):
    """A candidate that writes its own selector is sent back with a finding that says so; the next one is installed."""
    kernel = Kernel(tmp_path, [writes("tally", OWN_NAME, times=1), writes("tally", RIGHT)]).start()
    try:
        with Client(kernel) as client:
            reply = client.teach("tally")
            findings = [event["finding"] for event in client.events if event["event"] == "attempt"]
            assert "`tally` is a message" in findings[0]
            assert (reply["status"], reply["result"]) == ("COMPLETE", 1)
            assert client.call("tally")["result"] == 2
    finally:
        kernel.stop()


def test_what_cannot_be_stored_is_found_in_the_trial(tmp_path):
    """A candidate whose slots hold what is not plain data fails its trial; nothing is installed."""
    kernel = Kernel(tmp_path, [writes("gather", NOT_DATA)]).start()
    try:
        with Client(kernel) as client:
            reply = client.teach("gather")
            assert reply["status"] == "FAILED"
            assert "object" in reply["error"]["message"]
            assert client.call("gather")["status"] == "NOT_UNDERSTOOD"
    finally:
        kernel.stop()


def test_a_forgetful_candidate_is_sent_back_once(tmp_path):
    """A candidate that flags a change but never makes the slot it reads gets one chance to do better."""
    forgetful = "def visits(self):\n    self._p_changed = True\n    return getattr(self, 'seen', 0) + 1\n"
    kernel = Kernel(tmp_path, [writes("visits", forgetful)]).start()
    try:
        with Client(kernel) as client:
            reply = client.teach("visits")
            findings = [event["finding"] for event in client.events if event["event"] == "attempt"]
    finally:
        kernel.stop()
    assert len(findings) == 1
    assert "never sets self.seen" in findings[0]
    assert reply["status"] == "COMPLETE"


def test_the_prompt_shows_the_slots_that_matter(tmp_path):
    """A mission tells the model of the slots that it may be about, whatever their size, and of no others."""
    told = r"slots: books = \{'Dune': 1965\}, huge_book = <int too large to show>\n"
    rule = {"state": "SYNTHESIZING", "match": told, "text": "def count_books(self):\n    return len(self.books)\n"}
    kernel = Kernel(tmp_path, [rule]).start()
    try:
        with Client(kernel) as client:
            slots = {"books": {"Dune": 1965}, "unrelated": 3, "huge_book": 1 << 60_000}
            client.ask({"command": "set", "target_oid": "genesis_obj", "slots": slots})
            reply = client.teach("count_books")
            assert (reply["status"], reply["result"]) == ("COMPLETE", 1)
    finally:
        kernel.stop()
