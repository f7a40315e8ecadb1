"""`python -m batos keys`: clients are added, listed and revoked by name."""

from __future__ import annotations

from batos.operator import cli
from tests.operator.test_cli import answer


def test_added_listed_revoked(settings, capsys):
    """What was added is listed with its role and its folder is named; after it was revoked it is gone."""
    code, told = answer(capsys, "keys", "add", "laptop", "--role", "operator")
    assert code == 0
    assert told["folder"].endswith("laptop")
    _, listed = answer(capsys, "keys", "list")
    assert {entry["name"]: entry["role"] for entry in listed} == {"client": "operator", "laptop": "operator"}
    assert answer(capsys, "keys", "revoke", "laptop")[0] == 0
    assert [entry["name"] for entry in answer(capsys, "keys", "list")[1]] == ["client"]


def test_it_speaks_to_people(settings, capsys):
    """Without --json: an empty list says when keys are made, the rest is lines; an unknown name is an error."""
    assert cli.main(["keys", "list"]) == 0
    assert "No client" in capsys.readouterr().err
    assert cli.main(["keys", "add", "laptop"]) == 0
    assert "as client" in capsys.readouterr().out
    assert cli.main(["keys", "list"]) == 0
    assert "laptop" in capsys.readouterr().out
    assert cli.main(["keys", "revoke", "nobody"]) == 1
    assert "nobody" in capsys.readouterr().err
