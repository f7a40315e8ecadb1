"""The documentation says what the code does: tables, links, examples."""

from __future__ import annotations

import ast
import datetime as dt
import json
import re
import tomllib
from decimal import Decimal
from pathlib import Path

import ormsgpack
import pytest

from batos import codec, errors, wire
from batos.client.slash import SLASHES
from batos.cognition import translation
from batos.errors import CovenantViolationError
from batos.guardian import PersistenceGuardian, audit, mend
from batos.image.genesis import PRIMORDIAL, STATES
from batos.mind.catalog import catalog
from batos.operator import cli
from batos.settings import CAPABILITIES, Settings
from batos.testing.scripted import ScriptedMind
from batos.watchdog.instructions import Instructions
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, blocks, links, page, prose, rows, section, ticked

BASE = {"command", "id", "request_id"}


def _by_name(text: str) -> dict[str, list[str]]:
    """The rows of the tables in a text by each name that their first cell has in backticks."""
    return {name: row for row in rows(text) for name in ticked(row[0])}


def _descendants(cls: type) -> set[type]:
    own = [sub for sub in cls.__subclasses__() if sub.__module__ == errors.__name__]
    return {cls}.union(*(_descendants(sub) for sub in own))


class TestSettings:
    ROWS = _by_name(page("settings.md"))

    def test_the_table_names_every_setting(self):
        """The table has exactly the settings of the code, in their order."""
        assert list(self.ROWS) == [name.upper() for name in Settings.model_fields]

    @pytest.mark.parametrize("name", Settings.model_fields)
    def test_default_and_meaning_are_those_of_the_code(self, name):
        """The default is the code's; where it is said in words, the code has nothing or asks the machine."""
        field = Settings.model_fields[name]
        _, default, meaning = self.ROWS[name.upper()]
        if ticked(default):
            assert ticked(default)[0] == str(field.default)
        else:
            assert field.default in ("", None, (), Path()) or name == "weights_cache"
        assert meaning.startswith(field.description)

    def test_the_example_file_is_valid(self, home):
        """The example of a settings file is read without an error."""
        (home / "batos.toml").write_text(blocks(page("settings.md"), "toml")[0])
        assert Settings.load().workers == 2
        (home / "batos.toml").write_text(blocks(page("personas.md"), "toml")[0])
        assert Settings.load().persona_models["BABS"] in catalog()


class TestProtocol:
    TEXT = page("protocol.md")
    COMMANDS = _by_name(section(TEXT, "Commands"))

    def test_the_table_lists_exactly_the_commands(self):
        """Every command of `wire` is documented, and no other."""
        assert set(self.COMMANDS) == set(wire.COMMANDS)

    @pytest.mark.parametrize("name", wire.COMMANDS)
    def test_the_fields_are_those_of_the_schema(self, name):
        """The fields of a command, which may be left out, and their defaults are those of its schema."""
        told = re.findall(r"(?:^|[,;] )`(\w+)`(\??)", self.COMMANDS[name][1])
        fields = {key: field for key, field in wire.COMMANDS[name].model_fields.items() if key not in BASE}
        assert [key for key, _ in told] == list(fields)
        assert {key: mark == "?" for key, mark in told} == {k: not f.is_required() for k, f in fields.items()}
        for key, shown in re.findall(r"`(\w+)`\? \(`?([^)`]+)`?\)", self.COMMANDS[name][1]):
            default = fields[key].get_default(call_default_factory=True)
            assert shown in (json.dumps(default), str(default), "the newest") or default is None

    def test_every_error_type_is_listed(self):
        """The table has every error that travels on the wire, and the one for faults of our own."""
        families = (errors.RequestError, errors.MomentError, errors.ModelSideError, errors.CodeError)
        leaves = {cls.__name__ for family in families for cls in _descendants(family) - {family}}
        assert set(_by_name(section(self.TEXT, "Error types"))) == leaves - {"Unreachable"} | {"InternalError"}

    def test_every_extension_type_is_listed(self):
        """The codes of the table are those that the codec writes."""
        values = (
            *(
                (1,),
                {1},
                1 << 70,
                dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
                dt.date(2026, 1, 1),
                codec.Ref(bytes(8)),
                Decimal(1),
            ),
            *(frozenset(), 1j, dt.timedelta(1), dt.time(1), {(1,): 1}),
        )
        seen = []
        for value in values:
            ormsgpack.unpackb(codec.pack(value), ext_hook=lambda code, _: seen.append(code))
        assert [int(row[0]) for row in rows(section(self.TEXT, "Plain data"))] == seen

    def test_the_client_is_short_and_compiles(self):
        """The plain client has under 40 lines and needs nothing of ours."""
        (client,) = blocks(section(self.TEXT, "A client"), "python")
        assert len(client.splitlines()) < 40
        compile(client, "client", "exec")
        assert "batos" not in [name.split(".")[0] for name in _imported(client)]


