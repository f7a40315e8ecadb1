"""The openai engine: any server that speaks the OpenAI API, where one machine is not enough.

Requests are made in threads with the standard library; answers are streamed, so that a cancel is heard. What a server
cannot do is made up for or said: each answer is checked against its schema, a wrong one is told what is wrong and asked
for again, twice at most, and the reply says so. Only the server can count tokens, so where it finds a prompt too long, optional parts are left out and it is asked again. An answer that
breaks off is an error, never a short answer.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from batos.errors import Cancelled, ContextTooLong, ModelError
from batos.mind.budget import without
from batos.mind.drafting import samplings
from batos.mind.fitting import misfit
from batos.mind.lines import Line
from batos.mind.protocol import GenerateReply, GenerateRequest, OnToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

TIMEOUT_SECONDS = 120.0
RETRIES = 2
RETRY_SECONDS = 0.5
FORM_RETRIES = 2
_AGAIN = (408, 429, 500, 502, 503, 504)
_NO_SCHEMAS = (400, 404, 415, 422, 501)
_HINT = "Look at the server of OPENAI_BASE_URL and at OPENAI_API_KEY."


@dataclass(slots=True)
class _Answer:
    """One text as a server gave it."""

    text: str = ""
    finish: str = ""
    build: str = ""
    done: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    pieces: list[str] = field(default_factory=list)


class OpenAIMind:
    """Models behind an OpenAI-compatible server.

    Args:
        base_url: The API's address, up to and with `/v1`.
        api_key: The key, empty for a server that asks for none.
        models: One model for all personas, or a mapping; empty takes the first that the server lists.
        embedding: The model that makes embeddings.
        timeout: Seconds that the server may stay silent.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str = "",
        models: str | Mapping[str, str] = "",
        *,
        embedding: str = "all-MiniLM-L6-v2",
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._key = api_key
        self._models = models
        self._embedding = embedding
        self._timeout = timeout
        self._first_model = ""
        self._lines: set[Line] = set()
        self._counts = {"requests": 0, "failures": 0, "tokens": 0, "seconds": 0.0, "embeddings": 0}

    async def generate(self, request: GenerateRequest, on_token: OnToken | None = None) -> GenerateReply:
        """Generate text; see `Mind`. Each text is a request of its own; the first one is streamed to `on_token`."""
        started = time.monotonic()
        self._counts["requests"] += 1
        loop = asyncio.get_running_loop()

        def hear(text: str) -> None:
            if on_token is not None:
                loop.call_soon_threadsafe(on_token, text)

        try:
            with self._calling() as line:
                model = await line.run(self._model, request, line)
                answers, dropped = await self._fitting(request, model, hear, line)
        except BaseException:
            self._counts["failures"] += 1
            raise
        tokens = sum(answer.completion_tokens for answer in answers)
        self._counts["tokens"] += tokens
        self._counts["seconds"] += time.monotonic() - started
        return GenerateReply(
            texts=tuple(answer.text for answer in answers),
            finish=tuple(answer.finish for answer in answers),
            model=model,
            engine=f"openai {answers[0].build}".rstrip(),
            prompt_tokens=answers[0].prompt_tokens,
            dropped=dropped,
            completion_tokens=tokens,
            seconds=time.monotonic() - started,
            form=_form(answers) if request.schema is not None else "",
        )

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Give an embedding for each text; see `Mind`."""
        body = {"model": self._embedding, "input": list(texts)}
        with self._calling() as line:
            reply = await line.run(self._json, "/embeddings", body, line)
        try:
            rows = sorted(reply["data"], key=lambda row: row["index"])
            vectors = [[float(x) for x in row["embedding"]] for row in rows]
        except (KeyError, TypeError, ValueError):
            raise ModelError("the server's embeddings have another form than the API says", _HINT) from None
        if len(vectors) != len(texts):
            raise ModelError(f"the server gave {len(vectors)} embeddings for {len(texts)} texts", _HINT)
        self._counts["embeddings"] += len(vectors)
        return vectors

    async def load(self, name: str) -> None:
        """Nothing to do: the server keeps its own models."""

    async def unload(self, name: str) -> None:
        """Nothing to do: the server keeps its own models."""

    def statistics(self) -> dict[str, Any]:
        """Engine, server, and counts: plain data, without the key."""
        return {"engine": "openai", "server": self._base, "models": [], "memory": 0, **self._counts}

    async def close(self) -> None:
        """Cut off what still waits for the server; it ends with `Cancelled`."""
        for line in self._lines:
            line.cut()

    @contextmanager
    def _calling(self) -> Iterator[Line]:
        """A line for one piece of work, which is cut when its requester leaves."""
        line = Line()
        self._lines.add(line)
        try:
            yield line
        finally:
            line.cut()
            self._lines.discard(line)

    async def _fitting(
        self, request: GenerateRequest, model: str, hear: OnToken, line: Line
    ) -> tuple[list[_Answer], int]:
        """The answers, and how many optional parts were left out because the server found the prompt too long."""
        parts = list(request.optional)
        while True:
            try:
                answers = await asyncio.gather(
                    *(
                        line.run(self._answer, request, model, own, hear if i == 0 else None, line)
                        for i, own in enumerate(samplings(request))
                    )
                )
            except ContextTooLong:
                if not parts:
                    raise
                request = replace(request, messages=without(request.messages, parts.pop()))
            else:
                return answers, len(request.optional) - len(parts)

    def _model(self, request: GenerateRequest, line: Line) -> str:
        if request.model:
            return request.model
        named = self._models if isinstance(self._models, str) else self._models.get(request.persona, "")
        if named:
            return named
        if not self._first_model:
            listed = self._json("/models", None, line)
            try:
                self._first_model = str(listed["data"][0]["id"])
            except (KeyError, IndexError, TypeError):
                raise ModelError("the server lists no model", "Name one in PERSONA_MODELS.") from None
        return self._first_model

    def _answer(
        self,
        request: GenerateRequest,
        model: str,
        sampling: tuple[float, int],
        hear: OnToken | None,
        line: Line,
    ) -> _Answer:
        body = _body(request, model, *sampling)
        if request.schema is None:
            return self._streamed(body, request, hear, line)
        answer = self._formed(body, request, hear, line)
        tokens = answer.completion_tokens
        for retry in range(1, FORM_RETRIES + 1):
            wrong = misfit(request.prefill + answer.text, request.schema)
            if not wrong:
                return answer
            again = {**body, "seed": sampling[1] + 1000 * retry, "messages": _corrected(body, request, answer, wrong)}
            answer = self._formed(again, request, None, line)
            answer.retries, tokens = retry, tokens + answer.completion_tokens
            answer.completion_tokens = tokens
        if wrong := misfit(request.prefill + answer.text, request.schema):
            raise ModelError(
                f"the server did not keep to the JSON schema, {FORM_RETRIES + 1} times: {wrong[:300]}",
                "Use a server that constrains its answers (response_format of type json_schema), or a larger model.",
            )
        return answer

    def _formed(self, body: dict[str, Any], request: GenerateRequest, hear: OnToken | None, line: Line) -> _Answer:
        """One answer that should have a form; a server that refuses to hear of schemas is told in words."""
        try:
            return self._streamed(body, request, hear, line)
        except ModelError as refused:
            if refused.details.get("http") not in _NO_SCHEMAS:
                raise
        plain = {key: value for key, value in body.items() if key != "response_format"}
        return self._streamed({**plain, "messages": _told(body["messages"], request)}, request, hear, line)

    def _streamed(self, body: dict[str, Any], request: GenerateRequest, hear: OnToken | None, line: Line) -> _Answer:
        """One answer, heard as it comes; a prefill that the server repeats is taken off, before anybody hears it."""
        answer = _Answer()
        sent = 0
        for event in self._events("/chat/completions", body, line):
            _take(answer, event)
            whole = "".join(answer.pieces)
            if request.prefill.startswith(whole):
                continue  # it may be repeating the prefill
            answer.text = whole.removeprefix(request.prefill)
            if hear is not None and len(answer.text) > sent:
                hear(answer.text[sent:])
            sent = len(answer.text)
        if not (answer.done or answer.finish):
            raise ModelError(f"the server at {self._base} broke off its answer", "Send the request again.")
        answer.text = answer.text or "".join(answer.pieces).removeprefix(request.prefill)
        answer.finish = answer.finish or "stop"
        return answer

    def _events(self, path: str, body: dict[str, Any], line: Line) -> Iterator[dict[str, Any]]:
        """The events of a streamed answer, `{}` for its end; a server that does not stream gives one and the end."""
        with self._open(path, body, line) as response:
            if "event-stream" not in response.headers.get("Content-Type", ""):
                yield self._parsed(self._heard(response.read, line))
                yield {}
                return
            while said := self._heard(response.readline, line):
                data = said.strip().removeprefix(b"data:").strip()
                if said.startswith(b"data:"):
                    yield {} if data == b"[DONE]" else self._parsed(data)

    def _heard(self, read: Callable[[], bytes], line: Line) -> bytes:
        """What the server says next.

        Raises:
            Cancelled: The line was cut meanwhile.
            ModelError: It was silent for too long, or broke off.
        """
        try:
            data = read()
        except TimeoutError:
            raise ModelError(f"the server at {self._base} was silent for {self._timeout:g} s", _HINT) from None
        except (OSError, http.client.HTTPException) as error:
            if line.is_cut:
                raise Cancelled from None
            raise ModelError(f"the server at {self._base} broke off its answer: {error}", "Send it again.") from None
        if line.is_cut:
            raise Cancelled
        return data

    def _json(self, path: str, body: dict[str, Any] | None, line: Line) -> Any:
        with self._open(path, body, line) as response:
            return self._parsed(self._heard(response.read, line))

    def _open(self, path: str, body: dict[str, Any] | None, line: Line) -> Any:
        """Send a request; one that the server could not take just now is sent again."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        request = urllib.request.Request(self._base + path, data, headers)  # noqa: S310 - the user's own server
        for attempt in range(RETRIES + 1):
            try:
                return line.open(request, self._timeout)
            except urllib.error.HTTPError as error:
                with error:
                    said = error.read(4000).decode("utf-8", "replace")
                if error.code not in _AGAIN or attempt == RETRIES:
                    raise _refusal(error.code, self._without_key(said)) from None
            except (OSError, http.client.HTTPException) as error:
                if attempt == RETRIES and not line.is_cut:
                    raise ModelError(f"the server at {self._base} does not answer: {error}", _HINT) from None
            if line.rest(RETRY_SECONDS * 2**attempt):
                raise Cancelled
        raise AssertionError  # the last attempt returned or raised

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            value = json.loads(data)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ModelError("the server's answer is not what the API says", _HINT)
        if "error" in value:
            raise _refusal(200, self._without_key(json.dumps(value)))
        return value

    def _without_key(self, said: str) -> str:
        """A server's words, which may quote the key that it was sent."""
        return said.replace(self._key, "[the key]") if self._key else said


