"""What is mended by rule is told: in the provenance of a version, and in the attempt that was mended and failed all the same."""

import pytest

from tests.kernel.harness import Client, Kernel, writes

BESIDE = "def is_odd(n):\n    return n % 2 == 1\n\ndef odd_sum(items):\n    return sum(n for n in items if is_odd(n))\n"
PRINTS = "def say_pair(a):\n    b = [a, a]\n    print(b)\n"
SENT = "def my_steps(self, n):\n    self.n = n\n    return 0 if n < 1 else 1 + my_steps(n - 1)\n"
WRONG = "def fact_of(n):\n    return n if n < 1 else n * fact_of(n - 1)\n"
RIGHT = "def fact_of(self, n):\n    import math\n    return math.factorial(n)\n"
METHOD = "made the function a method: self comes first"
NESTED = "kept it as a function inside the method, because it calls itself"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel whose mind writes functions."""
    rules = [writes("odd_sum", BESIDE), writes("say_pair", PRINTS), writes("my_steps", SENT)]
    rules += [writes("fact_of", WRONG, times=1), writes("fact_of", RIGHT)]
    running = Kernel(tmp_path_factory.mktemp("home"), rules).start()
    yield running
    running.stop()


@pytest.fixture
def client(kernel):
    """A client of that kernel."""
    with Client(kernel) as connected:
        yield connected


def _taught(client, selector, parameter, given, result):
    told = {"parameters": [{"name": parameter}], "examples": [{"args": [given], "result": result}]}
    reply = client.teach(selector, **told)
    assert reply["status"] == "COMPLETE", reply
    history = client.ask({"command": "history", "target_oid": "genesis_obj", "selector": selector})
    return history["versions"][0]["provenance"]


def test_a_function_that_became_a_method_says_so(client):
    """A function with a helper is a method in the image; the provenance has both mends."""
    mends = _taught(client, "odd_sum", "items", [1, 2, 3], 4)["guardian"]["mends"]
    assert mends == [METHOD, "took what it uses beside it into the method"]


def test_every_mend_of_one_candidate_is_kept(client):
    """What made it a method, what was printed, and the kind of its result: all stand in the order they were made in."""
    mends = _taught(client, "say_pair", "a", 2, (2, 2))["guardian"]["mends"]
    assert mends[:2] == [METHOD, "returned what was printed at the end"]
    assert "made the result a tuple" in mends[2]


def test_a_call_of_itself_that_became_a_message_says_so(client):
    """A method with state that calls itself as a function sends itself a message; the mend stands before the Covenant's."""
    mends = _taught(client, "my_steps", "n", 2, 2)["guardian"]["mends"]
    assert mends[0] == "made its call of itself a message: self.my_steps(…)"
    assert len(mends) == 2


def test_a_failed_attempt_has_its_mends(client):
    """An attempt that failed keeps what was mended in it; the one that came right, written as a method, has no mend."""
    provenance = _taught(client, "fact_of", "n", 5, 120)
    assert [attempt["mends"] for attempt in provenance["attempts"]] == [[METHOD, NESTED]]
    assert provenance["guardian"]["mends"] == []
