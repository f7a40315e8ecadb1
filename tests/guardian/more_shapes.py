"""More shapes of code that once passed although they break the Covenant, and what is like them; named by how."""

from __future__ import annotations

from tests.guardian.cases import sources

DECORATED = sources("""
def registry_decorator(self):
    handlers = {}
    def register(f):
        handlers['x'] = f
        return f
    @register
    def bump(): self.n += 1
    self._p_changed = True
    handlers['x']()
---
def registry_list_decorator(self):
    hooks = []
    @hooks.append
    def bump(): self.n += 1
    self._p_changed = True
    for hook in hooks: hook()
---
def registry_setdefault_decorator(self):
    hooks = {}
    def on(name):
        def deco(f):
            hooks.setdefault(name, []).append(f)
            return f
        return deco
    @on('x')
    def bump(): self.n += 1
    self._p_changed = True
    for hook in hooks['x']: hook()
---
def class_registry_decorator(self):
    seen = []
    def reg(c):
        seen.append(c)
        return c
    @reg
    class A:
        def go2(this): self.n += 1
    self._p_changed = True
    seen[0]().go2()
---
def registered_twice(self):
    seen = []
    def plain(f): return f
    @plain
    @seen.append
    def bump(): self.n += 1
    self._p_changed = True
    seen[0]()
---
def registered_by_a_keeper_of_another(self):
    import functools
    def counted(f):
        @functools.wraps(f)
        def inner(*a):
            return f(*a)
        return inner
    @counted
    def bump(): self.n += 1
    self._p_changed = True
    bump()
---
def registered_in_a_slot(self):
    @self.a.append
    def bump(): pass
""")

LIKE_DECORATED = sources("""
def registered_and_called_before_the_flag(self):
    handlers = {}
    def register(f):
        handlers[f.__name__] = f
        return f
    @register
    def bump(): self.n += 1
    handlers['bump']()
    self._p_changed = True
    return self.n
---
def registered_readers(self):
    handlers = {}
    def on(name):
        def deco(f):
            handlers.setdefault(name, []).append(f)
            return f
        return deco
    @on('x')
    def count(): return self.n + 1
    return [f() for f in handlers['x']]
---
def decorated_by_python(self):
    import contextlib, functools, dataclasses
    @functools.lru_cache(maxsize=None)
    def fib(k): return k if k < 2 else fib(k - 1) + fib(k - 2)
    @dataclasses.dataclass
    class Point:
        x: int = 0
        @property
        def twice(this): return this.x * 2
        @twice.setter
        def twice(this, v): pass
        @staticmethod
        def zero(): return 0
    self.n = fib(10) + Point(2).twice + Point.zero()
    self._p_changed = True
    return fib(3) + Point(3).twice
---
def wrapped_readers(self):
    import functools
    def loud(f):
        @functools.wraps(f)
        def inner(*a): return str(f(*a)).upper()
        return inner
    @loud
    def name(): return self.n
    self.m = 1
    self._p_changed = True
    return name()
""")

