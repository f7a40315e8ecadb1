"""Attacks on the kernel itself: forged references, bad names and values, floods; each would be believed by a trusting host."""

from __future__ import annotations

from tests.sandbox.attacks.kinds import SAY, STAY, Attack

_FORGED = SAY + "from batos.sandbox.guest import UvmObject\nfrom batos.sandbox.worker import _ask\n"
_RAW = (
    SAY
    + "import os, struct, ormsgpack\nfrom batos.codec import pack\nfrom batos.sandbox.codec import frame\ndef raw(data):\n    data = memoryview(data)\n    while data: data = data[os.write(3, data):]\n"
)
# What a host does that takes plain references and any name: the guess hits.
_PLAIN_REFERENCE = "from batos.codec import Ref, pack, unpack\nimage = {Ref(bytes([0] * 7 + [7])): {'secret': 1}}\nreturn image[unpack(pack(Ref(bytes([0] * 7 + [7]))))]['secret'] == 1"
_ANY_NAME = "class Thing: pass\nthing = Thing()\nfor name in ('__class__',): setattr(thing, name, type('Other', (Thing,), {}))\nreturn type(thing).__name__ == 'Other'"
_QUADRATIC = "x = [1 + k * ((1 << 61) - 1) for k in range(100000)]\nset(x)"
_TWICE = "def read(depth): return depth and read(depth - 1) + read(depth - 1)\nreturn read(60)"
_SLOW_KEYS = "from decimal import Decimal\nbig = 1 << 500_000\nkeys = [big, *(Decimal(big % ((1 << 61) - 1) + k * ((1 << 61) - 1)) for k in range(60))]\n"
_TUPLES = "import itertools\nkeys = list(itertools.islice(itertools.product([2.0 ** (61 * j) for j in range(-16, 17)], repeat=3), 30000))\n"
_UNBOUNDED = "import ormsgpack\nreturn len(ormsgpack.unpackb(ormsgpack.packb([b'x' * (64 << 20)]))[0]) > 1 << 20"


def forged(word: str) -> str:
    """A question with a forged reference in it."""
    return _FORGED + f"return bool(_ask({word}))"


def said(word: str) -> str:
    """A word that no honest worker says."""
    return SAY + f"transmit({word})" + STAY


def written(data: str) -> str:
    """Bytes that no honest worker writes."""
    return _RAW + f"raw({data})" + STAY


