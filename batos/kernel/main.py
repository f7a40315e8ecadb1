"""`python batos.py`: the kernel as a process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from batos import __version__
from batos.errors import BatosError, StartError
from batos.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTION = """\
The kernel of BAT OS: opens the Living Image in BATOS_HOME (the current folder when unset) and serves it.
Settings are environment variables BATOS_<NAME> or lines of batos.toml; docs/settings.md lists them.
Exit codes: 0 asked to stop, 3 image in use, 4 image damaged, 5 a bad setting, 6 endpoint taken."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the kernel until it is asked to stop; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="batos.py", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--verbose", action="store_true", help="log more")
    parser.add_argument("--check", action="store_true", help="load the code and the settings, and end")
    parser.add_argument(
        "--prove", type=Path, metavar="FILE", help="serve nobody before this record of an upgrade says `proven`"
    )
    options = parser.parse_args(argv)
    level = logging.DEBUG if options.verbose else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    for noisy in ("ZODB", "asyncio", "zmq", "txn", "httpx", "urllib3", "markdown_it"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = Settings.load()
        if options.check:
            return _check()
        with asyncio.Runner(loop_factory=_loop) as runner:
            runner.run(_serve(settings, options.prove))
    except BatosError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return error.exit_code if isinstance(error, StartError) else 1
    except KeyboardInterrupt:
        return 0
    return 0


def _loop() -> asyncio.AbstractEventLoop:
    # ZeroMQ needs a selector loop; Windows has another by default.
    return asyncio.SelectorEventLoop()


def _check() -> int:
    """See that the code can be loaded; what cannot is a traceback, and another exit code."""
    from batos.kernel.uvm import BatOS_UVM

    sys.stderr.write(f"{BatOS_UVM.__name__} {__version__} loads.\n")
    return 0


async def _serve(settings: Settings, prove: Path | None) -> None:
    from batos.kernel.uvm import BatOS_UVM

    uvm = BatOS_UVM(settings=settings, prove=prove)
    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            try:
                loop.add_signal_handler(getattr(signal, name), uvm.stop)
            except NotImplementedError:
                signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(uvm.stop))
    await uvm.initialize_system()
    try:
        await uvm.run()
    finally:
        await uvm.shutdown()
