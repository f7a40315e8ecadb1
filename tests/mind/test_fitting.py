"""Whether an answer fits its JSON schema, checked after the fact."""

import json

import pytest

from batos.cognition import prompts, translation
from batos.errors import ModelError
from batos.mind.fitting import misfit

NAMED = {
    "type": "object",
    "properties": {"kind": {"const": "send"}, "n": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["kind"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "schema", "wrong"),
    [
        ("{", {}, "it is not JSON"),
        ("1", {"type": "string"}, "the answer is not of type string"),
        ("true", {"type": "integer"}, "not of type integer"),
        ("1.0", {"type": "integer"}, ""),
        ("1.5", {"type": ["integer", "null"]}, "not of type integer or null"),
        ("null", {"type": ["integer", "null"]}, ""),
        ('"blue"', {"enum": ["red", "green"]}, 'none of ["red", "green"]'),
        ("true", {"const": 1}, "is not 1"),
        ('{"kind": "send", "n": 3}', NAMED, ""),
        ('{"kind": "send", "n": 10}', NAMED, "the answer's 'n' is 10, and at most 9"),
        ('{"kind": "send", "n": 0}', NAMED, "at least 1"),
        ('{"n": 3}', NAMED, "lacks kind"),
        ('{"kind": "send", "x": 3}', NAMED, "the answer's 'x' may not be there"),
        ('{"x": 3}', {"additionalProperties": {"type": "string"}}, "the answer's 'x' is not of type string"),
        ('["ab", 3]', {"items": {"type": "string"}}, "the answer's item 2 is not of type string"),
        ("[]", {"minItems": 1}, "has 0 items, and at least 1"),
        ("[1, 2]", {"maxItems": 1}, "has 2 items, and at most 1"),
        ('"a"', {"minLength": 2}, "has 1 characters"),
        ('"abc"', {"maxLength": 2}, "has 3 characters"),
        ('"A"', {"pattern": "^[a-z]+$"}, "does not match"),
        ("3", {"anyOf": [{"type": "string"}, {"type": "array"}]}, "none of the allowed forms"),
        ("[3]", {"anyOf": [{"type": "string"}, {"type": "array"}]}, ""),
        ('{"kind": "talk"}', {"title": "a note is no rule", **NAMED}, "the answer's 'kind' is not"),
    ],
)
def test_what_is_wrong_is_said(text, schema, wrong):
    """Each rule is held, and what breaks it is told with its place; an answer that fits has nothing wrong."""
    said = misfit(text, schema)
    assert (wrong in said) if wrong else said == ""


def test_a_rule_that_is_not_known_is_no_silence():
    """A schema that says more than can be checked is an error, wherever in it that stands."""
    with pytest.raises(ModelError, match="multipleOf"):
        misfit("[4]", {"items": {"type": "integer", "multipleOf": 2}})


def test_our_own_schemas_can_be_checked():
    """The schemas that missions and translations ask with hold for good answers and not for bad ones."""
    assert misfit('["how to add", "numbers"]', prompts.QUERIES_SCHEMA) == ""
    assert "item 1" in misfit('["x"]', prompts.QUERIES_SCHEMA)
    known = [{"selector": "add", "signature": "(self, a: int, b: list[str] | None = None, *c)", "summary": "Add."}]
    _, schema = translation.prompt("add 1 and 2", known)
    assert misfit('{"kind": "talk"}', schema) == ""
    assert misfit(json.dumps({"kind": "unclear", "question": "Which one is it?"}), schema) == ""
    assert misfit(json.dumps({"kind": "teach", "selector": "add_one", "parameters": ["n"], "args": [1]}), schema) == ""
    assert misfit(json.dumps({"kind": "teach", "selector": "Add One", "parameters": ["n"], "args": [1]}), schema)
