"""Residency: a budget, the least lately used leaves first, none is loaded twice."""

import pytest

from batos.errors import ModelError, NoWeights
from batos.mind.protocol import ModelSpec
from batos.mind.residency import Residency, weight_bytes


class Engine:
    """Notes whether it was closed."""

    def __init__(self, spec):
        self.spec, self.closed = spec, False

    def close(self):
        self.closed = True


@pytest.fixture
def spec(tmp_path):
    """Make a model whose file has 10 bytes, or as many as asked."""

    def make(name, size=10):
        file = tmp_path / name
        file.write_bytes(b"x" * size)
        return ModelSpec(name=name, path=str(file))

    return make


def names(residency):
    return [model["name"] for model in residency.listing()]


def test_model_is_loaded_once(spec):
    """Asking again gives the same engine."""
    residency = Residency(Engine)
    assert residency.get(spec("a")) is residency.get(spec("a"))
    assert residency.loads == 1


def test_least_lately_used_leaves(spec):
    """Over the budget the one that was used least lately is closed and leaves."""
    residency = Residency(Engine, budget=25)
    first, second = residency.get(spec("a")), residency.get(spec("b"))
    residency.get(spec("a"))
    residency.get(spec("c"))
    assert names(residency) == ["a", "c"]
    assert (first.closed, second.closed) == (False, True)


def test_model_over_the_budget(spec):
    """A model that alone is over the budget is refused with both sizes, and nobody leaves for it."""
    residency = Residency(Engine, budget=3 << 20)
    residency.get(spec("a"))
    with pytest.raises(ModelError, match=r"4 MiB.*3 MiB"):
        residency.get(spec("big", 4 << 20))
    assert names(residency) == ["a"]


def test_changed_model_is_loaded_anew(spec, tmp_path):
    """The same name with other weights takes the place of the old ones."""
    residency = Residency(Engine)
    old = residency.get(spec("a"))
    other = ModelSpec(name="a", path=spec("b").path)
    assert not residency.has(other)
    assert residency.get(other).spec == other
    assert old.closed
    assert names(residency) == ["a"]


def test_drop_and_clear(spec):
    """Dropped models are closed; dropping what is not there is no trouble."""
    residency = Residency(Engine)
    engines = [residency.get(spec(name)) for name in "abc"]
    residency.drop("a")
    residency.drop("a")
    residency.clear()
    assert all(engine.closed for engine in engines)
    assert residency.listing() == []


def test_bytes_of_weights(tmp_path):
    """A file counts whole, a folder its safetensors; nothing there is NoWeights."""
    (tmp_path / "f").mkdir()
    (tmp_path / "f/a.safetensors").write_bytes(b"x" * 7)
    (tmp_path / "f/notes.txt").write_bytes(b"x" * 100)
    assert weight_bytes(tmp_path / "f") == 7
    with pytest.raises(NoWeights):
        weight_bytes(tmp_path / "g")
