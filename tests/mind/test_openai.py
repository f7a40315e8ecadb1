"""The openai engine against a server on loopback that behaves, or not."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from batos.errors import ContextTooLong, ModelError, to_wire
from batos.mind import openai
from batos.mind.openai import OpenAIMind
from batos.mind.protocol import GenerateRequest
from batos.mind.service import open_mind
from batos.settings import Settings


class Server(ThreadingHTTPServer):
    """Answers with what the test put in `plan`, in order; the last is repeated."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan, self.bodies, self.headers, self.gone = [], [], [], threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1/"


class Handler(BaseHTTPRequestHandler):
    """Speaks as planned."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.reply(200, {"data": [{"id": "first-model"}]})

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.bodies.append(body)
        server.headers.append(dict(self.headers))
        step = server.plan.pop(0) if len(server.plan) > 1 else server.plan[0]
        step(self, body)

    def reply(self, code, value):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, pieces, finish="stop"):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        usage = {"prompt_tokens": 3, "completion_tokens": len(pieces)}
        events = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
        events += [{"choices": [{"delta": {}, "finish_reason": finish}]}, {"choices": [], "usage": usage}]
        for event in events:
            self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")


def says(*pieces, finish="stop"):
    return lambda handler, body: handler.stream(pieces, finish)


def answers(code, value):
    return lambda handler, body: handler.reply(code, value)


@pytest.fixture
def server(monkeypatch):
    """A server on loopback; retries do not wait."""
    monkeypatch.setattr(openai, "RETRY_SECONDS", 0.0)
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.gone.set()
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def mind(server):
    """A mind that asks the server."""
    return OpenAIMind(server.url, "secret", "big-model")


def asked(**more):
    return GenerateRequest(state="X", messages=({"role": "user", "content": "Hi"},), **more)


async def test_streamed_answer(mind, server):
    """Pieces are heard as they come; text, reason and counts are the server's."""
    server.plan = [says("Hel", "lo", finish="length")]
    heard = []
    reply = await mind.generate(asked(max_tokens=2, stop=("x",)), heard.append)
    assert (heard, reply.texts, reply.finish) == (["Hel", "lo"], ("Hello",), ("length",))
    assert (reply.prompt_tokens, reply.completion_tokens, reply.model) == (3, 2, "big-model")
    assert server.bodies[0]["stop"] == ["x"]
    assert server.headers[0]["Authorization"] == "Bearer secret"


