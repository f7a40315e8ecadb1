"""A model is shown the slots that the mission may be about."""

import pytest

from batos.cognition.portrait import self_portrait
from batos.image import methods, migrations, registry
from batos.image.store import Image


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """An awakened image whose genesis object keeps tasks, and counts its calls."""
    folder = tmp_path_factory.mktemp("image")
    opened = Image(folder / "live_image.fs", folder / "blobs")
    migrations.migrate(opened)
    opened.transact_now(_furnish)
    yield opened
    opened.close_now()


def _furnish(view):
    registry.set_slots(view, "genesis_obj", {"tasks": ["milk"], "p_called": 3, "entries": [1.5]})
    source = "def running_average(self, n):\n    return sum(self.entries) / n + len(getattr(self, 'more', []))\n"
    target = view.resolve("genesis_obj")
    methods.install(view, target, "running_average", source, {}, signature="(self, n)", summary="the mean so far")


@pytest.mark.parametrize(
    ("words", "slots"),
    [
        ("create a method to mark a task as done", "tasks = ['milk']"),
        ("create a method to count the word frequencies of a text", ""),
        ("create a method to reset the running average", "entries = [1.5]"),
        ("create a method to greet a user", ""),
    ],
)
def test_slots_that_matter(image, words, slots):
    """Slots named in the mission, and those of methods on the same matter, are shown; others are not."""
    seen = image.read_now(
        lambda view: self_portrait(view, view.ref(view.resolve("genesis_obj")), "ALFRED", words)
    ).value
    assert seen["slots"] == slots
    assert seen["codex"]["persona"] == "ALFRED"
