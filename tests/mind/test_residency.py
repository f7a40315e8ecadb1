"""Residency: a budget, the least lately used leaves first, none is loaded twice."""

import pytest

from batos.errors import ModelError, NoWeights
from batos.mind.protocol import ModelSpec
from batos.mind.residency import Residency, weight_bytes


class Engine:
    """Notes whether it was closed."""

    def __init__(self, spec):
        self.spec, self.closed = spec, False

    def sleep(self):
        return False

    def close(self):
        self.closed = True


class Sleeper(Engine):
    """Can sleep, and notes what was done to it; `tired` never wakes again."""

    tired = False

    def __init__(self, spec):
        super().__init__(spec)
        self.done = []

    def sleep(self):
        self.done.append("sleep")
        return True

    def wake(self):
        if self.tired:
            raise ModelError("no memory")
        self.done.append("wake")


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


def asleep(residency):
    return [model["name"] for model in residency.sleeping()]


def test_who_leaves_falls_asleep_and_is_not_loaded_again(spec):
    """Over the budget a model sleeps, outside of it; its next use wakes it, and the other one sleeps then."""
    residency = Residency(Sleeper, budget=15)
    first, second = residency.get(spec("a")), residency.get(spec("b"))
    assert (names(residency), asleep(residency)) == (["b"], ["a"])
    assert residency.get(spec("a")) is first
    assert (names(residency), asleep(residency)) == (["a"], ["b"])
    assert (first.done, second.done) == (["sleep", "wake"], ["sleep"])
    assert (residency.loads, residency.wakes) == (2, 1)


def test_sleepers_are_few_and_can_be_dropped(spec):
    """The one that sleeps longest is closed when too many sleep; dropping and clearing close sleepers too."""
    residency = Residency(Sleeper, budget=15)
    engines = [residency.get(spec(name)) for name in "abcdef"]
    assert asleep(residency) == ["b", "c", "d", "e"]
    residency.drop("c")
    assert [engine.closed for engine in engines] == [True, False, True, False, False, False]
    residency.clear()
    assert all(engine.closed for engine in engines)
    assert asleep(residency) == []


def test_a_sleeper_whose_weights_changed_is_loaded_anew(spec):
    """The same name with another file is another model: the sleeper is closed."""
    residency = Residency(Sleeper, budget=15)
    old = residency.get(spec("a"))
    residency.get(spec("b"))
    other = ModelSpec(name="a", path=spec("c").path)
    assert residency.get(other) is not old
    assert old.closed
    assert (residency.loads, residency.wakes) == (3, 0)


def test_a_sleeper_that_cannot_wake_is_closed(spec):
    """Where memory lacks for waking, the request is an error, and the next one loads the model."""
    residency = Residency(Sleeper, budget=15)
    first = residency.get(spec("a"))
    residency.get(spec("b"))
    first.tired = True
    with pytest.raises(ModelError, match="no memory"):
        residency.get(spec("a"))
    assert first.closed
    assert residency.get(spec("a")) is not first
