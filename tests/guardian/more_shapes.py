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

SHAPES = DECORATED
LIKE_THEM = LIKE_DECORATED
