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
