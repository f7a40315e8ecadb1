"""Calls and audits as the kernel makes them."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal

import pytest

from batos.errors import (
    BadField,
    CovenantViolationError,
    DeadlineExceeded,
    MemoryExceeded,
    MessageNotUnderstood,
    MethodError,
    Quarantined,
    SandboxRefused,
    TooLarge,
    UnknownTarget,
)
from batos.sandbox.runner import Limits, Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

FLAG = "self._p_changed = True"


def method(name: str, *lines: str, parameters: str = "") -> str:
    """Write a method."""
    head = f"def {name}(self{', ' if parameters else ''}{parameters}):"
    return "\n    ".join([head, *lines]) + "\n"


async def answer(sandbox, world, ref, *lines, args=(), **options):
    """Call a method with these lines and give its result."""
    source = method("probe", *lines, parameters="*args")
    return (await sandbox.call(world, ref, "probe", list(args), {}, source=source, **options)).result


class TestSlots:
    """Slots as attributes."""

    async def test_a_slot_is_read_and_written(self, sandbox, world):
        """A method reads its slots, own and inherited, and what it sets with the flag reaches the world."""
        parent = world.add(step=5)
        ref = world.add(parent=parent, n=1)
        outcome = await sandbox.call(
            world, ref, "go", [], {}, source=method("go", "self.n += self.step", FLAG, "return self.n")
        )
        assert (outcome.result, outcome.changed, world.slots[ref]["n"]) == (6, True, 6)
        assert world.slots[parent] == {"step": 5}

    @pytest.mark.parametrize(
        ("before", "line", "after"),
        [
            ([1], "self.thing.append(2)", [1, 2]),
            ({"a": [1]}, "self.thing['a'].append(2)", {"a": [1, 2]}),
            ({1}, "self.thing.add(2)", {1, 2}),
            (([1], 2), "self.thing[0].append(3)", ([1, 3], 2)),
        ],
    )
    async def test_changes_in_place_count(self, sandbox, world, before, line, after):
        """A change of a container inside a slot is written like an assignment."""
        ref = world.add(thing=before)
        await answer(sandbox, world, ref, line, FLAG)
        assert world.slots[ref]["thing"] == after

    async def test_reading_writes_nothing(self, sandbox, world):
        """A method that only looks at its containers writes nothing."""
        ref = world.add(items=[3, 1], seen={"x", "y", 4})
        outcome = await sandbox.call(
            world, ref, "go", [], {}, source=method("go", "return sorted(self.items) + [len(self.seen)]")
        )
        assert (outcome.result, outcome.changed, world.writes) == ([1, 3, 3], False, 0)

    @pytest.mark.parametrize(
        "lines",
        [
            ["self.n = 1"],
            ["self.items.append(1)"],
            ["self.n = 1", FLAG, "self.n = 2"],
            [FLAG, "self.items.append(1)"],
            ["x = self.items", FLAG, "x.append(1)", "return 1"],
        ],
    )
    async def test_the_covenant_holds_at_run_time(self, sandbox, world, lines):
        """A call that changes its object after the flag, or without it, changes nothing and says why."""
        ref = world.add(n=0, items=[])
        with pytest.raises(CovenantViolationError, match="_p_changed"):
            await answer(sandbox, world, ref, *lines)
        assert world.slots[ref] == {"n": 0, "items": []}

    async def test_a_missing_slot_is_an_attribute_error(self, sandbox, world):
        """`getattr` with a default, `hasattr` and `except AttributeError` work on slots that are not there."""
        ref = world.add(n=1)
        world.teach(ref, method("known", "return 1"))
        lines = [
            "found = [hasattr(self, 'n'), hasattr(self, 'zz'), getattr(self, 'zz', 7), hasattr(self, 'known')]",
            "for use in (lambda: self.zz + 1, lambda: bool(self.zz), lambda: len(self.zz), lambda: self.zz.append(1)):",
            "    try:",
            "        use()",
            "    except AttributeError as error:",
            "        found.append('zz' in str(error))",
            "return found",
        ]
        assert await answer(sandbox, world, ref, *lines) == [True, False, 7, True, True, True, True, True]

    async def test_reserved_names_are_refused(self, sandbox, world):
        """Names that start with an underscore are no slots, read or written."""
        ref = world.add(n=1)
        for line in ("self._x = 1", "return self._slots", "self._p_changed = False", "setattr(self, 'a b', 1)"):
            with pytest.raises(MethodError) as caught:
                await answer(sandbox, world, ref, line)
            assert caught.value.details["error_type"] == "AttributeError"

    async def test_large_slots_come_when_they_are_read(self, sandbox, world):
        """A slot that is too large for the snapshot is fetched on first use."""
        ref = world.add(big="x" * 300_000, n=1)
        assert await answer(sandbox, world, ref, "return [len(self.big), self.n]") == [300_000, 1]

    async def test_a_slot_takes_only_plain_data(self, sandbox, world):
        """What cannot be stored is an error that names the slot."""
        ref = world.add()
        with pytest.raises(MethodError, match="'gen' cannot hold this: a generator is not plain data"):
            await answer(sandbox, world, ref, "self.gen = (i for i in [1])", FLAG)

    async def test_the_world_may_refuse_a_write(self, sandbox, world):
        """An error of the world's `write` ends the call with it, and nothing is kept."""
        ref = world.add(n=0)
        world.teach(ref, method("greet", "return 1"))
        with pytest.raises(BadField):
            await answer(sandbox, world, ref, "self.aa = 1", "self.greet = 2", FLAG)
        assert world.slots[ref] == {"n": 0}


