"""What methods made by chance are made of; `generated.py` puts it together."""

from __future__ import annotations

# Expressions by kind: {l} a list, {m} a map, {e} anything.
LISTS = [
    "self.a", "self.rows", "self.rows[0]", "self.box.v", "self.d['k']", "x", "y", "x", "kept[0]", "kept", "[]", "[[0], [1]]", "self.t[0]",
    "list({l})", "{l}[:]", "{l}.copy()", "sorted({l}, key=str)", "[{e}, {e}]", "[*{l}]", "({l} or {l})", "({l} and {l})",
    "({l} if self.n else {l})", "[r for r in {l}]", "list(zip({l}, {l}))", "list({m}.values())", "list({m}.items())", "getattr(self, 'a')",
    "list(reversed({l}))", "(y := {l})", "(x := {l})", "copy.copy({l})", "copy.deepcopy({l})", "list(enumerate({l}))", "(lambda q: q)({l})",
    "(lambda q=self.a: q)()", "same({l})", "give()", "wrap({e})", "pair({l}, {l})", "pick(*[{l}])", "pick(**{{'q': {l}}})", "getx()",
    "list(itertools.chain({l}, {l}))", "list(itertools.islice({l}, 2))", "list(map(same, {l}))", "list(filter(None, {l}))", "Box({l}).v", "Kept.shared",
    "[q for r in [{l}] for q in r]", "{l} + {l}", "[{e}] * 2", "{m}.setdefault('k', [])", "{m}.get('k', [])", "e.args[0]", "list(ask())[0]",
    "heapq.nsmallest(1, {l}, key=str)", "super().__getattribute__('a')", "object.__getattribute__(self, 'rows')", "iter([{l}]).__next__()",
    "list(yielded({l}))", "next(yielded({l}))", "locals()['x']", "functools.partial(same, {l})()", "vars(self)['a']", "self.look()",
    "first({l}, {l})", "first(q={l}, p={l})", "first(*[{l}], {l})", "deeper({l})", "held(q={l})", "getattr(Box({l}), 'v')", "getattr({m}, self.n, {l})",
    "dict([('k', {l})])['k']", "dict((q, {l}) for q in 'k')['k']", "list(itertools.chain.from_iterable([[{l}]]))[0]", "heapq.heappop([{l}])",
    "sum([[{l}]], [])[0]", "list(map(operator.itemgetter(0), [[{l}]]))[0]", "functools.reduce(operator.getitem, [0, 0], [[{l}]])", "[[[[[[[[{l}]]]]]]]][0][0][0][0][0][0][0]",
    "Stack([{l}])[0]", "Dug([{l}]).v", "Dug([{l}]).first([{l}])", "Dug([1]).copy({l})", "type('X', (), {{'a': {l}}}).a", "(u := {l})", "u",
    "min({l}, {l}, key=str)", "max([{l}], key=len)", "sum([{l}], [])", "random.choice([{l}])", "operator.getitem([{l}], 0)", "[self.a for self.n in [3]][0]",
]  # fmt: skip
MAPS = [
    "self.d", "self.d", "z", "z", "vars(self)", "self.__dict__", "{{}}", "{{'k': {l}}}", "{{**{m}}}", "dict({m})", "{m}.copy()", "{{0: r for r in {l}}}",
    "dict(k={e})", "dict.fromkeys(['k'], {e})", "collections.OrderedDict({m})", "({m} or {m})", "same({m})", "vars(self.box)", "vars(Box({l}))",
    "collections.ChainMap({m})", "copy.copy({m})", "({m} | {m})", "collections.defaultdict(list, {m})",
    "dd", "dd", "{{'k': dd}}['k']", "Filled({m})",
]  # fmt: skip
ANY = [
    "{l}", "{l}", "{l}", "{m}", "self.s", "self.t", "self.n", "self.box", "self", "w", "v", "1", "'k'", "param", "len({l})", "{l} == {l}",
    "tuple({l})", "set()", "Box({l})", "f'{{{l}}}'", "str({e})", "type({l})", "{l}[0]", "{l}.pop()", "{m}.keys()", "max({l}, default=[], key=str)",
    "{m}['k']", "self.s.union({{2}})", "(w := {e})", "collections.deque({l})", "{l}.__class__", "next(iter({l}))", "operator.itemgetter(0)({l})",
    "{m}['j']", "{m}.get('j')", "operator.itemgetter('j')({m})", "operator.getitem({m}, 'j')", "'%(j)s' % {m}", "'{{j}}'.format_map({m})", "list(map({m}.__getitem__, ['j']))",
    "[{m}[q] for q in 'jk']", "Op({l}) + 1", "-Op({l})", "(Op({l}) == 1)", "abs(Op({l}))", "copy.copy(Op({l}))", "Op({l})[:]", "sum([1], Op({l}))",
    "functools.reduce(lambda p, q: p, {l}, 0)", "contextlib.nullcontext({l})", "slice(1)", "[q.pop() for q in [{l}]]", "({l}, {l})", "ask()",
]  # fmt: skip
CHANGES = [
    "{l}.append({e})", "{l}.append({e})", "{l}[0] = {e}", "{m}['k'] = {e}", "self.box.v = {l}", "self.n += 1", "self.a = {l}", "{l}.extend({l}[:3])",
    "del {l}[0]", "del {m}['k']", "{l}.clear()", "{l}.pop()", "{m}.update(k={e})", "self.s.add(7)", "{l}.sort(key=str)", "self.d = {m}",
    "{l}.insert(0, {e})", "{l}[:] = [5]", "{l}.__setitem__(slice(0), [9])", "list.append({l}, {e})", "self.box.touch()", "{m}.pop('k', 0)",
    "type({l}).append({l}, 2)", "{l}.__class__.clear({l})", "setattr(self, 'n', {e})", "object.__setattr__(self, 'n', 6)", "Box({l}).touch()",
    "heapq.heapify({l})", "heapq.heappush({l}, 1)", "random.shuffle({l})", "operator.setitem({m}, 0, 3)", "bisect.insort({l}, 4, key=str)",
    "super().__setattr__('n', 8)", "x += {l}", "y += [{e}]", "z |= {m}", "w = {l}; w += [1]", "self.d |= {{'j': 1}}", "{l}[:0] += [1]",
    "for self.n in [1, 2]: pass", "for {m}['i'] in [5]: pass", "a, self.n, *x = {l}, 5, 6", "self.n, b = {e}, 2", "self.rows, self.a = self.a, self.rows",
    "with contextlib.nullcontext(4) as self.n: pass", "self.n: int = 3", "self.v = 1; delattr(self, 'v')", "self.v = 1; del self.v",
    "list(map(list.append, [{l}], [1]))", "list(map({l}.append, [1]))", "[q.append(1) for q in [{l}]]", "any(q.append(1) for q in [{l}])",
    "operator.iadd({l}, [1])", "operator.methodcaller('clear')({l})", "getattr({l}, 'append')(1)", "functools.partial({l}.append, 1)()",
    "sorted([{l}], key=lambda q: q.append(1) or 0)", "max([{l}, {l}], key=lambda q: push(q) or 0)", "{l}[0:1] = {l}[:2]", "b = {l}; b[0:0] = [1]",
    "self.box.take({l}, {e})", "self.box.take(q={l})", "getattr(self.box, 'take')({e})", "random.Random(3).shuffle({l})", "dice.shuffle({l})",
    "[q.take({l}) for q in [self.box, dice]]", "[heapq.heapify][0]({l})", "getattr({l}, 'clear')()", "{l}.__init__([7])", "self.box.shuffle({l})",
    "put({l}, {e})", "put(q={e}, p={l})", "swap({l}, {l})", "hang(self.box, {l})", "hang(of=self, q={l})", "setattr(self.box, 'v', {l})",
    "put(*[{l}, {e}])", "put_first({l}, {l})", "f = {l}.append; f({l})", "f = {l}.extend; f([{l}]); x[0].append(1)",
    "self.a = x = {l}", "y = self.a = {l}", "self.d.update(k={l})", "self.d.update([('k', {l})])", "object.__setattr__(self, 'a', {l})", "{l}[0] += [1]", "{m}['k'] += [1]",
    "list(map(self.rows.append, [{l}]))", "list(map(stow, [{l}]))", "sorted([{l}], key=stow)", "self.rows.append(*[{l}])", "setattr(*(self, 'a', {l}))", "stow({l})",
    "match [{l}]:\n    case [r]: self.a = r", "for self.a in [{l}]: pass", "apply(self.rows.append, {l})", "Dug([1]).keep({l})", "self.d = dict(k={l})", "self.rows[len(self.rows):] = [{l}]",
    "if c := {l}: c.append(1)", "vars(self)['n'] = {e}", "self.__dict__.update(n={e})", "t = self; t.n = {e}", "(lambda q: q.append(1))({l})",
]  # fmt: skip
LOCAL = [
    "x = {l}", "y = {l}", "z = {m}", "w = v = {e}", "x = y = {l}", "x, y = {l}, {l}", "x, *y = [{l}]", "(x, y), z = [{l}, {l}], {m}", "x.append({e})",
    "z['k'] = {e}", "w = [{e}]", "kept.append({l})", "keep({l})", "kept[-1].append(1)", "kept[0] = {l}", "Kept.shared = {l}", "b = Box({l}); b.v.append(1)",
    "f = {l}.append", "f = {l}.sort", "f = lambda q=1: {e}", "f = (lambda *q: {l}.append(1))", "f = push", "f = heapq.heapify", "f = len",
    "f = self.box.take", "f = dice.shuffle", "f = operator.itemgetter(0)", "f = x.extend", "f = z.setdefault", "f({e}, {l})", "x = [f({l})]",
    "list(map(f, {l}))", "y = list(map(f, [{l}]))", "h[0]({l}).append(1)", "w = [f]; w = w[0]({l})", "dice = self.box", "dice = [dice][0]",
    "x.append(dice)", "x[-1].shuffle({l})", "y = functools.reduce(lambda p, q: {l}, [1, 2])", "y = list(map(lambda q: {l}, [1]))[0]",
    "put(x, {l})", "put(q={l}, p=x); x[-1].append(1)", "swap(x, y)", "b = Box(1); hang(b, {l}); b.v.append(1)", "f = put", "f = first", "first = f",
    "f = x.append; f({l}); x[-1].append(1)", "put_first(x, [{l}]); x[0].append(1)", "b = Box(1); setattr(b, 'v', {l}); b.v.append(1)", "apply(put, {l}, 1)",
    "x = w = {l}", "x[0:0] = [{l}]", "x.append(*[{l}])", "x.insert(*(0, {l}))", "z.update([('k', {l})])", "z |= [('k', {l})]", "f = stow", "f = self.rows.append", "k = setattr",
    "try: raise ValueError({l})\nexcept ValueError as e: x = e.args[0]", "operator.iadd(x, [{l}])", "def f(q={l}): self.a = q", "g = map(heapq.heapify, [{l}])", "h = [self.rows.append]",
    "x[slice(0)] = [{l}]", "z[self] = 1", "for q in z: q.n = 5", "t = Dug([{l}])", "t.v = [{l}]", "t.first({l}).append(1)",
    "f = yielded", "g = ({l}.append(q) for q in [1, 2])", "g = map({l}.append, [1])", "g = iter(yielded({l}))", "f({l})", "f(f)",
    "list(g)", "next(g, 0)", "for q in g: pass", "h = [f, g]", "h[0]({l})", "list(h[1])", "[*g]", "later(f)", "todo.append(f)", "todo and todo[0]([1])",
    "for q in todo: q([])", "push({l})", "store({e})", "Changer().run()", "c = Changer()", "c = Changer(); c.run()", "c = Changer(); c.hold = {l}; c.hold.append(1)",
    "k = maker(); k()", "k = maker()", "k()", "k = apply", "apply(f, {l})", "apply(lambda: {l}.append(1))", "apply(push, {l})", "L([1]).append({l})",
    "str({e})", "pass", "sorted({l}, key={m}.get)", "self.look()", "x = self.look()", "x = self.grow()", "nest()", "setx({l})", "getx().append(1)",
    "stack.callback({l}.append, 1)", "stack.callback(f, [])", "t = type(x); t.append({l}, 1)", "L = list; L.append({l}, 1)", "with deco() as b: x = b",
    "def f(*q): {l}.append(q)", "def f(*q, **r): q[0].append(1)", "def f(q=1): return {l}", "def f(q=0): return lambda *r: {l}.append(q)",
    "def f(q=1):\n    yield {l}.append(1)", "def f(q=1):\n    nonlocal x\n    x = {l}", "async def f(q=1): {l}.append(1)",
    "@todo.append\ndef k(q=1): {l}.append(q)", "@register\ndef f(q=1): {l}.append(1)", "@keep\nclass K:\n    def run(this): {l}.append(1)", "@on('x')\ndef f(q=1): return {l}",
    "dd = z = collections.defaultdict(list)", "z = dd", "self.d = dd", "self.d['k'] = dd", "dd['k'] = {e}", "self.d = Filled()", "f = lambda q=1: f(q - 1) if q else {l}",
    "Op({l}) == 1; (Op({l}) == 1).append(1)", "(-Op({l})).append(1)", "(Op({l}) + 1).append(1)", "for q in sorted(dd): dd[q]", "if 'k' in dd: y = dd['k']", "todo and todo[-1]()",
    "@f\ndef k(q=1): pass", "@functools.cache\ndef k(q=1): return {l}", "def k(q: {l}.append(1) = 1) -> {e}: pass", "def k(*, q={l}.pop()): pass",
    "class K:\n    at = {l}\n    def run(this): this.at.append(1)", "class K:\n    {l}.append(1)", "K().run()", "K.at.append(1)", "K()([])", "len(K())",
    "class K:\n    def run(this, *q, r={l}): r.append(1)\n    __call__ = run\n    __len__ = run\n    __exit__ = __enter__ = run",
]  # fmt: skip
LEAVING = [
    "return {e}",
    "return None",
    "return",
    "raise ValueError({e})",
    "assert {e}",
    "e = ValueError({l})",
    "raise e",
]
FLAG = "self._p_changed = True"

