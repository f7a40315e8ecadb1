"""What people and programs see of replies and events."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group

from batos.client import narrate, render
from batos.client.live import LiveLine
from batos.client.show import JsonShow, Show
from batos.codec import Ref
from batos.cognition.rulebook import Translation
from batos.errors import Unreachable


def printed(part: Any, width: int = 80) -> str:
    """What a plain console of 80 columns shows."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(part)
    return console.file.getvalue()


def story(request: dict[str, Any], reply: dict[str, Any], *, live: bool = False) -> str:
    """What `Show` prints for one request."""
    console = Console(file=io.StringIO(), width=80, force_terminal=live, color_system=None)
    show = Show(console, live=live)
    show.started(request)
    show.event({"event": "token", "text": "def"})
    show.last_word(request, reply)
    return console.file.getvalue()


class TestValues:
    @pytest.mark.parametrize(
        ("value", "want"),
        [
            ("Hello, Ada!", "Hello, Ada!"),
            (720, "720"),
            (None, "None"),
            ((1, 2), "(1, 2)"),
            (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2026-01-02 03:04:05+00:00"),
            (Ref(bytes(7) + b"\x0a"), "<ref 000000000000000a>"),
        ],
    )
    def test_scalars_are_shown_as_they_are(self, value: Any, want: str) -> None:
        """A text without quotes, anything else as Python writes it, a moment as people write it."""
        assert printed(render.value(value)).strip() == want

    def test_like_maps_are_a_table(self) -> None:
        """A list of maps has a column a key; a map of scalars has a row a key."""
        rows = printed(render.value([{"name": "Ada", "born": 1815}, {"name": "Grace", "born": 1906}])).splitlines()
        assert [line.split() for line in rows] == [["name", "born"], ["Ada", "1815"], ["Grace", "1906"]]
        assert "Ada" in printed(render.value({"Ada": "December 10", "Grace": "December 9"}))

    def test_long_values_are_folded_and_say_so(self) -> None:
        """What is left out is counted."""
        shown = printed(render.value("\n".join(map(str, range(100)))))
        assert "… 60 more lines" in shown
        shown = printed(render.value("word " * 2000))
        assert len(shown.splitlines()) <= render.MAX_LINES + 1
        assert "… 6800 more characters" in shown
        assert "… 1 more lines and 800 more characters" in printed(render.value("x" * 4000 + "\ny"))
        assert "… 10 more rows" in printed(render.value({str(n): n for n in range(60)}))

    @given(st.text())
    def test_nothing_steers_the_terminal(self, text: str) -> None:
        """No control character of a result reaches the terminal."""
        shown = printed(render.value(text + "\x1b[31m\x07"))
        assert "\x1b" not in shown
        assert "\x07" not in shown


class TestShow:
    def test_an_installed_method_is_shown_with_its_result(self) -> None:
        """The head, the source as it is, its evidence, and the result, in this order, without trailing blanks in a pipe."""
        reply = {
            "status": "COMPLETE",
            "selector": "double",
            "installed": True,
            "version": 1,
            "source": "def double(self, x):\n    return [x, x]\n",
            "result": [1, 1],
            "output": "working\n",
            "provenance": {"guardian": {"guardian": "passed"}, "evidence": [{"passed": True}]},
        }
        lines = story({"command": "initiate_cognitive_cycle"}, reply).splitlines()
        assert lines[0].startswith("✓ double version 1 is installed")
        evidence = "  evidence  1 of 1 runs passed in the sandbox; the Guardian passed"
        assert lines[1:] == ["def double(self, x):", "    return [x, x]", evidence, "working", "[1, 1]"]

    @pytest.mark.parametrize(
        ("reply", "want"),
        [
            ({"status": "COMPLETE", "selector": "f", "installed": True, "version": 1, "needs": ["x"]}, "f(x)"),
            ({"status": "COMPLETE", "selector": "f", "installed": False, "message": "Known."}, "Known."),
            (
                {
                    "status": "COMPLETE",
                    "selector": "f",
                    "installed": True,
                    "call_error": {"type": "MethodError", "message": "no"},
                },
                "This call of it raised",
            ),
            ({"status": "NOT_UNDERSTOOD", "selector": "f", "similar": ["g"]}, "Near to it: g"),
            (
                {
                    "status": "FAILED",
                    "state": "VALIDATING",
                    "attempts": [1, 2],
                    "error": {"type": "ModelError", "message": "m", "hint": "h"},
                },
                "✗ ModelError in VALIDATING after 2 failed attempts\n  m\n  ↳ h",
            ),
            (
                {"status": "ERROR", "error": {"type": "Busy", "message": "full", "hint": "later"}},
                "✗ Busy\n  full\n  ↳ later",
            ),
            ({"status": "OK", "result": "Hi", "tid": "0"}, "Hi"),
            ({"status": "OK", "version": 3, "tid": "0"}, "✓ version 3"),
            ({"status": "OK"}, "✓ send"),
        ],
    )
    def test_every_end_says_what_it_is(self, reply: dict[str, Any], want: str) -> None:
        """Needs, errors of the call, failures and plain answers each have their words."""
        assert want in story({"command": "send"}, reply)

    @pytest.mark.parametrize(
        ("command", "reply", "want"),
        [
            ("search", {"results": []}, "Nothing relevant was found in Fractal Memory."),
            ("search", {"results": [{"doc_id": "d", "chunk": 0, "score": 1.5, "text": "words"}]}, "words"),
            (
                "objects",
                {"objects": [{"name": "a", "oid": Ref(bytes(8)), "parents": [Ref(bytes(8))]}]},
                "0000000000000000",
            ),
            (
                "inspect",
                {
                    "oid": Ref(bytes(8)),
                    "slots": {"calls": 3, "blob": {"kind": "bytes", "size": 2048}},
                    "methods": {"f": {"version": 2, "signature": "(self)", "summary": "Does."}},
                    "parents": [Ref(bytes(8))],
                    "understands": ["f", "clone", "_x"],
                    "ambiguous": ["g"],
                },
                "by delegation  clone",
            ),
            (
                "history",
                {
                    "versions": [
                        {
                            "version": 1,
                            "active": True,
                            "time": "2026",
                            "source": "def f(self): pass",
                            "provenance": {"author": {"model": "m", "persona": "BRICK"}, "rollback_of": 3},
                        }
                    ]
                },
                "m as BRICK, version 3 again",
            ),
            (
                "history",
                {
                    "versions": [
                        {
                            "version": 1,
                            "active": True,
                            "source": "def f(self): pass",
                            "provenance": {"origin": "architect"},
                        }
                    ]
                },
                "the Architect",
            ),
            (
                "explain",
                {"provenance": {"chosen": {"attempt": 2, "candidate": 3, "candidates": 4, "refused": [{}, {}]}}},
                "candidate 3 of 4 in attempt 2, 2 refused",
            ),
            (
                "cycles",
                {
                    "cycles": [
                        {
                            "cycle_id": "0123456789abcdef" * 2,
                            "state": "VALIDATING",
                            "awaiting": "approval",
                            "selector": "a_rather_long_selector_of_a_method",
                            "started": "2026-11-28T10:00:00",
                        }
                    ]
                },
                f"{'0123456789abcdef' * 2}  awaits approval",
            ),
            ("explain", {"version": 2, "active": True, "tid": "00", "source": "x = 1"}, "version      2 (active)"),
            ("models", {"models": [{"name": "q", "state": "loaded", "bytes": 3 << 30}]}, "3.00 GiB"),
            ("status", {"version": "0.1", "image": {"tid": "00"}}, "tid 00"),
            (
                "status",
                {
                    "sandbox": {
                        "level": "full",
                        "layers": {"seccomp": True, "uid": 5, "missing": ["landlock"]},
                        "calls": 0,
                    }
                },
                "full: seccomp; lacks landlock\n",
            ),
            ("status", {"version": "0.1", "uptime": 3725.4, "notes": []}, "0.1, up 1 h 2 min"),
            (
                "status",
                {"models": [{"name": "m", "state": "loaded", "bytes": 3 << 20, "sha256": "f" * 64}]},
                "m loaded (3 MiB)\n",
            ),
            (
                "status",
                {"mind": {"engine": "x", "models": [1], "hosts": {"text": {"pid": 7, "loads": 1}}}},
                "hosts (text (loads 1))",
            ),
            ("cycle", {"state": "COMPLETE", "attempts": []}, "COMPLETE"),
            ("remember", {"chunks": 3}, "Fractal Memory remembers note in 3 chunks"),
            ("forget", {"chunks": 1}, "Fractal Memory forgot note"),
            ("forget", {"chunks": 0}, "Fractal Memory had nothing named note"),
            ("rollback", {"version": 3, "tid": "0"}, "add_up is as in version 1 again; that is version 3 now"),
            ("remove", {"tid": "0"}, "add_up is removed; its history stays"),
            ("approve", {}, "✓ approved"),
        ],
    )
    def test_replies_have_their_form(self, command: str, reply: dict[str, Any], want: str) -> None:
        """Each command's reply is laid out for people, within 80 columns."""
        asked = {"command": command, "doc_id": "note", "selector": "add_up"}
        asked |= {"version": 1} if command == "rollback" else {}
        shown = printed(Group(*narrate.last_word(asked, {"status": "OK", **reply}, 0.1, colour=False)))
        assert want in shown
        assert max(map(len, shown.splitlines())) <= 80
        assert shown.splitlines()[0].strip()

    @pytest.mark.parametrize(
        ("event", "want"),
        [
            ({"event": "accepted", "cycle_id": "c1"}, "accepted as c1"),
            ({"event": "transition", "from": "IDLE", "to": "DECOMPOSING"}, "· DECOMPOSING"),
            ({"event": "attempt", "n": 1, "finding": "no\x1bgood"}, "· attempt 1: no\\x1bgood"),
            ({"event": "attempt", "n": 0, "finding": "4 must give 'IV'"}, "· to be mended: 4 must give 'IV'"),
            ({"event": "approval_needed", "source": "def f(self): pass", "evidence": []}, "No trial"),
            ({"event": "similar", "selectors": ["g"]}, "near to it: g"),
            ({"event": "artifact", "kind": "research_plan", "queries": ["a", "b"]}, "a; b"),
            ({"event": "approval_needed", "source": "def f(self): pass"}, "def f(self): pass"),
        ],
    )
    def test_events_are_lines(self, event: dict[str, Any], want: str) -> None:
        """What passes is told in a line; tokens and code are for the live line alone."""
        assert want in printed(narrate.event(event))
        assert narrate.event({"event": "token", "text": "x"}) is None
        assert narrate.event({"event": "artifact", "kind": "code", "text": "x"}) is None

    def test_words_and_questions(self) -> None:
        """What the words were taken for is told with its source; a question stands alone; an error has its hint."""
        console = Console(file=io.StringIO(), width=80)
        show = Show(console)
        brief = {"selector": "greet", "parameters": [{"name": "name"}], "args": []}
        show.translated("x", Translation(kind="teach", request={"mission_brief": brief}))
        show.translated(
            "x", Translation(kind="send", request={"selector": "greet", "args": ["Ada"], "kwargs": {"n": 2}})
        )
        show.translated("x", Translation(kind="unclear", question="Which?"))
        show.failed(Unreachable("nobody"))
        lines = console.file.getvalue().splitlines()
        assert lines[:3] == [
            "→ greet(name)  (teach, by rules)",
            "→ greet('Ada', n=2)  (send, by rules)",
            "? ALFRED: Which?",
        ]
        assert "puter.sh" in lines[-1]

    def test_the_live_line_leaves_the_result(self) -> None:
        """On a terminal the live line goes away and the last word stays."""
        assert "Hi" in story({"command": "send"}, {"status": "OK", "result": "Hi"}, live=True)

    def test_the_live_line_tells_state_attempt_and_text(self) -> None:
        """It follows transitions, attempts and tokens."""
        line = LiveLine(Console(file=io.StringIO()))
        line.hear({"event": "transition", "to": "SYNTHESIZING"})
        line.hear({"event": "attempt", "n": 1})
        for piece in ("def ", "f(self):", "\n    return 1"):
            line.hear({"event": "token", "text": piece})
        line._began -= 10
        assert line.line().startswith("SYNTHESIZING · attempt 2 · ")
        assert "    return 1" in printed(line)


class TestJson:
    def test_each_line_is_json(self) -> None:
        """Events, last words, questions and errors come one a line, with values that JSON can hold, without the id."""
        stream = io.StringIO()
        show = JsonShow(stream)
        show.started({})
        show.notice("hm")
        show.translated("x", Translation(kind="unclear", question="Which?"))
        show.event({"id": "1", "event": "accepted", "cycle_id": "c"})
        show.last_word({}, {"id": "1", "status": "OK", "result": (1, Ref(bytes(8)))})
        show.failed(Unreachable("nobody"))
        show.pause()
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert [line.get("event") or line["status"] for line in lines] == [
            *("notice", "translated", "UNCLEAR", "accepted", "OK", "ERROR")
        ]
        assert lines[2] == {"status": "UNCLEAR", "kind": "unclear", "question": "Which?", "persona": "ALFRED"}
        assert lines[4]["result"] == [1, {"oid": "0" * 16}]
        assert lines[5]["error"]["type"] == "Unreachable"
        assert "id" not in lines[3]


def test_runs_that_were_not_compared_are_not_counted_as_passed():
    """What could not be tried again is told apart, on the line after an install and in the table of `explain`."""
    skipped = {"kind": "good call", "args": [1], "passed": True, "skipped": "not compared: its moment was packed away"}
    runs = [{"kind": "law", "args": [2], "got": {"result": 3}, "expected": {"result": 3}, "passed": True}, skipped]
    line = "".join(map(printed, narrate.evidence({"evidence": runs})))
    assert "1 of 1 runs passed in the sandbox, 1 not compared" in line
    rows = printed(render.runs(runs), 120).splitlines()
    assert ["not compared" in row for row in rows if "(1)" in row or "(2)" in row] == [False, True]
