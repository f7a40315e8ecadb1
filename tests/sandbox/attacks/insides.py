"""Attacks on Python's insides: out of the method, into the interpreter, and past an audit of names."""

from __future__ import annotations

from tests.sandbox.attacks.kinds import Attack

_LS = "('ls /etc').read() != ''"

INTROSPECTION = [
    Attack("frames", "import sys\nf = sys._getframe()\nwhile f.f_back: f = f.f_back\nreturn bool(f.f_builtins['open']('/etc/passwd').read())"),
    Attack("generator_frame", "g = (lambda: (yield))()\nreturn bool(g.gi_frame.f_builtins['open']('/etc/passwd').read())"),
    Attack("traceback_frame", "try: 1 / 0\nexcept ZeroDivisionError as e: f = e.__traceback__.tb_frame\nwhile f.f_back: f = f.f_back\nreturn bool(f.f_builtins['__import__']('os').listdir('/etc'))"),
    Attack("garbage", "import gc\nfor m in gc.get_objects():\n    if type(m).__name__ == 'module' and m.__name__ == 'os': return bool(m.listdir('/etc'))", control="import os\nimport gc\nfor m in gc.get_objects():\n    if type(m).__name__ == 'module' and m.__name__ == 'os': return bool(m.listdir('/etc'))"),
    Attack("modules", "import sys\nreturn bool(sys.modules['os'].listdir('/etc'))"),
    Attack("modules_posix", "import sys\nreturn bool(sys.modules['posix'].open('/etc/passwd', 0))"),
    Attack("subclasses", "for c in object.__subclasses__():\n    if c.__name__ == '_wrap_close': return c.__init__.__globals__['system']('true') == 0"),
    Attack("subclasses_file", "import _io\nfor c in _io._RawIOBase.__subclasses__():\n    if c.__name__ == 'FileIO': return bool(c('/etc/passwd').read())"),
    Attack("loader", "for c in object.__subclasses__():\n    if c.__name__ == 'BuiltinImporter': return bool(c.load_module('posix').listdir('/etc'))", control="import posix\nreturn bool(posix.listdir('/etc'))"),
    Attack("format_string", "class X: pass\nX.__init__ = lambda self: None\nfound = '{0.__init__.__globals__}'.format(X())\nreturn bool(eval('__import__(\"os\").listdir(\"/etc\")')) and '__builtins__' in found"),
    Attack("new_code", "def f(): pass\nf.__code__ = compile('open(\"/etc/passwd\").read()', 'x', 'exec')\nf()\nreturn True"),
    Attack("environment", "import os\nreturn 'hunter2' in os.environ.get('BATOS_ATTACK_SECRET', '')"),
    Attack("command_line", "import sys\nreturn any('hunter2' in str(a) for a in sys.orig_argv)"),
    Attack("memory_of_the_parent", "import gc\nwanted = 'hunter' + '2'\nreturn any(type(o) is dict and any(type(v) is str and wanted in v for v in list(o.values())) for o in gc.get_objects())"),
    Attack("trace_function", "import sys\nseen = []\nsys.settrace(lambda f, e, a: seen.append(f.f_globals.get('open') or f.f_builtins['open']))\nlen(str(1))\n(lambda: 0)()\nsys.settrace(None)\nreturn bool(seen[0]('/etc/passwd').read())"),
    Attack("c_api", "import ctypes\nctypes.pythonapi.PyRun_SimpleString(b'import os; open(\"/etc/passwd\").read(); import builtins; builtins.attack_won = 1')\nimport builtins\nreturn hasattr(builtins, 'attack_won')"),
    Attack("audit_hook", "import sys\nsys.addaudithook(lambda *a: None)\nreturn bool(open('/etc/passwd').read())"),
]  # fmt: skip
EVADING = [
    Attack("joined_names", "return bool(vars(__import__('built' + 'ins'))['op' + 'en']('/etc/passwd').read())"),
    Attack("wide_letters", "return bool(ｏｐｅｎ('/etc/passwd').read())"),
    Attack("getattr_chain", "import functools\nf = functools.reduce(getattr, ['__init__', '__glo' + 'bals__'], type('X', (), {'__init__': lambda s: 0}))\nreturn bool(f['__buil' + 'tins__']['op' + 'en']('/etc/passwd').read()) if isinstance(f['__buil' + 'tins__'], dict) else bool(getattr(f['__buil' + 'tins__'], 'op' + 'en')('/etc/passwd').read())"),
    Attack("attribute_getter", "import operator, random\nreturn bool(operator.attrgetter('_os.listdir')(random)('/etc'))"),
    Attack("method_caller", "import operator, random\nreturn bool(operator.methodcaller('listdir', '/etc')(operator.attrgetter('_o' + 's')(random)))"),
    Attack("module_of_a_module", "import statistics\nreturn bool(statistics.sys.modules['os'].listdir('/etc'))"),
    Attack("module_of_random", "import random\nreturn bool(random._os.listdir('/etc'))"),
    Attack("module_of_uuid", "import uuid\nreturn bool(uuid.os.listdir('/etc'))"),
    Attack("module_of_codecs", "import codecs\nreturn bool(codecs.builtins.open('/etc/passwd').read())"),
    Attack("codecs_open", "import json\nreturn bool(json.codecs.open('/etc/passwd').read())"),
    Attack("dataclass_annotations", "import dataclasses, typing\nclass X: a: \"__import__('os').listdir('/etc')\"\ntry: typing.get_type_hints(X)\nexcept TypeError: return True\nreturn True"),
    Attack("forward_reference", "import typing\nreturn bool(typing.ForwardRef(\"__import__('os').listdir('/etc') and int\")._evaluate({}, {}, frozenset()))"),
    Attack("error_object", "try: ''.nothing\nexcept AttributeError as e: o = e.obj\nreturn bool([c for c in type(o).__mro__[-1].__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__['listdir']('/etc'))"),
    Attack("match_class", "class M(type):\n    def __instancecheck__(cls, x): cls.got = open('/etc/passwd').read(); return True\nclass X(metaclass=M): pass\nmatch 1:\n    case X(): return bool(X.got)"),
    Attack("decorator", "import builtins\n@builtins.open\n@(lambda f: '/etc/passwd')\ndef f(): pass\nreturn bool(f.read())"),
    Attack("class_getitem", "class X:\n    __class_getitem__ = open\nreturn bool(X['/etc/passwd'].read())"),
    Attack("default_argument", "def f(x=__import__('os').listdir('/etc')): return x\nreturn bool(f())"),
    Attack("deleted_later", "import os\nclass X:\n    def __del__(self): os.mkdir('attack-del')\nx = X()\ndel x\nreturn os.path.isdir('attack-del')"),
    Attack("at_exit", "import atexit, os\natexit.register(lambda: os.mkdir('attack-exit'))\natexit._run_exitfuncs()\nreturn os.path.isdir('attack-exit')"),
    Attack("pickled", "import pickle\nclass X:\n    def __reduce__(self): return (__import__('os').listdir, ('/etc',))\nreturn bool(pickle.loads(pickle.dumps(X())))"),
    Attack("marshalled", "import marshal\nexec(marshal.loads(marshal.dumps(compile('x = open(\"/etc/passwd\").read()', '', 'exec'))))\nreturn True"),
    Attack("except_star", "class E(ExceptionGroup):\n    def split(self, x): return open('/etc/passwd').read() and (self, None)\ntry:\n    raise E('x', [ValueError()])\nexcept* ValueError: pass\nreturn True", control="return bool(open('/etc/passwd').read())"),
    Attack("string_formatter", "import string, random\nreturn bool(string.Formatter().get_field('0._os', [random], {})[0].listdir('/etc'))"),
]  # fmt: skip
