"""Fractal Memory in a running kernel: what others write into the catalog gets its meaning too."""

SOURCE = "def twice(self, n):\n    return 2 * n\n"


def test_what_is_installed_gets_its_vector(client, until):
    """Missions, own source, an old version taken back and imports wake the weaving: none waits for the next document."""

    def woven(what):
        def all_have_vectors():
            memory = client.ask({"command": "image", "action": "check"})["memory"]
            return 0 < memory["chunks"] == memory["vectors"]

        until(all_have_vectors, what)

    woven("the vectors of the codex")
    taught = client.teach("greet_user", parameters=[{"name": "name"}], args=["Ada"])
    assert taught["status"] == "COMPLETE", taught
    woven("the vector of a mission's method")
    install = {"command": "install", "target_oid": "genesis_obj", "selector": "twice"}
    assert client.ask({**install, "source": SOURCE})["status"] == "COMPLETE"
    assert client.ask({**install, "source": SOURCE.replace("2 * n", "n + n")})["status"] == "COMPLETE"
    woven("the vector of own source")
    assert client.ask({"command": "remove", "target_oid": "genesis_obj", "selector": "twice"})["status"] == "OK"
    rollback = {"command": "rollback", "target_oid": "genesis_obj", "selector": "twice", "version": 1}
    assert client.ask(rollback)["status"] == "OK"
    woven("the vector of what was taken back")
    files = client.ask({"command": "image", "action": "export", "target_oid": "genesis_obj"})["files"]
    assert client.ask({"command": "image", "action": "import", "files": files, "name": "twin"})["status"] == "OK"
    woven("the vectors of what was imported")
    found = client.ask({"command": "search", "query": "greet"})
    assert found["by"] == "words and meaning"
    assert found["results"][0]["likeness"] > 0
