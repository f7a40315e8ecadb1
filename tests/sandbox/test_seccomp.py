"""The system call filter, run by a small interpreter of its instructions."""

from __future__ import annotations

import errno
import struct

import pytest

from batos.sandbox.seccomp import ALLOWED, DEADLY, NUMBERS, build

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def verdict(program: bytes, number: int, arguments: tuple[int, ...] = (), arch: int = ARCH["x86_64"]) -> int:
    """Run a BPF program over one system call."""
    data = struct.pack("=iIQ6Q", number, arch, 0, *(*arguments, *[0] * (6 - len(arguments))))
    place, accumulator = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("=HBBI", program, place * 8)
        place += 1
        if code == 0x06:
            return value
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
            continue
        holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
        place += if_true if holds else if_false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
class TestFilter:
    """Verdicts, for both machines."""

    def test_every_call_has_its_verdict(self, machine):
        """Allowed calls pass, deadly ones kill, every other number gives EPERM."""
        program, column = build(3, machine), int(machine != "x86_64")
        named = {row[column]: name for name, row in NUMBERS.items() if row[column] is not None}
        for number in range(600):
            name = named.get(number, "")
            found = verdict(program, number, (9, 0, 4), ARCH[machine])
            if name in ALLOWED:
                assert found == ALLOW, name
            elif name in DEADLY:
                assert found == KILL, name
            else:
                assert found == ERRNO | (errno.ENOSYS if name == "clone3" else errno.EPERM), name or number

    def test_only_its_socket_is_read_and_written(self, machine):
        """`read` and `write` pass on the one descriptor alone."""
        program, column = build(3, machine), int(machine != "x86_64")
        for name in ("read", "write"):
            for descriptor in (0, 1, 2, 4, 64, 0xFFFFFFFF):
                assert verdict(program, NUMBERS[name][column], (descriptor,), ARCH[machine]) == ERRNO | errno.EPERM
            assert verdict(program, NUMBERS[name][column], (3,), ARCH[machine]) == ALLOW

    def test_no_memory_becomes_executable(self, machine):
        """`mmap` and `mprotect` pass without PROT_EXEC only."""
        program, column = build(3, machine), int(machine != "x86_64")
        for name in ("mmap", "mprotect"):
            for protection in range(8):
                wanted = ERRNO | errno.EPERM if protection & 4 else ALLOW
                assert verdict(program, NUMBERS[name][column], (0, 4096, protection), ARCH[machine]) == wanted

    def test_another_architecture_kills(self, machine):
        """Calls by another architecture's numbers, and x32 calls, kill the process."""
        program = build(3, machine)
        assert verdict(program, 39, arch=0x40000003) == KILL
        if machine == "x86_64":
            assert verdict(program, 0x40000000 | 39) == KILL
