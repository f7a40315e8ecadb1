"""`bench synth`: problems, the judge, the results file and its totals; and the whole way with the scripted mind."""

import argparse
import json

import pytest

from batos.bench import mbpp, synth, synth_totals
from batos.errors import BadField
from batos.settings import Settings

ROWS = [
    {
        "task_id": number,
        "prompt": f"Write a function to {name} a number.",
        "code": f"def {name}(n):\n    return {body}",
        "test_imports": [],
        "test_list": [f"assert {name}(2) == {first}", f"assert {name}(5) == {second}", f"assert {name}(0) == 0"],
    }
    for number, name, body, first, second in [(1, "double", "n * 2", 4, 10), (2, "square", "n * n", 4, 25)]
]


@pytest.fixture
def data(tmp_path):
    """A folder with two problems."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return folder


class TestProblems:
    def test_a_row_becomes_a_brief_and_a_question(self, data):
        """The first test is the example of both, the others judge; words, selector and parameters are the row's."""
        problem = mbpp.read(data)[0]
        assert problem.brief()["examples"] == [{"args": [2], "kwargs": {}, "result": 4}]
        assert problem.brief()["parameters"] == [{"name": "n"}]
        assert "assert double(2) == 4" in problem.question()
        assert problem.tests == ("assert double(5) == 10", "assert double(0) == 0")

    def test_a_test_of_another_form_is_no_example(self):
        """A first test that compares no plain values judges with the others."""
        row = {**ROWS[0], "test_list": ["assert set(double(2)) == {4}", "assert double(1) == 2"]}
        problem = mbpp._problem(row)
        assert problem.example is None
        assert len(problem.tests) == 2

    def test_an_order_has_a_seed(self, data):
        """The same seed chooses the same problems, whatever order they are read in."""
        problems = mbpp.read(data)
        assert synth.chosen(problems, 1, 3) == synth.chosen(problems[::-1], 1, 3)

    def test_a_later_part_goes_on_where_the_first_ended(self, data):
        """What is left out first is none of what follows, and both are all of it."""
        problems = mbpp.read(data)
        first, rest = synth.chosen(problems, 1, 3), synth.chosen(problems, len(problems), 3, skip=1)
        assert first + rest == synth.chosen(problems, len(problems), 3)


class TestJudge:
    @pytest.mark.parametrize(
        ("source", "method", "verdict"),
        [
            ("def double(n):\n    return n * 2\n", False, ""),
            ("def double(self, n):\n    return n * 2\n", True, ""),
            ("def double(n):\n    return 4\n", False, "wrong"),
            ("def double(n):\n    raise SystemExit\n", False, "wrong"),
            ("import os\ndef double(n):\n    os._exit(0)\n", False, "wrong"),
            ("def double(n):\n    return n * 2\n\nassert double(3) == 7\nprint(double())\n", False, ""),
            ("def double(n):\n    return n\n\nassert double(2) == 4\n", False, "wrong"),
            ("def other(n):\n    return n * 2\n", False, "not parsed"),
            ("def double(n:\n", False, "not parsed"),
        ],
    )
    def test_verdicts(self, data, source, method, verdict):
        """A source passes when all judging tests do; leaving the process early is no pass."""
        assert mbpp.judge(mbpp.read(data)[0], source, method=method) == verdict

    def test_code_is_cut_out_of_an_answer(self):
        """The block that defines the function is the code, else the whole answer."""
        answer = "Like so:\n```python\nx = 1\n```\nand\n```python\ndef f():\n    pass\n```\nDone."
        assert mbpp.code_of(answer, "f") == "def f():\n    pass\n"
        assert mbpp.code_of("def f(): pass", "f") == "def f(): pass"