class TestMessages:
    """Sends from inside a method."""

    async def test_nested_sends_share_the_overlay(self, sandbox, world):
        """The callee sees what the caller wrote, and the caller sees what the callee changed, in what it holds too."""
        ref = world.add(n=1, items=[1])
        world.teach(ref, method("inner", "self.items.append(self.n)", "self.n += 10", FLAG, "return self.n"))
        lines = [
            "held = self.items",
            "self.n = 5",
            "got = self.inner()",
            "held.append(99)",
            FLAG,
            "return [got, self.n, held]",
        ]
        assert await answer(sandbox, world, ref, *lines) == [15, 15, [1, 5, 99]]
        assert world.slots[ref] == {"n": 15, "items": [1, 5, 99]}

    async def test_a_failed_send_leaves_no_trace(self, sandbox, world):
        """When the callee raises and the caller catches it, the callee's writes are gone and the caller's stay."""
        ref = world.add(a=0, b=0)
        world.teach(
            ref,
            method("deep", "self.b = 2", FLAG, "return 1"),
            method("bad", "self.a = 9", FLAG, "self.deep()", "raise KeyError('no')"),
        )
        lines = [
            "self.a = 1",
            "try:",
            "    self.bad()",
            "except KeyError as error:",
            "    text = str(error)",
            FLAG,
            "return text",
        ]
        assert "no" in await answer(sandbox, world, ref, *lines)
        assert world.slots[ref] == {"a": 1, "b": 0}

    async def test_objects_pass_as_references(self, sandbox, world):
        """A method sends to objects that it holds, writes their slots, stores and answers references."""
        other = world.add(balance=10)
        world.teach(other, method("deposit", "self.balance += n", FLAG, "return self", parameters="n"))
        ref = world.add(account=other)
        lines = [
            "back = self.account.deposit(5)",
            "self.account.owner = self",
            "self.last = back",
            FLAG,
            "return [back == self.account, self.account.balance, back]",
        ]
        assert await answer(sandbox, world, ref, *lines) == [True, 15, other]
        assert world.slots[other] == {"balance": 15, "owner": ref}
        assert world.slots[ref]["last"] == other

    async def test_primitives_and_data_answer(self, sandbox, world):
        """Cloning is an ordinary send; a primitive's refusal can be caught; calling a data slot gives its value."""
        ref = world.add(n=4)
        lines = [
            "twin = self.clone(n=7)",
            "try:",
            "    self.refuse()",
            "except Exception as error:",
            "    return [twin.n, str(error), self._clone_persistent_().n]",
        ]
        assert await answer(sandbox, world, ref, *lines) == [7, "the primitive refuses", 4]
        assert (await sandbox.call(world, ref, "n", [], {})).result == 4
        with pytest.raises(MethodError, match="takes no arguments"):
            await sandbox.call(world, ref, "n", [1], {})

    async def test_what_nobody_understands_says_so(self, sandbox, world):
        """An unknown message is `MessageNotUnderstood`, at the top and out of a method; a method may catch it."""
        ref = world.add()
        with pytest.raises(MessageNotUnderstood):
            await sandbox.call(world, ref, "nothing", [], {})
        with pytest.raises(MessageNotUnderstood) as caught:
            await answer(sandbox, world, ref, "return self.nothing(1)")
        assert caught.value.details["selector"] == "nothing"
        lines = ["try:", "    self.nothing()", "except AttributeError as error:", "    return type(error).__name__"]
        assert await answer(sandbox, world, ref, *lines) == "MessageNotUnderstood"
        with pytest.raises(Quarantined):
            await answer(sandbox, world, ref, "return self.shut_off()")

    async def test_a_callee_keeps_its_own_covenant(self, sandbox, world):
        """A callee that changes without the flag fails alone; out of a caller that lets it pass, it is the call's error."""
        ref = world.add(n=0)
        world.teach(ref, method("sloppy", "self.n = 1"))
        with pytest.raises(CovenantViolationError, match="sloppy"):
            await answer(sandbox, world, ref, "self.sloppy()")
        assert world.slots[ref] == {"n": 0}

    async def test_nesting_has_an_end(self, sandbox, world):
        """Messages that nest without end are an error of the call, and take no worker with them."""
        ref = world.add()
        world.teach(ref, method("again", "return self.again()"))
        with pytest.raises(MethodError, match="nested more than 8"):
            await sandbox.call(world, ref, "again", [], {})

    async def test_what_the_world_raises_ends_the_call(self, sandbox, world):
        """An error of `look` or `snapshot` reaches the caller of the sandbox; no method can swallow it."""
        ghost = world.add()
        ref = world.add(ghost=ghost)
        del world.slots[ghost]
        with pytest.raises(UnknownTarget):
            await answer(
                sandbox, world, ref, "try:", "    return self.ghost.n", "except BaseException:", "    return 1"
            )

    async def test_a_candidate_stands_in_for_its_selector(self, sandbox, world):
        """A source given to the call also answers nested sends of its selector to the same object."""
        ref = world.add()
        world.teach(ref, method("fact", "return -1", parameters="n"))
        source = method("fact", "return 1 if n < 2 else n * self.fact(n - 1)", parameters="n")
        assert (await sandbox.call(world, ref, "fact", [5], {}, source=source)).result == 120


