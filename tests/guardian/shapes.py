"""Shapes of code that once passed although they change their object after the flag, or without it; named by how.

Each can be run on the object that `generated.py` has, and breaks the Covenant there.
"""

from __future__ import annotations

from tests.guardian.cases import sources

SHAPES = sources("""
def key_of_a_map(self):
    for k in {self: 1}: k.n = 5
---
def key_that_is_put_in(self):
    d = {}
    d[self] = 1
    for k in d: k.n = 5
---
def key_by_default(self):
    d = {}
    d.setdefault(self, 1)
    for k in d: k.n = 5
---
def key_of_a_comprehension(self):
    for k in {k: 1 for k in [self]}: k.n = 5
---
def key_that_was_missed(self):
    try:
        {}[self]
    except KeyError as e:
        e.args[0].n = 5
---
def whom_an_attribute_was_asked_of(self):
    try:
        self.a.foo
    except AttributeError as e:
        e.obj.append(1)
---
def message_of_an_assertion(self):
    try:
        assert False, self.a
    except AssertionError as e:
        e.args[0].append(1)
---
def chained_out_of_a_list(self):
    import itertools
    next(itertools.chain.from_iterable([[self.a]])).append(1)
---
def summed_lists(self):
    sum([[self.a]], [])[0].append(1)
---
def map_made_of_pairs(self):
    dict([('k', self.a)])['k'].append(1)
---
def map_made_of_a_generator(self):
    d = dict((k, v) for k, v in self.d.items())
    d['k'].append(1)
---
def map_updated_with_pairs(self):
    d = {}
    d.update([('k', self.a)])
    d['k'].append(1)
---
def map_joined_with_pairs(self):
    d = {}
    d |= [('k', self.a)]
    d['k'].append(1)
---
def itemgetter_that_is_mapped(self):
    import operator
    list(map(operator.itemgetter(1), [(1, self.a)]))[0].append(1)
---
def max_that_is_mapped(self):
    list(map(max, [[self.a]]))[0].append(1)
---
def operator_call(self):
    import operator, heapq
    operator.call(heapq.heapify, self.rows)
    operator.call(operator.setitem, self.d, 'z', 1)
---
def class_made_by_type(self):
    type('X', (), {'a': self.a}).a.append(1)
---
def class_with_a_changing_length(self):
    X = type('X', (), {'__len__': lambda s: self.a.append(1) or 1})
    self._p_changed = True
    len(X())
---
def own_method_called_copy(self):
    class A:
        def copy(this): return self.a
    A().copy().append(1)
---
def own_method_called_total(self):
    class A:
        def total(this): return self.a
    A().total().append(1)
---
def own_context_called_closing(self):
    def closing(x):
        import contextlib
        return contextlib.suppress(Exception)
    with closing(1):
        self.n += 1
        raise ValueError
        self._p_changed = True
---
def flag_of_a_class_body(self):
    self.n = 9
    class A:
        self = type('X', (), {})()
        self._p_changed = True
---
def import_called_self(self):
    me = self
    import math as self
    me.n = 1
    self._p_changed = True
---
def very_deep_list(self):
    x = [[[[[[[[self.a]]]]]]]]
    x[0][0][0][0][0][0][0][0].append(1)
---
def slice_that_takes_in(self):
    x = []
    x[0:0] = [self.a]
    x[0].append(1)
---
def slice_with_a_name(self):
    x = []
    s = slice(0)
    x[s] = [self.a]
    x[0].append(1)
---
def spread_into_append(self):
    x = []
    x.append(*[self.a])
    x[0].append(1)
---
def spread_into_insert(self):
    x = []
    x.insert(*(0, self.a))
    x[0].append(1)
---
def method_out_of_a_dict(self):
    list.__dict__['append'](self.a, 1)
---
def method_out_of_vars(self):
    vars(list)['append'](self.a, 1)
---
def method_out_of_its_class(self):
    self.a.__class__.__dict__['append'](self.a, 1)
---
import heapq
def default_that_is_calculated(self, fs=[heapq.heapify] * 1):
    self.a = [3, 2, 1]
    self._p_changed = True
    fs[0](self.a)
---
def list_of_its_own_class(self):
    class Stack(list): pass
    s = Stack([self.a])
    s[0].append(1)
---
def getitem_that_is_reduced(self):
    import functools, operator
    functools.reduce(operator.getitem, [0, 0], [[self.a]]).append(1)
---
def popped_from_a_heap(self):
    import heapq
    h = [self.a]
    heapq.heappop(h).append(1)
---
def method_of_an_abstract_class(self):
    import collections.abc
    collections.abc.MutableSequence.append(self.a, 1)
---
def stored_by_a_pattern(self):
    x = [[1]]
    match x:
        case [row]:
            self.row = row
            self._p_changed = True
    x[0].append(2)
---
def stored_by_a_handler(self):
    x = []
    try:
        raise ValueError(x)
    except ValueError as e:
        self.x = e.args[0]
    self._p_changed = True
    x.append(1)
---
def stored_by_a_default(self):
    x = []
    def f(q=x): self.q = q
    f()
    self._p_changed = True
    x.append(1)
---
def stored_by_a_mapped_function(self):
    x = []
    def store(q): self.x = q
    list(map(store, [x]))
    self._p_changed = True
    x.append(1)
---
def stored_by_a_mapped_append(self):
    x = []
    list(map(self.rows.append, [x]))
    self._p_changed = True
    x.append(1)
---
def stored_by_a_taken_append(self):
    x = []
    add = self.rows.append
    add(x)
    self._p_changed = True
    x.append(1)
---
def stored_by_an_append_that_is_handed_on(self):
    x = []
    def apply(f, q): f(q)
    apply(self.rows.append, x)
    self._p_changed = True
    x.append(1)
---
def stored_by_a_key(self):
    x = []
    sorted([x], key=lambda q: self.rows.append(q) or 0)
    self._p_changed = True
    x.append(1)
---
def updated_by_keyword(self):
    x = []
    self.d.update(k=x)
    self._p_changed = True
    x.append(1)
---
def stored_by_object(self):
    x = []
    object.__setattr__(self, 'x', x)
    self._p_changed = True
    x.append(1)
---
def stored_by_super(self):
    x = []
    super(type(self), self).__setattr__('x', x)
    self._p_changed = True
    x.append(1)
---
def iadd_that_takes_in(self):
    x = []
    import operator
    operator.iadd(x, [self.a])
    x[0].append(1)
---
def exec_by_another_name(self):
    e = exec
    e('self.n = 5')
---
def locals_by_another_name(self):
    l = locals
    x = l()['self']
    x.n = 5
---
def mapped_later(self):
    import heapq
    self.rows = [[3, 2, 1]]
    later = map(heapq.heapify, self.rows)
    self._p_changed = True
    list(later)
---
def map_that_is_mapped(self):
    import heapq
    self.rows = [[3, 2, 1]]
    self._p_changed = True
    [list(r) for r in map(map, [heapq.heapify], [self.rows])]
---
def imported_from_here_or_there(self):
    self.a = [3, 2, 1]
    self._p_changed = True
    if self.n == 0:
        from heapq import heapify as f
    else:
        from builtins import len as f
    f(self.a)
---
import math
def function_put_into_a_module(self):
    math.zz = self.a.append
    self._p_changed = True
    math.zz(1)
---
import math
def slot_put_into_a_module(self):
    math.zz = self.a
    math.zz.append(1)
---
def slot_put_into_the_method(self):
    slot_put_into_the_method.kept = self.a
    slot_put_into_the_method.kept.append(1)
---
def gives_all_the_modes(self):
    import statistics
    statistics.multimode([self])[0].n = 5
---
from collections.abc import MutableSequence
def method_of_an_imported_abstract_class(self):
    MutableSequence.append(self.a, 1)
---
def stored_by_a_class(self):
    x = []
    class A:
        def __init__(this, q): self.x = q
    A(x)
    self._p_changed = True
    x.append(1)
---
def stored_by_a_sent_value(self):
    x = []
    def gen():
        got = yield
        self.x = got
        yield
    g = gen()
    next(g)
    g.send(x)
    self._p_changed = True
    x.append(1)
---
def stored_by_one_of_some(self):
    x = []
    for add in (self.rows.append, print): add(x)
    self._p_changed = True
    x.append(1)
---
def stored_by_an_entry(self):
    x = []
    {'put': self.rows.append}['put'](x)
    self._p_changed = True
    x.append(1)
---
def stored_by_a_reduced_function(self):
    x = []
    import functools
    functools.reduce(lambda acc, q: self.rows.append(q), [x], None)
    self._p_changed = True
    x.append(1)
---
def stored_by_keywords(self):
    x = []
    def store(*q, **k): self.x = k['z']
    store(z=x)
    self._p_changed = True
    x.append(1)
---
def stored_by_the_key_of_a_sort(self):
    x = []
    y = [x]
    y.sort(key=lambda q: self.rows.append(q) or 0)
    self._p_changed = True
    x.append(1)
---
def stored_as_a_keyword(self):
    x = {}
    self.d = dict(p=x)
    self._p_changed = True
    x['j'] = 1
---
def two_names_of_one(self):
    x = y = []
    self.a = y
    self._p_changed = True
    x.append(1)
---
def slot_and_name(self):
    self.a = items = []
    self._p_changed = True
    items.append(1)
---
def name_and_slot(self):
    items = self.a = []
    self._p_changed = True
    items.append(1)
---
def stored_by_a_walrus(self):
    self.a = (items := [])
    self._p_changed = True
    items.append(1)
---
def walrus_and_name(self):
    z = (y := [])
    self.a = y
    self._p_changed = True
    z.append(1)
---
def pair_and_name(self):
    (p, q) = x = [[], []]
    self.a = p
    self._p_changed = True
    x[0].append(1)
---
def place_and_pair(self):
    x = self.d['z'], y = [[], []]
    self._p_changed = True
    x[0].append(1)
---
def element_of_a_copy_grows(self):
    d = self.d.copy()
    d['k'] += [1]
""")