ATTACKS = [
    Attack("guess_handle", forged("['load', UvmObject(b'\\0\\0\\0\\x07'), []]"), control=_PLAIN_REFERENCE),
    Attack("forge_oid", forged("['load', UvmObject((2 << 40).to_bytes(8, 'big')), []]"), control=_PLAIN_REFERENCE),
    Attack("negative_handle", forged("['load', UvmObject(b'\\xff' * 4), []]"), control="image = [{'a': 1}, {'secret': 1}]\nreturn image[-1]['secret'] == 1"),
    Attack("short_handle", forged("['load', UvmObject(b''), []]"), control="return [{'secret': 1}][int.from_bytes(b'', 'big')]['secret'] == 1"),
    Attack("forged_argument", forged("['send', self, 'keep', [UvmObject(b'\\0\\0\\0\\x07')], {}, [], '']"), control=_PLAIN_REFERENCE),
    Attack("forged_writing", said("['done', None, [[__import__('batos').sandbox.guest.UvmObject(b'\\0\\0\\0\\x07'), {'n': 2}]], '']"), control=_PLAIN_REFERENCE),
    Attack("forged_result", forged("['done', UvmObject(b'\\0\\0\\0\\x01'), [], '']"), control=_PLAIN_REFERENCE),
    Attack("write_underscore", said("['done', True, [[self, {'_slots': 1}]], '']"), control=_ANY_NAME),
    Attack("write_dunder", said("['done', True, [[self, {'__class__': 1}]], '']"), control=_ANY_NAME),
    Attack("write_no_name", said("['done', True, [[self, {'a b': 1}]], '']"), control="class Thing: pass\nthing = Thing()\nsetattr(thing, 'a b', 1)\nreturn 'a b' in vars(thing)"),
    Attack("write_keyword", said("['done', True, [[self, {'class': 1}]], '']"), control="class Thing: pass\nthing = Thing()\nsetattr(thing, 'class', 1)\nreturn 'class' in vars(thing)"),
    Attack("write_long_name", said("['done', True, [[self, {'a' * 100000: 1}]], '']"), control="class Thing: pass\nthing = Thing()\nsetattr(thing, 'a' * 100000, 1)\nreturn len(next(iter(vars(thing)))) == 100000"),
    Attack("write_number", said("['done', True, [[self, {1: 1}]], '']"), control="class Thing: pass\nthing = Thing()\nvars(thing)[1] = 1\nreturn 1 in vars(thing)"),
    Attack("write_too_much", said("['done', True, [[self, {f's{n}': n for n in range(5000)}]], '']"), control="class Thing: pass\nthing = Thing()\nfor n in range(5000): setattr(thing, f's{n}', n)\nreturn len(vars(thing)) == 5000"),
    Attack("send_private", forged("['send', self, '_p_jar', [], {}, [], '']"), control=_ANY_NAME),
    Attack("send_dunder", forged("['send', self, '__init__', [], {}, [], '']"), control=_ANY_NAME),
    Attack("wrong_shape", said("['send', self, 'x', 1, 2, 3, 4]"), alone="spoils", control="args, kwargs = 1, 2\n(lambda *a, **k: 0)(*args, **kwargs)"),
    Attack("unknown_word", said("['shutdown']"), alone="spoils", control="{'send': 1}['shutdown']"),
    Attack("no_word", said("[]"), alone="spoils", control="[][0]"),
    Attack("no_list", written("frame(pack(7))"), alone="spoils", control="word, *rest = 7"),
    Attack("greet_again", said("['ready', {}]"), alone="spoils", control="{'send': 1}['ready']"),
    Attack("two_results", _RAW + "raw(frame(pack(['done', 1, [], ''])) + frame(pack(['done', True, [], ''])))" + STAY, alone="spoils", control="def host(): yield 'done'\nh = host()\nnext(h)\nnext(h)"),
    Attack("failure_and_result", _RAW + "raw(frame(pack(['fail', {'type': 'E'}, ''])) + frame(pack(['done', True, [], ''])))" + STAY, alone="spoils", control="def host(): yield 'done'\nh = host()\nnext(h)\nnext(h)"),
    Attack("false_error", said("['fail', {'type': 'x' * 100000, 'text': 'y' * 100000, 'line': -1 << 60, 'traceback': ['z' * 100000] * 9, 'remote': 10 ** 9}, '']"), alone="spoils", control="raise [][10 ** 9]"),
    Attack("false_error_types", said("['fail', {'type': 7, 'text': None, 'line': 'x', 'traceback': {}, 'remote': []}, '']"), alone="spoils", control="'error: ' + 7"),
    Attack("false_covenant", said("['broken', [1, None, {}], '']"), alone="spoils", control="', '.join([1, None, {}])"),
    Attack("garbage_bytes", written("b'\\0\\0\\0\\x04junk'"), alone="spoils", control="import ormsgpack\nreturn ormsgpack.unpackb(b'\\xc1junk')"),
    Attack("endless_frame", written("b'\\x7f\\xff\\xff\\xff' + b'x' * (4 << 20)"), control=_UNBOUNDED),
    Attack("huge_frame", written("b'\\xff\\xff\\xff\\xff'"), control=_UNBOUNDED),
    Attack("slow_frame", _RAW + "for n in range(1000):\n    raw(b'\\0'[:1])\n    time.sleep(0.05)", alone="hangs", control="import socket\na, b = socket.socketpair()\nb.send(b'x')\nwhile True: a.recv(4, socket.MSG_WAITALL)"),
    Attack("unknown_extension", written("frame(ormsgpack.packb(['done', ormsgpack.Ext(99, b'x'), [], '']))"), alone="spoils", control="import ormsgpack\nreturn ormsgpack.unpackb(ormsgpack.packb(ormsgpack.Ext(99, b'x')))"),
    Attack("bad_extension", written("frame(ormsgpack.packb(['done', ormsgpack.Ext(4, b'not a time'), [], '']))"), alone="spoils", control="import datetime\ndatetime.datetime.fromisoformat('not a time')"),
    Attack("huge_integer", written("frame(ormsgpack.packb(['done', ormsgpack.Ext(3, b'\\x7f' * 900000), [], '']))"), alone="spoils", control="return str(int.from_bytes(b'\\x7f' * 900000, 'big'))"),
    Attack("endless_decimal", written("frame(ormsgpack.packb(['done', ormsgpack.Ext(7, b'1e999999999999'), [], '']))"), alone="hangs", control="from decimal import Decimal\nwhile True: int(Decimal('1e99999999'))"),
    Attack("zone_as_path", written("frame(ormsgpack.packb(['done', ormsgpack.Ext(4, b'2024-01-01T00:00:00+00:00[../../../etc/passwd]'), [], '']))"), alone="spoils", control="import zoneinfo\nzoneinfo.ZoneInfo('../../../etc/passwd')"),
    Attack("deep_extensions", _RAW + "x = pack([])\nfor _ in range(5000): x = ormsgpack.packb(ormsgpack.Ext(1, ormsgpack.packb(ormsgpack.Ext(1, b'\\x90')) if len(x) > 100000 else x))\nraw(frame(ormsgpack.packb(['done', ormsgpack.Ext(1, x), [], ''])))" + STAY, alone="spoils", control="x = []\nfor _ in range(100000): x = [x]\nreturn x"),
    Attack("same_hash", _RAW + "numbers = [1 + k * ((1 << 61) - 1) for k in range(20000)]\nraw(frame(ormsgpack.packb(['done', ormsgpack.Ext(2, pack(numbers)), [], ''])))" + STAY, alone="hangs", control=_QUADRATIC),
    Attack("same_hash_keys", _RAW + "numbers = [[1 + k * ((1 << 61) - 1), 0] for k in range(20000)]\nraw(frame(ormsgpack.packb(['done', ormsgpack.Ext(12, pack(numbers)), [], ''])))" + STAY, alone="hangs", control=_QUADRATIC),
    Attack("sets_in_sets", "found = frozenset()\nfor _ in range(30): found = frozenset([found])\nreturn found", alone="hangs", control=_TWICE),
    Attack("maps_in_maps", "tree = {}\nfor n in range(30): tree = {(n, 1): tree}\nreturn tree", alone="hangs", control=_TWICE),
    Attack("slow_keys", _RAW + _SLOW_KEYS + "raw(frame(ormsgpack.packb(['done', ormsgpack.Ext(2, pack(keys)), [], ''])))" + STAY, alone="hangs", control=_SLOW_KEYS + "set(keys)"),
    Attack("keys_of_arrays", _RAW + _TUPLES + "raw(frame(b'\\x94\\xa4done\\xdf' + struct.pack('>I', len(keys)) + b''.join(b'\\x93' + b''.join(b'\\xcb' + struct.pack('>d', part) for part in key) + b'\\xc0' for key in keys) + b'\\x90\\xa0'))" + STAY, alone="hangs", control=_TUPLES + "set(keys)"),
    Attack("pairs_that_are_maps", _RAW + "from batos.codec import Codec\npairs = [{1 + k * ((1 << 61) - 1): 0, 0: k} for k in range(20000)]\nraw(frame(ormsgpack.packb(['done', ormsgpack.Ext(12, Codec(text_keys=True).pack(pairs)), [], ''])))" + STAY, alone="hangs", control=_QUADRATIC),
    Attack("question_flood", SAY + "while True: transmit(['load', self, []])", alone="hangs", control="import queue\nq = queue.Queue()\nwhile True: q.put(q)"),
    Attack("unread_answers", _RAW + "from batos.sandbox.guest import activation\nword = frame(activation.codec.pack(['load', self, []]))\nwhile True: raw(word)", alone="hangs", control="import socket\na, b = socket.socketpair()\nwhile True: a.send(b'x' * 1000)"),
    Attack("send_flood", "while True:\n    try: self.nothing()\n    except Exception: pass", alone="hangs", control="while True: pass"),
    Attack("own_recursion", "return self.attack()", alone="spoils", control="def f(): return f()\nreturn f()"),
    Attack("output_word", said("['done', True, [], 'x' * (1 << 24)]"), control="import sys\nreturn len('x' * (1 << 24)) > 1 << 20"),
]  # fmt: skip
