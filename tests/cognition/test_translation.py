"""Words to requests: the first interaction to the letter, every kind, and that every request validates."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos import wire
from batos.cognition import translation
from batos.cognition.translation import Translation, from_reply, parse, prompt, rules

KNOWN = [
    {"selector": "calculate_factorial", "signature": "(self, number)", "summary": "The factorial of a number."},
    {"selector": "greet_user", "signature": "(self, name)", "summary": "Greets a user."},
]
WORDS = st.text(max_size=60) | st.lists(
    st.sampled_from(
        [
            "create",
            "a",
            "method",
            "to",
            "greet",
            "the",
            "user",
            "by",
            "name",
            "please",
            "what",
            "is",
            "factorial",
            "of",
            "12",
            "'Ada'",
            "f(2)",
            "==",
            "4",
            "called",
            "and",
            "[1]",
            "status",
            "hello",
            "learn",
            "improve",
            "greet_user",
            "?",
            ".",
            "(",
            ")",
            "import",
        ]
    ),
    max_size=12,
).map(" ".join)


def brief(found: Translation) -> dict[str, Any]:
    """The mission brief of a translation that teaches."""
    assert found.kind == "teach"
    assert found.request is not None
    assert found.request["command"] == "initiate_cognitive_cycle"
    return found.request["mission_brief"]


class TestFirstInteraction:
    @pytest.mark.parametrize(
        ("text", "selector", "more"),
        [
            ("create a method to report the current system time", "report_the_current_system_time", {"parameters": []}),
            ("Please write a method to greet a user.", "greet_user", {}),
            (
                "Create a method to calculate the factorial of a number.",
                "calculate_factorial",
                {"parameters": [{"name": "number"}]},
            ),
            (
                "Simulate a conversation with a wise bear from the Hundred Acre Wood.",
                "simulate_winnie_the_pooh_conversation",
                {"persona": "ROBIN", "parameters": []},
            ),
        ],
    )
    def test_names(self, text: str, selector: str, more: dict[str, Any]) -> None:
        """The four missions of the original description get their names, word for word, with the intent verbatim."""
        want = {"type": "unhandled_message", "selector": selector, "intent": text, "args": [], "kwargs": {}, **more}
        assert brief(rules(text, [])) == want


class TestRules:
    @pytest.mark.parametrize(
        ("text", "selector", "args"),
        [
            ("what is the factorial of 12", "calculate_factorial", [12]),
            ("what is the factorial of twelve", "calculate_factorial", [12]),
            ("greet Ada", "greet_user", ["Ada"]),
            ('greet_user("Ada")', "greet_user", ["Ada"]),
            (">>> greet_user('Ada')", "greet_user", ["Ada"]),
            ("greet_user", "greet_user", []),
        ],
    )
    def test_known_capabilities_are_sent(self, text: str, selector: str, args: list[Any]) -> None:
        """Words for what is understood become a message with the arguments that stand in them."""
        found = rules(text, KNOWN, target="other")
        want = {"command": "send", "target_oid": "other", "selector": selector, "args": args, "kwargs": {}}
        assert (found.kind, found.request) == ("send", want)

    def test_a_call_of_something_new_is_a_mandate(self) -> None:
        """A call that nobody understands is sent all the same, with its words as the intent; its object is the target."""
        found = rules("abacus.add_up(1, by=2)", KNOWN)
        assert found.request == {
            "command": "send",
            "target_oid": "abacus",
            "selector": "add_up",
            "args": [1],
            "kwargs": {"by": 2},
            "intent": "abacus.add_up(1, by=2)",
        }

    def test_examples_and_names_are_taken_from_the_words(self) -> None:
        """A name, parameters and examples that the Architect wrote are used as they were written."""
        found = brief(rules("write a function called double(x) that doubles x; double(2) == 4, double(3) is 6", []))
        assert found["selector"] == "double"
        assert found["parameters"] == [{"name": "x"}]
        assert [example["result"] for example in found["examples"]] == [4, 6]
        unnamed = brief(rules("create a method to combine things, f(2, 3) == 5", []))
        assert unnamed["parameters"] == [{"name": "first"}, {"name": "second"}]

    def test_values_beside_parameters_belong_to_the_mission(self) -> None:
        """`by 2` is what to do, not an argument; without a parameter the values are arguments."""
        assert brief(rules("create a method to multiply a number by 2", []))["args"] == []
        assert brief(rules("multiply 3 by 4", []))["args"] == [3, 4]
        tried = brief(rules("create a method to greet a user by name and call it with 'Ada'", []))
        assert (tried["selector"], tried["args"]) == ("greet_user", ["Ada"])

    def test_improving_asks_for_a_new_version(self) -> None:
        """`improve` with a known selector is a mission for a new version of it."""
        found = brief(rules("improve greet_user so that it shouts", KNOWN))
        assert (found["selector"], found["version"]) == ("greet_user", "new")

    @pytest.mark.parametrize(
        ("text", "kind", "command"),
        [
            ("What is the Living Image?", "ask", "converse"),
            ("what can you do?", "ask", "inspect"),
            ("status", "ask", "status"),
            ("hello there", "talk", "converse"),
            ("fizz the buzz", "unclear", None),
            ("calculate the factorial", "unclear", None),
            ("create a method", "unclear", None),
            ("   ", "unclear", None),
        ],
    )
    def test_kinds(self, text: str, kind: str, command: str | None) -> None:
        """Questions are asked, greetings answered, and what is not understood is asked back in one line."""
        found = rules(text, KNOWN)
        assert (found.kind, found.request and found.request["command"]) == (kind, command)
        if command is None:
            assert found.question
            assert "\n" not in found.question

    @given(WORDS)
    def test_every_request_validates(self, text: str) -> None:
        """Whatever the words, there is a request that `wire` accepts, or a question."""
        found = rules(text, KNOWN)
        if found.request is None:
            assert found.question
        else:
            wire.read_request(found.request)
            assert found.kind != "unclear"


class TestModel:
    def test_the_prompt_lists_what_is_understood(self) -> None:
        """Capabilities stand in the last message with the words; the first message is the same for all words."""
        messages, schema = prompt("greet Ada", KNOWN)
        assert "- greet_user(name): Greets a user." in messages[-1]["content"]
        assert messages[-1]["content"].endswith("Words: greet Ada")
        assert messages[0] == prompt("other", [])[0][0]
        sends = [form for form in schema["anyOf"] if form["properties"]["kind"]["const"] == "send"]
        assert [f["properties"]["selector"]["const"] for f in sends] == ["calculate_factorial", "greet_user"]
        assert sends[1]["properties"]["arguments"]["required"] == ["name"]
        assert not [f for f in prompt("x", [])[1]["anyOf"] if f["properties"]["kind"]["const"] == "send"]

    @pytest.mark.parametrize(
        ("text", "answer", "kind", "detail"),
        [
            (
                "factorial for the number 12?",
                {"kind": "send", "selector": "calculate_factorial", "args": [12.0]},
                "send",
                [12],
            ),
            (
                "I want 12 multiplied down to one",
                {"kind": "send", "selector": "calculate_factorial", "args": [12.0]},
                "send",
                [12],
            ),
            ("who wrote Hamlet?", {"kind": "send", "selector": "greet_user", "args": ["Hamlet"]}, "ask", None),
            ("fly me to Rome", {"kind": "send", "selector": "greet_user", "args": ["fly me to Rome"]}, "unclear", None),
            ("the factorial", {"kind": "send", "selector": "calculate_factorial", "args": [5]}, "unclear", None),
            ("say hi to Eve", {"kind": "send", "selector": "greet_user", "args": ["Eve"]}, "send", ["Eve"]),
            ("say hi to Eve", {"kind": "send", "selector": "greet_user", "args": ["Bob"]}, "unclear", None),
            ("I am sad", {"kind": "talk"}, "talk", None),
            ("is memory full", {"kind": "ask"}, "ask", None),
            ("do it", {"kind": "unclear", "question": "Do what?"}, "unclear", None),
        ],
    )
    def test_answers_are_held_to_the_words(self, text: str, answer: Any, kind: str, detail: Any) -> None:
        """Arguments that do not stand in the words are never sent; a known capability without its own asks back."""
        found = parse(json.dumps(answer), text, KNOWN)
        assert found.kind == kind
        if detail is not None:
            assert found.request is not None
            assert found.request["args"] == detail
            assert [type(item) for item in found.request["args"]] == [type(item) for item in detail]

    def test_a_model_never_renames_an_explicit_mission(self) -> None:
        """Words like "create a method to …" are named by rule whatever the model says; it may add what varies in them."""
        answer = {"kind": "teach", "selector": "time_now", "parameters": ["time", "zone"], "args": []}
        found = brief(parse(json.dumps(answer), "create a method to report the current system time", KNOWN))
        assert (found["selector"], found["parameters"]) == ("report_the_current_system_time", [])
        answer = {"kind": "teach", "selector": "hello", "parameters": ["user", "mood"], "args": []}
        found = brief(parse(json.dumps(answer), "Please write a method to greet a user.", []))
        assert (found["selector"], found["parameters"]) == ("greet_user", [{"name": "user"}])

    def test_a_new_capability_may_be_named_by_the_model(self) -> None:
        """Words that the rules cannot read get the model's name; one that is known is sent instead of taught again."""
        answer = {"kind": "teach", "selector": "brew_tea", "parameters": [], "args": []}
        assert brief(parse(json.dumps(answer), "tea would be nice", KNOWN))["selector"] == "brew_tea"
        answer = {"kind": "teach", "selector": "greet_user", "parameters": ["name"], "args": ["Eve"]}
        assert parse(json.dumps(answer), "a warm welcome for Eve", KNOWN).kind == "send"

    @pytest.mark.parametrize("answer", ["", "{", "[]", "null", '{"kind": "dance"}', '{"kind": ["send"]}', "[" * 5000])
    def test_broken_answers_fall_back_to_rules(self, answer: str) -> None:
        """An answer that does not parse is as if there were no model."""
        assert parse(answer, "greet Ada", KNOWN) == rules("greet Ada", KNOWN)

    @given(
        WORDS,
        st.fixed_dictionaries(
            {"kind": st.sampled_from(["teach", "send", "ask", "talk", "unclear"])},
            optional={
                "selector": st.sampled_from(["greet_user", "calculate_factorial", "class", "_x", "new_thing", "a b"])
                | st.text(),
                "parameters": st.lists(st.text(max_size=8) | st.integers(), max_size=3) | st.none(),
                "args": st.lists(st.integers() | st.text(max_size=5) | st.floats(allow_nan=False), max_size=3)
                | st.none(),
                "question": st.text(max_size=400),
            },
        ),
    )
    def test_no_answer_makes_an_invalid_request(self, text: str, answer: Any) -> None:
        """Even an answer outside the schema gives a request that validates, or a question of one line."""
        found = parse(json.dumps(answer), text, KNOWN)
        if found.request is None:
            assert found.question
            assert len(found.question.splitlines()) == 1
        else:
            wire.read_request(found.request)


