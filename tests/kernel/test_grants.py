"""Grants: what methods may do beyond their call, where GRANTS, an operator and the limits of the grant all allow it."""

import pytest

from batos.codec import Ref
from tests.kernel.harness import Client, Kernel, mission, writes

CATALOG = "knowledge_catalog_obj"
RECALL = writes(
    "recall_words",
    "def recall_words(self, catalog, query):\n    return [found['doc_id'] for found in catalog.search_(query, 1)]\n",
)
RECALL_TWICE = writes(
    "recall_twice",
    "def recall_twice(self, catalog):\n    return [len(catalog.search_(word, 1)) for word in ('owls', 'owls')]\n",
)
INDEXES = writes("learn_words", "def learn_words(self, catalog):\n    return catalog.index_document_('x', 'y')\n")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel that may grant `search`, with a document to be found and methods that look for it."""
    running = Kernel(tmp_path_factory.mktemp("home"), [RECALL, RECALL_TWICE, INDEXES], GRANTS="search").start()
    with Client(running) as client:
        assert client.ask({"command": "remember", "doc_id": "birds", "text": "Owls fly at night."})["status"] == "OK"
    yield running
    running.stop()


@pytest.fixture
def client(kernel):
    """A client, with the catalog granted nothing."""
    with Client(kernel) as connected:
        yield connected
        connected.ask({"command": "revoke", "target_oid": CATALOG, "capability": "search"})


def _catalog(client) -> Ref:
    return client.ask({"command": "inspect", "target_oid": CATALOG})["oid"]


def _grant(client, **limits):
    return client.ask({"command": "grant", "target_oid": CATALOG, "capability": "search", "limits": limits})


def test_a_method_searches_while_it_is_granted(client):
    """Without a grant it is refused, with one it finds, as a mission's trial and later; taken back it is refused again."""
    parameters = [{"name": "catalog"}, {"name": "query"}]
    taught = mission("recall_words", parameters=parameters, args=[_catalog(client), "owls"])
    assert "cannot be sent from inside" in str(client.ask(taught)["error"])
    assert _grant(client)["limits"] == {"calls": 16}
    assert client.ask({"command": "inspect", "target_oid": CATALOG})["granted"] == {"search": {"calls": 16}}
    assert client.ask(taught)["result"] == ["birds"]
    assert client.call("recall_words", _catalog(client), "owls")["result"] == ["birds"]
    assert client.ask({"command": "revoke", "target_oid": CATALOG, "capability": "search"})["status"] == "OK"
    refused = client.call("recall_words", _catalog(client), "owls")["error"]
    assert (refused["type"], refused["error_type"]) == ("MethodError", "NotAllowed")
    assert "granted" not in client.ask({"command": "inspect", "target_oid": CATALOG})


def test_a_grant_has_its_limit(client):
    """A call uses a capability as often as the grant says, and not once more."""
    _grant(client, calls=2)
    taught = mission("recall_twice", parameters=[{"name": "catalog"}], args=[_catalog(client)])
    assert client.ask(taught)["result"] == [1, 1]
    _grant(client, calls=1)
    assert "so often, no more" in client.call("recall_twice", _catalog(client))["error"]["message"]


def test_what_changes_the_image_cannot_be_granted(client):
    """Only primitives without an effect are capabilities; a grant of one opens no other."""
    asked = {"command": "grant", "target_oid": CATALOG, "capability": "index_document"}
    assert client.ask(asked)["error"]["type"] == "BadField"
    _grant(client)
    taught = mission("learn_words", parameters=[{"name": "catalog"}], args=[_catalog(client)])
    assert "cannot be sent from inside" in str(client.ask(taught)["error"])


def test_a_grant_stays_with_its_object(client):
    """A clone of an object with a grant has none; what was not granted cannot be taken back."""
    made = client.ask({"command": "create", "parents": [CATALOG]})["oid"]
    grant = {"command": "grant", "target_oid": made, "capability": "search"}
    assert client.ask(grant)["status"] == "OK"
    copy = client.ask({"command": "clone", "target_oid": made})["oid"]
    assert "granted" not in client.ask({"command": "inspect", "target_oid": copy})
    revoke = {"command": "revoke", "target_oid": copy, "capability": "search"}
    assert client.ask(revoke)["error"]["type"] == "UnknownTarget"


def test_the_past_has_no_capabilities(client):
    """A message to the past cannot search: what it would find is not what was known then."""
    _grant(client)
    client.ask(
        mission("recall_words", parameters=[{"name": "catalog"}, {"name": "query"}], args=[_catalog(client), "owls"])
    )
    tid = client.call("recall_words", _catalog(client), "owls")["tid"]
    message = {
        "command": "send",
        "target_oid": "genesis_obj",
        "selector": "recall_words",
        "args": [_catalog(client), "owls"],
    }
    assert client.ask({"command": "as_of", "tid": tid, "request": message})["error"]["error_type"] == "NotAllowed"


def test_nothing_is_granted_that_the_settings_do_not_name(tmp_path):
    """Without GRANTS a grant is refused with the mend."""
    kernel = Kernel(tmp_path).start()
    try:
        with Client(kernel) as client:
            error = _grant(client)["error"]
            assert error["type"] == "NotAllowed"
            assert "GRANTS=search" in error["hint"]
    finally:
        kernel.stop()