def _imported(source: str) -> list[str]:
    nodes = list(ast.walk(ast.parse(source)))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return plain + [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]


class TestMissions:
    TEXT = page("missions.md")

    def test_brief_and_example_fields(self):
        """The tables of the brief and of examples have exactly the fields of their schemas; the sample validates."""
        fields = list(_by_name(section(self.TEXT, "The brief")))
        assert set(fields) == {*wire.MissionBrief.model_fields, *wire.Example.model_fields}
        sample = json.loads(blocks(section(self.TEXT, "The brief"), "json")[0])
        assert wire.MissionBrief.model_validate(sample).selector == "to_roman"

    def test_the_states_are_those_of_the_image(self):
        """The table of the cycle has the seven states in their order."""
        assert [row[0] for row in rows(section(self.TEXT, "The cycle"))] == list(STATES)

    def test_slash_commands(self):
        """The table of the prompt's commands is that of the console."""
        told = {cell.split()[0].lstrip("/"): cell for cell in _by_name(section(self.TEXT, "At the prompt"))}
        assert set(told) == set(SLASHES)
        for name, cell in told.items():
            assert cell == f"/{name} {SLASHES[name].usage}".strip()

    @pytest.mark.parametrize(
        ("words", "kind", "selector"),
        [
            ("create a method to report the current system time", "teach", "report_the_current_system_time"),
            ("calculate the factorial of a number", "teach", "calculate_factorial"),
            ('greet_user("Ada")', "send", "greet_user"),
            ("improve greet_user: be more formal", "teach", "greet_user"),
            ("What is the Living Image?", "ask", None),
        ],
    )
    def test_the_phrases_mean_what_the_page_says(self, words, kind, selector):
        """Each phrase of the page is translated as the page says, by rules alone."""
        assert f"`{words}`" in self.TEXT
        found = translation.rules(words, [{"selector": "greet_user", "signature": "(self, name)", "summary": ""}])
        request = found.request or {}
        assert (found.kind, request.get("mission_brief", request).get("selector")) == (kind, selector)


class TestGuardian:
    TEXT = page("guardian.md")

    def test_what_is_said_to_pass_passes(self):
        """The methods under «What passes» break no promise."""
        methods = blocks(section(self.TEXT, "What passes"), "python")
        assert methods
        for method in methods:
            PersistenceGuardian.audit_code(method)

    def test_what_is_said_to_be_mended_is_mended_so(self):
        """The mend of the page's method is the text that the page shows."""
        counts, after, taken, tops, topped = blocks(section(self.TEXT, "What is mended"), "python")
        takes = blocks(section(self.TEXT, "What counts as a change"), "python")[0]
        for before, mended in ((counts, after), (takes, taken), (tops, topped)):
            with pytest.raises(CovenantViolationError):
                PersistenceGuardian.audit_code(before)
            assert mend(before)[0] == mended

    def test_findings_are_worded_so(self):
        """The findings that the page shows are those of its method, and of one that reads a file."""
        text = section(self.TEXT, "What counts as a change")
        told = blocks(text, "")[-1].strip().split("\n")
        assert told == [str(finding) for finding in audit(blocks(text, "python")[0])]
        reads = audit("import os\n\ndef go(self):\n    return open(self._path).read()\n")
        shown = [str(finding) for finding in reads if finding.kind == "policy"]
        assert blocks(section(self.TEXT, "Kinds of findings"), "")[-1].strip().split("\n") == shown


class TestOperations:
    TEXT = page("operations.md")

    def test_the_operators_commands(self):
        """The table has exactly the commands of `python -m batos`."""
        told = {_command(cell) for cell in _by_name(section(self.TEXT, "The operator's commands"))}
        assert told == set(cli._HANDLERS)

    def test_exit_codes(self):
        """The table has 0 and the exit codes of the errors that stop a start."""
        codes = {cls.exit_code for cls in _descendants(errors.StartError)} - {errors.StartError.exit_code}
        told = {int(row[0]) for row in rows(section(self.TEXT, "Exit codes")) if row[0].isdigit()}
        assert told == {0, *codes}

    def test_the_upgrade_file(self):
        """The example of an upgrade is valid, and the table has the fields of its schema."""
        text = section(self.TEXT, "Upgrades")
        Instructions.model_validate(json.loads(blocks(text, "json")[0]))
        assert set(_by_name(text)) == set(Instructions.model_fields)