class TestReplies:
    def test_a_reply_reads_back(self) -> None:
        """The last word of `translate` gives the translation; what it lacks reads as unclear."""
        request = {"command": "status"}
        reply = {"status": "OK", "kind": "ask", "request": request, "question": "", "source": "memory"}
        assert from_reply(reply) == Translation(kind="ask", request=request, source="memory")
        assert from_reply({"kind": "dance", "request": None}).kind == "unclear"

    def test_selectors_of_the_schema_are_selectors(self) -> None:
        """What the grammar lets a model write as a new selector is one, keywords aside, which `parse` mends."""
        found = brief(parse('{"kind":"teach","selector":"import","parameters":[],"args":[]}', "some imports 5", []))
        assert found["selector"] == "import_it"
        assert translation.DEFAULT_TARGET == "genesis_obj"


class TestWithoutAModel:
    @pytest.mark.parametrize(
        ("text", "kind", "command"),
        [
            ("hello", "talk", "converse"),
            ("Hi there!", "talk", "converse"),
            ("good morning, ROBIN", "talk", "converse"),
            ("thank you.", "talk", "converse"),
            ("what can you do?", "ask", "inspect"),
            ("show me your capabilities", "ask", "inspect"),
            ("system status", "ask", "status"),
        ],
    )
    def test_greetings_and_questions_about_the_system_wait_for_no_model(
        self, text: str, kind: str, command: str
    ) -> None:
        """Words that mean one thing only are translated at once, so that nobody waits for weights to load for a greeting."""
        found = translation.explicit(text, KNOWN)
        assert found is not None
        assert found.request is not None
        assert (found.kind, found.request["command"], found.source) == (kind, command, "rules")

    @pytest.mark.parametrize(
        "text",
        [
            "hello, what is a bear",
            "list the HTTP methods",
            "hi, I had a long day",
            "there",
            "what do you know of bears",
        ],
    )
    def test_other_words_are_weighed(self, text: str) -> None:
        """A greeting before something else, and questions that only look like one about the system, are the model's."""
        assert translation.explicit(text, KNOWN) is None

    def test_a_greeting_is_no_value(self) -> None:
        """A greeting before a request is not taken for what the request leaves open: that is asked back."""
        found = rules("hello, greet the user", KNOWN)
        assert found.kind == "unclear"
        assert "name" in found.question
        sent = rules("hey, what is the factorial of 12?", KNOWN)
        assert sent.request is not None
        assert (sent.kind, sent.request["args"]) == ("send", [12])