async def test_server_that_does_not_stream(mind, server):
    """A whole answer in one piece is taken too."""
    server.plan = [answers(200, {"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]})]
    assert (await mind.generate(asked())).texts == ("whole",)


@pytest.mark.parametrize("pieces", [("```py", "thon\nx = 1"), ("x = 1",), ("```python\nx = 1",)])
async def test_prefill_is_not_repeated(mind, server, pieces):
    """Whether or not the server repeats the beginning of the answer, the text comes without it, and so do the tokens."""
    server.plan = [says(*pieces)]
    heard = []
    reply = await mind.generate(asked(prefill="```python\n"), heard.append)
    assert reply.texts == ("x = 1",)
    assert "".join(heard) == "x = 1"
    assert server.bodies[0]["messages"][-1] == {"role": "assistant", "content": "```python\n"}


async def test_batch_is_several_requests(mind, server):
    """Each text of a batch is asked for with its own seed; a greedy batch has one greedy text."""
    server.plan = [says("a")]
    assert (await mind.generate(asked(n=3, seed=5))).texts == ("a", "a", "a")
    made = sorted((body["seed"], body["temperature"]) for body in server.bodies)
    assert made == [(5, 0.0), (6, 0.7), (7, 0.7)]


COLOURS = {"type": "array", "items": {"enum": ["red", "green"]}, "minItems": 1}


@pytest.mark.parametrize("first", ["no", '["blue"]', "{}", "[]"])
async def test_an_answer_that_does_not_fit_its_schema_is_asked_for_again(mind, server, first):
    """No JSON, or JSON of another form: the server is told what is wrong; the reply says that it was checked, and how often asked."""
    server.plan = [says(first), says('["red"]')]
    reply = await mind.generate(asked(schema=COLOURS))
    assert (reply.texts, reply.form) == (('["red"]',), "checked, 1 asked for again")
    assert reply.completion_tokens == 2
    assert server.bodies[0]["response_format"]["json_schema"]["schema"] == COLOURS
    said, told = server.bodies[1]["messages"][-2:]
    assert said == {"role": "assistant", "content": first}
    assert told["content"].startswith("That answer does not fit: ")
    assert json.dumps(COLOURS) in told["content"]
    assert server.bodies[1]["seed"] != server.bodies[0]["seed"]


async def test_an_answer_that_never_fits_is_an_error(mind, server):
    """After two more attempts it is an error that says what was wrong with the last answer."""
    server.plan = [says('["blue"]')]
    with pytest.raises(ModelError, match=r"JSON schema, 3 times: the answer's item 1 is none of") as caught:
        await mind.generate(asked(schema=COLOURS))
    assert "response_format" in caught.value.hint
    assert len(server.bodies) == 3


async def test_a_fitting_answer_is_said_to_be_checked(mind, server):
    """An answer that fits is not asked for again, its beginning that was given counts; without a schema nothing is claimed."""
    server.plan = [says('"green"]')]
    reply = await mind.generate(asked(schema=COLOURS, prefill='["red", '))
    assert (reply.form, len(server.bodies)) == ("checked", 1)
    assert (await mind.generate(asked())).form == ""


async def test_a_server_that_refuses_schemas_is_told_in_words(mind, server):
    """Where `response_format` is refused the schema goes into the prompt, before the answer's beginning, and is checked all the same."""
    server.plan = [answers(400, {"error": {"message": "response_format: unknown"}}), says('["red"]')]
    reply = await mind.generate(asked(schema=COLOURS, prefill="["))
    assert (reply.texts, reply.form) == (('"red"]',), "checked")
    assert "response_format" not in server.bodies[1]
    question, told, beginning = server.bodies[1]["messages"]
    assert (question["content"], beginning["content"]) == ("Hi", "[")
    assert json.dumps(COLOURS) in told["content"]


async def test_the_key_comes_from_the_environment_and_stays_secret(server, home, monkeypatch, caplog):
    """OPENAI_API_KEY goes out as a header alone: errors, also a server's that quotes it, status and log never show it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-1")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    caplog.set_level(0)
    settings = Settings.load(engine="openai", persona_models="m")
    mind = open_mind(settings, {})
    server.plan = [says("fine")]
    assert (await mind.generate(asked())).texts == ("fine",)
    assert server.headers[0]["Authorization"] == "Bearer sk-secret-1"
    told = [caplog.text, repr(mind.statistics()), repr(settings), json.dumps(server.bodies)]
    for code in (401, 200):
        server.plan = [answers(code, {"error": {"message": "wrong key sk-secret-1"}})]
        with pytest.raises(ModelError, match="wrong key") as caught:
            await mind.generate(asked())
        told.append(json.dumps(to_wire(caught.value)))
    told.append(caplog.text)
    assert not [text for text in told if "sk-secret-1" in text]


async def test_model_by_persona_or_first_listed(server):
    """A mapping names the persona's model; without a name the server's first one serves."""
    server.plan = [says("a")]
    mind = OpenAIMind(server.url, "", {"BRICK": "b"})
    assert (await mind.generate(asked(persona="BRICK"))).model == "b"
    assert (await mind.generate(asked(persona="ROBIN"))).model == "first-model"
    assert "Authorization" not in server.headers[0]


async def test_busy_server_is_asked_again(mind, server):
    """What a server cannot take just now is sent again, a few times."""
    server.plan = [answers(503, {}), answers(429, {}), says("at last")]
    assert (await mind.generate(asked())).texts == ("at last",)


@pytest.mark.parametrize(
    ("code", "value", "kind", "text"),
    [
        (401, {"error": {"message": "bad key"}}, ModelError, "bad key"),
        (400, {"error": {"message": "too long", "code": "context_length_exceeded"}}, ContextTooLong, "too long"),
        (400, {"error": "plain words"}, ModelError, "plain words"),
        (500, b"<html>", ModelError, "500"),
        (200, b"<html>", ModelError, "not what the API says"),
        (200, {"error": {"message": "late"}}, ModelError, "late"),
    ],
)
async def test_refusals_are_typed(mind, server, code, value, kind, text):
    """What the server refuses is an error of the right type with the server's words, never with the key."""
    server.plan = [answers(code, value)]
    with pytest.raises(kind, match=text) as caught:
        await mind.generate(asked())
    assert "secret" not in str(caught.value) + caught.value.hint + str(mind.statistics())
    assert mind.statistics()["failures"] == 1


async def test_absent_server(monkeypatch):
    """A server that is not there is an error that names its address."""
    monkeypatch.setattr(openai, "RETRY_SECONDS", 0.0)
    with pytest.raises(ModelError, match="does not answer"):
        await OpenAIMind("http://127.0.0.1:9/v1", models="m").generate(asked())


async def test_cancel_ends_the_request(mind, server, until):
    """Cancelling the task makes the thread let go of the answer."""
    begun, gone = asyncio.Event(), threading.Event()

    def endless(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        try:
            while not server.gone.is_set():
                handler.wfile.write(b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n')
        except OSError:
            gone.set()

    server.plan = [endless]
    task = asyncio.create_task(mind.generate(asked(), lambda text: begun.set()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(until, gone.is_set, "the server's writing fails")


async def test_embeddings_in_order(mind, server):
    """Vectors come in the order of the texts, whatever order the server has."""
    rows = [{"index": 1, "embedding": [2, 0]}, {"index": 0, "embedding": [1, 0]}]
    server.plan = [answers(200, {"data": rows})]
    assert await mind.embed(["a", "b"]) == [[1.0, 0.0], [2.0, 0.0]]
    server.plan = [answers(200, {"data": [{}]})]
    with pytest.raises(ModelError):
        await mind.embed(["a"])
    server.plan = [answers(200, {"data": rows})]
    with pytest.raises(ModelError, match="2 embeddings for 3 texts"):
        await mind.embed(["a", "b", "c"])


def cut(*, length):
    """Begins an answer and hangs up, in a body of a known length or of none."""

    def step(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream" if not length else "application/json")
        if length:
            handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'data: {"choices": [{"delta": {"content": "half of an"}}]}\n\n')
        handler.close_connection = True

    return step


@pytest.mark.parametrize("length", [False, True])
async def test_an_answer_that_breaks_off(mind, server, length):
    """Half an answer is an error that says so, never an answer."""
    server.plan = [cut(length=length)]
    with pytest.raises(ModelError, match="broke off its answer"):
        await mind.generate(asked())


async def test_a_server_that_falls_silent(server):
    """A server that begins and then says nothing is an error after the time-out."""

    def silent(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        handler.wfile.flush()
        server.gone.wait(60)

    server.plan = [silent]
    with pytest.raises(ModelError, match=r"silent for 0\.3 s"):
        await OpenAIMind(server.url, models="m", timeout=0.3).generate(asked())


async def test_a_server_that_speaks_something_else(monkeypatch, server):
    """What is no HTTP at all is an error that names the address, after some attempts."""
    server.plan = [lambda handler, body: handler.wfile.write(b"SSH-2.0-other\r\n")]
    with pytest.raises(ModelError, match="does not answer"):
        await OpenAIMind(server.url, models="m").generate(asked())
    assert len(server.bodies) == openai.RETRIES + 1


async def test_optional_parts_go_where_the_server_finds_it_too_long(mind, server):
    """The least useful part is left out first, as long as the server refuses; how many is in the reply."""
    too_long = answers(400, {"error": {"message": "too long", "code": "context_length_exceeded"}})
    server.plan = [too_long, says("short")]
    messages = ({"role": "user", "content": "Hi. First. Second."},)
    reply = await mind.generate(GenerateRequest(state="X", messages=messages, optional=(" First.", " Second.")))
    assert (reply.texts, reply.dropped) == (("short",), 1)
    assert [body["messages"][0]["content"] for body in server.bodies] == ["Hi. First. Second.", "Hi. First."]
    server.plan = [too_long]
    with pytest.raises(ContextTooLong):
        await mind.generate(GenerateRequest(state="X", messages=messages, optional=(" First.", " Second.")))


async def test_the_servers_build_is_part_of_the_engine(mind, server):
    """What the server tells of its build stands in the reply, for provenance."""
    server.plan = [
        answers(
            200, {"system_fingerprint": "fp_7", "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}
        )
    ]
    reply = await mind.generate(asked())
    assert (reply.texts, reply.engine) == (("x",), "openai fp_7")
