"""`python -m batos …`: reads the command line and calls the operator's command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module

from batos import __version__
from batos.errors import BatosError
from batos.operator import image_arguments, service, upgrade
from batos.operator.bench import BENCHES
from batos.operator.show import Speaker
from batos.settings import Settings

Command = Callable[[argparse.Namespace, Settings, Speaker], int]

_HANDLERS = {
    "bench": "bench:run",
    "doctor": "doctor:run",
    "ingest": "ingest:run",
    "status": "objects:status",
    "inspect": "objects:inspect",
    "send": "objects:send",
    "models list": "models:list_models",
    "models fetch": "models:fetch",
    "models remove": "models:remove",
    "models verify": "models:verify",
    "keys list": "keys:list_keys",
    "keys add": "keys:add",
    "keys revoke": "keys:revoke",
    "upgrade": "upgrade:run",
    "service install": "service:install",
    **image_arguments.HANDLERS,
}


def main(argv: Sequence[str]) -> int:
    """Run one command; gives its exit code: 0 good, 1 not, 2 a wrong command line."""
    asked = parser().parse_args(argv)
    speaker = Speaker(json=asked.json)
    name = f"{asked.command} {asked.action}" if getattr(asked, "action", None) else asked.command
    try:
        return handler(name)(asked, Settings.load(), speaker)
    except BatosError as error:
        speaker.error(error)
        return 1
    except KeyboardInterrupt:
        speaker.err.print("Stopped.")
        return 130


def handler(name: str) -> Command:
    """Give a command's function; its module is loaded now, so that quick commands stay quick."""
    module, _, function = _HANDLERS[name].partition(":")
    found: Command = getattr(import_module(f"batos.operator.{module}"), function)
    return found


def parser() -> argparse.ArgumentParser:
    """Make the parser of the whole command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer in JSON, for programs")
    top = argparse.ArgumentParser(
        prog="python -m batos",
        description="The operator's commands. They work through the bridge when a kernel runs and on the stopped "
        "image otherwise, and say which.",
    )
    top.add_argument("--json", action="store_true", help="answer in JSON, for programs")
    top.add_argument("--version", action="version", version=f"BAT OS {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("doctor", parents=[common], help="look at what the machine has and lacks")
    commands.add_parser("status", parents=[common], help="show what runs")
    _add_objects(commands, common)
    ingest = commands.add_parser("ingest", parents=[common], help="teach Fractal Memory files and folders")
    ingest.add_argument(
        "files", nargs="+", metavar="FILE", help="text, Markdown, Python, JSONL, HTML, PDF, or a folder"
    )
    _add_models(commands, common)
    image_arguments.add(commands, common)
    _add_keys(commands, common)
    upgrade.add(commands, common)
    service.add(commands, common)
    _add_bench(commands, common)
    return top


def _add_keys(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    keys = commands.add_parser("keys", parents=[common], help="say which clients may enter the bridge")
    actions = keys.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", parents=[common], help="list the authorised clients")
    add = actions.add_parser("add", parents=[common], help="make a pair for a client and authorise it")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", choices=("client", "operator"), default="client", help="what it may do (client)")
    revoke = actions.add_parser("revoke", parents=[common], help="take a client's right away")
    revoke.add_argument("name", metavar="NAME")


def _add_bench(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    listed = "\n".join(f"  {name:10} {what}" for name, what in BENCHES.items())
    bench = commands.add_parser(
        "bench",
        parents=[common],
        help="measure speed and quality",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"Measures, and exits 1 when a figure falls short:\n\n{listed}",
    )
    bench.add_argument("name", metavar="NAME", choices=sorted(BENCHES), help="one of these")
    bench.add_argument("options", nargs=argparse.REMAINDER, metavar="…", help="`NAME --help` shows its own")


def _add_objects(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    inspect = commands.add_parser("inspect", parents=[common], help="show an object")
    inspect.add_argument("oid", metavar="OID", help="a root object's name, 16 hex digits, or a number")
    send = commands.add_parser("send", parents=[common], help="send a message to an object")
    send.add_argument("oid", metavar="OID", help="a root object's name, 16 hex digits, or a number")
    send.add_argument("selector", metavar="SELECTOR")
    send.add_argument("args", nargs="*", metavar="ARG", help="JSON where it parses, text otherwise")
    send.add_argument("--learn", action="store_true", help="let the models write what is not understood")


def _add_models(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    models = commands.add_parser("models", parents=[common], help="look after the cache of weights")
    actions = models.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", parents=[common], help="list the catalog and what is in the cache")
    fetch = actions.add_parser("fetch", parents=[common], help="fetch weights; without names what the settings ask for")
    fetch.add_argument("names", nargs="*", metavar="NAME")
    fetch.add_argument("--paths", action="store_true", help="print only where the files lie, a line each")
    remove = actions.add_parser("remove", parents=[common], help="remove weights from the cache")
    remove.add_argument("names", nargs="+", metavar="NAME")
    verify = actions.add_parser("verify", parents=[common], help="compare digests; without names of all in the cache")
    verify.add_argument("names", nargs="*", metavar="NAME")
