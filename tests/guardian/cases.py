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
def sends_messages_to_others(self, clerk):
    self.account.withdraw(self.limits)
    clerk.note(self.items)
    for member in self.members:
        member.greet(self.name, self.rows)
    return self.account.owner.describe()
---
def asks_for_a_message(self, kind):
    pay = self.account.pay
    pay(self.items)
    return getattr(self, 'visit_' + kind)(self.items)
---
def messages_beside_strangers(self):
    import random
    dice = random.Random(3)
    return self.account.settle(3), dice.random()
---
def writes_to_an_object(self):
    self.log.write(self.name)
---
def inherited_answer(self):
    return super().describe(self.items)
---
def noted_under_another_name(self):
    lines = []
    note = lines.append
    for item in self.items:
        note(str(item))
    return lines
---
def makes_another(self):
    made = Element(self.name)
    made.owner = self
    return made
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
---
def key_of_a_reader(self):
    return sorted(self.names, key=self.counts.get)
---
def mapped_readers(self):
    return list(map(str.lower, self.names)) + list(map(len, self.rows))
---
def itemgetter_reads(self):
    import operator
    return max(self.rows, key=operator.itemgetter(1))
---
def stored_after_its_changes(self):
    found = []
    for x in self.items:
        found.append(x)
    self.found = found
    self._p_changed = True
    return len(self.found)
---
def copy_of_what_was_stored(self):
    names = ['a']
    self.names = list(names)
    self._p_changed = True
    names.append('b')
    return names
---
def finally_after_returns(self):
    for x in self.items:
        try:
            if x:
                continue
            self.n = x
            return x
        finally:
            self._p_changed = True
---
def numbers_are_counted(self):
    total = self.base
    for x in self.items:
        total += len(x)
    return total
---
def deep_nests(self):
    while True:
        for x in self.items:
            if x:
                while x.n:
                    try:
                        break
                    finally:
                        pass
                else:
                    self.n = 1
                    self._p_changed = True
        return 1
---
def local_context_manager(self):
    from contextlib import contextmanager
    @contextmanager
    def watching():
        yield 1
    with watching() as x:
        self.x = x
    self._p_changed = True
---
async def coroutine_flags(self):
    async with self.door as door:
        self.x = await door.read()
    self._p_changed = True
---
def walrus_of_a_copy(self):
    if (found := [x for x in self.items if x]):
        found.append(1)
    return found
---
def own_name_in_a_comprehension(self):
    return [self for self in range(3)]
""")
