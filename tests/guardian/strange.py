"""Methods that break the Covenant by what nobody can decide, or by functions that are handed about; named by how."""

from __future__ import annotations

from tests.guardian.cases import sources

STRANGE = sources("""
def unknown_function(self, visit):
    visit(self.items)
---
def undefined_function(self):
    visit(self.items)
---
def method_of_an_undefined_class(self):
    Visitor().visit(self.items)
---
def method_of_a_data_type(self):
    self.items.__init__([1])
---
def unknown_name_asked_for(self, name):
    getattr(self.items, name)(1)
---
def kept_stranger(self):
    import random
    box = {'dice': [random.Random(3)]}
    box['dice'][0].shuffle(self.items)
---
def stranger_in_a_slot(self):
    import random
    self.dice = random.Random(3)
    self._p_changed = True
    self.dice.shuffle(self.items)
---
def stranger_by_default(self, dice=Dice(3)):
    dice.shuffle(self.items)
---
def function_of_a_module_in_a_list(self):
    import heapq
    [heapq.heapify][0](self.items)
---
def stores_by_another_name(self):
    found = []
    note = found.append
    note(self.items)
    self._p_changed = True
    found[0].append(1)
---
def stores_by_a_mapped_name(self):
    found = {}
    list(map(found.update, [self.data]))
    self._p_changed = True
    found['k'].append(1)
---
def answered_by_a_mapped_function(self):
    list(map(lambda n: self.rows, [1]))[0].append(1)
---
def answered_by_a_reduced_function(self):
    import functools
    functools.reduce(lambda p, q: self.rows, [1, 2]).append(1)
---
def answered_by_a_hook(self):
    import json
    json.loads('{}', object_hook=lambda found: self.rows).append(1)
---
def answered_by_a_kept_function(self):
    [lambda: self.rows][0]().append(1)
---
def cast(self):
    import typing
    typing.cast(list, self.items).append(1)
---
def chosen_secretly(self):
    import secrets
    secrets.choice(self.rows).append(1)
---
def added_to_nothing(self):
    sum([], self.rows).append(1)
---
def multiplied_by_nothing(self):
    import math
    math.prod([], start=self.rows).append(1)
---
def held_by_an_object(self):
    import difflib
    difflib.SequenceMatcher(None, self.rows, []).a.append(1)
""")