ASKED = sources("""
def defaultdict_read(self):
    import collections
    counts = collections.defaultdict(int)
    counts['x'] += 1
    self.d = counts
    self._p_changed = True
    return counts['the']
---
def defaultdict_read_by_slot(self):
    import collections
    self.d = collections.defaultdict(int)
    self._p_changed = True
    return self.d['the']
---
def defaultdict_stored_loop(self):
    import collections
    groups = collections.defaultdict(list)
    for r in self.rows: groups[len(r)].append(r)
    self.groups = groups
    self._p_changed = True
    return {k: len(groups[k]) for k in (1, 2, 3)}
---
def missing_local_dict(self):
    class D(dict):
        def __missing__(this, k):
            this[k] = 1
            return 1
    self.d = D()
    self._p_changed = True
    return self.d['q']
---
def chainmap_default(self):
    import collections
    d = collections.defaultdict(list)
    self.z = d
    self._p_changed = True
    for k in 'ab':
        for v in d[k]: pass
---
def defaultdict_get_item_func(self):
    import collections, operator
    d = collections.defaultdict(list)
    self.z = d
    self._p_changed = True
    return operator.itemgetter('q')(d)
---
def defaultdict_format(self):
    import collections
    d = collections.defaultdict(list)
    self.z = d
    self._p_changed = True
    return '{q}'.format_map(d)
---
def defaultdict_read_by_a_function(self):
    import collections
    def count(of, key): return of[key]
    counts = collections.defaultdict(int)
    self.d = {'counts': counts}
    self._p_changed = True
    return count(counts, 'x')
---
def defaultdict_or_another(self):
    from collections import defaultdict
    counts = self.d.get('counts') or defaultdict(list)
    self.d['counts'] = counts
    self._p_changed = True
    return len(counts['x'])
---
def defaultdict_given_by_a_function(self):
    from collections import defaultdict
    def fresh(): return defaultdict(int)
    self.d = counts = fresh()
    self._p_changed = True
    return [counts[k] for k in 'ab']
---
def defaultdict_by_its_getitem(self):
    from collections import defaultdict
    self.d = counts = defaultdict(int)
    self._p_changed = True
    return list(map(counts.__getitem__, 'ab'))
---
def defaultdict_by_getitem(self):
    from collections import defaultdict
    import operator
    setattr(self, 'd', defaultdict(int))
    self._p_changed = True
    return operator.getitem(getattr(self, 'd'), 'x')
---
def defaultdict_in_a_text(self):
    from collections import defaultdict
    self.d = counts = defaultdict(int)
    self._p_changed = True
    return '%(x)s' % counts
---
def defaultdict_of_its_own_kind(self):
    from collections import defaultdict
    class Counts(defaultdict): pass
    self.d = counts = Counts(int)
    self._p_changed = True
    if 'y' in counts: return counts['y']
    return counts['x']
---
def key_that_is_gone(self):
    from collections import defaultdict
    counts = defaultdict(int, x=1)
    if 'x' in counts:
        counts.pop('x')
        self.d = counts
        self._p_changed = True
        return counts['x']
""")

LIKE_ASKED = sources("""
def counts_in_a_defaultdict_of_its_own(self):
    from collections import defaultdict
    counts = defaultdict(int)
    for row in self.rows: counts[len(row)] += 1
    self.n = counts[7]
    self._p_changed = True
    return counts[8]
---
def keeps_a_plain_copy(self):
    from collections import defaultdict
    counts = defaultdict(int)
    for row in self.rows: counts[len(row)] += 1
    self.d = dict(counts)
    self._p_changed = True
    return counts[8], self.d.get(8)
---
def reads_by_the_keys_that_are_there(self):
    from collections import defaultdict
    counts = defaultdict(int)
    for row in self.rows: counts[len(row)] += 1
    self.d = counts
    self._p_changed = True
    for size in sorted(counts):
        print(size, counts[size])
    return {k: counts[k] for k in counts}, [counts[k] for k, v in counts.items()], max(counts, key=counts.get)
---
def asks_before_it_reads(self, param=1):
    from collections import defaultdict
    counts = defaultdict(int)
    for row in self.rows: counts[len(row)] += 1
    self.d = counts
    self._p_changed = True
    if param in counts:
        print(counts[param])
    return counts[1] if 1 in counts else None
---
def reads_rows_of_a_defaultdict(self):
    from collections import defaultdict
    groups = defaultdict(list)
    for row in self.rows: groups[len(row)].append(row)
    self.d = groups
    self._p_changed = True
    return [rows[0] for rows in groups.values()], groups.get(1)[0], f'{groups}', '{}'.format(groups)
---
def reads_a_plain_map_beside_a_defaultdict(self):
    from collections import defaultdict
    counts = defaultdict(int)
    names = {1: 'one'}
    self.d, self.m = counts, names
    self.names = names
    self._p_changed = True
    return names[1], self.names[1], self.rows[0]
---
def missing_that_answers_and_keeps_nothing(self):
    class Plain(dict): pass
    self.d = plain = Plain(x=1)
    self._p_changed = True
    return plain['x']
""")

LEFT = sources("""
def transparent_name_of_local_class_method(self):
    import contextlib
    class X:
        def closing(this): return contextlib.suppress(Exception)
    with X().closing():
        self.n += 1
        raise ValueError
        self._p_changed = True
---
def transparent_name_of_import(self):
    from contextlib import suppress as nullcontext
    with nullcontext(Exception):
        self.n += 1
        raise ValueError
        self._p_changed = True
---
def open_swallow(self):
    import contextlib
    class k:
        open = contextlib.suppress
    with k.open(Exception):
        self.n += 1
        1/0
        self._p_changed = True
---
def class_decorator_after_body(self):
    def deco(c):
        self.n = 5
        return c
    @deco
    class A:
        self._p_changed = True
---
def set_name_after_body(self):
    class D:
        def __set_name__(this, o, n): self.n += 1
    class Sub:
        x = D()
        self._p_changed = True
---
def init_subclass_after_body(self):
    class Base:
        def __init_subclass__(cls): self.n += 1
    class Sub(Base):
        self._p_changed = True
---
def metaclass_after_body(self):
    class M(type):
        def __init__(cls, *a): self.n += 1
    class Sub(metaclass=M):
        self._p_changed = True
---
def stop_iteration_value(self):
    def g():
        yield 1
        return self.a
    it = g()
    next(it)
    try:
        next(it)
    except StopIteration as e:
        e.value.append(1)
---
def async_for_comp(self):
    async def ag():
        yield self.a
    async def main():
        return [x async for x in ag()]
    try: main().send(None)
    except StopIteration as e: e.value[0].append(1)
""")

