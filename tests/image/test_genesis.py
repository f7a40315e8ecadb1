"""The Prototypal Awakening and the migrations: what an image holds from its first moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batos.errors import Conflict
from batos.image import genesis, lookup, migrations
from batos.image.codices import CODICES
from batos.image.methods import Primitive
from batos.image.objects import UvmObject
from batos.settings import PERSONAS

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.image.store import Image, View

_MESSAGES = {
    "traits_obj": {"clone": "clone", "_clone_persistent_": "clone", "_doesNotUnderstand_": "does_not_understand"},
    "pLLM_obj": {"infer_": "infer"},
    "genesis_obj": {"infer_": "infer", "clone": "clone"},
    "knowledge_catalog_obj": {"index_document_": "index_document", "search_": "search"},
    "orchestrator_obj": {"start_cognitive_cycle_for_": "start_cycle", "infer_": "infer"},
    "psm_prototypes_obj": {"clone": "clone"},
    "alfred_prototype_obj": {"infer_": "infer"},
}


@pytest.fixture
def awoken(image: Image) -> Image:
    """An image after its first awakening."""
    migrations.migrate(image)
    return image


class TestAwakening:
    def test_all_primordial_objects_are_there(self, awoken: Image) -> None:
        """After the awakening each primordial object is in the root, and the trees that work needs."""

        def look(view: View) -> tuple[bool, set[str]]:
            return all(isinstance(view.root[name], UvmObject) for name in genesis.PRIMORDIAL), set(view.root)

        whole, keys = awoken.read_now(look).value
        assert whole
        assert keys >= {"object_registry", "active_cycles", "cycle_archive", "requests", "documents", "weights"}

    def test_each_understands_its_messages(self, awoken: Image) -> None:
        """What an object is to understand, it does, by its own primitives or by delegation."""

        def look(view: View) -> dict[str, dict[str, str]]:
            return {
                name: {selector: lookup.find(view.root[name], selector).value.name for selector in selectors}  # type: ignore[union-attr]
                for name, selectors in _MESSAGES.items()
            }

        assert awoken.read_now(look).value == _MESSAGES

    def test_parents_stand_as_designed(self, awoken: Image) -> None:
        """Delegation goes where the design draws it, and nothing of the system is ambiguous."""

        def look(view: View) -> dict[str, tuple[list[str], list[str]]]:
            names = {view.ref(view.root[name]): name for name in genesis.PRIMORDIAL}
            return {
                name: ([names[view.ref(p)] for p in lookup.parents(view.root[name])], lookup.ambiguous(view.root[name]))
                for name in genesis.PRIMORDIAL
            }

        llm = (["pLLM_obj", "traits_obj"], [])
        assert awoken.read_now(look).value == {
            "traits_obj": ([], []),
            "pLLM_obj": (["traits_obj"], []),
            "genesis_obj": llm,
            "knowledge_catalog_obj": (["traits_obj"], []),
            "orchestrator_obj": (["pLLM_obj", "alfred_prototype_obj", "traits_obj"], []),
            "psm_prototypes_obj": (["traits_obj"], []),
            **{f"{name.lower()}_prototype_obj": llm for name in PERSONAS},
        }

    def test_states_are_prototypes(self, awoken: Image) -> None:
        """Each state of the machine is an object with its name and the primitive that it runs."""

        def look(view: View) -> dict[str, tuple[str, Any]]:
            states = view.root["psm_prototypes_obj"]._slots
            return {
                key: (state.name, state._slots["_process_synthesis_"].name)
                for key, state in states.items()
                if isinstance(state, UvmObject)
            }

        states = awoken.read_now(look).value
        assert states == {name: (name, f"psm.{name.lower()}") for name in genesis.STATES}
        assert len(states) == 7

    def test_codices_are_in_the_image(self, awoken: Image) -> None:
        """Each persona has its codex, as the image's own copy."""
        codices = {name: awoken.read_now(_codex, name).value for name in PERSONAS}
        assert codices == CODICES

    def test_an_awoken_image_awakes_no_more(self, awoken: Image) -> None:
        """A second awakening is refused and changes nothing."""
        with pytest.raises(Conflict):
            awoken.transact_now(genesis.awaken, CODICES)


def _codex(view: View, persona: str) -> dict[str, Any]:
    found: dict[str, Any] = view.root[f"{persona.lower()}_prototype_obj"].codex
    return found


class TestCodices:
    @pytest.mark.parametrize("persona", PERSONAS)
    def test_each_says_who_how_and_on_what(self, persona: str) -> None:
        """A codex names its persona, identity, mission, method and three pillars, each with what it gives."""
        codex = CODICES[persona]
        assert codex["persona"] == persona
        assert codex["core_identity"].startswith(persona)
        assert all(codex[key] for key in ("portrait", "core_mission", "voice", "role", "titles"))
        assert set(codex["method"]) == {"name", "text"}
        assert [set(pillar) for pillar in codex["pillars"]] == [{"name", "after", "gives"}] * 3

    def test_there_are_four(self) -> None:
        """The Composite Mind has the four personas of the settings, and no other."""
        assert set(CODICES) == set(PERSONAS)


class TestMigrations:
    def test_each_is_applied_once(self, reopen: Callable[[], Image]) -> None:
        """The first start applies all, a later start none."""
        names = [migration.__name__ for migration in migrations.MIGRATIONS]
        assert migrations.migrate(reopen()) == names
        image = reopen()
        assert migrations.migrate(image) == []
        assert image.read_now(migrations.applied).value == names

    def test_a_failed_migration_leaves_those_before(self, image: Image) -> None:
        """Each migration is one transaction: one that fails leaves no trace, and the next start takes it up again."""

        def m901_works(view: View) -> None:
            view.root["works"] = 1

        def m902_fails(view: View) -> None:
            view.root["half"] = 1
            raise RuntimeError("not yet")

        with pytest.raises(RuntimeError, match="not yet"):
            migrations.migrate(image, (m901_works, m902_fails))
        assert image.read_now(lambda view: ("works" in view.root, "half" in view.root)).value == (True, False)
        assert image.read_now(migrations.applied).value == ["m901_works"]

        def m902_fails(view: View) -> None:  # mended meanwhile
            view.root["half"] = 2

        assert migrations.migrate(image, (m901_works, m902_fails)) == ["m902_fails"]

    def test_an_image_of_a_newer_version_opens(self, awoken: Image, caplog: pytest.LogCaptureFixture) -> None:
        """An older kernel goes on with an image that a newer one migrated, and says so."""
        assert migrations.migrate(awoken, ()) == []
        assert "newer version" in caplog.text


def test_primitives_are_stored_by_name(awoken: Image) -> None:
    """The image holds names of native behaviour, no functions."""
    stored = awoken.read_now(lambda view: lookup.own(view.root["traits_obj"])["clone"] == Primitive("clone")).value
    assert stored
