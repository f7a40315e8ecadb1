"""Turns: one at a time, the loaded model's requests together, nobody waits for ever."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from batos.mind.turns import OVERTAKES, Turns


async def order(models, loaded):
    """The order in which requests for some models get their turn when only the last one used is loaded."""
    there = [loaded]
    turns = Turns(lambda name: name == there[0])
    done = []

    async def one(number, model):
        async with turns.turn(model):
            there[0] = model
            await asyncio.sleep(0)
            done.append(number)

    await asyncio.gather(*(one(number, model) for number, model in enumerate(models)))
    return done, turns


@given(st.lists(st.sampled_from("abc"), max_size=60))
def test_everybody_has_one_turn(models):
    """Each request gets its turn once; those of one model in the order in which they came."""
    done, turns = asyncio.run(order(models, "a"))
    assert sorted(done) == list(range(len(models)))
    for model in "abc":
        mine = [number for number in done if models[number] == model]
        assert mine == sorted(mine)
    assert turns.waiting == 0


@given(st.lists(st.sampled_from("abc"), max_size=60))
def test_the_longest_waiting_is_overtaken_so_often_and_no_more(models):
    """While a request is the one that waits longest, at most so many go before it."""
    done, _ = asyncio.run(order(models, "a"))
    for number in range(len(models)):
        place = done.index(number)
        oldest_from = max((done.index(other) for other in range(number)), default=-1)
        assert place - oldest_from <= OVERTAKES + 1


def test_requests_for_the_loaded_model_go_together():
    """Models that take turns in the queue do not take turns in memory."""
    _, turns = asyncio.run(order("ab" * 8, "a"))
    assert turns.switches == 2


def test_a_cancelled_wait_passes_its_turn_on():
    """Cancelling who waits, also in the very moment when the turn has come, leaves the others theirs."""

    async def story():
        turns = Turns(lambda name: True)
        started = asyncio.Event()

        async def hold():
            async with turns.turn("a"):
                started.set()
                await asyncio.sleep(0.01)
            tasks[0].cancel()  # its turn has come, and it has not run yet

        tasks = []
        holder = asyncio.create_task(hold())
        await started.wait()

        async def wait():
            async with turns.turn("a"):
                return True

        tasks += [asyncio.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await holder
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, True, False]
        assert turns.waiting == 0
        async with turns.turn("b"):
            return True

    assert asyncio.run(asyncio.wait_for(story(), 10))


def test_all_may_be_cancelled_at_once():
    """Who holds the turn and who waits are cancelled in one go, as when the kernel stops: each hears just that."""

    async def story():
        turns = Turns(lambda name: True)

        async def one():
            async with turns.turn("a"):
                await asyncio.Event().wait()

        tasks = [asyncio.create_task(one()) for _ in range(3)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 3
        assert turns.waiting == 0
        async with turns.turn("b"):
            return True

    assert asyncio.run(asyncio.wait_for(story(), 10))


def test_an_answer_is_not_lost_to_a_wait_that_is_cancelled_just_then():
    """A turn ends well in the moment in which the next in the queue is cancelled; the one after that has it."""

    async def story():
        turns = Turns(lambda name: True)
        go = asyncio.Event()

        async def one():
            async with turns.turn("a"):
                await go.wait()
                return "answer"

        tasks = [asyncio.create_task(one()) for _ in range(3)]
        await asyncio.sleep(0)
        go.set()
        tasks[1].cancel()
        first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
        assert (first, type(second), third) == ("answer", asyncio.CancelledError, "answer")

    asyncio.run(asyncio.wait_for(story(), 10))
