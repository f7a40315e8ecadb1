"""The gate opens for one word only."""

from __future__ import annotations

import os

import pytest

from batos.client import cli, gate


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments that the client was opened with."""
    calls: list[list[str]] = []
    monkeypatch.setattr(cli, "main", lambda argv: calls.append(list(argv)) or 7)
    return calls


def say(word: str) -> int:
    """A descriptor from which a word can be read."""
    reader, writer = os.pipe()
    os.write(writer, word.encode())
    os.close(writer)
    return reader


def test_the_word_opens_the_client(opened):
    """After `go` the client runs with its arguments, and its exit code counts."""
    assert gate.main(["--mission", "x"], say("go\n")) == 7
    assert opened == [["--mission", "x"]]


@pytest.mark.parametrize("word", ["", "stop\n", "go"])
def test_anything_else_keeps_it_shut(opened, word):
    """No word, another word or half a word: the kernel cannot be used, exit code 2."""
    assert gate.main([], say(word)) == 2
    assert opened == []