class TestResults:
    """What comes out."""

    async def test_plain_data_comes_back_as_it_was(self, sandbox, world):
        """Every kind of plain data passes in both directions; subclasses arrive as their plain base."""
        ref = world.add()
        value = [1, 1.5, "é", b"x", None, True, (1, 2), {1, 2}, frozenset({3}), {1: "a", (1, 2): "b"}, 1 << 80]
        value += [Decimal("1.10"), complex(1, 2)]
        assert await answer(sandbox, world, ref, "return args[0]", args=[value]) == value
        counted = await answer(sandbox, world, ref, "from collections import Counter", "return Counter('aab')")
        assert (counted, type(counted)) == ({"a": 2, "b": 1}, dict)
        assert counted == Counter("aab")

    @pytest.mark.parametrize(
        ("expression", "kind"),
        [("(i for i in [])", "generator"), ("lambda: 1", "function"), ("[object()]", "object"), ("self.zz", "message")],
    )
    async def test_what_is_not_data_is_an_error_that_says_so(self, sandbox, world, expression, kind):
        """A result that is not plain data is a `MethodError` that names what it is."""
        with pytest.raises(MethodError, match=kind):
            await answer(sandbox, world, world.add(), f"return {expression}")

    async def test_an_exception_tells_where(self, sandbox, world):
        """A raise becomes a `MethodError` with type, text, line, a short traceback and what was printed before."""
        with pytest.raises(MethodError) as caught:
            await answer(sandbox, world, world.add(), "print('so far')", "x = 1", "return x / 0")
        details = caught.value.details
        assert (details["error_type"], details["error_text"]) == ("ZeroDivisionError", "division by zero")
        assert (details["line"], details["output"]) == (4, "so far\n")
        assert "return x / 0" in details["traceback"]

    async def test_output_is_kept_and_cut(self, sandbox, world):
        """What is printed comes back in order, nested sends included, cut at the limit with a notice."""
        ref = world.add()
        world.teach(ref, method("inner", "print('two')"))
        source = method("go", "print('one')", "self.inner()", "print('three', 3, sep='-')")
        assert (await sandbox.call(world, ref, "go", [], {}, source=source)).output == "one\ntwo\nthree-3\n"
        source = method("go", "print('ü' * 100_000)")
        output = (await sandbox.call(world, ref, "go", [], {}, source=source)).output
        assert len(output.encode()) < 66_000
        assert "output cut at 65536 bytes" in output

    async def test_sizes_have_limits(self, sandbox, world):
        """Too large arguments and results are errors that name the limit."""
        ref = world.add()
        with pytest.raises(TooLarge, match="CALL_BYTES"):
            await answer(sandbox, world, ref, "return 1", args=["x" * (1 << 21)])
        with pytest.raises(MethodError, match="limit is 1048576"):
            await answer(sandbox, world, ref, "return 'x' * (1 << 21)")

    async def test_wrong_arguments_are_a_method_error(self, sandbox, world):
        """Arguments that do not fit the parameters are the call's error, like in any Python call."""
        with pytest.raises(MethodError) as caught:
            await sandbox.call(world, world.add(), "go", [1, 2], {}, source=method("go", "return 1"))
        assert caught.value.details["error_type"] == "TypeError"