def _body(request: GenerateRequest, model: str, temperature: float, seed: int) -> dict[str, Any]:
    messages = list(request.messages)
    if request.prefill:
        messages.append({"role": "assistant", "content": request.prefill})
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "max_tokens": request.max_tokens,
        "temperature": temperature,
        "seed": seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.stop:
        body["stop"] = list(request.stop)
    if request.schema is not None:
        schema = {"name": "answer", "schema": request.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _take(answer: _Answer, event: dict[str, Any]) -> None:
    answer.done = answer.done or not event
    answer.build = event.get("system_fingerprint") or answer.build
    for choice in event.get("choices") or ():
        part = choice.get("delta") or choice.get("message") or {}
        answer.pieces.append(part.get("content") or "")
        if choice.get("finish_reason"):
            answer.finish = "length" if choice["finish_reason"] == "length" else "stop"
    usage = event.get("usage") or {}
    answer.prompt_tokens = usage.get("prompt_tokens", answer.prompt_tokens)
    answer.completion_tokens = usage.get("completion_tokens", answer.completion_tokens)


def _refusal(code: int, said: str) -> ModelError | ContextTooLong:
    try:
        error = json.loads(said)["error"]
        text = error if isinstance(error, str) else str(error.get("message", said))
        kind = "" if isinstance(error, str) else f"{error.get('code')} {error.get('type')}"
    except (ValueError, KeyError, TypeError, AttributeError):
        text, kind = said, ""
    if "context" in kind:
        return ContextTooLong(f"the server says: {text[:300]}")
    return ModelError(f"the server refused ({code}): {text[:300]}", _HINT, http=code)


def _corrected(body: dict[str, Any], request: GenerateRequest, answer: _Answer, wrong: str) -> list[dict[str, str]]:
    """The messages with what is wrong with an answer, and the form that is wanted, in words."""
    said = {"role": "assistant", "content": request.prefill + answer.text}
    told = {"role": "user", "content": f"That answer does not fit: {wrong}. Answer again. {_in_words(request)}"}
    return [*request.messages, said, told, *body["messages"][len(request.messages) :]]


def _told(messages: list[dict[str, str]], request: GenerateRequest) -> list[dict[str, str]]:
    """The messages with the form that is wanted in words, before the answer's beginning."""
    place = len(messages) - bool(request.prefill)
    return [*messages[:place], {"role": "user", "content": _in_words(request)}, *messages[place:]]


def _in_words(request: GenerateRequest) -> str:
    return f"The answer is JSON and nothing else, and fits this JSON schema: {json.dumps(request.schema)}"


def _form(answers: Sequence[_Answer]) -> str:
    retries = sum(answer.retries for answer in answers)
    return "checked" if not retries else f"checked, {retries} asked for again"