# What a method may use; it gets what it names, and what that names. Several of a name: one of them, by chance.
HELPERS = """
a = b = c = t = u = v = w = 0
x, y, z, kept, todo = [], [[0]], {}, [[]], []
f, g, h, k, L = print, iter(()), [print, ()], print, list
e = ValueError([])
stack = contextlib.ExitStack()
dice = random.Random(3)
dice = self.box
def same(q): return q
def give(): return self.rows
def wrap(q): return [q]
def pair(p, q): return p if param else q
def pick(q, *rest): return q
def ask(): return yielded(self.a)
def stow(q): self.a = q
def stow(q): self.d['s'] = [q]
def push(q=None, *rest):
    if q is not None: q.append(9)
def keep(q): kept.append(q)
def store(q): y.append(q)
def later(q): todo.append(q)
def apply(q, *r): return q(*r)
def yielded(q): yield q
def getx(): return x
def setx(q):
    nonlocal x
    x = q
class Box:
    def __init__(this, q): this.v = q
    def touch(this): this.v.append(0)
class Box:
    v = []
    def __init__(this, q): this.v = this.v + [q]
    touch = len
class Kept: shared = []
class Stack(list): pass
class Dug:
    def __init__(this, q): this.v = q[0]
    def first(this, *q): return this.v
    def copy(this, q): return q
    def keep(this, q): self.a = q
class Dug:
    def __init__(this, q): this.v = q
    def first(this, q): return q[0]
    def copy(this, q=0): return self.a
    def keep(this, q): this.v = q
class K:
    at = []
    def run(this, *rest): return 0
    __call__ = __len__ = __enter__ = __exit__ = run
dd = collections.defaultdict(list)
class Filled(dict):
    def __missing__(this, q): return []
class Filled(dict):
    def __missing__(this, q): return this.setdefault(q, [])
class Op:
    def __init__(this, q): this.v = q
    def run(this, *q): return this.v
    __add__ = __radd__ = __neg__ = __eq__ = __abs__ = __copy__ = __getitem__ = run
class Op:
    def __init__(this, q): pass
    def run(this, *q): return self.a
    __add__ = __radd__ = __neg__ = __eq__ = __abs__ = __copy__ = __getitem__ = run
def register(q):
    todo.append(q)
    return q
def on(p): return register
def maker(): return lambda: 1
def maker(): return lambda: self.a.append(1)
def nest(): pass
def nest():
    def inner(): self.rows[0].append(1)
    inner()
class Changer:
    def run(this): pass
class Changer:
    def run(this): self.a.append(1)
deco = contextlib.nullcontext
deco = contextlib.contextmanager(lambda: (self.a.append(1) or [] for _ in [0]))
"""
# Functions beside the method, which see nothing of it.
BESIDE = """
def first(p, q=None): return p
def first(p, q): return q
def deeper(q): return first(first(q, q), [q])
def held(*, q): return [q]
def put(p, q): p.append(q)
def put(p, q): return [p, q]
def put_first(p, q): put(p, first(q, 1))
def swap(p, q): p[:], q[:] = q, p
def hang(of, q): of.v = q
"""
