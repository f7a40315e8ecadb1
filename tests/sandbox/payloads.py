"""Attacks on the walls: each is the body of `attack(self)` and answers True when it got what it wanted.

Those marked `control` are harmless enough to be run outside of the walls too, to show that they would work there.
"""

from __future__ import annotations

from typing import NamedTuple


class Payload(NamedTuple):
    """One attack."""

    name: str
    body: str
    control: bool = False


_SYSCALL = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
_FORGED = "from batos.sandbox.guest import UvmObject\nfrom batos.sandbox.worker import _ask\nreturn bool(_ask(['load', UvmObject("

PAYLOADS = [
    # files
    Payload("read_file", "return len(open('/etc/passwd').read()) > 0", control=True),
    Payload("read_by_os", "import os\nreturn len(os.read(os.open('/etc/passwd', 0), 10)) > 0", control=True),
    Payload("read_by_io", "import io\nreturn len(io.FileIO('/etc/passwd').read()) > 0", control=True),
    Payload("list_folder", "import os\nreturn len(os.listdir('/')) > 0", control=True),
    Payload("stat_file", "import os\nreturn os.stat('/').st_mode > 0", control=True),
    Payload("read_link", "import os\nreturn bool(os.readlink('/proc/self/exe'))", control=True),
    Payload("write_file", "open('/tmp/batos-escape', 'w').write('x')\nreturn True"),
    Payload("make_folder", "import os\nos.mkdir('/tmp/batos-escape-folder')\nreturn True"),
    Payload("change_mode", "import os\nos.chmod('/tmp', 0o777)\nreturn True"),
    Payload("proc_environment", "return len(open('/proc/1/environ', 'rb').read()) >= 0", control=True),
    Payload("proc_memory", "open('/proc/self/mem', 'r+b')\nreturn True", control=True),
    Payload("shared_memory", "import os\nreturn os.memfd_create('x') > 0", control=True),
    # network
    Payload("tcp", "import socket\nsocket.socket()\nreturn True", control=True),
    Payload("udp", "import socket\nsocket.socket(type=socket.SOCK_DGRAM)\nreturn True", control=True),
    Payload("unix_socket", "import socket\nsocket.socketpair()\nreturn True", control=True),
    Payload("netlink", "import socket\nsocket.socket(16, 3, 0)\nreturn True", control=True),
    # processes
    Payload("fork", "import os\npid = os.fork()\nif pid == 0: os._exit(0)\nreturn True", control=True),
    Payload("system", "import os\nreturn os.system('true') == 0", control=True),
    Payload("execute", "import os\nos.execv('/bin/true', ['true'])"),
    Payload("popen", "import os\nreturn os.popen('echo x').read() == 'x\\n'", control=True),
    Payload("thread", "import _thread\n_thread.start_new_thread(int, ())\nreturn True", control=True),
    Payload("kill_parent", "import os\nos.kill(os.getppid(), 9)\nreturn True"),
    Payload("kill_all", "import os\nos.kill(-1, 9)\nreturn True"),
    Payload("signal_group", "import os\nos.killpg(0, 0)\nreturn True", control=True),
    Payload("trace_parent", _SYSCALL + "return libc.ptrace(16, 1, 0, 0) == 0"),
    Payload("set_user", "import os\nos.setuid(0)\nreturn True"),
    Payload("unshare", _SYSCALL + "return libc.unshare(0x10000000) == 0"),
    Payload("mount", _SYSCALL + "return libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0"),
    Payload("io_uring", _SYSCALL + "p = ctypes.create_string_buffer(256)\nreturn libc.syscall(425, 4, p) >= 0"),
    Payload("raise_limits", "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))\nreturn True"),
    # machine code
    Payload(
        "machine_code",
        "import mmap\nmmap.mmap(-1, 4096, prot=7)\nreturn True",
        control=True,
    ),
    Payload(
        "make_executable",
        _SYSCALL + "import mmap\nm = mmap.mmap(-1, 4096)\n"
        "a = ctypes.addressof(ctypes.c_char.from_buffer(m))\nreturn libc.mprotect(ctypes.c_void_p(a), 4096, 7) == 0",
        control=True,
    ),
    # the way to the kernel
    Payload("guess_handle", _FORGED + "b'\\0\\0\\0\\x07')]))"),
    Payload("forge_oid", _FORGED + "(2 << 40).to_bytes(8, 'big'))]))"),
    Payload("negative_handle", _FORGED + "b'\\xff' * 4)]))"),
    Payload("forge_result", _FORGED.replace("'load', ", "'done', ") + "b'\\0\\0\\0\\x01'), [], '']))"),
    Payload("raw_garbage", "import os\nos.write(3, b'\\0\\0\\0\\x04junk')\nimport time\ntime.sleep(9)"),
    Payload("huge_frame", "import os\nos.write(3, b'\\xff\\xff\\xff\\xff')\nimport time\ntime.sleep(9)"),
    Payload(
        "write_underscore",
        "from batos.sandbox.worker import transmit\ntransmit(['done', None, [[self, {'_slots': 1}]], ''])\n"
        "import time\ntime.sleep(9)",
    ),
    Payload(
        "write_no_name",
        "from batos.sandbox.worker import transmit\ntransmit(['done', None, [[self, {'a b': 1}]], ''])\n"
        "import time\ntime.sleep(9)",
    ),
    Payload(
        "wrong_shape",
        "from batos.sandbox.worker import transmit\ntransmit(['send', self, 'x', 1, 2, 3, 4])\nimport time\ntime.sleep(9)",
    ),
    Payload(
        "same_hash",
        "from batos.codec import SET, pack\nimport os, ormsgpack\nfrom batos.sandbox.codec import frame\n"
        "numbers = [1 + k * ((1 << 61) - 1) for k in range(20000)]\n"
        "data = ormsgpack.packb(['done', ormsgpack.Ext(SET, pack(numbers)), [], ''])\ndata = frame(data)\n"
        "while data: data = data[os.write(3, data):]\nimport time\ntime.sleep(9)",
    ),
    Payload(
        "flood",
        "from batos.sandbox.worker import transmit\nwhile True: transmit(['load', self])",
    ),
    # exhaustion
    Payload("spin", "while True: pass"),
    Payload("sleep", "import time\ntime.sleep(1000)"),
    Payload("ignore_signals", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass"),
    Payload("regex", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')"),
    Payload("big_power", "return 7 ** 7 ** 9"),
    Payload("memory_bomb", "x = []\nwhile True: x.append(bytearray(1 << 20))"),
    Payload("deep_recursion", "import sys\nsys.setrecursionlimit(1 << 30)\ndef f(n): return f(n + 1)\nf(0)"),
    Payload("output_flood", "while True: print('x' * 100000)"),
    Payload("crash", "import ctypes\nctypes.string_at(0)"),
    Payload("exit", "import os\nos._exit(3)"),
    Payload("abort", "import os\nos.abort()"),
    Payload("system_exit", "raise SystemExit(0)"),
    # hostile results and errors
    Payload(
        "hostile_error",
        "class E(Exception):\n    def __str__(self): raise self\n    __repr__ = __str__\nraise E()",
    ),
    Payload("huge_error", "raise ValueError('x' * (1 << 24))"),
    Payload("cyclic_result", "x = []\nx.append(x)\nreturn x"),
    Payload("deep_result", "x = []\nfor i in range(100000): x = [x]\nreturn x"),
    Payload(
        "lying_class",
        "class L(list):\n    def __iter__(self): return iter([open])\n    def __class__(self): return dict\nreturn L([object()])",
    ),
    Payload("poison_builtins", "import builtins\nbuiltins.len = None\nbuiltins.str = None\nraise ValueError('x')"),
]
