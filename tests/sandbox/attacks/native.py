"""Attacks below Python: raw system calls and machine code, through ctypes."""

from __future__ import annotations

from tests.sandbox.attacks.kinds import LIBC, SYSCALL, Attack

_MAPPED = LIBC + "import mmap\nm = mmap.mmap(-1, 4096)\na = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
_RETURN_42 = "b'\\xb8\\x2a\\0\\0\\0\\xc3'"

ATTACKS = [
    Attack("machine_code", "import mmap\nmmap.mmap(-1, 4096, prot=7)\nreturn True"),
    Attack("run_machine_code", f"import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write({_RETURN_42})\nf = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\nreturn f() == 42"),
    Attack("make_executable", _MAPPED + "return libc.mprotect(ctypes.c_void_p(a), 4096, 7) == 0"),
    Attack("execute_only", _MAPPED + "return libc.mprotect(ctypes.c_void_p(a), 4096, 4) == 0"),
    Attack("protection_key", SYSCALL + "import mmap\nm = mmap.mmap(-1, 4096)\na = ctypes.addressof(ctypes.c_char.from_buffer(m))\nreturn call(329, a, 4096, 7, -1) == 0"),
    Attack("jump_into_data", f"import ctypes\nb = ctypes.create_string_buffer({_RETURN_42})\nctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(b))()", alone="dies"),
    Attack("overwrite_code", "import ctypes\nctypes.memmove(ctypes.cast(ctypes.pythonapi.Py_IncRef, ctypes.c_void_p).value, b'\\xc3', 1)", alone="dies"),
    Attack("read_null", "import ctypes\nctypes.string_at(0)", alone="dies"),
    Attack("write_wild", "import ctypes\nctypes.memset(0x1000, 0, 8)", alone="dies"),
    Attack("break_an_object", "import ctypes\nx = object()\nctypes.memset(id(x), 255, 16)\ndel x\nobject()\nimport gc\ngc.collect()\nrepr(type(None))\nctypes.string_at(1)", alone="dies"),
    Attack("raw_open", SYSCALL + "return call(2, b'/etc/passwd', 0) >= 0"),
    Attack("raw_openat", SYSCALL + "return call(257, -100, b'/etc/passwd', 0) >= 0"),
    Attack("raw_execute", SYSCALL + "call(59, b'/bin/false', 0, 0)", alone="dies"),
    Attack("raw_duplicate", SYSCALL + "return call(32, 3) >= 0", control=SYSCALL + "return call(32, 1) >= 0"),
    Attack("raw_control", SYSCALL + "return call(72, 3, 0, 9) >= 0", control=SYSCALL + "return call(72, 1, 0, 9) >= 0"),
    Attack("raw_vector_write", SYSCALL + "import struct\nb = ctypes.create_string_buffer(b'x')\nreturn call(20, 3, struct.pack('2Q', ctypes.addressof(b), 0), 1) >= 0", control=SYSCALL + "import struct\nb = ctypes.create_string_buffer(b'x')\nreturn call(20, 1, struct.pack('2Q', ctypes.addressof(b), 0), 1) >= 0"),
    Attack("raw_message", SYSCALL + "return call(46, 3, ctypes.create_string_buffer(56), 0) >= 0", control="import socket\na, b = socket.socketpair()\nreturn a.sendmsg([b'x']) == 1"),
    Attack("pass_a_descriptor", "import socket, array\ns = socket.socket(fileno=3)\ns.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [3]))])\nreturn True", control="import socket, array\na, b = socket.socketpair()\na.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [1]))])\nreturn True"),
    Attack("shut_the_socket", LIBC + "return libc.shutdown(3, 2) == 0", control="import socket\na, b = socket.socketpair()\na.shutdown(2)\nreturn True"),
    Attack("ask_the_socket", LIBC + "b = ctypes.create_string_buffer(12)\nn = ctypes.c_int(12)\nreturn libc.getsockopt(3, 1, 17, b, ctypes.byref(n)) == 0", control="import socket\na, b = socket.socketpair()\nreturn len(a.getsockopt(1, 17, 12)) == 12"),
    Attack("close_descriptors", LIBC + "return libc.close(3) == 0", control="import os\nos.close(1)\nos.dup2(2, 1)\nreturn True"),
    Attack("local_descriptor_table", SYSCALL + "return call(154, 0, ctypes.create_string_buffer(16), 16) >= 0"),
    Attack("forged_signal_return", SYSCALL + "call(15)", alone="dies"),
    Attack("map_low_memory", LIBC + "libc.mmap.restype = ctypes.c_void_p\nreturn libc.mmap(ctypes.c_void_p(0x10000), 4096, 7, 0x32, -1, 0) == 0x10000"),
    Attack("alternate_stack", LIBC + "return libc.sigaltstack(None, ctypes.create_string_buffer(24)) == 0"),
]  # fmt: skip
