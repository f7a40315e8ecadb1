"""A running kernel for the tests of this folder."""

import pytest

from tests.kernel.harness import Client, Kernel, writes

HELLO = writes("greet_user", "def greet_user(self, name):\n    return f'Hello, {name}!'\n")
COUNT = writes(
    "count_calls",
    "def count_calls(self):\n    self.calls = getattr(self, 'calls', 0) + 1\n    self._p_changed = True\n    return self.calls\n",
)
BROKEN = writes("broken", "def broken(self):\n    return ]\n")
RAISES = writes(
    "half", "def half(self):\n    self.a = 1\n    self._p_changed = True\n    raise ValueError('after the write')\n"
)
SLOW = writes("slow_one", "def slow_one(self):\n    return 'slow'\n", delay_s=3)
SLOW_TOO = [
    writes("slow_greeting", "def slow_greeting(self, name):\n    return f'Hi {name}'\n", delay_s=1),
    writes("slow_farewell", "def slow_farewell(self, name):\n    return f'Bye {name}'\n", delay_s=2),
]
REPAIRED = [
    writes("triple", "def triple(self, n):\n    return n + 3\n", times=1),
    writes("triple", "def triple(self, n):\n    return n * 3\n"),
]
NEW_VERSION = [
    writes("version_of", "def version_of(self):\n    return 1\n", times=1),
    writes("version_of", "def version_of(self):\n    return 2\n"),
]
OF_ANOTHER_KIND = [
    writes("pairs_of", "def pairs_of(self, items):\n    return [[i, x] for i, x in enumerate(items)]\n"),
    writes("is_set", "def is_set(self, n):\n    return n\n"),
]
RULES = [*OF_ANOTHER_KIND, HELLO, COUNT, BROKEN, RAISES, SLOW, *SLOW_TOO, *REPAIRED, *NEW_VERSION]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """One kernel for a module's tests."""
    running = Kernel(tmp_path_factory.mktemp("home"), RULES).start()
    yield running
    running.stop()


@pytest.fixture
def client(kernel):
    """A client of that kernel."""
    with Client(kernel) as connected:
        yield connected
