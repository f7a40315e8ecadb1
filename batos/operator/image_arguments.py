"""The command line of `python -m batos image …`."""

from __future__ import annotations

import argparse

Commands = argparse._SubParsersAction  # noqa: SLF001  # argparse has no other name for it

HANDLERS = {
    "image check": "image:check",
    "image history": "image:history",
    "image undo": "image:undo",
    "image pack": "image:pack",
    "image snapshot": "image:snapshot",
    "image statistics": "image:statistics",
    "image backup": "image_copies:backup",
    "image restore": "image_copies:restore",
    "image verify": "image_copies:verify",
    "image export": "image_copies:export",
    "image import": "image_copies:import_",
    "image diff": "image_looks:diff",
    "image as-of": "image_looks:as_of",
    "image census": "image_looks:census",
    "image references": "image_looks:references",
    "image senders": "image_looks:senders",
    "image implementors": "image_looks:implementors",
}

_OID = {"metavar": "OID", "help": "a root object's name, 16 hex digits, or a number"}
_MOMENT = "a tid (16 hex digits), a time (ISO 8601, UTC) or the name of a snapshot"
_DESCRIPTION = """\
Looks after the Living Image. Each command goes through the bridge when a kernel runs, and works on the stopped image
otherwise; it says which. None of them stops a kernel that runs; `restore` alone needs the image stopped.
Exit codes: 0 good, 1 not (an error, or something that is not sound), 2 a wrong command line."""


def add(commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser) -> None:
    """Add `image` and its actions to the command line."""
    image = commands.add_parser(
        "image",
        parents=[common],
        help="look after the image",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = image.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_whole(actions, common)
    _add_copies(actions, common)
    _add_looks(actions, common)


def _add_whole(actions: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser) -> None:
    check = actions.add_parser("check", parents=[common], help="read everything and say what is not sound")
    check.add_argument("--blobs", action="store_true", help="compare the digest of every blob too: reads all weights")
    log = actions.add_parser("history", parents=[common], help="list the image's transactions, newest first")
    log.add_argument("--limit", type=_positive, default=50, metavar="N", help="at most so many (default 50)")
    actions.add_parser("undo", parents=[common], help="take the last change back; a second undo does it again")
    pack = actions.add_parser("pack", parents=[common], help="drop old history; versions of methods always stay")
    pack.add_argument("--days", type=float, metavar="N", help="history to keep (default: RETENTION_DAYS); 0 keeps none")
    snapshot = actions.add_parser("snapshot", parents=[common], help="name this moment; without a name list them")
    snapshot.add_argument("name", nargs="?", metavar="NAME", help="an identifier; pack keeps what has a name")
    snapshot.add_argument("--remove", action="store_true", help="let the name go, so that pack may drop its moment")
    actions.add_parser("statistics", parents=[common], help="show the image in figures")


def _add_copies(actions: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser) -> None:
    backup = actions.add_parser(
        "backup", parents=[common], help="copy the image as it is now, with its blobs, and prove it"
    )
    backup.add_argument("folder", metavar="FOLDER", help="where it goes; must not be there yet")
    backup.add_argument("--without-weights", action="store_true", help="leave out weights that can be fetched again")
    restore = actions.add_parser("restore", parents=[common], help="put a backup in the image's place (image stopped)")
    restore.add_argument("folder", metavar="FOLDER", help="the backup")
    restore.add_argument("--force", action="store_true", help="take an image's place; the old one is kept beside it")
    verify = actions.add_parser("verify", parents=[common], help="prove that a backup is what it was when it was made")
    verify.add_argument("folder", metavar="FOLDER", help="the backup")
    export = actions.add_parser("export", parents=[common], help="write an object as text files that git can compare")
    export.add_argument("oid", **_OID)  # type: ignore[arg-type]
    export.add_argument("folder", metavar="FOLDER", help="where they go; files of an earlier export are replaced")
    come = actions.add_parser("import", parents=[common], help="make an object from exported files")
    come.add_argument("folder", metavar="FOLDER", help="where they are")
    come.add_argument("--name", metavar="NAME", help="what it is called here (default: as it was)")
    come.add_argument("--into", metavar="OID", help="add its methods and slots to this object instead")
    come.add_argument("--force", action="store_true", help="take what the Guardian refuses, or what differs here")


def _add_looks(actions: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser) -> None:
    diff = actions.add_parser("diff", parents=[common], help="compare two versions of a method, or two moments")
    diff.add_argument("oid", **_OID)  # type: ignore[arg-type]
    diff.add_argument("first", metavar="A", help=f"a version's number (with --method), else {_MOMENT}")
    diff.add_argument("second", metavar="B", help="the same")
    diff.add_argument("--method", metavar="SELECTOR", help="versions of this method; with moments, it alone")
    past = actions.add_parser("as-of", parents=[common], help="ask the past: nothing is written")
    past.add_argument("moment", metavar="MOMENT", help=_MOMENT)
    past.add_argument("ask", choices=("inspect", "history", "send"), help="what is asked")
    past.add_argument("oid", **_OID)  # type: ignore[arg-type]
    past.add_argument("selector", nargs="?", metavar="SELECTOR", help="for history and send")
    past.add_argument("args", nargs="*", metavar="ARG", help="for send: JSON where it parses, text otherwise")
    actions.add_parser("census", parents=[common], help="count objects by prototype, and records by kind")
    references = actions.add_parser("references", parents=[common], help="list what refers to an object")
    references.add_argument("oid", **_OID)  # type: ignore[arg-type]
    for name, what in (("senders", "list the methods that send a message"), ("implementors", "list who answers it")):
        looks = actions.add_parser(name, parents=[common], help=what)
        looks.add_argument("selector", metavar="SELECTOR")


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