def _command(cell: str) -> str:
    return " ".join(word for word in cell.split() if word.islower())


class TestOtherPages:
    def test_the_primordial_objects(self):
        """The page of the image lists exactly the primordial objects."""
        assert set(_by_name(section(page("living-image.md"), "Primordial objects"))) == set(PRIMORDIAL)

    def test_the_catalog_of_weights(self):
        """The page of the minds has every model of the catalog with its size and licence."""
        told = _by_name(section(page("minds.md"), "Models"))
        assert {name: (row[2], row[3]) for name, row in told.items()} == {
            entry.name: (f"{entry.size:,}", entry.license) for entry in catalog().values()
        }

    def test_the_script_of_the_scripted_mind(self):
        """The sample script is read without an error, and the table has its fields."""
        text = section(page("testing.md"), "The scripted mind")
        ScriptedMind(json.loads(blocks(text, "json")[0]))
        told = list(_by_name(text))
        for field in told:
            assert ScriptedMind([{"text": "x", **_sample(field)}] if field != "texts" else [_sample(field)])
        assert told == ["state", "match", "text", "texts", "delay_s", "times"]

    def test_the_mission_beside_the_script_fits_it(self):
        """The words beside the sample script name its selector, its parameter and an example that refutes the first try."""
        (line,) = blocks(section(page("testing.md"), "The scripted mind"), "sh")
        brief = (translation.rules(line.partition('--mission "')[2].strip('"\n'), []).request or {})["mission_brief"]
        assert (brief["selector"], brief["parameters"]) == ("greet_user", [{"name": "name"}])
        assert brief["examples"] == [{"args": ["Ada"], "kwargs": {}, "result": "Hello, Ada!"}]

    def test_every_dependency_is_explained(self):
        """The page of the dependencies has exactly the packages that the project asks for."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = project["optional-dependencies"]
        wanted = {
            _package(line) for line in [*project["dependencies"], *extras["full"], *extras["documents"], *extras["dev"]]
        }
        text = page("dependencies.md").partition("## Decided against")[0]
        told = {name.strip() for row in rows(text) for name in row[0].split(",")}
        assert told == wanted

    def test_unfinished_commands_are_unfinished(self):
        """What the list of things not there yet names is no command, and what may be granted is what it leaves out."""
        named = ticked(section(page("index.md"), "Not yet"))
        assert not set(named) & set(wire.COMMANDS)
        assert {"infer_", "index_document_", *(f"{name}_" for name in CAPABILITIES)} <= set(named)


def _sample(field: str) -> dict:
    return {field: {"texts": ["x"], "delay_s": 0.5, "times": 1}.get(field, "x")}


def _package(line: str) -> str:
    return re.split(r"[<>=\[ ]", line)[0]


class TestLinks:
    @pytest.mark.parametrize("file", [*PAGES, ROOT / "CHANGELOG.md", ROOT / "README.md"], ids=lambda f: f.name)
    def test_links_resolve(self, file):
        """Every relative link leads to a file, and to a heading of it where it names one."""
        if not file.exists():
            pytest.skip(f"{file.name} is not written yet")
        for link in links(file.read_text(encoding="utf-8")):
            path, _, anchor = link.partition("#")
            target = (file.parent / path).resolve() if path else file
            assert target.exists() or (target.name == "README.md" and not path.startswith("docs")), link
            if anchor:
                assert anchor in anchors(target.read_text(encoding="utf-8")), link

    def test_every_page_is_in_the_reading_order(self):
        """The index lists every page."""
        listed = {link.partition("#")[0] for link in links(section(page("index.md"), "Reading order"))}
        assert listed == {file.name for file in PAGES} - {"index.md"}

    def test_what_messages_point_to_is_there(self):
        """Every page, and every section in « », that the code names exists."""
        named = set()
        for file in [*(ROOT / "batos").rglob("*.py"), ROOT / "puter.sh", ROOT / "puter.bat"]:
            named |= set(re.findall(r"docs/([\w-]+\.md)(?:, «([^»]+)»)?", file.read_text(encoding="utf-8")))
        assert named
        for name, title in named:
            assert (DOCS / name).exists(), name
            assert not title or section(page(name), title)

    @pytest.mark.parametrize("file", PAGES, ids=lambda f: f.name)
    def test_code_blocks_are_closed_and_python_compiles(self, file):
        """Fences come in pairs, and every Python block is Python."""
        text = file.read_text(encoding="utf-8")
        assert "```" not in prose(text)
        for block in blocks(text, "python"):
            compile(block, file.name, "exec")