class TestLimits:
    """Time, memory and budgets."""

    async def test_a_loop_meets_its_deadline(self, sandbox, world):
        """A method that never ends is killed, what it wrote is dropped, and the loop was never held up."""
        ref = world.add(n=0)
        world.teach(ref, method("inner", "while True: pass"))
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        with pytest.raises(DeadlineExceeded):
            await answer(sandbox, world, ref, "self.n = 1", FLAG, "self.inner()", limits=Limits(seconds=0.4))
        ticking.cancel()
        assert ticks > 10
        assert world.slots[ref] == {"n": 0}

    @pytest.mark.parametrize("line", ["return len(bytearray(1 << 30))", "x = []", "return 10 ** 10 ** 9"])
    async def test_memory_has_a_limit(self, sandbox, world, line):
        """A method that wants more memory than allowed ends with `MemoryExceeded`, or its deadline, and alone."""
        lines = [line] if line != "x = []" else ["x = [0]", "while True: x += x"]
        with pytest.raises((MemoryExceeded, DeadlineExceeded)):
            await answer(sandbox, world, world.add(), *lines, limits=Limits(seconds=2, memory_mb=128))

    async def test_requests_and_writes_are_counted(self, sandbox, world):
        """A call that asks or writes without end is ended, and keeps nothing."""
        ref = world.add(n=0)
        with pytest.raises(MethodError, match="more than 20 requests"):
            await answer(sandbox, world, ref, "for i in range(99): self.clone()", FLAG, limits=Limits(requests=20))
        lines = ["for i in range(99): setattr(self, f'a{i}', i)", FLAG]
        with pytest.raises(MethodError, match="more than 10 slots"):
            await answer(sandbox, world, ref, *lines, limits=Limits(slots=10))
        assert world.slots[ref] == {"n": 0}

    async def test_a_cancelled_call_keeps_nothing(self, sandbox, world):
        """Cancelling a call kills its workers and puts the world back."""
        ref = world.add(n=0)
        world.teach(ref, method("inner", "while True: pass"))
        task = asyncio.create_task(answer(sandbox, world, ref, "self.n = 1", FLAG, "self.inner()"))
        while not world.writes:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert world.slots[ref] == {"n": 0}

    async def test_many_calls_at_once(self, sandbox, world):
        """Calls from many tasks, nested ones among them, all end, whatever the size of the pool."""
        ref = world.add(n=2)
        world.teach(ref, method("inner", "return self.n * k", parameters="k"))
        results = await asyncio.gather(*(answer(sandbox, world, ref, f"return self.inner({k})") for k in range(40)))
        assert results == [2 * k for k in range(40)]


