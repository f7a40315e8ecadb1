"""A message of a method that nobody understands becomes a mission on the way, in the real kernel."""

from tests.kernel.harness import Client, Kernel, mission, writes

OUTER = "def report(self):\n    self.reports = getattr(self, 'reports', 0) + 1\n    self._p_changed = True\n    return self.headline('x') + '!'\n"
HEADLINE = "def headline(self, text):\n    return text.upper()\n"
HOPELESS = "def hopeless(self):\n    return self.never_written()\n"


def test_a_method_s_gap_becomes_a_mission(tmp_path):
    """The first send has the helper written and installed, then answers; its effect is there once; the second needs nobody."""
    rules = [writes("headline", HEADLINE), writes("never_written", "def never_written(self):\n    return ]\n")]
    kernel = Kernel(tmp_path, rules).start()
    try:
        with Client(kernel) as client:
            for selector, source in (("report", OUTER), ("hopeless", HOPELESS)):
                client.ask({"command": "install", "target_oid": "genesis_obj", "selector": selector, "source": source})
            assert client.call("report")["error"]["type"] == "MessageNotUnderstood"
            learning = {"command": "send", "target_oid": "genesis_obj", "selector": "report"}
            assert client.ask(learning)["result"] == "X!"
            assert client.call("report")["result"] == "X!"
            shown = client.ask({"command": "inspect", "target_oid": "genesis_obj"})
            assert shown["slots"]["reports"] == 2
            assert "headline" in shown["methods"]
            reply = client.ask({**learning, "selector": "hopeless"})
            assert (reply["status"], reply["error"]["type"]) == ("ERROR", "MessageNotUnderstood")
            assert client.ask({"command": "status"})["calls"]["lessons"] == 2
    finally:
        kernel.stop()


def test_a_lesson_names_who_asked(tmp_path):
    """What was learned inside a call names that call; it is learned although another mission holds the only worker."""
    rules = [writes("headline", HEADLINE), writes("lasting", "def lasting(self):\n    return 1\n", delay_s=40)]
    kernel = Kernel(tmp_path, rules, WORKERS="1").start()
    try:
        with Client(kernel) as client, Client(kernel) as other:
            client.ask({"command": "install", "target_oid": "genesis_obj", "selector": "report", "source": OUTER})
            other.send(mission("lasting"))
            assert other.receive()["event"] == "accepted"
            assert client.ask({"command": "send", "target_oid": "genesis_obj", "selector": "report"})["result"] == "X!"
            states = {row["selector"]: row["state"] for row in client.ask({"command": "cycles"})["cycles"]}
            assert states["headline"] == "COMPLETE"
            assert states["lasting"] not in ("COMPLETE", "FAILED")
            asked = {"command": "history", "target_oid": "genesis_obj", "selector": "headline"}
            genesis = client.ask({"command": "inspect", "target_oid": "genesis_obj"})["oid"]
            provenance = client.ask(asked)["versions"][0]["provenance"]
            assert (provenance["origin"], provenance["asked_by"]) == ("mission", f"method report of {genesis.hex}")
    finally:
        kernel.kill()


NESTED = "def headline(self, text):\n    return self.font_of(text)\n"
FONT = "def font_of(self, text):\n    return self.size_of(text)\n"
SIZE = "def size_of(self, text):\n    return text\n"
LEANS = "def labelled(self, n):\n    return self.font_of(n)\n"
LATER = "def numbered(self, n):\n    return n if n < 5 else self.font_of(n)\n"


def _started(client):
    return {row["selector"] for row in client.ask({"command": "cycles"})["cycles"]}


def test_missions_are_nested_only_so_deep(tmp_path):
    """Each method of a chain is learned for the one before, down to LESSON_DEPTH; the next gap is an error that names it."""
    rules = [writes("headline", NESTED), writes("font_of", FONT), writes("size_of", SIZE)]
    kernel = Kernel(tmp_path, rules, LESSON_DEPTH="2", CALL_LESSONS="9").start()
    try:
        with Client(kernel) as client:
            client.ask({"command": "install", "target_oid": "genesis_obj", "selector": "report", "source": OUTER})
            learning = {"command": "send", "target_oid": "genesis_obj", "selector": "report"}
            reply = client.ask(learning)
            assert reply["error"]["type"] == "MessageNotUnderstood"
            assert "'size_of': missions of methods may be nested 2 deep" in reply["error"]["message"]
            assert _started(client) == {"report", "headline", "font_of"}
            assert "reports" not in client.ask({"command": "inspect", "target_oid": "genesis_obj"})["slots"]
            # What is there now counts no more: the last one is learned by the next call.
            assert client.ask(learning)["result"] == "x!"
    finally:
        kernel.stop()


def test_no_mission_begins_within_a_trial(tmp_path):
    """A candidate's gap is its finding, and one of its first call its `call_error`: both say why, and no mission starts."""
    rules = [writes("labelled", LEANS, times=1), writes("labelled", "def labelled(self, n):\n    return n\n")]
    rules += [writes("numbered", LATER), writes("font_of", SIZE.replace("size", "font"))]
    kernel = Kernel(tmp_path, rules).start()
    try:
        with Client(kernel) as client:
            reply = client.teach("labelled", parameters=[{"name": "n"}], args=[7])
            assert (reply["status"], reply["result"]) == ("COMPLETE", 7)
            (finding,) = [event["finding"] for event in client.events if event["event"] == "attempt"]
            assert "nobody understands 'font_of': no mission is nested" in finding
            shown = [{"args": [1], "result": 1}]
            reply = client.teach("numbered", parameters=[{"name": "n"}], args=[7], examples=shown)
            assert reply["installed"] is True
            assert "'font_of': no mission is nested" in reply["call_error"]["message"]
            assert _started(client) == {"labelled", "numbered"}
    finally:
        kernel.stop()


def test_without_depth_nothing_is_learned_in_a_call(tmp_path):
    """With LESSON_DEPTH 0 a method's gap is an error that says so, and no mission starts; a requester's own gap still does."""
    kernel = Kernel(tmp_path, [writes("headline", HEADLINE)], LESSON_DEPTH="0").start()
    try:
        with Client(kernel) as client:
            client.ask({"command": "install", "target_oid": "genesis_obj", "selector": "report", "source": OUTER})
            learning = {"command": "send", "target_oid": "genesis_obj", "selector": "report"}
            reply = client.ask(learning)
            assert reply["error"]["type"] == "MessageNotUnderstood"
            assert "'headline': missions of methods may be nested 0 deep" in reply["error"]["message"]
            assert _started(client) == {"report"}
            assert client.ask({**learning, "selector": "headline", "args": ["x"]})["result"] == "X"
            assert client.ask(learning)["result"] == "X!"
    finally:
        kernel.stop()


def test_objects_that_a_first_call_makes(tmp_path):
    """A mission whose first call clones its target answers with a reference that is there."""
    source = (
        "def spawn(self):\n    twin = self.clone()\n    twin.mark = 1\n    self._p_changed = True\n    return twin\n"
    )
    kernel = Kernel(tmp_path, [writes("spawn", source)]).start()
    try:
        with Client(kernel) as client:
            reply = client.teach("spawn")
            assert reply["status"] == "COMPLETE", reply
            shown = client.ask({"command": "inspect", "target_oid": reply["result"]})
            assert shown["slots"]["mark"] == 1
    finally:
        kernel.stop()
