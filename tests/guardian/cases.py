"""Methods with a known verdict, one a paragraph; each is named by what it shows."""

from __future__ import annotations

import textwrap


def sources(text: str) -> dict[str, str]:
    """Divide a text at lines of dashes; a method's name names the case."""
    parts = [textwrap.dedent(part).strip() + "\n" for part in text.split("\n---\n")]
    return {part.partition("def ")[2].partition("(")[0]: part for part in parts}


KEEPS = sources("""
def last_statement(self):
    self.x = 1
    self._p_changed = True
---
def return_right_after(self, n=1):
    self.x += n
    self._p_changed = True
    return self.x
---
def reads_only(self):
    return sorted(self.items, key=lambda item: item.lower())
---
def sums_up(self):
    total = 0
    for x in self.items:
        total += x.price
    return total
---
def groups(self):
    found = {}
    for x in self.items:
        found.setdefault(x.kind, []).append(x)
    return found
---
def sorts_a_copy(self):
    names = list(self.names)
    names.append('x')
    names.sort()
    return names[:3]
---
def only_one_branch_changes(self, key):
    if key in self.known:
        return self.known[key]
    self.known[key] = len(key)
    self._p_changed = True
    return None
---
def finally_flags(self):
    try:
        self.x = int(self.text)
    finally:
        self._p_changed = True
---
def loop_leaves_with_flag(self):
    while True:
        self.n += 1
        if self.n > 3:
            self._p_changed = True
            return self.n
---
def local_function_of_its_own(self, n):
    def factorial(k):
        return 1 if k < 2 else k * factorial(k - 1)
    seen = []
    def note(x):
        seen.append(x)
    note(n)
    return [factorial(n), seen]
---
def modules_that_read(self):
    import json, math
    from collections import Counter
    return [math.sqrt(self.x), json.dumps(self.data), Counter(self.words).most_common(3)]
---
def sends_messages(self):
    self.deposit(5)
    return [self.convert(x) for x in self.items]
---
def raises_after_a_change(self):
    self.x = 1
    raise ValueError(self.x)
---
def matches(self, command):
    match command:
        case ['add', x]:
            self.items.append(x)
            self._p_changed = True
            return 'added'
        case _:
            return 'unknown'
---
def with_what_swallows_nothing(self):
    from decimal import localcontext
    with localcontext() as context:
        context.prec = 5
        self.x = 1
        self._p_changed = True
---
def builds_a_text(self):
    lines = [f'{k}: {v}' for k, v in self.data.items()]
    return '\\n'.join(sorted(lines)).strip().upper()
---
def memo(self, n):
    cache = {}
    def fib(k):
        if k not in cache:
            cache[k] = k if k < 2 else fib(k - 1) + fib(k - 2)
        return cache[k]
    return fib(n)
""")

