"""A method that refuses what it was told to refuse does its work: neither self-repair nor a trial takes it for a fault."""

from tests.kernel.harness import Client, Kernel, writes

PAY = """\
def pay(self, amount):
    if amount > self.balance:
        raise ValueError('not enough')
    self.balance -= amount
    self._p_changed = True
    return self.balance
"""
OVERDRAFT = "def pay(self, amount):\n    self.balance -= amount\n    self._p_changed = True\n    return self.balance\n"
ALWAYS = "def broken(self, n):\n    raise RuntimeError('always')\n"
VOTE = """\
def cast_vote(self, name):
    voters = getattr(self, 'voters', None)
    if voters is None:
        voters = self.voters = []
    if name in voters:
        raise ValueError(f'{name} has voted')
    voters.append(name)
    self._p_changed = True
    return len(voters)
"""
RULES = [writes("pay", PAY, times=1), writes("pay", OVERDRAFT), writes("cast_vote", VOTE), writes("broken", ALWAYS)]


def test_refusals_are_no_faults(tmp_path, until):
    """Calls that a method refused do not start a repair, nor shut it off; one that only ever raises is repaired, then shut off."""
    kernel = Kernel(tmp_path, RULES, FAILURE_LIMIT="2").start()
    try:
        with Client(kernel) as client:
            oid = client.ask({"command": "create", "slots": {"balance": 100}})["oid"]
            words = "take an amount from the balance; raise ValueError when there is not enough"
            brief = {"intent": words, "parameters": [{"name": "amount"}], "examples": [{"args": [30], "result": 70}]}
            told = {"type": "unhandled_message", "selector": "pay", **brief}
            request = {
                "command": "initiate_cognitive_cycle",
                "target_oid": oid,
                "mission_brief": told,
                "proceed": False,
            }
            assert client.ask(request)["status"] == "COMPLETE"
            install = {"command": "install", "target_oid": "genesis_obj", "selector": "broken", "source": ALWAYS}
            assert client.ask(install)["status"] == "COMPLETE"
            for _ in range(8):
                assert "not enough" in client.call("pay", 500, target=oid)["error"]["message"]
            # One loop looks after all: when the second method is shut off, the first had its turns.
            until(
                lambda: client.call("broken", 1)["error"]["type"] == "Quarantined",
                "the one without an answer is shut off",
            )
            assert client.call("pay", 10, target=oid)["result"] == 90
            versions = client.ask({"command": "history", "target_oid": oid, "selector": "pay"})["versions"]
            assert [version["source"] for version in versions] == [PAY]
    finally:
        kernel.stop()


def test_what_can_be_done_once_may_refuse_the_second_time(tmp_path):
    """The trial makes a call that changes its object twice; a method that refuses the same again is no worse for it."""
    kernel = Kernel(tmp_path, RULES).start()
    try:
        with Client(kernel) as client:
            reply = client.teach("cast_vote", parameters=[{"name": "name"}], args=["ada"])
            assert (reply["status"], reply["result"]) == ("COMPLETE", 1)
            explained = client.ask({"command": "explain", "target_oid": "genesis_obj", "selector": "cast_vote"})
            runs = explained["provenance"]["evidence"] if "provenance" in explained else explained["evidence"]
            assert [run["kind"] for run in runs][:2] == ["call", "second call"]
            assert runs[1]["got"]["error"] == "ValueError"
    finally:
        kernel.stop()
