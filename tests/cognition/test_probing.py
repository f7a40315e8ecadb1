"""Generated inputs: of the right kinds, and the same each time."""

from hypothesis import given
from hypothesis import strategies as st

from batos import codec
from batos.cognition.probing import inputs

PLAIN = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=9,
)


def _wanted(*names):
    return [{"name": name, "has_default": False} for name in names]


class TestInputs:
    @given(st.lists(PLAIN, min_size=1, max_size=3))
    def test_examples_are_varied_within_their_kinds(self, args):
        """Arguments made from an example have its types, are plain data, and come out the same again."""
        brief = {"selector": "f", "examples": [{"args": args, "result": 1}]}
        names = _wanted(*"abc"[: len(args)])
        given_ = inputs(brief, names)
        assert given_ == inputs(brief, names)
        assert all([type(v) for v in call] == [type(v) for v in args] for call in given_)
        codec.pack(given_)

    def test_names_and_annotations_tell_kinds(self):
        """Without examples an annotation tells the kind, else the name, else every kind is tried."""
        brief = {"selector": "f", "parameters": [{"name": "text"}, {"name": "q", "annotation": "float"}]}
        calls = inputs(brief, _wanted("text", "q"))
        assert all(type(text) is str and type(q) is float for text, q in calls)
        assert len({type(call[0]) for call in inputs({"selector": "f"}, _wanted("thing"))}) > 2

    def test_nothing_to_vary_is_no_input(self):
        """A method without parameters is called as it is; one whose parameters all have defaults is not guessed at."""
        assert inputs({"selector": "f"}, []) == [[]]
        assert inputs({"selector": "f"}, [{"name": "a", "has_default": True}]) == []
