"""What `explain` and the metacognition log tell of a mission that came right in its second attempt, field by field."""

import hashlib
import json
import re

import pytest

from tests.kernel.harness import Client, Kernel, mission, writes

WORDS = "multiply a number by three with the thrice rule"
WRONG = ["n + 20", "n.x", "n * 3", "n - 1"]
"""What the second attempt's candidates answer: the third is right."""


def _source(expression):
    return f"def thrice(self, n):\n    return {expression}\n"


FOUR = ["n + 4", "4 * n", "n * 4", "2 * n + 2 * n"]
"""Candidates of another method, without an example: all but the first behave alike."""


def _four(expression):
    return f"def quadruple(self, n):\n    return {expression}\n"


SECOND = {"state": "SYNTHESIZING", "match": r"\bthrice\b", "texts": [_source(item) for item in WRONG]}
VOTED = {"state": "SYNTHESIZING", "match": r"\bquadruple\b", "texts": [_four(item) for item in FOUR]}
RULES = [VOTED, writes("thrice", _source("n + 3"), times=1), SECOND]
BRIEF = {
    "intent": WORDS,
    "parameters": [{"name": "n"}],
    "args": [7],
    "examples": [{"args": [5], "result": 15}],
    "persona": "ROBIN",
}


class _Run:
    """One such mission: its request, last word, events, and what was told afterwards."""

    def __init__(self, home):
        self.kernel = Kernel(home, RULES).start()
        with Client(self.kernel) as client:
            doc = {"doc_id": "rule", "text": f"python method, python method: {WORDS}"}
            client.ask({"command": "remember", **doc, "metadata": {}})
            self.request = mission("thrice", **BRIEF)
            self.reply = client.ask(self.request)
            self.events = client.events
            self.sent = client.call("thrice", 4)
            self.genesis = client.ask({"command": "inspect", "target_oid": "genesis_obj"})["oid"].hex
        self.script = hashlib.sha256((home / "script.json").read_bytes()).hexdigest()
        body = json.dumps(self.request["mission_brief"], sort_keys=True)
        self.brief_hash = hashlib.sha256(body.encode()).hexdigest()

    def explain(self, client, selector="thrice", **more):
        """What `explain` tells."""
        return client.ask({"command": "explain", "target_oid": "genesis_obj", "selector": selector, **more})

    def lines(self, cycle_id):
        """The log's lines of a cycle, and the sequence numbers of all."""
        text = (self.kernel.home / "metacognition.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        return [line for line in lines if line["cycle_id"] == cycle_id], [line["seq"] for line in lines]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The mission, which all tests of this file look at."""
    made = _Run(tmp_path_factory.mktemp("home"))
    yield made
    made.kernel.stop()


@pytest.fixture
def client(run):
    """A client of the kernel that ran it."""
    with Client(run.kernel) as connected:
        yield connected


def _is_by(author, run, seed, candidates):
    """An author has the persona, the model with its digest, engine, prompt hash, seed and sampling."""
    assert (author["persona"], author["model"], author["engine"]) == ("ROBIN", "scripted", "scripted")
    assert author["model_sha256"] == run.script
    assert (author["seed"], author["candidates"]) == (seed, candidates)
    assert len(author["prompt_sha256"]) == 64
    assert author["tokens"]["completion"] > 0


def test_the_provenance_of_a_version(run, client):
    """Mission, author, chunks, attempts with their authors, Guardian, evidence and approval of a version are told."""
    told = run.explain(client, version=1)
    assert (told["version"], told["tid"] > "0" * 16) == (1, True)
    origin = told["provenance"]
    assert (origin["origin"], origin["asked_by"]) == ("mission", "requester")
    assert (origin["cycle_id"], origin["persona"]) == (run.reply["cycle_id"], "ROBIN")
    assert (origin["mission_brief"]["intent"], origin["mission_brief_hash"]) == (WORDS, run.brief_hash)
    assert origin["chunks"] == ["rule::0"]
    assert origin["approved_by"] is None
    assert origin["guardian"] == {"guardian": "passed", "mends": [], "warnings": []}
    _is_by(origin["author"], run, 2000, 4)
    (attempt,) = origin["attempts"]
    assert (attempt["n"], attempt["candidate"]) == (1, 1)
    assert attempt["source"] == _source("n + 3")
    assert attempt["finding"] == "thrice(5) must give 15, but gave 8"
    _is_by(attempt["author"], run, 1000, 1)
    (evidence,) = origin["evidence"]
    assert (evidence["kind"], evidence["args"], evidence["passed"]) == ("example", [5], True)
    assert (evidence["expected"], evidence["got"]) == ({"result": 15}, {"result": 15})


def test_which_candidate_won_is_told(run, client):
    """Where the third of a batch is right, that one is installed, and why the others were not is told."""
    assert (run.reply["status"], run.reply["result"], run.reply["source"]) == ("COMPLETE", 21, _source("n * 3"))
    chosen = run.explain(client, version=1)["provenance"]["chosen"]
    assert (chosen["attempt"], chosen["candidate"], chosen["candidates"]) == (2, 3, 4)
    assert [item["candidate"] for item in chosen["refused"]] == [1, 2, 4]
    assert chosen["refused"][2]["finding"] == "thrice(5) must give 15, but gave 4"
    assert "AttributeError" in chosen["refused"][1]["finding"]


def test_the_provenance_of_a_result(run, client):
    """The tid of a result leads to the version that gave it, whatever was installed since."""
    own = "def thrice(self, n):\n    return 3 * n\n"
    request = {"command": "install", "target_oid": "genesis_obj", "selector": "thrice", "source": own}
    installed = client.ask({**request, "examples": [{"args": [1], "result": 3}]})
    assert installed["version"] == 2
    told = run.explain(client, tid=run.sent["tid"])
    assert (told["version"], told["provenance"]["cycle_id"]) == (1, run.reply["cycle_id"])
    assert run.explain(client, tid=client.call("thrice", 4)["tid"])["version"] == 2


def test_the_architect_s_own_source_says_so(run, client):
    """What the Architect installed has the origin `architect`, no model, and its audit and evidence."""
    own = "def fourfold(self, n):\n    return n * 4\n"
    request = {"command": "install", "target_oid": "genesis_obj", "selector": "fourfold", "source": own}
    reply = client.ask({**request, "examples": [{"args": [2], "result": 8}]})
    origin = run.explain(client, "fourfold")["provenance"]
    assert (origin["origin"], origin["asked_by"], origin["author"]) == ("architect", "requester", {})
    assert (origin["cycle_id"], origin["attempts"]) == (reply["cycle_id"], [])
    assert origin["guardian"]["guardian"] == "passed"
    assert [run["passed"] for run in origin["evidence"]] == [True]


def test_the_log_line_by_line(run, until):
    """The log has one line for each thing that happened, in order, with the original's field names and no gap in `seq`."""
    until(lambda: "METHOD_INSTALLED" in str(run.lines(run.reply["cycle_id"])[0]), "the lines")
    lines, numbers = run.lines(run.reply["cycle_id"])
    assert numbers == list(range(1, len(numbers) + 1))
    assert {line["mission_brief_hash"] for line in lines} == {run.brief_hash}
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)
    assert all(line["timestamp"].endswith("+00:00") for line in lines)
    common = {"seq", "timestamp", "cycle_id", "mission_brief_hash", "event_type", "current_state"}
    told = [
        (line["current_state"], line["event_type"], {k: v for k, v in line.items() if k not in common})
        for line in lines
    ]
    finding = "thrice(5) must give 15, but gave 8"
    plan = {"artifact_type": "research_plan", "queries": ["python method"], "persona": "BRICK"}
    code = {"artifact_type": "code", "context_used": 1, "context_dropped": 0, "persona": "ROBIN"}
    digest = hashlib.sha256(run.reply["source"].encode()).hexdigest()
    assert told == [
        ("IDLE", "MISSION_ACCEPTED", {"selector": "thrice", "target_oid": run.genesis}),
        ("IDLE", "STATE_TRANSITION", {"transition_to": "DECOMPOSING"}),
        ("DECOMPOSING", "ARTIFACT_GENERATED", plan),
        ("DECOMPOSING", "STATE_TRANSITION", {"transition_to": "DELEGATING"}),
        ("DELEGATING", "RESEARCH_COMPLETE", {"context_snippets": 1, "persona": "BABS"}),
        ("DELEGATING", "STATE_TRANSITION", {"transition_to": "SYNTHESIZING"}),
        ("SYNTHESIZING", "ARTIFACT_GENERATED", {**code, "candidates": 1}),
        ("SYNTHESIZING", "STATE_TRANSITION", {"transition_to": "VALIDATING"}),
        ("VALIDATING", "VALIDATION_FAILURE", {"error": finding, "attempt": 1}),
        ("VALIDATING", "REPAIR_ATTEMPT", {"attempt": 2}),
        ("VALIDATING", "STATE_TRANSITION", {"transition_to": "SYNTHESIZING"}),
        ("SYNTHESIZING", "ARTIFACT_GENERATED", {**code, "candidates": 4}),
        ("SYNTHESIZING", "STATE_TRANSITION", {"transition_to": "VALIDATING"}),
        ("VALIDATING", "VALIDATION_SUCCESS", {"guardian": "passed", "mends": [], "runs": 1}),
        ("VALIDATING", "STATE_TRANSITION", {"transition_to": "COMPLETE"}),
        ("COMPLETE", "METHOD_INSTALLED", {"selector": "thrice", "sha256": digest}),
        ("COMPLETE", "FINAL_OUTCOME", {"outcome": "COMPLETE"}),
    ]


