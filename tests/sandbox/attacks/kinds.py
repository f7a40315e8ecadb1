"""What an attack is: the body of a method `attack(self)`, and what it does where no wall stands."""

from __future__ import annotations

import textwrap
from typing import Literal, NamedTuple

Alone = Literal["wins", "hangs", "dies", "spoils"]

LIBC = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
SYSCALL = (
    LIBC
    + "libc.syscall.restype = ctypes.c_long\ndef call(*a): return libc.syscall(*[ctypes.c_long(x) if isinstance(x, int) else x for x in a])\n"
)
ROOTED = LIBC + "if libc.unshare(0x10000000 | 0x20000 | 0x4000000): raise PermissionError('unshare')\n"
SAY = "import time\nfrom batos.sandbox.worker import send_all, transmit\n"
STAY = "\ntime.sleep(60)"


class Attack(NamedTuple):
    """One attack.

    Attributes:
        name: What it is called.
        body: The lines of `attack(self)`; it answers True when it got what it wanted.
        alone: What it does in a plain process: it `wins` (answers True), `hangs`, `dies` (takes the process along), or
            `spoils` (what it leaves breaks a host that trusts its result or its error).
        control: Another body that shows this, where the attack itself needs a worker to be run in.
        source: The whole source text, where the text itself is the attack.
    """

    name: str
    body: str = ""
    alone: Alone = "wins"
    control: str = ""
    source: str = ""

    @property
    def method(self) -> str:
        """The method to install."""
        return self.source or as_method(self.body)

    @property
    def shown(self) -> str:
        """The method that shows what it does without a wall."""
        return as_method(self.control) if self.control else self.method


def as_method(body: str) -> str:
    """Write a body as a method."""
    return "def attack(self):\n" + textwrap.indent(body, "    ") + "\n"
