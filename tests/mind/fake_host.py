"""A mind host whose models are doubles: the real host's loop, with engines that do what the prompt says."""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from batos.errors import Cancelled, ContextTooLong, ModelError
from batos.mind import adapters, host
from batos.mind.protocol import GenerateReply


@contextlib.contextmanager
def little_memory():
    """This process may not grow by more than a few MiB."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (8 << 20), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


class Double:
    """Writes, hangs, fails or dies, as the first word of the last message says, or of a mission's selector."""

    def __init__(self, spec):
        if spec.extra.get("broken"):
            raise ValueError("these weights are broken")
        self.spec, self.adapter = spec, ""

    def generate(self, request, on_token, cancelled):
        text = self.mission(request, on_token, cancelled) or self.act(
            *request.messages[-1]["content"].split(" ", 1), on_token=on_token, cancelled=cancelled
        )
        dropped = min(len(request.optional), request.selector.startswith("crowded_"))
        return GenerateReply(
            texts=(text,) * request.n,
            finish=("stop",),
            model=self.spec.name,
            adapter=self.adapter,
            completion_tokens=1,
            dropped=dropped,
        )

    def act(self, what, rest="", *, on_token, cancelled):
        acts = (self.say, self.wait, self.die, self.hang, self.long, self.starve)
        return {act.__name__: act for act in acts}[what](rest, on_token, cancelled)

    def mission(self, request, on_token, cancelled):
        """Nothing for a request of no mission; a method for a mission, the first time only after the fault that it names."""
        if not request.selector:
            return ""
        if request.state == "DECOMPOSING":
            return json.dumps([request.intent])
        met = Path(os.environ["BATOS_HOME"], f"{request.selector}.met")
        if request.selector.startswith(("die_", "hang_", "starve_", "wait_")) and not met.exists():
            met.touch()
            what, rest = request.selector.split("_", 1)
            self.act(what, rest.upper(), on_token=on_token, cancelled=cancelled)
        return f"def {request.selector}(self):\n    return 'after all'\n"

    def adapt(self, adapter):
        self.adapter = f"{adapter.name} {adapter.sha256}" if adapter else ""

    def embed(self, texts, cancelled):
        return [[float(len(text)), 0.0] for text in texts]

    def say(self, rest, on_token, cancelled):
        for word in rest.split():
            on_token(word)
        return rest

    def wait(self, rest, on_token, cancelled):
        on_token("waiting")
        while not cancelled():
            time.sleep(0.005)
        raise Cancelled

    def die(self, rest, on_token, cancelled):
        print("a last word of a native library", file=sys.stderr, flush=True)
        os.kill(os.getpid(), getattr(signal, rest or "SIGKILL"))
        time.sleep(3600)

    def hang(self, rest, on_token, cancelled):
        on_token("hanging")
        time.sleep(3600)

    def long(self, rest, on_token, cancelled):
        raise ContextTooLong("too long by 7", over=7)

    def starve(self, rest, on_token, cancelled):
        with little_memory():
            return str(len(bytearray(1 << 30)))

    def sleep(self):
        return False

    def close(self):
        pass


def make(engine, spec):
    """Load a double; what a library prints on standard output must not harm the frames."""
    print("noise on standard output")
    sys.stdout.flush()
    return Double(spec)


def check(adapter, model):
    """Try an adapter on a double: every one fits but an alien."""
    if adapter.name == "ALIEN":
        raise ModelError("ALIEN is made for another base")
    return {"rank": json.loads(Path(adapter.path, "adapter_config.json").read_text())["r"], "modules": [], "base": ""}


if __name__ == "__main__":
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # those that die leave no file
    host.make_engine = make
    adapters.check = check
    threading.excepthook = lambda args: os._exit(9)
    host.main()