def test_events_name_who_made_what(run):
    """Each artifact's event names its persona: BRICK the plan, BABS what was found, the target's the code."""
    made = [(event["kind"], event["persona"]) for event in run.events if event["event"] == "artifact"]
    assert made == [("research_plan", "BRICK"), ("context", "BABS"), *[("code", "ROBIN")] * 5]


def test_the_winner_of_a_vote_is_told(run, client):
    """Without examples the largest group that behaves alike is installed, and the provenance says which and that it was a vote."""
    reply = client.teach("quadruple", intent="give four times a number", parameters=[{"name": "n"}], args=[3])
    assert (reply["status"], reply["result"], reply["source"]) == ("COMPLETE", 12, _four("4 * n"))
    origin = run.explain(client, "quadruple")["provenance"]
    told = {"attempt": 1, "candidate": 2, "candidates": 4, "refused": []}
    assert origin["chosen"] == told
    (vote,) = [run for run in origin["evidence"] if run["kind"] == "vote"]
    assert (vote["candidates"], vote["alike"]) == (4, 3)


FOUND = [
    "",
    r"It was wrong: add_fruit\('b'\) must give 2, but gave 1\n",
    r"It was wrong: add_fruit\('b'\) raised AttributeError: [^\n]* at line 2\n",
    r"It was wrong: afterwards self\.basket must be \['a', 'b'\], but is \['b', 'a'\]\n",
]


