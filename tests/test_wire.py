"""Schemas of messages: what they take, what they refuse, and how a brief is hashed."""

from decimal import Decimal

import ormsgpack
import pytest

from batos import wire
from batos.codec import SET, Ref, pack
from batos.errors import BadField, BadFrame, UnknownCommand


def _read(**fields):
    return wire.read_request(fields)


class TestTargets:
    @pytest.mark.parametrize(
        ("given", "read"),
        [
            ("genesis_obj", "genesis_obj"),
            ("000000000000000a", Ref(bytes(7) + b"\x0a")),
            (10, Ref(bytes(7) + b"\x0a")),
            ("10", Ref(bytes(7) + b"\x0a")),
            (Ref(b"12345678"), Ref(b"12345678")),
        ],
    )
    def test_every_form(self, given, read):
        """A name stays a name; hex, integers and decimal text become references."""
        assert _read(command="inspect", target_oid=given).target_oid == read

    @pytest.mark.parametrize("given", [None, "", [], -1, 1 << 64, 1.5, True])
    def test_other_forms_are_refused(self, given):
        """Anything else is a BadField that names the field."""
        with pytest.raises(BadField, match="target_oid"):
            _read(command="inspect", target_oid=given)


class TestBriefs:
    def test_values_stay_as_they_came(self):
        """What a brief gives, down to its examples, comes out with the values as they were sent: a reference stays one."""
        ref = Ref(b"12345678")
        brief = {
            "type": "unhandled_message",
            "selector": "note",
            "args": [ref, (1, ref)],
            "kwargs": {"to": {"deep": ref}},
            "parameters": [{"name": "item", "default": None}],
            "examples": [{"args": [ref], "result": {ref}}, {"steps": [{"args": [], "error": "KeyError"}]}],
        }
        request = _read(command="initiate_cognitive_cycle", target_oid="genesis_obj", mission_brief=brief)
        assert request.mission_brief.given() == brief
        assert all(type(value) is Ref for value in request.mission_brief.given()["args"][:1])

    def test_what_the_original_client_sent_moves_up(self):
        """`intent` and `persona_id` inside kwargs become `intent` and `persona`."""
        brief = {
            "type": "unhandled_message",
            "selector": "f",
            "kwargs": {"intent": "do f", "persona_id": "ROBIN", "n": 1},
        }
        read = _read(command="initiate_cognitive_cycle", target_oid="genesis_obj", mission_brief=brief).mission_brief
        assert (read.intent, read.persona, read.kwargs) == ("do f", "ROBIN", {"n": 1})

    def test_a_parameter_of_that_name_stays(self):
        """A parameter called `intent` keeps its value."""
        brief = {
            "type": "unhandled_message",
            "selector": "f",
            "parameters": [{"name": "intent"}],
            "kwargs": {"intent": "x"},
        }
        read = _read(command="initiate_cognitive_cycle", target_oid="genesis_obj", mission_brief=brief).mission_brief
        assert read.kwargs == {"intent": "x"}
        assert read.intent is None

    def test_values_keep_their_types(self):
        """Arguments, results and defaults of any plain type pass through unchanged."""
        brief = {
            "type": "unhandled_message",
            "selector": "f",
            "args": [(1, {2})],
            "parameters": [{"name": "a", "default": None}],
            "examples": [{"args": [b"x"], "result": None}, {"steps": [{"args": [1]}, {"error": "ValueError"}]}],
        }
        read = _read(command="initiate_cognitive_cycle", target_oid="genesis_obj", mission_brief=brief).mission_brief
        assert read.model_dump(exclude_unset=True) == brief
        assert read.examples[0].has_result
        assert not read.examples[1].has_result
        assert read.parameters[0].has_default

    @pytest.mark.parametrize("selector", ["", "a b", "1a", "class", "_x", "x" * 201, 5, None])
    def test_a_selector_is_an_identifier(self, selector):
        """What is no identifier, a keyword, or begins with an underscore is refused."""
        with pytest.raises(BadField, match="selector"):
            _read(command="send", target_oid="genesis_obj", selector=selector)


class TestRequests:
    def test_commands_are_known(self):
        """A command that is not there is UnknownCommand; one that is no text is BadField."""
        with pytest.raises(UnknownCommand):
            _read(command="nope")
        with pytest.raises(BadField):
            _read(command=3)

    @pytest.mark.parametrize("name", ["genesis obj", "0123456789abcdef", "123", "_a", "for"])
    def test_names_that_read_as_something_else_are_refused(self, name):
        """A name is an identifier that does not read as an oid."""
        with pytest.raises(BadField):
            _read(command="create", name=name)


def test_a_frame_that_would_keep_the_kernel_busy():
    """A set whose keys are slow to compare, and arrays as keys, are a bad frame that says why; integer keys are none."""
    huge = 1 << 500_000
    slow = ormsgpack.Ext(SET, pack([huge, Decimal(huge % ((1 << 61) - 1))]))
    with pytest.raises(BadFrame, match="one hash"):
        wire.read_frame(ormsgpack.packb({"command": "ping", "id": slow}))
    with pytest.raises(BadFrame, match="extension 12"):
        wire.read_frame(b"\x81\x91\xa2id\x01")
    message = {"command": "ping", "id": {1: "a", None: {(2, 3): "b"}}}
    assert wire.read_frame(pack(message)) == message
