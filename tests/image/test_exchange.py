"""Export and import (`batos.image.exporting`, `importing`, `portable`): readable files, and back without loss."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batos import codec
from batos.codec import Ref
from batos.errors import BadField, CovenantViolationError, PolicyViolation
from batos.image import exporting, importing, methods, mirrors, portable, registry
from batos.image.objects import UvmObject
from batos.image.store import Image
from tests.test_codec import _same, plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batos.image.view import View


@contextmanager
def image_in(folder: Path) -> Iterator[Image]:
    """An image with a root object of the name `traits_obj`."""
    opened = Image(folder / "i.fs", folder / "i.fs.blob")
    opened.transact_now(lambda view: view.root.__setitem__("traits_obj", UvmObject()))
    try:
        yield opened
    finally:
        opened.close_now()


def install(view: View, target: Any, selector: str, source: str, provenance: dict[str, Any] | None = None) -> None:
    methods.install(
        view, view.resolve(target), selector, source, provenance or {}, signature="(self)", summary="A summary."
    )


def export(image: Image, target: Any) -> dict[str, bytes]:
    return image.study_now(exporting.export, target).value


def take_in(image: Image, files: dict[str, bytes], **more: Any) -> dict[str, Any]:
    return image.transact_now(lambda view: importing.take_in(view, files, **more)).value


class TestPortable:
    @given(plain)
    def test_any_plain_data_comes_back_as_it_was(self, value: Any) -> None:
        """By type and value, all the way down, references by their names."""
        text = portable.dumps(value, lambda ref: ref.hex)
        assert _same(portable.from_json(json.loads(text), lambda name: Ref(bytes.fromhex(name))), value)

    def test_people_can_read_it(self) -> None:
        """What JSON has stands as it is, the rest under a mark that says what it is."""
        value = {"a": [1, 2.5, None, "ü"], "t": (1,), "d": dt.date(2026, 1, 2), "s": {2, 1}, "n": float("inf")}
        assert portable.to_json(value, str) == {
            "a": [1, 2.5, None, "ü"],
            "t": {"$tuple": [1]},
            "d": {"$date": "2026-01-02"},
            "s": {"$set": [1, 2]},
            "n": {"$float": "inf"},
        }
        assert portable.to_json({"$tuple": 1, 2: 3}, str) == {"$map": [["$tuple", 1], [2, 3]]}

    @pytest.mark.parametrize("bad", [{"$tuple": [1], "x": 1}, {"$no": 1}, {"$date": "x"}, {"$int": 5}, {"$bytes": "z"}])
    def test_what_it_did_not_write_is_refused(self, bad: Any) -> None:
        """Unknown marks and wrong contents are bad fields."""
        with pytest.raises(BadField):
            portable.from_json(bad, str)


class TestFiles:
    def test_the_folder(self, tmp_path: Path) -> None:
        """One file for the object, one a method for its active source, older versions and facts beside it."""
        with image_in(tmp_path) as image:
            image.transact_now(registry.create, ["traits_obj"], {"n": 1}, "bear")
            image.transact_now(install, "bear", "greet", "def greet(self):\n    return 1\n", {"model": "m"})
            image.transact_now(install, "bear", "greet", "def greet(self):\n    return 2\n")
            image.transact_now(install, "bear", "Gone", "def Gone(self):\n    return 3\n")
            image.transact_now(registry.remove, "bear", "Gone")
            files = export(image, "bear")
        stem = exporting.stem("Gone")
        assert stem.startswith("Gone-")
        assert set(files) == {
            "object.json",
            "methods/greet.py",
            "methods/greet.json",
            "methods/greet/0001.py",
            f"methods/{stem}.json",
            f"methods/{stem}/0001.py",
        }
        assert files["methods/greet.py"] == b"def greet(self):\n    return 2\n"
        about = json.loads(files["object.json"])
        assert (about["name"], about["parents"], about["slots"]) == ("bear", [{"$object": "name:traits_obj"}], {"n": 1})
        facts = json.loads(files["methods/greet.json"])
        assert [row["provenance"] for row in facts["versions"]] == [{"model": "m"}, {}]
        assert json.loads(files[f"methods/{stem}.json"])["removed"][0]["version"] == 1

    def test_what_cannot_travel_is_named(self, tmp_path: Path) -> None:
        """An index in a slot is left out, and the file says so."""
        from BTrees.OOBTree import OOBTree

        with image_in(tmp_path) as image:
            image.transact_now(lambda view: setattr(view.resolve("traits_obj"), "tree", OOBTree()))
            assert json.loads(export(image, "traits_obj")["object.json"])["left_out"] == {"tree": "OOBTree"}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["install", "remove", "rollback"]),
        st.sampled_from(["greet", "Greet", "con", "grüße"]),
        st.sampled_from(["def f(self):\n    return self.g()\n", "x", "", "ä\r\n\ud800", "def f(self): pass"]),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(
    slots=st.dictionaries(st.sampled_from("abc"), plain, max_size=3),
    steps=STEPS,
    provenance=plain,
    shape=st.lists(st.integers(0, 3), max_size=4),
)
def test_back_without_loss(
    tmp_path_factory: pytest.TempPathFactory, slots: dict[str, Any], steps: Any, provenance: Any, shape: list[int]
) -> None:
    """Whatever an object holds, an import into another image exports as the same files, and answers the same history."""
    with image_in(tmp_path_factory.mktemp("one")) as one, image_in(tmp_path_factory.mktemp("two")) as two:

        def furnish(view: View) -> None:
            # Objects without a name that refer to each other, to themselves, and to the one that is exported.
            refs = [registry.create(view, [], {}) for _ in range(4)]
            main = registry.create(view, ["traits_obj", refs[0]], {}, "bear")
            known = [*refs, main]
            for number, other in enumerate(shape):
                registry.set_slots(view, refs[number], {"other": [refs[other], {refs[other], main}], "n": number})
            local = {name: _swap(value, known) for name, value in slots.items()}
            registry.set_slots(view, main, {**local, "s": {refs[3], refs[2]}})

        one.transact_now(furnish)
        for step, selector, source in steps:
            one.transact_now(_step, step, selector, source, _swap(provenance, [codec.Ref(bytes(8))]))
        files = export(one, "bear")
        take_in(two, files)
        assert export(two, "bear") == files
        for selector in {selector for _, selector, _ in steps}:
            histories = [
                [
                    (row["version"], row["source"], row["sha256"], row["time"], row["active"], row["signature"])
                    for row in image.read_now(_history, selector).value
                ]
                for image in (one, two)
            ]
            assert histories[0] == histories[1]


def _history(view: View, selector: str) -> list[dict[str, Any]]:
    obj = view.resolve("bear")
    return methods.history(view, obj, selector) if methods._last(obj, selector) is not None else []


def _step(view: View, step: str, selector: str, source: str, provenance: Any) -> None:
    obj = view.resolve("bear")
    there = selector in obj._slots
    if step == "install":
        install(view, "bear", selector, source, {"why": provenance})
    elif step == "remove" and there:
        methods.remove_method(view, obj, selector, {"why": provenance})
    elif step == "rollback" and methods._last(obj, selector) is not None:
        methods.rollback(view, obj, selector, 1)


def _swap(value: Any, refs: list[Ref]) -> Any:
    """Plain data with references that lead somewhere; the root mapping is none, so that one becomes its bytes."""
    if type(value) is Ref:
        return refs[value.oid[0] % len(refs)] if len(refs) > 1 else value.oid
    if isinstance(value, dict):
        return {_swap(key, refs): _swap(item, refs) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(_swap(item, refs) for item in value)
    return value


class TestImport:
    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, bytes]:
        """The export of an object with a method of two versions."""
        with image_in(tmp_path) as image:
            image.transact_now(registry.create, ["traits_obj"], {"n": 1}, "bear")
            image.transact_now(install, "bear", "greet", "def greet(self):\n    return 1\n", {"model": "m"})
            image.transact_now(install, "bear", "greet", "def greet(self):\n    return self.n\n")
            return export(image, "bear")

    def test_a_name_is_given_once(self, world: Image, files: dict[str, bytes]) -> None:
        """A taken name is refused; another one may be given; the report tells what came."""
        told = take_in(world, files)
        assert (told["name"], told["objects"]) == ("bear", 1)
        assert [(m["selector"], m["versions"]) for m in told["methods"]] == [("greet", 2)]
        with pytest.raises(BadField, match="taken"):
            take_in(world, files)
        assert take_in(world, files, name="cub")["name"] == "cub"

    def test_into_an_object_that_is_there(self, world: Image, files: dict[str, bytes]) -> None:
        """Versions that it has already are not doubled, newer ones come; its parents stay as they are."""
        world.transact_now(install, "genesis_obj", "greet", "def greet(self):\n    return 1\n")
        told = take_in(world, files, into="genesis_obj")
        assert [(m["selector"], m["versions"]) for m in told["methods"]] == [("greet", 1)]
        seen = world.read_now(mirrors.inspect, "genesis_obj").value
        assert (seen["name"], seen["methods"]["greet"]["version"], seen["slots"]) == ("genesis_obj", 2, {"n": 1})
        assert take_in(world, files, into="genesis_obj")["methods"] == []

    def test_another_history_is_not_overwritten(self, world: Image, files: dict[str, bytes]) -> None:
        """A method or slot that differs is refused; with force the source becomes a new version, the slot is replaced."""
        world.transact_now(install, "genesis_obj", "greet", "def greet(self):\n    return 9\n")
        with pytest.raises(BadField, match="history"):
            take_in(world, files, into="genesis_obj")
        assert [(m["versions"]) for m in take_in(world, files, into="genesis_obj", force=True)["methods"]] == [1]
        rows = world.read_now(lambda view: methods.history(view, view.resolve("genesis_obj"), "greet")).value
        assert [row["source"][-3:-1] for row in rows] == [" 9", ".n"]
        world.transact_now(registry.set_slots, "genesis_obj", {"n": 5})
        with pytest.raises(BadField, match="`n`"):
            take_in(world, files, into="genesis_obj")

    @pytest.mark.parametrize(
        ("path", "content", "said"),
        [
            ("methods/greet.py", b"def greet(self):\n    return 6\n", "digest"),
            ("methods/greet/0001.py", None, "missing"),
            ("object.json", None, "missing"),
            ("object.json", b"[]", "no map"),
            ("methods/greet.json", b"{", "cannot be read"),
            ("methods/greet.py", b"\xff\xfe", "UTF-8"),
            ("object.json", b'{"format": 1}', "not those of an export"),
            ("methods/greet.json", b'{"versions": [], "active": true}', "not those of an export"),
            ("methods/greet.json", b'{"selector": "greet", "versions": [], "active": true}', "is not of `greet`"),
            ("methods/greet.json", b'{"selector": "other", "versions": [1], "active": true}', "is not of `greet`"),
        ],
    )
    def test_changed_files_are_refused(
        self, world: Image, files: dict[str, bytes], path: str, content: bytes | None, said: str
    ) -> None:
        """A text that does not fit its digest, a missing or broken file: nothing comes in."""
        before = world.tid
        changed = {**files, path: content} if content is not None else {k: v for k, v in files.items() if k != path}
        with pytest.raises(BadField, match=said):
            take_in(world, changed)
        assert world.tid == before

    @pytest.mark.parametrize("name", ["_removed_", "_quarantined_", "__class__", "_p_jar", "a b", "class", "_slots"])
    def test_slots_of_the_system_do_not_come_in(self, world: Image, files: dict[str, bytes], name: str) -> None:
        """Neither as a method nor as a primitive nor as data: a file grants nothing and shuts nothing off."""
        about = json.loads(files["object.json"])
        for part, value in (("methods", [name]), ("primitives", {name: "clone"}), ("slots", {name: 1})):
            with pytest.raises(BadField, match=r"name|identifier"):
                take_in(world, {**files, "object.json": json.dumps({**about, part: value}).encode()})

    def test_an_object_that_is_not_here(self, world: Image, files: dict[str, bytes]) -> None:
        """A root object that the export names and this image lacks is told."""
        world.transact_now(lambda view: view.root.__delitem__("traits_obj"))
        with pytest.raises(BadField, match="name:traits_obj"):
            take_in(world, files)

    def test_what_an_audit_must_read(self, files: dict[str, bytes]) -> None:
        """Active sources are given for the audit, and its findings refuse by their kind."""
        assert importing.active_sources(files) == [("greet", "def greet(self):\n    return self.n\n")]
        importing.refuse("greet", [])
        for kind, error in (("policy", PolicyViolation), ("covenant", CovenantViolationError)):
            with pytest.raises(error, match="line 2: no"):
                importing.refuse("greet", [{"kind": kind, "line": 2, "message": "no"}])
