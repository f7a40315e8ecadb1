"""The operator's commands, on the stopped image and through the bridge: the same answers both ways."""

from __future__ import annotations

import json

import pytest

from batos.operator import cli, objects


def answer(capsys, *argv: str):
    """Run a command with --json and give its exit code and its answer."""
    code = cli.main([*argv, "--json"])
    return code, json.loads(capsys.readouterr().out)


class TestStopped:
    def test_inspect_shows_the_object(self, image, capsys):
        """`inspect genesis_obj --json` on the stopped image gives its methods, parents and what it understands."""
        code, told = answer(capsys, "inspect", "genesis_obj")
        assert code == 0
        assert told["name"] == "genesis_obj"
        assert told["through"] == "image"
        assert told["methods"] == {
            "add_two": {"version": 1, "signature": "(self, number)", "summary": "Add two to it."}
        }
        assert len(told["oid"]) == 16
        assert "add_two" in told["understands"]

    def test_inspect_takes_every_form_of_an_oid(self, image, capsys):
        """A name, 16 hex digits and a number mean the same object."""
        _, named = answer(capsys, "inspect", "genesis_obj")
        assert answer(capsys, "inspect", named["oid"])[1] == named
        assert answer(capsys, "inspect", str(int(named["oid"], 16)))[1] == named

    def test_inspect_speaks_to_people(self, image, capsys):
        """Without --json it is a table, and the way is a remark beside it."""
        assert cli.main(["inspect", "genesis_obj"]) == 0
        out, err = capsys.readouterr()
        assert "Add two to it." in out
        assert "stopped image" in err

    def test_an_unknown_object_is_an_error_with_its_mend(self, image, capsys):
        """The exit code is 1, the error has type, message and hint in JSON and in words."""
        code, told = answer(capsys, "inspect", "nobody")
        assert code == 1
        assert told["error"]["type"] == "UnknownTarget"
        assert told["error"]["hint"]
        assert cli.main(["inspect", "nobody"]) == 1
        assert "nobody" in capsys.readouterr().err

    def test_without_an_image_the_mend_is_named(self, settings, capsys):
        """No kernel and no image: the error says where it looked."""
        code, told = answer(capsys, "inspect", "genesis_obj")
        assert code == 1
        assert str(settings.image_path) in told["error"]["message"]
        assert not settings.image_path.exists()

    def test_send_is_handled_by_a_kernel_for_this_one_call(self, image, capsys):
        """A message to the stopped image runs in the sandbox of a kernel that is gone afterwards."""
        code, told = answer(capsys, "send", "genesis_obj", "add_two", "40")
        assert (code, told["result"], told["through"]) == (0, 42, "image")
        assert answer(capsys, "inspect", "genesis_obj")[1]["through"] == "image"

    def test_status_without_a_kernel(self, image, capsys):
        """The exit code tells that nothing runs."""
        code, told = answer(capsys, "status")
        assert code == 1
        assert told["watchdog"] is None
        assert "kernel" not in told


class TestRunning:
    def test_the_same_questions_through_the_bridge(self, kernel, capsys):
        """inspect, send and status go through the bridge and say so."""
        code, told = answer(capsys, "inspect", "genesis_obj")
        assert (code, told["through"]) == (0, "bridge")
        assert told["methods"]["add_two"]["version"] == 1
        code, told = answer(capsys, "send", "genesis_obj", "add_two", "40")
        assert (code, told["result"], told["through"]) == (0, 42, "bridge")
        code, told = answer(capsys, "status")
        assert code == 0
        assert told["kernel"]["sandbox"]
        code, told = answer(capsys, "send", "genesis_obj", "fold_laundry")
        assert (code, told["status"]) == (1, "NOT_UNDERSTOOD")


@pytest.mark.parametrize(
    ("word", "value"),
    [("12", 12), ("1.5", 1.5), ("true", True), ('"12"', "12"), ("[1, 2]", [1, 2]), ("Ada", "Ada"), ("{", "{")],
)
def test_arguments_are_json_or_text(word, value):
    """Each ARG is JSON where it parses, text otherwise."""
    assert objects.argument(word) == value


@pytest.mark.parametrize("argv", [[], ["nothing"], ["models"], ["send", "genesis_obj"], ["image", "burn"]])
def test_wrong_command_lines_end_with_2(argv, capsys):
    """A wrong command line is told with usage and exit code 2."""
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_every_command_has_a_handler():
    """The table of commands names functions that exist."""
    assert all(callable(cli.handler(name)) for name in cli._HANDLERS)
