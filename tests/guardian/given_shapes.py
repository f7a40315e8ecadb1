"""Shapes of code that once passed although they change an object that they were given, and what is like them; named by how."""

from __future__ import annotations

from tests.guardian.cases import sources

# They change an object that they were given.
OTHERS = sources("""
def slot_of_an_argument_by_its_name(self, other):
    getattr(other, "items", []).append(1)
---
def finds_by_a_slots_name(self, thing):
    found = getattr(thing, self.name, [])
    found.append(1)
    return found
---
def put_into_an_argument_and_changed_later(self, other):
    x = []
    other.rows = x
    self._p_changed = True
    x.append(1)
---
def put_into_an_argument_by_name_and_changed_later(self, other):
    x = []
    setattr(other, "rows", x)
    self._p_changed = True
    x.append(1)
---
def put_into_an_arguments_map_and_changed_later(self, other):
    x = []
    other.rows = {"x": x}
    self._p_changed = True
    x.append(1)
---
def slot_of_what_an_argument_finds(self, other):
    other.find().n = 1
---
def slot_of_what_an_argument_found(self, other):
    found = other.find()
    found.n = 1
---
def slot_of_an_argument_unbound(self, other):
    list.append(other.items, 1)
---
import functools, operator

def slot_of_an_argument_reduced(self, other):
    functools.reduce(operator.iadd, [[1]], other.items)
---
from operator import attrgetter

def slot_of_an_argument_by_a_getter(self, other):
    attrgetter("items")(other).append(1)
---
import operator

def slot_of_an_argument_by_a_modules_getter(self, other):
    operator.attrgetter("items")(other).append(1)
---
import heapq

def slot_of_an_argument_by_a_kept_function(self, other):
    [heapq.heapify][0](other.items)
---
def slot_of_an_argument_by_vars(self, other):
    vars(other)["items"].append(1)
""")

GIVEN_DATA = sources("""
def reads_by_a_slots_name(self, thing):
    return len(getattr(thing, self.name, []))
---
def changes_a_copy_of_an_arguments_slot(self, other):
    rows = list(getattr(other, "rows", []))
    rows.append(1)
    return rows
---
def asks_an_argument_and_changes_the_answer(self, other):
    rows = other.split()
    rows.append(other.find(1).n)
    return rows
---
import heapq

def sorts_its_own(self, other):
    sort = heapq.heapify
    rows = [row for row in other.rows]
    sort(rows)
    return rows
---
def fills_what_it_was_given(self, rows):
    found = rows.copy()
    found.append(1)
    rows.append(found)
    return rows
""")