def test_the_finding_of_each_attempt_is_in_the_next_prompt(tmp_path):
    """Each later prompt has the attempt before, its error with the failing example and line, and the state of the object."""
    bodies = [
        "    return len(self.basket)\n",
        "    self.basket.add(fruit)\n    self._p_changed = True\n    return 2\n",
        "    self.basket.insert(0, fruit)\n    self._p_changed = True\n    return len(self.basket)\n",
        "    self.basket.append(fruit)\n    self._p_changed = True\n    return len(self.basket)\n",
    ]
    rules, before = [], ""
    for number, body in enumerate(bodies):
        seen = r"(?s)\bslots: basket = \['a'\]" + (before + ".*" + FOUND[number] if number else "")
        source = f"def add_fruit(self, fruit):\n{body}"
        rules.append({"state": "SYNTHESIZING", "match": seen, "text": source, "times": 1})
        before = ".*" + r"\s+".join(map(re.escape, source.split()))
    kernel = Kernel(tmp_path, rules).start()
    try:
        with Client(kernel) as client:
            client.ask({"command": "set", "target_oid": "genesis_obj", "slots": {"basket": ["a"]}})
            example = {"args": ["b"], "result": 2, "slots": {"basket": ["a", "b"]}}
            reply = client.teach(
                "add_fruit",
                intent="put a fruit into the basket",
                parameters=[{"name": "fruit"}],
                examples=[example],
                args=["c"],
            )
    finally:
        kernel.stop()
    assert reply["status"] == "COMPLETE", reply["error"]["message"]
    assert reply["result"] == 2