class TestFixed:
    """Trials with a frozen clock and seeded chance."""

    async def test_trials_repeat(self, sandbox, world):
        """Clock and chance give the same in every trial, and what they give is plain data."""
        lines = [
            "import datetime, random, secrets, time, uuid",
            "from datetime import date",
            "now = datetime.datetime.now()",
            "time.sleep(0.01)",
            "kinds = [isinstance(now, datetime.datetime), isinstance(now, date), now.date() == date.today()]",
            "chance = [random.random(), secrets.token_hex(4), str(uuid.uuid4()), str(uuid.uuid1()), hash('x')]",
            "clock = [time.time(), time.localtime()[:5], time.strftime('%Y'), datetime.datetime.now(datetime.timezone.utc)]",
            "return [now, kinds, chance, clock, datetime.datetime.strptime('2024-02-03', '%Y-%m-%d')]",
        ]
        first = await answer(sandbox, world, world.add(), *lines, fixed=True)
        second = await answer(sandbox, world, world.add(), *lines, fixed=True)
        live = await answer(sandbox, world, world.add(), *lines)
        assert first == second
        assert first[0].year == 2026
        assert first[1] == [True, True, True]
        assert live[2] != first[2]

    async def test_workers_differ_in_chance(self, sandbox, world):
        """Two calls draw different numbers, though their workers come from one zygote."""
        draws = {await answer(sandbox, world, world.add(), "import random", "return random.random()") for _ in range(4)}
        assert len(draws) == 4


class TestAudit:
    """Audits in a worker."""

    async def test_a_good_method_is_described(self, sandbox):
        """A source that passes comes back with its signature, parameters and summary."""
        source = (
            'def greet(self, name, mark="!", *, loud=False):\n    """Greets.\n\n    More."""\n    return name + mark\n'
        )
        audit = await sandbox.audit(source, "greet")
        assert (audit.findings, audit.mends, audit.source) == ([], [], source)
        assert audit.signature == "(self, name, mark='!', *, loud=False)"
        assert audit.summary == "Greets."
        assert audit.parameters == [
            {"name": "name", "has_default": False},
            {"name": "mark", "has_default": True},
            {"name": "loud", "has_default": True},
        ]

    async def test_what_can_be_mended_is(self, sandbox, world):
        """A missing flag and a missing import are put in, said so, and the method runs."""
        ref = world.add(n=0)
        audit = await sandbox.audit("def go(self):\n    self.n = math.floor(2.5)\n    return self.n\n", "go")
        assert audit.findings == []
        assert len(audit.mends) == 2
        assert (await sandbox.call(world, ref, "go", [], {}, source=audit.source)).result == 2
        assert world.slots[ref]["n"] == 2

    @pytest.mark.parametrize(
        ("source", "rule"),
        [
            ("def go(self:\n    pass", "syntax"),
            ("def other(self):\n    return 1", "name"),
            ("def go(self):\n    import os\n    return 1", "import"),
            ("def go(self):\n    return self.friend._secret", "underscore"),
            ("x = 1\n", "shape"),
            ("", "shape"),
            ("def go(self):\n    return " + "(" * 5000 + ")" * 5000, "syntax"),
            ("def go(self):\n    return " + "-" * 20000 + "1", "source"),
            ("def go(self):\n    return '\0'", "syntax"),
            ("def go(self):\n    return '\ud800'", "source"),
            ("# " + "x" * (1 << 20), "source"),
        ],
        ids=lambda value: value[:20] if len(value) < 100 else f"{len(value)} characters",
    )
    async def test_bad_sources_make_findings(self, sandbox, source, rule):
        """Whatever is wrong with a text is a finding; nothing raises, and hostile text harms nobody."""
        audit = await sandbox.audit(source, "go")
        assert audit.findings
        assert rule in [finding["rule"] for finding in audit.findings] or rule == "source"

    async def test_the_policy_may_only_warn(self, sandbox):
        """With the policy `warn`, policy findings are warnings; the Covenant's and syntax's still stop."""
        source = "def go(self):\n    import os\n    return os.getpid()\n"
        audit = await sandbox.audit(source, "go", policy="warn")
        assert audit.findings == []
        assert [warning["rule"] for warning in audit.warnings] == ["import"]


async def test_a_sandbox_that_was_not_started_refuses(world):
    """Before the start, and after the close, every call is refused."""
    made = Sandbox()
    with pytest.raises(SandboxRefused, match="not been started"):
        await made.call(world, world.add(), "go", [], {})
    await made.close()
    with pytest.raises(SandboxRefused, match="closed"):
        await made.audit("def go(self): pass", "go")


async def test_names_that_methods_do_not_have(sandbox, world):
    """Inside the walls, `open` and modules that are not on the list are simply not there."""
    for lines, kind in ((["open('x')"], "NameError"), (["import os"], "ImportError"), (["exec('1')"], "NameError")):
        with pytest.raises(MethodError) as caught:
            await answer(sandbox, world, world.add(), *lines)
        assert caught.value.details["error_type"] == kind
