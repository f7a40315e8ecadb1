"""Attacks on files: reading, looking around, writing."""

from __future__ import annotations

from tests.sandbox.attacks.kinds import LIBC, SYSCALL, Attack

READING = [
    Attack("read_file", "return len(open('/etc/passwd').read()) > 0"),
    Attack("read_by_os", "import os\nreturn len(os.read(os.open('/etc/passwd', 0), 10)) > 0"),
    Attack("read_by_io", "import io\nreturn len(io.FileIO('/etc/passwd').read()) > 0"),
    Attack("read_by_path", "import pathlib\nreturn len(pathlib.Path('/etc/passwd').read_bytes()) > 0"),
    Attack("read_by_linecache", "import linecache\nreturn bool(linecache.getline('/etc/passwd', 1))"),
    Attack("read_by_codecs", "import codecs\nreturn bool(codecs.open('/etc/passwd').read())"),
    Attack("read_by_c", LIBC + "libc.fopen.restype = ctypes.c_void_p\nreturn bool(libc.fopen(b'/etc/passwd', b'r'))"),
    Attack("read_by_openat2", SYSCALL + "how = ctypes.create_string_buffer(24)\nreturn call(437, -100, b'/etc/passwd', how, 24) >= 0"),
    Attack("list_folder", "import os\nreturn len(os.listdir('/etc')) > 0"),
    Attack("walk_tree", "import os\nreturn any(files for _, _, files in os.walk('/etc'))"),
    Attack("glob", "import glob\nreturn bool(glob.glob('/etc/*'))"),
    Attack("stat_file", "import os\nreturn os.stat('/etc/passwd').st_size > 0"),
    Attack("statx", SYSCALL + "b = ctypes.create_string_buffer(256)\nreturn call(332, -100, b'/etc/passwd', 0, 0x7ff, b) == 0"),
    Attack("access", "import os\nreturn os.access('/etc/passwd', os.R_OK)"),
    Attack("statvfs", "import os\nreturn os.statvfs('/').f_blocks > 0"),
    Attack("read_link", "import os\nreturn bool(os.readlink('/proc/self/exe'))"),
    Attack("proc_environment", "return len(open('/proc/self/environ', 'rb').read()) >= 0"),
    Attack("proc_memory", "open('/proc/self/mem', 'rb', buffering=0)\nreturn True"),
    Attack("proc_maps", "return 'python' in open('/proc/self/maps').read()"),
    Attack("proc_descriptors", "import os\nreturn bool(os.listdir('/proc/self/fd'))"),
    Attack("import_from_disk", "import sys, os\nsys.path.append(os.path.dirname(os.__file__) or '/usr/lib/python3')\nimport tabnanny\nreturn True"),
    Attack("load_library", "import ctypes\nreturn bool(ctypes.CDLL('libresolv.so.2'))"),
    Attack("sqlite", "import sqlite3\nreturn sqlite3.connect('attack.db').execute('create table if not exists t(x)') is not None"),
    Attack("map_file", "import mmap, os\nreturn len(mmap.mmap(os.open('/etc/passwd', 0), 0, prot=1)) > 0"),
]  # fmt: skip
WRITING = [
    Attack("write_file", "open('attack-file', 'w').write('x')\nreturn True"),
    Attack("write_temporary", "import tempfile\nreturn tempfile.TemporaryFile().write(b'x') == 1"),
    Attack("write_by_os", "import os\nreturn os.write(os.open('attack-os', os.O_CREAT | os.O_WRONLY), b'x') == 1"),
    Attack("make_folder", "import os\nos.mkdir('attack-folder')\nreturn True"),
    Attack("make_link", "import os\nos.symlink('/etc/passwd', 'attack-link')\nreturn True"),
    Attack("make_pipe_file", "import os\nos.mkfifo('attack-fifo')\nreturn True"),
    Attack("make_node", "import os, stat\nos.mknod('attack-node', 0o600 | stat.S_IFREG)\nreturn True"),
    Attack("change_mode", "import os\nos.chmod('.', 0o700)\nreturn True"),
    Attack("change_time", "import os\nos.utime('.')\nreturn True"),
    Attack("rename", "import os\nos.rename('victim', 'attack-moved')\nreturn True"),
    Attack("remove", "import os\nos.unlink('victim')\nreturn True"),
    Attack("truncate", "import os\nos.truncate('victim', 0)\nreturn True"),
    Attack("extended_attribute", "import os\nos.setxattr('victim', 'user.x', b'1')\nreturn True"),
    Attack("change_folder", "import os\nos.chdir('/etc')\nreturn os.getcwd() == '/etc'"),
    Attack("shared_memory", "import os\nreturn os.memfd_create('x') > 0"),
    Attack("system_v_memory", SYSCALL + "key = call(29, 0, 4096, 0o1600)\ncall(31, key, 0, 0)\nreturn key >= 0"),
    Attack("message_queue", SYSCALL + "key = call(68, 0, 0o1600)\ncall(71, key, 0, 0)\nreturn key >= 0"),
    Attack("watch", LIBC + "return libc.inotify_init() >= 0"),
]  # fmt: skip
