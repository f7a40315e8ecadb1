"""The kernel's mind with a real host process whose models are doubles: deaths, hangs, cancels, restarts."""

import asyncio
import os
import signal
import sys

import pytest

from batos.errors import ContextTooLong, ModelError, NoWeights
from batos.mind.link import STALL_SECONDS
from batos.mind.protocol import GenerateRequest, ModelSpec
from batos.mind.service import HostMind, open_mind
from batos.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the faults are made with signals")


@pytest.fixture
def spec(tmp_path):
    """A model's weights: any file will do for a double."""
    (tmp_path / "w.bin").write_bytes(b"weights")
    return ModelSpec(name="m", path=str(tmp_path / "w.bin"), sha256="d")


@pytest.fixture
async def mind(spec, fake_host):
    """A mind whose host makes doubles."""
    made = HostMind({"BRICK": spec, "all-MiniLM-L6-v2": spec}, engine="llama.cpp", command=fake_host)
    yield made
    await made.close()


def asked(text, **more):
    return GenerateRequest(state="X", persona="BRICK", messages=({"role": "user", "content": text},), **more)


async def begun(mind, text):
    """A request that has begun: its task, after its first token came."""
    first = asyncio.Event()
    task = asyncio.create_task(mind.generate(asked(text), lambda token: first.set()))
    waiter = asyncio.create_task(first.wait())
    await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    assert first.is_set()
    return task


async def test_text_comes_through(mind):
    """Tokens are heard as they come, in order, and the reply is whole."""
    heard = []
    reply = await mind.generate(asked("say one two", n=2), heard.append)
    assert heard == ["one", "two"]
    assert (reply.texts, reply.model) == (("one two", "one two"), "m")


async def test_host_starts_on_first_need(mind):
    """Before the first request there is no process; after it there is one, for all requests."""
    assert mind.statistics()["hosts"]["text"]["pid"] == 0
    await asyncio.gather(*(mind.generate(asked(f"say {n}")) for n in range(20)))
    assert mind.statistics()["hosts"]["text"]["starts"] == 1
    assert mind.statistics()["requests"] == 20


async def test_requests_get_their_own_answers(mind):
    """Many requests at once each get the answer to their own words."""
    replies = await asyncio.gather(*(mind.generate(asked(f"say {n}")) for n in range(30)))
    assert [reply.texts[0] for reply in replies] == [str(n) for n in range(30)]


