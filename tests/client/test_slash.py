"""Slash commands: each makes a request that the bridge accepts, and mistakes name the mend."""

from __future__ import annotations

import pytest

from batos import wire
from batos.client import slash
from batos.errors import BadField

ARGS = {"rollback": ["greet_user", "2"], "remember": ["note", "some text"]}


@pytest.mark.parametrize("name", [name for name, item in slash.SLASHES.items() if item.request is not None])
def test_each_makes_a_valid_request(name: str) -> None:
    """With its arguments, and with the fewest that it takes, a command's request validates."""
    item = slash.SLASHES[name]
    assert item.request is not None
    full = ARGS.get(name, ["greet_user"] * item.most)
    for args in (full, full[: item.least]):
        assert wire.read_request(item.request(args, "genesis_obj")).command


@pytest.mark.parametrize(
    ("line", "name", "args"),
    [
        ("/status", "status", []),
        ("/HELP", "help", []),
        ("/history greet_user", "history", ["greet_user"]),
        ("/search what is the  Living Image?", "search", ["what is the  Living Image?"]),
        ("/search it's", "search", ["it's"]),
        ("/remember note Ada was born in 1815", "remember", ["note", "Ada was born in 1815"]),
        ("/rollback greet_user v2", "rollback", ["greet_user", "v2"]),
        ("/inspect", "inspect", []),
        ("/as-of before greet_user('Ada')", "as-of", ["before", "greet_user('Ada')"]),
        ("/as-of '2026-01-01 10:00' greet_user('Ada', 2)", "as-of", ["2026-01-01 10:00", "greet_user('Ada', 2)"]),
        ("/export genesis_obj 'my folder'", "export", ["genesis_obj", "my folder"]),
        (r"/learn C:\Users\ada\notes.md", "learn", [r"C:\Users\ada\notes.md"]),
        (r"/export genesis_obj C:\out", "export", ["genesis_obj", r"C:\out"]),
    ],
)
def test_lines_are_read(line: str, name: str, args: list[str]) -> None:
    """The last argument takes the rest of the line; quotes hold one with spaces, those of a call and backslashes stay."""
    assert slash.parse(line) == (name, args)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("/hist x", "/history"),
        ("/histroy x", "/history"),
        ("/bogus", "/help"),
        ("/", "/help"),
        ("/history", "SELECTOR"),
        ("/status now", "/status"),
    ],
)
def test_mistakes_name_the_mend(line: str, hint: str) -> None:
    """An unknown command and wrong arguments say how to write it."""
    with pytest.raises(BadField) as caught:
        slash.parse(line)
    assert hint in caught.value.hint


def test_a_version_is_a_number() -> None:
    """`/rollback` takes 2 or v2, nothing else."""
    make = slash.SLASHES["rollback"].request
    assert make is not None
    assert make(["f", "v2"], "t")["version"] == 2
    with pytest.raises(BadField, match="no version"):
        make(["f", "two"], "t")
