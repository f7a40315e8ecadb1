"""Persona to model to adapter: slots of prototypes, by delegation; seen by a second connection."""

import pytest

from batos.errors import UnknownTarget
from batos.image import blobs, migrations, minds

ABOUT = {"sha256": "a" * 64, "rank": 4, "modules": 2, "base": "b", "model": "m"}


@pytest.fixture
def image(image):
    """An awoken image."""
    migrations.migrate(image)
    return image


@pytest.fixture
def adapted(image, tmp_path):
    """An awoken image with one adapter."""
    folder = tmp_path / "staged"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    blobs.adopt_folder(image, folder, name=minds.blob_name("BARD"))
    image.transact_now(minds.take_in, "BARD", ABOUT)
    return image


def test_a_new_image_says_nothing(image):
    """Without a word from the Architect no persona has a model or an adapter of its own."""
    for persona in minds.PERSONAS:
        assert image.read_now(minds.assigned, persona).value == {"model": "", "adapter": ""}
    assert image.read_now(minds.adapters).value == []
    assert image.read_now(minds.pins).value == []


def test_an_adapter_is_an_object(adapted):
    """A taken-in adapter is an object under `lora_repository` with the original's slots, and is listed with its users."""

    def slots(view):
        record = view.root["pLLM_obj"].lora_repository["BARD"]
        return record.adapter_name, record.model_blob

    assert adapted.read_now(slots).value == ("BARD", "lora/BARD")
    adapted.transact_now(minds.attach, "ROBIN", "BARD")
    (listed,) = adapted.read_now(minds.adapters).value
    assert listed == {"name": "BARD", **ABOUT, "personas": ["ROBIN"]}
    assert adapted.read_now(minds.has_adapter, "BARD", "a" * 64).value
    assert not adapted.read_now(minds.has_adapter, "BARD", "b" * 64).value


def test_a_persona_is_told_by_delegation(adapted):
    """What `pLLM_obj` says holds for every persona; a persona's own word wins."""

    def say(view):
        view.root["pLLM_obj"]._slots["model_id"] = "all"
        view.root["brick_prototype_obj"]._slots["model_id"] = "mine"

    adapted.transact_now(say)
    assert adapted.read_now(minds.assigned, "BRICK").value["model"] == "mine"
    assert adapted.read_now(minds.assigned, "ROBIN").value["model"] == "all"


def test_removal_takes_it_from_its_personas(adapted):
    """A removed adapter is gone from the list, from the weights and from who had it."""
    adapted.transact_now(minds.attach, "BABS", "BARD")
    adapted.transact_now(minds.remove_adapter, "BARD")
    assert adapted.read_now(minds.assigned, "BABS").value["adapter"] == ""
    assert adapted.read_now(minds.adapters).value == []
    assert not adapted.read_now(blobs.has, "lora/BARD").value


def test_unknown_names(adapted):
    """An adapter or a persona that is not there is an error that names what is."""
    with pytest.raises(UnknownTarget, match="NOBODY"):
        adapted.transact_now(minds.attach, "BRICK", "NOBODY")
    with pytest.raises(UnknownTarget, match="EVE"):
        adapted.transact_now(minds.attach, "EVE", "BARD")
    with pytest.raises(UnknownTarget):
        adapted.transact_now(minds.remove_adapter, "NOBODY")


def test_pins(image):
    """Pins are kept, once each."""
    for name in ("a", "b", "a"):
        image.transact_now(lambda view, n=name: minds.set_pin(view, n, pinned=True))
    assert image.read_now(minds.pins).value == ["b", "a"]
    image.transact_now(lambda view: minds.set_pin(view, "b", pinned=False))
    assert image.read_now(minds.pins).value == ["a"]