@pytest.mark.parametrize("how", ["SIGKILL", "SIGABRT", "SIGSEGV", "SIGBUS"])
async def test_death_is_an_error_for_its_request_alone(mind, how):
    """A host that is killed, aborts or crashes fails the request that it worked on, with how and its last words; who waits is served."""
    results = await asyncio.gather(
        mind.generate(asked(f"die {how}")), mind.generate(asked("say x")), return_exceptions=True
    )
    assert isinstance(results[0], ModelError)
    assert f"was ended by {how}" in str(results[0])
    assert "a last word of a native library" in str(results[0])
    assert "a new host is started" in results[0].hint
    assert results[1].texts == ("x",)
    host = mind.statistics()["hosts"]["text"]
    assert (host["starts"], host["deaths"]) == (2, 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is made little as Linux does")
async def test_too_little_memory_in_the_host_is_a_typed_error(mind):
    """An allocation that the system refuses costs that request alone: the error says so and what to do, the same host goes on."""
    with pytest.raises(ModelError, match="too little memory") as caught:
        await mind.generate(asked("starve now"))
    assert "smaller model" in caught.value.hint
    assert (await mind.generate(asked("say again"))).texts == ("again",)
    host = mind.statistics()["hosts"]["text"]
    assert (host["starts"], host["deaths"]) == (1, 0)


async def test_many_requests_for_more_models_than_fit(tmp_path, fake_host):
    """100 requests over 3 models with room for one: all answered, none loaded twice at once, few switches, nobody starves."""
    for name in "abc":
        (tmp_path / name).write_bytes(b"x" * 100)
    specs = {name: ModelSpec(name=name, path=str(tmp_path / name)) for name in "abc"}
    mind = HostMind(specs, engine="llama.cpp", command=fake_host, budget=150)
    done = []

    async def one(number):
        reply = await mind.generate(
            GenerateRequest(
                state="X", model="abc"[number % 3], messages=({"role": "user", "content": f"say {number}"},)
            )
        )
        assert len(mind.statistics()["models"]) == 1
        done.append(number)
        return reply.texts[0]

    try:
        answers = await asyncio.gather(*(one(number) for number in range(100)))
        assert answers == [str(number) for number in range(100)]
        assert mind.statistics()["switches"] <= 20
        for model in range(3):  # of one model, first come first served
            mine = [number for number in done if number % 3 == model]
            assert mine == sorted(mine)
        assert max(place - number for place, number in enumerate(done)) <= 3 * 8 * 3
    finally:
        await mind.close()


async def test_pinned_models_stay(tmp_path, fake_host):
    """A pinned model is not unloaded for another; one that does not fit beside it is refused and says why."""
    for name, size in (("a", 1 << 20), ("b", 1 << 20), ("c", 2 << 20)):
        (tmp_path / name).write_bytes(b"x" * size)
    specs = {name: ModelSpec(name=name, path=str(tmp_path / name)) for name in "abc"}
    mind = HostMind(specs, engine="llama.cpp", command=fake_host, budget=2 << 20)
    try:
        await mind.pin("a")
        await mind.load("a")
        await mind.load("b")
        with pytest.raises(ModelError, match="1 MiB that are pinned"):
            await mind.load("c")
        await mind.pin("a", pinned=False)
        await mind.load("c")
        assert [model["name"] for model in mind.statistics()["models"]] == ["c"]
    finally:
        await mind.close()


async def test_idle_models_leave(tmp_path, fake_host):
    """What nobody asks for leaves, and the host with its last model; a pinned one stays."""
    for name in "ab":
        (tmp_path / name).write_bytes(b"x")
    specs = {name: ModelSpec(name=name, path=str(tmp_path / name)) for name in "ab"}
    mind = HostMind(specs, engine="llama.cpp", command=fake_host, idle_seconds=0.2)
    try:
        await mind.pin("a")
        await mind.load("a")
        await mind.load("b")
        while [model["name"] for model in mind.statistics()["models"]] != ["a"]:
            await asyncio.sleep(0.02)
        await mind.pin("a", pinned=False)
        await mind.load("a")
        while mind.statistics()["hosts"]["text"]["pid"]:
            await asyncio.sleep(0.02)
        assert mind.statistics()["models"] == []
    finally:
        await mind.close()


def sized(folder, **sizes):
    """Models whose files have so many bytes; `vectors` is the embedding model."""
    for name, size in sizes.items():
        (folder / name).write_bytes(b"x" * size)
    kinds = {"vectors": "embedding"}
    return {name: ModelSpec(name=name, path=str(folder / name), kind=kinds.get(name, "gguf")) for name in sizes}


def resident(mind):
    return [model["name"] for model in mind.statistics()["models"]]


async def test_the_idle_embedding_model_leaves_too(tmp_path, fake_host, until):
    """The host of the embeddings ends like the other when nobody asks for them; the next text starts it anew."""
    mind = HostMind(
        sized(tmp_path, vectors=9), engine="llama.cpp", command=fake_host, embedding="vectors", idle_seconds=0.2
    )
    try:
        for starts in (1, 2):
            assert await mind.embed(["abc"]) == [[3.0, 0.0]]
            await asyncio.to_thread(until, lambda: not mind.statistics()["hosts"]["embedding"]["pid"], "the host ends")
            assert mind.statistics()["hosts"]["embedding"]["starts"] == starts
            assert resident(mind) == []
    finally:
        await mind.close()


async def test_a_model_at_work_is_not_idle(tmp_path, fake_host):
    """A generation that takes longer than the idle time keeps its model: it is there for the next request."""
    mind = HostMind(sized(tmp_path, a=9), engine="llama.cpp", command=fake_host, idle_seconds=0.1)
    try:
        await mind.load("a")
        task = asyncio.create_task(
            mind.generate(GenerateRequest(state="X", model="a", messages=({"role": "user", "content": "wait"},)))
        )
        while not mind.statistics()["hosts"]["text"]["waiting"] or resident(mind) != ["a"]:
            await asyncio.sleep(0.01)
        for _ in range(5):  # rounds of who looks for idle models
            await asyncio.sleep(0.05)
            assert mind.statistics()["waiting"] == 0  # nobody waits to unload it
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    finally:
        await mind.close()


async def test_the_budget_bounds_both_hosts_together(tmp_path, fake_host):
    """What text and embeddings take together never is over the budget: the embedding model leaves for text and is refused beside it."""
    mib = 1 << 20
    specs = sized(tmp_path, small=mib, large=3 * mib, vectors=mib)
    mind = HostMind(specs, engine="llama.cpp", command=fake_host, embedding="vectors", budget=3 * mib)
    try:
        await mind.embed(["abc"])
        await mind.load("small")
        assert sorted(resident(mind)) == ["small", "vectors"]
        await mind.load("large")
        assert resident(mind) == ["large"]
        with pytest.raises(
            ModelError, match=r"vectors takes 1 MiB.* is 3 MiB beside 3 MiB of models in the other host"
        ):
            await mind.embed(["abc"])
        assert resident(mind) == ["large"]
        await mind.unload("large")
        assert await mind.embed(["abc"]) == [[3.0, 0.0]]
        assert mind.statistics()["budget"] == 3 * mib
    finally:
        await mind.close()


async def test_a_text_model_that_rests_leaves_for_the_embeddings(tmp_path, fake_host):
    """Of several text models those that were used least lately make room for the embedding model, also while another one writes."""
    mib = 1 << 20
    mind = HostMind(
        sized(tmp_path, a=mib, b=mib, vectors=mib),
        engine="llama.cpp",
        command=fake_host,
        embedding="vectors",
        budget=2 * mib,
    )
    try:
        await mind.load("a")
        await mind.load("b")
        assert await mind.embed(["abc"]) == [[3.0, 0.0]]
        assert sorted(resident(mind)) == ["b", "vectors"]
        together = [mind.embed(["x"]), *(mind.load(name) for name in "abab"), mind.embed(["y"])]
        for done in await asyncio.gather(*together, return_exceptions=True):
            assert done is None or done == [[1.0, 0.0]]
        assert sum(model["bytes"] for model in mind.statistics()["models"]) <= 2 * mib
    finally:
        await mind.close()


async def test_who_embeds_while_the_embedding_model_leaves_finds_the_budget_kept(tmp_path, fake_host):
    """Embeddings that are asked for while their model leaves for a text model wait for its end; they do not bring it back unseen."""
    mib = 1 << 20
    mind = HostMind(
        sized(tmp_path, a=mib, b=2 * mib, vectors=mib),
        engine="llama.cpp",
        command=fake_host,
        embedding="vectors",
        budget=2 * mib,
    )
    try:
        await mind.load("a")
        await mind.embed(["x"])
        loading = asyncio.create_task(mind.load("b"))
        while "vectors" not in mind._leaving and not loading.done():
            await asyncio.sleep(0)
        with pytest.raises(ModelError, match="beside 2 MiB of models in the other host"):
            await mind.embed(["y"])
        await loading
        assert resident(mind) == ["b"]
    finally:
        await mind.close()


async def test_a_pinned_embedding_model_stays(tmp_path, fake_host):
    """A text model that does not fit beside the pinned embedding model is refused, and the message says why."""
    mib = 1 << 20
    mind = HostMind(
        sized(tmp_path, a=2 * mib, vectors=mib),
        engine="llama.cpp",
        command=fake_host,
        embedding="vectors",
        budget=2 * mib,
    )
    try:
        await mind.pin("vectors")
        await mind.embed(["abc"])
        with pytest.raises(ModelError, match="1 MiB of models in the other host"):
            await mind.load("a")
        assert resident(mind) == ["vectors"]
    finally:
        await mind.close()


async def test_who_stops_a_host_can_be_cancelled(mind):
    """A cancel while a host is being stopped is not swallowed, and the host ends all the same."""
    await mind.generate(asked("say one"))
    pid = mind.statistics()["hosts"]["text"]["pid"]
    stopping = asyncio.create_task(mind._text.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_cancelled_task_stops_the_generation(mind):
    """Cancelling the task ends the generation in the host: the next request, behind it in line, is served."""
    task = await begun(mind, "wait")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await mind.generate(asked("say free"))).texts == ("free",)
    assert mind.statistics()["hosts"]["text"]["starts"] == 1


@pytest.mark.parametrize("stopped", [False, True])
async def test_hang_is_ended(spec, fake_host, stopped):
    """A host that works and says nothing, or was stopped by a signal, is killed; the error says so and the next works."""
    mind = HostMind({"BRICK": spec}, engine="llama.cpp", command=fake_host, stall_seconds=1.0)
    try:
        task = await begun(mind, "wait" if stopped else "hang")
        if stopped:
            os.kill(mind.statistics()["hosts"]["text"]["pid"], signal.SIGSTOP)
        with pytest.raises(ModelError, match="said nothing"):
            await task
        assert (await mind.generate(asked("say again"))).texts == ("again",)
    finally:
        await mind.close()


async def test_silence_is_measured_from_the_last_sign(mind):
    """A working host that shows that it lives is not taken for a hanging one; while it loads it may be silent longer."""
    task = await begun(mind, "wait")
    link = mind._text
    before = link._heard
    while link._heard == before:  # beats come
        await asyncio.sleep(0.01)
    assert not link._hangs(link._heard + STALL_SECONDS)
    assert link._hangs(link._heard + STALL_SECONDS + 1)
    link.loading = "m"
    assert not link._hangs(link._heard + 5 * STALL_SECONDS)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    link.loading = ""
    assert not link._hangs(link._heard + 10 * STALL_SECONDS)


async def test_errors_keep_their_type(mind):
    """A typed error of the engine arrives as that type, with its details."""
    with pytest.raises(ContextTooLong) as caught:
        await mind.generate(asked("long x"))
    assert caught.value.details["over"] == 7
    assert mind.statistics()["failures"] == 1


async def test_broken_weights(spec, fake_host):
    """Weights that cannot be loaded are an error, and the host stays."""
    broken = ModelSpec(name="b", path=spec.path, extra={"broken": True})
    mind = HostMind({"BRICK": spec, "b": broken}, engine="llama.cpp", command=fake_host)
    try:
        with pytest.raises(ModelError, match="broken"):
            await mind.load("b")
        await mind.generate(asked("say fine"))
        assert mind.statistics()["hosts"]["text"]["deaths"] == 0
    finally:
        await mind.close()


async def test_unknown_model(mind):
    """A name that nobody knows is NoWeights."""
    with pytest.raises(NoWeights):
        await mind.load("nobody")


async def test_load_and_unload(mind):
    """A loaded model shows in the statistics; after its unload the host process is gone, and with it its memory."""
    await mind.load("BRICK")
    assert [(model["name"], model["state"]) for model in mind.statistics()["models"]] == [("m", "loaded")]
    pid = mind.statistics()["hosts"]["text"]["pid"]
    await mind.unload("m")
    assert mind.statistics()["models"] == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_embeddings_have_a_host_of_their_own(mind):
    """Embeddings do not wait behind a text that is being written."""
    task = await begun(mind, "wait")
    assert await mind.embed(["abc"]) == [[3.0, 0.0]]
    assert not task.done()
    task.cancel()


async def test_resolver_may_be_asynchronous(spec, fake_host):
    """Models may be given by a function, plain or asynchronous, that hears the persona."""
    heard = []

    async def resolve(name):
        heard.append(name)
        return spec

    for resolver in (resolve, lambda name: heard.append(name) or spec):
        mind = HostMind(resolver, engine="llama.cpp", command=fake_host)
        await mind.generate(asked("say x"))
        await mind.close()
    assert heard == ["BRICK", "BRICK"]


async def test_close_ends_everything(mind, spec):
    """After `close` no process is left, and those who waited have their error, also those who waited for their turn."""
    task = await begun(mind, "wait")
    behind = asyncio.create_task(mind.generate(asked("say x")))
    await asyncio.sleep(0)
    pid = mind.statistics()["hosts"]["text"]["pid"]
    await mind.close()
    for waiting in (task, behind):
        with pytest.raises(ModelError, match="stopped"):
            await waiting
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_host_that_cannot_start(spec):
    """A program that is not there, or that ends at once, is a ModelError."""
    for command in (["/no/such/program"], [sys.executable, "-c", "raise SystemExit(3)"]):
        mind = HostMind({"BRICK": spec}, engine="llama.cpp", command=command)
        with pytest.raises(ModelError, match=r"cannot be started|exit code 3"):
            await mind.generate(asked("say x"))
        await mind.close()


async def test_host_ends_with_the_kernel(mind, until):
    """A host whose kernel's end of the line closes ends by itself, even while a model writes."""
    task = await begun(mind, "hang")
    process = mind._text._process
    process._outgoing.put(None)
    with pytest.raises(ModelError, match="exit code 0"):
        await task


@pytest.mark.parametrize(("engine", "kind"), [("openai", "OpenAIMind"), ("llama.cpp", "HostMind")])
async def test_settings_choose_the_mind(home, engine, kind):
    """ENGINE decides which mind is opened."""
    assert type(open_mind(Settings.load(home=home, engine=engine), {})).__name__ == kind


async def test_settings_choose_the_scripted_mind(home):
    """`scripted:FILE` opens the scripted mind, relative to BATOS_HOME."""
    (home / "s.json").write_text("[]")
    mind = open_mind(Settings.load(home=home, engine="scripted:s.json"), {})
    assert mind.statistics()["engine"] == "scripted"