BREAKS = sources("""
def no_flag(self):
    self.x = 1
---
def change_after_flag(self):
    self.x = 1
    self._p_changed = True
    self.y = 2
---
def flag_first(self):
    self._p_changed = True
    self.x = 1
---
def augmented(self):
    self.x += 1
---
def annotated(self):
    self.x: int = 1
---
def unpacked(self):
    a, self.x = 1, 2
---
def starred(self):
    a, *self.x = 1, 2
---
def for_target(self):
    for self.x in range(3):
        pass
---
def with_target(self, lock):
    with lock as self.x:
        pass
---
def deleted(self):
    del self.x
---
def deleted_item(self):
    del self.items[0]
---
def subscript(self):
    self.items[0] = 1
---
def deep_attribute(self):
    self.a.b.c = 1
---
def comprehension_target(self):
    return [0 for self.x in range(3)]
---
def appended(self):
    self.items.append(1)
---
def popped_in_return(self):
    return self.items.pop()
---
def walrus(self):
    if (x := self.items):
        x.append(1)
---
def alias(self):
    x = self.items
    x.append(1)
---
def alias_of_alias(self):
    x = y = self.items
    z = y
    z[0] = 1
---
def alias_augmented(self):
    x = self.items
    x += [1]
---
def through_a_local_list(self):
    a = []
    b = a
    b.append(self.items)
    a[0].append(1)
---
def element_of_a_copy(self):
    for row in list(self.rows):
        row.append(1)
---
def get_or_default(self):
    (self.data.get('a') or []).append(1)
---
def conditional_alias(self, flag):
    x = self.items if flag else []
    x.append(1)
---
def one_branch(self, flag):
    if flag:
        self.x = 1
        return 1
    self._p_changed = True
---
def missing_in_else(self, flag):
    if flag:
        self.x = 1
        self._p_changed = True
    else:
        self.x = 2
---
def loop_break(self):
    for i in range(3):
        self.x = i
        if i:
            break
        self._p_changed = True
---
def loop_continue(self):
    for i in range(3):
        self.x = i
        if i:
            continue
        self._p_changed = True
---
def loop_else(self):
    while self.x:
        self.x -= 1
    else:
        return self.x
    self._p_changed = True
---
def handler_swallows(self):
    try:
        self.x = int('a')
        self._p_changed = True
    except ValueError:
        pass
---
def changed_in_finally(self):
    try:
        self._p_changed = True
        return 1
    finally:
        self.x = 1
---
def suppressed(self):
    from contextlib import suppress
    with suppress(ValueError):
        self.x = 1
        self._p_changed = True
---
def match_alias(self):
    match self.state:
        case [first, *rest]:
            first.append(1)
        case _:
            return 1
---
def set_by_function(self):
    setattr(self, 'x', 1)
---
def set_by_object(self):
    object.__setattr__(self, 'x', 1)
---
def through_vars(self):
    vars(self)['x'] = 1
---
def through_dict(self):
    self.__dict__.update(x=1)
---
def own_setattr(self):
    self.__setattr__('x', 1)
---
def unbound_method(self):
    list.append(self.items, 1)
---
def inner_function(self):
    def add(x):
        self.items.append(x)
    add(1)
---
def inner_parameter(self):
    def add(items, x):
        items.append(x)
    add(self.items, 1)
---
def inner_returns_it(self):
    def items():
        return self.items
    items().append(1)
---
def called_lambda(self):
    (lambda: self.items.append(1))()
---
def stored_lambda(self):
    add = lambda x: self.items.append(x)
    self._p_changed = True
    add(1)
---
def lambda_in_a_list(self):
    todo = [lambda: self.items.append(1)]
    self._p_changed = True
    for f in todo:
        f()
---
def bound_method(self):
    add = self.items.append
    self._p_changed = True
    add(1)
---
def mapped_method(self):
    list(map(self.items.append, [1]))
---
def late_generator(self):
    later = (self.items.pop() for _ in range(2))
    self._p_changed = True
    return list(later)
---
def comprehension(self):
    [self.items.append(i) for i in range(3)]
---
def shuffled(self):
    import random
    random.shuffle(self.items)
---
def pushed(self):
    from heapq import heappush
    heappush(self.heap, 1)
---
def shadowed_builtin(self, len):
    len(self.items)
---
def unknown_function(self, visit):
    visit(self.items)
---
def unknown_method(self):
    self.account.settle()
---
def executed(self):
    exec('self.x = 1')
---
def default_value(self):
    def add(items=self.items):
        items.append(1)
    add()
---
def carried_by_an_exception(self):
    try:
        raise ValueError(self.items)
    except ValueError as error:
        error.args[0].append(1)
---
def unflagged(self):
    self._p_changed = False
---
async def coroutine(self):
    self.x = 1
---
def one_line(self): self.x = 1
---
def one_line_branch(self):
    if self.ready: self.x = 1; return 2
---
def operator_call(self):
    import operator
    operator.setitem(self.items, 0, 1)
---
def local_class(self):
    owner = self
    class Inner:
        def run(inner):
            owner.x = 1
    Inner().run()
""")
