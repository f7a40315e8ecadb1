"""What calls one after the other leave in the slots, and what that says of a method that is to keep things."""

import pytest

from batos.cognition import growth


def _doubt(words, method, *args, before=()):
    """What is doubted of a method that maps slots and arguments to slots."""
    told = growth.calls({"selector": "f", "args": list(args)})
    left = [dict(before)]
    for given, _ in (told[0], *told):
        left.append({**left[-1], **method(left[-1], *given)})
    return growth.doubt(words, told, left)


def _listed(slots, item):
    return {"items": [*slots.get("items", []), item]}


@pytest.mark.parametrize(
    ("words", "method", "args"),
    [
        ("add an item to the list", lambda _, item: {"items": [item]}, ["a"]),
        ("remember a birthday", lambda _, name, day: {"birthdays": {name: day}}, ["Ada", "10 December"]),
        ("record every visitor", lambda _, name: {"visitors": {name}}, ["Ada"]),
        ("count how often it is called", lambda _: {"calls": 1}, []),
        ("deposit an amount", lambda _, amount: {"balance": amount}, [50]),
        (
            "count words over all calls",
            lambda _, text: {"counts": {w: text.split().count(w) for w in text.split()}},
            ["a b a"],
        ),
        ("add a word", lambda _, word: {"words": [word], "latest": word}, ["sea"]),
        ("log the time", lambda _: {"log": ["00:00"]}, []),
        ("keep notes by topic", lambda _, topic, note: {"notes": {topic: [note]}}, ["sea", "deep"]),
    ],
)
def test_what_replaces_where_it_should_add_is_doubted(words, method, args):
    """A slot that only holds what the last call left is named."""
    assert _doubt(words, method, *args) == next(iter(method({}, *args)))


@pytest.mark.parametrize(
    ("words", "method", "args"),
    [
        ("add an item to the list", _listed, ["a"]),
        ("add an item, no item twice", lambda s, i: {"items": sorted({*s.get("items", []), i})}, ["a"]),
        ("remember a birthday", lambda s, n, d: {"birthdays": {**s.get("birthdays", {}), n: d}}, ["Ada", "10 May"]),
        ("record every visitor", lambda s, n: {"visitors": {n, *s.get("visitors", ())}}, ["Ada"]),
        ("count how often it is called", lambda s: {"calls": s.get("calls", 0) + 1}, []),
        ("withdraw an amount", lambda s, n: {"balance": s.get("balance", 0) - n}, [5]),
        ("append to the text", lambda s, t: {"text": s.get("text", "") + t}, ["a"]),
        ("remember the user's name", lambda _, name: {"name": name}, ["Ada"]),
        ("remember my age", lambda _, age: {"age": age}, [42]),
        ("store a list of numbers", lambda _, numbers: {"numbers": numbers}, [[1, 2]]),
        ("store a set of numbers", lambda _, numbers: {"numbers": sorted(set(numbers))}, [[2, 1, 2]]),
        ("save the profile", lambda _, name: {"profile": {"name": name}}, ["Ada"]),
        ("add an item and keep its letters", lambda s, i: {"letters": list(i), **_listed(s, i)}, ["ab"]),
        ("remember it", lambda _, __: {}, ["a"]),
        ("keep count by name", lambda s, n: {"n": {**s.get("n", {}), n: s.get("n", {}).get(n, 0) + 1}}, ["a"]),
    ],
)
def test_what_adds_or_is_rightly_replaced_is_not(words, method, args):
    """Growth, values that are kept as they were given, and methods without an effect raise no doubt."""
    assert _doubt(words, method, *args) == ""


def test_a_sum_that_no_further_call_changes_is_not_doubted():
    """Where the calls after the first leave a number as it is, they may have been refused."""

    def withdraw(slots, amount):
        return {"balance": slots["balance"] - amount} if amount <= slots["balance"] else {}

    assert _doubt("withdraw an amount", withdraw, 80, before={"balance": 100}) == ""


def test_words_tell_whether_growth_is_asked_for():
    """Words that add ask for growth; words that speak of the last, or of a limit, do not, nor does plain reckoning."""
    assert all(map(growth.demanded, ("remember a birthday", "add an item to the basket", "count each call")))
    assert not any(
        map(
            growth.demanded,
            (
                "remember the last visitor",
                "keep only 3 notes",
                "the square of a number",
                "record a score, keep the highest",
            ),
        )
    )


def test_two_calls_that_differ():
    """The brief's call comes first, else an example's; the other differs in every argument; unknown ones give none."""
    brief = {"selector": "f", "args": ["a", 1, True], "kwargs": {"tags": ["x"]}}
    assert growth.calls(brief)[1] == (["xa", 2, False], {"tags": ["xx"]})
    shown = [{"args": [0], "error": "ValueError"}, {"args": [2], "result": 4}]
    assert growth.calls({"selector": "f", "parameters": [{"name": "n"}], "examples": shown}) == (([2], {}), ([3], {}))
    assert growth.calls({"selector": "f", "parameters": [{"name": "n"}]}) is None
    assert growth.calls({"selector": "f"}) == (([], {}), ([], {}))
