"""The command line of `chat_client.py`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import sys
from typing import TYPE_CHECKING

from batos.cognition.translation import DEFAULT_TARGET
from batos.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.client.show import Reporter
    from batos.settings import Settings

DEFAULT_PATIENCE = 20.0
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the client.

    Returns:
        0 when all missions ended COMPLETE or OK, 1 otherwise, 2 when the kernel cannot be reached, 5 for a bad setting.
    """
    options = _parser().parse_args(argv)
    _speak_utf8()
    try:
        from batos.settings import Settings

        return _run(Settings.load(), options)
    except StartError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chat_client.py",
        description="The Architect's console: speaks to the BAT OS kernel on the Synaptic Bridge.",
        epilog="Without --mission: a prompt on a terminal; in a pipe, missions from stdin, one a line. "
        "Exit code: 0 when all ended COMPLETE or OK, 1 otherwise (a question back too), 2 when no kernel answers.",
    )
    parser.add_argument(
        "--mission", action="append", metavar="TEXT", help="run this mission; may be given several times"
    )
    parser.add_argument("--json", action="store_true", help="print events and last words as JSON lines")
    parser.add_argument("--target", default=DEFAULT_TARGET, metavar="OBJ", help="the object to speak to (%(default)s)")
    parser.add_argument(
        "--wait",
        type=float,
        default=DEFAULT_PATIENCE,
        metavar="SECONDS",
        help="how long missions wait for a kernel that is not there (%(default)g)",
    )
    return parser


def _run(settings: Settings, options: argparse.Namespace) -> int:
    from batos.client.sync import new_loop

    with asyncio.Runner(loop_factory=new_loop) as runner:
        if options.mission is None and not options.json and sys.stdin.isatty():
            from batos.client.console import Console
            from batos.client.show import Show

            return runner.run(Console(settings, Show(), target=options.target).run())
        from batos.client import missions

        work = missions.run(settings, options.mission, _reporter(options), target=options.target, patience=options.wait)
        return runner.run(work)


def _reporter(options: argparse.Namespace) -> Reporter:
    from batos.client.show import JsonShow, Show

    return JsonShow() if options.json else Show()


def _speak_utf8() -> None:
    """A console or pipe that cannot hold a sign shows a replacement instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors="replace")
