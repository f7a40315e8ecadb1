"""Methods that break the Covenant, one a paragraph; each is named by how."""

from __future__ import annotations

from tests.guardian.cases import sources

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
def unknown_method(self):
    import random
    random.Random(3).shuffle(self.items)
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
---
def stored_then_changed(self):
    found = []
    self.found = found
    self._p_changed = True
    found.append(1)
---
def appended_then_changed(self):
    row = []
    self.rows.append(row)
    self._p_changed = True
    row.append(1)
---
def bound_by_a_class(self):
    kind = type(self.items)
    kind.append(self.items, 1)
---
def class_of_the_thing(self):
    self.items.__class__.append(self.items, 1)
---
def unbound_in_map(self):
    list(map(list.append, self.rows, [1]))
---
def higher_order_with_a_changer(self):
    import heapq
    list(map(heapq.heapify, self.rows))
---
def key_that_changes(self):
    return sorted(self.rows, key=list.pop)
---
def sorts_a_copy_by_a_changer(self):
    rows = list(self.rows)
    rows.sort(key=list.pop)
---
def spread_argument(self):
    def add(items):
        items.append(1)
    add(*[self.items])
---
def spread_keywords(self):
    def add(items):
        items.append(1)
    add(**{'items': self.items})
---
def through_a_global(self):
    global found
    found = self.items
    found.append(1)
---
def through_nonlocal(self):
    found = []
    def take():
        nonlocal found
        found = self.items
    take()
    found.append(1)
---
def generator_function_later(self):
    def later():
        yield self.items.pop()
    run = later()
    self._p_changed = True
    return list(run)
---
def coroutine_later(self):
    async def later():
        self.items.pop()
    run = later()
    self._p_changed = True
    return run
---
def made_by_a_function(self):
    def make():
        return lambda: self.items.append(1)
    add = make()
    self._p_changed = True
    add()
---
def kept_by_another_name(self):
    todo = []
    jobs = todo
    jobs.append(self.items.pop)
    self._p_changed = True
    todo[0]()
---
def keyword_default(self):
    def add(*, x=self.items.pop()):
        return x
    return add()
---
def annotation_runs(self):
    def add(x: self.items.append(1)):
        return x
    return add(1)
---
def decorated_into_a_changer(self):
    def wrap(f):
        return self.items.append
    @wrap
    def add(x):
        return x
    self._p_changed = True
    add(1)
---
def class_attribute(self):
    class Box:
        held = self.items
    Box.held.append(1)
---
def object_of_a_changing_class(self):
    class Adder:
        def __len__(adder):
            return self.items.append(1) or 1
    adder = Adder()
    self._p_changed = True
    return len(adder)
---
def leaving_a_context_changes(self):
    from contextlib import ExitStack
    with ExitStack() as stack:
        stack.callback(self.items.append, 1)
        self._p_changed = True
---
def context_of_a_generator(self):
    from contextlib import contextmanager
    @contextmanager
    def adding():
        yield 1
        self.items.append(1)
    with adding():
        self._p_changed = True
        return 1
---
def carried_by_a_variable(self):
    try:
        error = ValueError(self.items)
        raise error
    except ValueError as caught:
        caught.args[0].append(1)
---
def yielded_through(self):
    def each():
        for row in self.rows:
            yield row
    for row in each():
        row.append(1)
---
def chain_of_names(self):
    first = second = third = fourth = []
    first = second
    second = third
    third = fourth
    fourth = self.items
    first.append(1)
---
def class_inside_does_not_hide(self):
    x = self.items
    def inner():
        class Local:
            x = []
            def run(this):
                x.append(1)
        Local().run()
    inner()
---
def closure_cells(self):
    def give():
        return self.items
    give.__closure__[0].cell_contents.x = 1
---
def finally_undoes_the_flag(self):
    try:
        self._p_changed = True
        return self.n
    finally:
        self.items.clear()
---
def returned_in_a_with(self):
    with self.lock:
        self.n += 1
        return self.n
---
def except_star(self):
    try:
        self.n = 1
        self._p_changed = True
        self.n = int('a')
    except* ValueError:
        return 1
    self._p_changed = True
---
def shuffled_by_keyword(self):
    import random
    random.shuffle(x=self.items)
---
def locals_lead_anywhere(self):
    found = locals()
    self._p_changed = True
    found['self'].x = 1
---
def rebound(self):
    self = self.parent
    self.x = 1
    self._p_changed = True
---
def deleted_self(self):
    owner = self
    del self
    owner.x = 1
---
def rebound_in_a_loop(self):
    'Goes up.'
    while self.parent:
        self = self.parent  # up
    return self.name
---
def rebound_by_except(self):
    try:
        return int('a')
    except ValueError as self:
        pass
---
def rebound_from_inside(self):
    def up():
        nonlocal self
        self = self.parent
    up()
    self.x = 1
""")