LIKE_LEFT = sources("""
def contexts_that_swallow_nothing(self):
    import contextlib as c, io
    from contextlib import nullcontext as quiet
    with quiet(), c.closing(io.StringIO()) as out:
        self.n += 1
        self._p_changed = True
    with c.redirect_stdout(out):
        self.m = 2
        self._p_changed = True
---
def values_of_exceptions(self):
    def gen():
        yield 1
        return self.n
    it = gen()
    try:
        while True: next(it)
    except StopIteration as e:
        return e.value + 1
---
def class_that_is_registered_after_its_body(self):
    def note(c):
        self.n = 5
        return c
    @note
    class A:
        pass
    self._p_changed = True
    return A.__name__
""")

ANSWERED = sources("""
def eq_answers_slot(self):
    class X:
        def __eq__(this, o): return self.a
    (X() == 1).append(1)
---
def neg_answers_slot(self):
    class X:
        def __neg__(this): return self.a
    (-X()).append(1)
---
def add_answers_slot(self):
    class X:
        def __add__(this, o): return self.a
    (X() + 1).append(1)
---
def ror_merge(self):
    class K:
        def __ror__(this, x): return self.a
    ({} | K()).append(1)
---
def slice_answers_slot(self):
    class X:
        def __getitem__(this, o): return self.a
    X()[:].append(1)
---
def abs_answers_slot(self):
    class X:
        def __abs__(this): return self.a
    abs(X()).append(1)
---
def round_answers_slot(self):
    class X:
        def __round__(this): return self.a
    round(X()).append(1)
---
def divmod_answer(self):
    class K:
        def __divmod__(this, o): return self.a
    divmod(K(), 1).append(1)
---
def floor_answers_slot(self):
    import math
    class X:
        def __floor__(this): return self.a
    math.floor(X()).append(1)
---
def sum_answers_slot(self):
    class X:
        def __radd__(this, o): return self.a
    sum([X()]).append(1)
---
def copied_answers_slot(self):
    import copy
    class X:
        def __copy__(this): return self.a
    copy.copy(X()).append(1)
---
def deep_copied_answers_slot(self):
    import copy
    class X:
        def __deepcopy__(this, memo): return self.a
    copy.deepcopy(X()).append(1)
---
def reversed_answers_slot(self):
    class X:
        def __reversed__(this): return self.a
    reversed(X()).append(1)
---
def doc_is_slot(self):
    class X:
        __doc__ = self.a
    X.__doc__.append(1)
---
def function_doc_is_slot(self):
    def f(): pass
    f.__doc__ = self.a
    f.__doc__.append(1)
""")

LIKE_ANSWERED = sources("""
def objects_with_operators_of_their_own(self):
    import math, copy
    class Amount:
        def __lt__(this, other): return False
        def __eq__(this, other): return True
        def __neg__(this): return Amount()
        def __add__(this, other): return Amount()
        def __radd__(this, other): return Amount()
        def __abs__(this): return [1]
        def __getitem__(this, place): return [place]
    found = Amount()[1:]
    found.append(Amount() == -Amount())
    abs(Amount()).append(1)
    rows = sum([Amount()])
    return sorted([Amount() + 1, Amount()]) and len(self.rows) + 1 == 2, copy.copy(found), math.floor(1.5), not rows
---
def answers_of_operators(self):
    half = round(self.n / 2)
    half += abs(-self.n) + divmod(self.n, 2)[0]
    rows = self.rows[:] + [[1]]
    rows.append(self.n == 1)
    return half, reversed(rows[1:])
""")

SHAPES = {**DECORATED, **ASKED, **LEFT, **ANSWERED}
LIKE_THEM = {**LIKE_DECORATED, **LIKE_ASKED, **LIKE_LEFT, **LIKE_ANSWERED}
