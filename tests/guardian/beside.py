"""Methods with functions beside them in their source, and what is like it; named as in `cases.py`."""

from __future__ import annotations

from tests.guardian.cases import sources

KEEPS_BESIDE = sources("""
def asks_a_helper(self):
    return _count(self.items) + _twice(self.size)

def _count(rows):
    return len(rows) + _twice(0)

def _twice(number):
    return number * 2
---
def helper_fills_a_new_list(self):
    rows = []
    _fill(self, rows)
    return rows

def _fill(of, rows):
    rows.append(of)
---
def helper_gives_a_copy(self):
    rows = _copied(self.items)
    rows.append(1)
    return rows

def _copied(rows):
    return list(rows)
---
def helper_changes_it_and_is_followed_by_the_flag(self):
    _add(self.items, 1)
    self._p_changed = True

def _add(rows, row):
    rows.append(row)
---
def asks_its_parents_method(self, day):
    return Calendar.name_of(self, day)
---
def takes_the_append_of_a_new_list(self):
    rows = []
    add = rows.append
    add(self.name)
    return rows
---
def sets_by_a_slots_name(self, value):
    class Thing: pass
    thing = Thing()
    found = getattr(thing, self.name, [])
    found.append(value)
    setattr(thing, self.name, found)
---
def asks_the_module_of_builtins(self):
    return builtins.repr(self.items)

import builtins
""")

BREAKS_BESIDE = sources("""
def helper_changes_it(self):
    _add(self.items)

def _add(rows):
    rows.append(1)
---
def helper_of_a_helper_changes_it(self):
    _add(1, rows=self.items)

def _add(row, rows):
    _really_add(rows, row)

def _really_add(rows, row):
    rows.append(row)
---
def helper_keeps_what_is_changed_later(self):
    rows = []
    _keep(self, rows)
    self._p_changed = True
    rows.append(1)

def _keep(of, rows):
    of.rows = rows
---
def helper_gives_what_is_changed(self):
    _rows(self).append(1)

def _rows(of):
    return of.rows
---
def helper_is_something_else_at_times(self):
    return _count(self.items)

def _count(rows):
    return len(rows)

_count = count
---
def helper_is_handed_a_method(self):
    _call(self.items.append)

def _call(what):
    what(1)
---
def helper_puts_a_slot_into_a_list(self):
    rows = []
    _fill(rows, self.items)
    rows[0].append(1)

def _fill(rows, row):
    rows.append(row)
---
def takes_the_append_of_a_slot(self):
    add = self.items.append
    add(1)
---
def takes_the_append_of_a_list_of_slots(self):
    rows = []
    add = rows.append
    add(self.items)
    rows[0].append(1)
---
def takes_one_append_or_another(self, flag):
    rows = []
    add = rows.append
    if flag:
        add = self.items.append
    add(1)
---
def changes_by_its_parents_method(self, row):
    Rows.append(self, row)
---
def hands_a_slot_to_a_class(self):
    Rows.take(self.items)
---
def finds_below_itself(self, name):
    getattr(self, name).append(1)
---
def finds_a_default(self, thing):
    getattr(thing, 'rows', self.rows).append(1)
---
def sets_what_is_changed_later(self):
    rows = []
    setattr(self, 'rows', rows)
    self._p_changed = True
    rows.append(1)
---
import shelf

def class_sees_what_a_module_holds(self):
    shelf.rows = self.items
    class Shelf:
        def rows(shelved):
            return shelf.rows
    Shelf().rows().append(1)
""")
