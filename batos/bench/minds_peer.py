"""The peers of bench `minds`: the same libraries called directly, in a process of their own.

Run as `python -m batos.bench.minds_peer llama.cpp|transformers|tar PATH …`; it answers JSON lines on standard output.
"""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.mind.courtesy import step_back
from batos.mind.llama_native import library

if TYPE_CHECKING:
    from collections.abc import Callable

BRIEF: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
MESSAGES: Any = [{"role": "user", "content": "Write a long story about a lighthouse."}]


def llama(path: str, messages: Any = MESSAGES) -> Callable[[int], int]:
    """Write so many tokens with llama-cpp-python's own class; gives how many came."""
    from llama_cpp import Llama

    from batos.mind.device import cores

    model = Llama(path, n_ctx=2048, n_threads=cores(), n_threads_batch=cores(), verbose=False)

    def write(tokens: int) -> int:
        model.reset()
        reply = model.create_chat_completion(messages, max_tokens=tokens, temperature=0.0)
        return int(reply["usage"]["completion_tokens"])

    return write


def transformers(path: str) -> Callable[[int], int]:
    """Write so many tokens with `generate` of a 4-bit model; gives how many came."""
    import torch
    from transformers import AutoTokenizer

    from batos.mind.device import cores
    from batos.mind.transformers_engine import load_nf4

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(cores())
    model = load_nf4(path, device)
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    text = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, tokenize=False)
    inputs = tokenizer(text, return_tensors="pt", add_special_tokens=False).to(device)

    def write(tokens: int) -> int:
        with torch.inference_mode():
            told = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        return int(told.shape[1] - inputs["input_ids"].shape[1])

    return write


def swap_by_tar(archive: str) -> None:
    """What the original did on each swap: copy the archive out of the blob, unpack it, load, and write one token."""
    with tempfile.TemporaryDirectory(prefix="batos-bench-") as place:
        copied = shutil.copyfile(archive, Path(place) / "weights.tar")
        with tarfile.open(copied) as opened:
            opened.extractall(place, filter="data")
        (file,) = Path(place).glob("*.gguf")
        llama(str(file), BRIEF)(1)


def main() -> None:
    """Answer each line, a number of tokens, with how many came and the seconds."""
    step_back(0)  # as the mind host does, so that whatever else runs hinders both alike
    kind, path = sys.argv[1:3]
    if kind != "transformers":
        library()  # loaded as ours is, without what crashes; the original had its libraries loaded before a swap too
    if kind == "tar":
        work: Callable[[int], Any] = lambda _: swap_by_tar(path)  # noqa: E731
    else:
        work = llama(path) if kind == "llama.cpp" else transformers(path)
    print(json.dumps("ready"), flush=True)  # noqa: T201 - its protocol
    for line in sys.stdin:
        start = time.perf_counter()
        tokens = work(int(line))
        print(json.dumps({"tokens": tokens, "seconds": time.perf_counter() - start}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
