"""A mind host whose models are doubles: the real host's loop, with engines that do what the prompt says."""

import os
import signal
import sys
import threading
import time

from batos.errors import Cancelled, ContextTooLong
from batos.mind import host
from batos.mind.protocol import GenerateReply


class Double:
    """Writes, hangs, fails or dies, as the first word of the last message says."""

    def __init__(self, spec):
        if spec.extra.get("broken"):
            raise ValueError("these weights are broken")
        self.spec = spec

    def generate(self, request, on_token, cancelled):
        what, _, rest = request.messages[-1]["content"].partition(" ")
        act = {"say": self.say, "wait": self.wait, "die": self.die, "hang": self.hang, "long": self.long}
        text = act[what](rest, on_token, cancelled)
        return GenerateReply(texts=(text,) * request.n, finish=("stop",), model=self.spec.name, completion_tokens=1)

    def adapt(self, adapter):
        pass

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
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(self, rest, on_token, cancelled):
        on_token("hanging")
        time.sleep(3600)

    def long(self, rest, on_token, cancelled):
        raise ContextTooLong("too long by 7", over=7)

    def sleep(self):
        return False

    def close(self):
        pass


def make(engine, spec):
    """Load a double; what a library prints on standard output must not harm the frames."""
    print("noise on standard output")
    sys.stdout.flush()
    return Double(spec)


if __name__ == "__main__":
    host.make_engine = make
    threading.excepthook = lambda args: os._exit(9)
    host.main()