# What Python does when it cleans up comes after every flag: no mend can put one there.
CLEANUPS = sources("""
def closed_generator(self):
    def gen():
        try:
            yield 1
        finally:
            self.n += 1
    g = gen()
    next(g)
    self._p_changed = True
---
def object_that_goes(self):
    class D:
        def __del__(this): self.a.append(1)
    d = D()
    self._p_changed = True
    del d
---
def closed_generator_that_notices(self):
    def gen():
        try:
            yield 1
        except GeneratorExit:
            self.n = 4
    g = gen()
    next(g)
    self._p_changed = True
---
def closed_generator_in_a_context(self):
    import contextlib
    class A:
        def __enter__(this): pass
        def __exit__(this, *e): self.n = 5
    def gen():
        with A(): yield 1
    g = gen()
    next(g)
    self._p_changed = True
""")

# What is like them, and keeps the Covenant.
LIKE_THEM = sources("""
def groups_by_a_slot(self):
    found = {}
    kind = self.n
    found[kind] = []
    found[kind].append(1)
    found[self.n].append(2)
    return found
---
def generator_of_a_context(self):
    from contextlib import contextmanager
    @contextmanager
    def counting():
        try:
            yield 1
        finally:
            self.n += 1
    with counting():
        pass
    self._p_changed = True
---
def generator_that_cleans_up_its_own(self):
    seen = []
    def each():
        try:
            yield from self.a
        finally:
            seen.append(1)
    first = next(each())
    self.n = first
    self._p_changed = True
    return seen
---
def filled_before_it_is_stored(self):
    self.a = items = []
    for n in range(3):
        items.append(n)
    self._p_changed = True
    return items
---
def pairs_of_its_own(self):
    rows = dict((key, []) for key in self.d)
    for key in self.d:
        rows[key].append(len(key))
    return rows
---
def popped_from_a_heap_of_its_own(self):
    import heapq
    heap = [(0, [])]
    cost, path = heapq.heappop(heap)
    path.append(self.n)
    return path
---
def counts_in_a_map(self):
    counts = {}
    for row in self.rows:
        counts['n'] = counts.get('n', 0)
        counts['n'] += len(row)
    return counts
---
def handles_an_exception(self):
    try:
        return self.d['x']
    except KeyError as error:
        return str(error.args[0]).upper()
""")

# They change what they were given: it may be an object of the image, even the receiver.
OTHERS = sources("""
def slot_of_an_argument(self, other):
    other.n = 5
---
def list_of_an_argument(self, other):
    other.items.append(1)
---
def list_of_an_argument_by_a_name(self, other):
    items = other.items
    items.append(1)
---
def slot_of_each_argument(self, *members):
    for member in members:
        member.n += 1
---
def slot_of_an_arguments_slot(self, other):
    other.pal.n = 4
---
def named_slot_of_an_argument(self, other):
    setattr(other, 'n', 3)
---
def element_of_an_arguments_list(self, other):
    del other.items[0]
---
def append_of_an_arguments_list(self, other):
    add = other.items.append
    add(1)
""")

GIVEN_DATA = sources("""
def fills_a_list(self, rows):
    rows.append(1)
    rows[0] = 2
    return rows
---
def collects_names(self, others):
    return [other.name for other in others] + [others[0].rows[0]]
---
def counts_from_a_date(self, day):
    total = day.year
    total += 5
    return total
---
def keeps_it_in_its_own_object(self, name):
    class Box: pass
    box = Box()
    box.name = name
    return box.name
""")