class TestTotals:
    def test_an_interval_holds_the_mean(self):
        """The interval is around the mean, is a point where all pairs are alike, and narrows with more pairs."""
        low, high = synth_totals.interval([1, 0, 0, 1, -1, 0, 1, 0] * 5)
        assert low < 25 < high
        assert synth_totals.interval([1] * 9) == (100, 100)
        wide = synth_totals.interval([1, -1] * 5)
        narrow = synth_totals.interval([1, -1] * 50)
        assert narrow[1] - narrow[0] < wide[1] - wide[0]

    def test_only_pairs_count(self):
        """A problem that one side has not answered yet is left out; losses are named."""
        lines = [
            {"arm": "mission", "model": "m", "task": 1, "loss": "", "tokens": 30, "seconds": 2.0, "cycle_seconds": 2.0},
            {"arm": "mission", "model": "m", "task": 2, "loss": "audit", "tokens": 30, "seconds": 2.0},
            {"arm": "direct", "model": "m", "task": 1, "loss": "wrong", "tokens": 10, "seconds": 1.0},
        ]
        told = {figure.figure: figure for figure in synth_totals.figures(lines, "m", "m")}
        assert told["m through BAT OS, solved"].value == 100
        assert "1 wrong" in told["m asked once, solved"].note
        assert told["difference"].value == 100
        assert synth_totals.figures(lines, "other", "m") == []

    def test_an_interval_that_touches_zero_is_not_clear_of_it(self):
        """The lower end of the interval must be above zero; zero itself does not hold."""
        model = "qwen2.5-coder-0.5b"

        def lower(won):
            """The lower end, of 20 problems that the direct question lost."""
            common = {"model": model, "tokens": 1, "seconds": 1.0}
            lines = [{**common, "arm": "direct", "task": n, "loss": "wrong"} for n in range(20)]
            lines += [{**common, "arm": "mission", "task": n, "loss": "" if n < won else "trial"} for n in range(20)]
            told = {figure.figure: figure for figure in synth_totals.figures(lines, model, model)}
            return told["lower end of its 95 % interval"]

        assert (lower(1).value, lower(1).holds, lower(1).must) == (0, False, "> 0 points")
        assert lower(20).value > 0
        assert lower(20).holds

    @pytest.mark.parametrize("line", ['{"format": 2, "task": 1}', '{"task": 1}', "[1]", '{"format": 1, "ta'])
    def test_results_of_another_format_are_refused(self, tmp_path, data, line):
        """A results file with a line of another format, or one that is broken, is refused by name and number; it stays as it is."""
        file = tmp_path / "results.jsonl"
        text = f'{{"format": 1, "arm": "direct", "model": "m", "task": 1}}\n{line}\n'
        file.write_text(text)
        parser = argparse.ArgumentParser()
        synth.arguments(parser)
        options = parser.parse_args(["--data", str(data), "--results", str(file), "--model", "m"])
        options.settings = Settings(home=tmp_path)
        with pytest.raises(BadField, match=r"line 2 of .*results\.jsonl"):
            synth.run(options, lambda text: None)
        assert file.read_text() == text


def test_the_whole_way(data, tmp_path):
    """Missions go through a real kernel, direct questions to the same mind; a second run asks nothing again."""
    rules = [
        {"state": "DIRECT", "match": "double", "text": "```python\ndef double(n):\n    return n + 2\n```"},
        {"state": "DIRECT", "match": "square", "text": "```python\ndef square(n):\n    return n * n\n```"},
        {"state": "SYNTHESIZING", "match": "double", "text": "def double(n):\n    return n + 3\n", "times": 1},
        {"state": "SYNTHESIZING", "match": "double", "text": "def double(n):\n    return n * 2\n"},
        {"state": "SYNTHESIZING", "match": "square", "text": "def square(n):\n    return n + n\n"},
    ]
    script = tmp_path / "script.json"
    script.write_text(json.dumps(rules))
    parser = argparse.ArgumentParser()
    synth.arguments(parser)
    results = tmp_path / "results.jsonl"
    options = parser.parse_args(["--data", str(data), "--results", str(results), "--model", "scripted"])
    options.settings = Settings(engine=f"scripted:{script}", home=tmp_path)
    told = {figure.figure: figure for figure in synth.run(options, lambda text: None)}
    lines = {(line["arm"], line["task"]): line for line in synth_totals.read(results)}
    assert {key: line["loss"] for key, line in lines.items()} == {
        ("direct", 1): "wrong", ("direct", 2): "", ("mission", 1): "", ("mission", 2): "wrong"
    }  # fmt: skip
    assert lines["mission", 1]["attempts"] == 2
    assert lines["mission", 1]["tokens"] > lines["direct", 1]["tokens"]
    assert told["installed methods that fail their own evidence"].holds
    heard = []
    again = synth.run(options, heard.append)
    assert heard == []
    assert [figure.value for figure in again] == [figure.value for figure in told.values()]
