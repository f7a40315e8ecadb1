"""Where llama.cpp keeps weights: the layouts that it may bring them into for this processor, and their places in memory.

A layout is a "buffer type" of ggml's CPU device, and ggml's public interface lists those that its library has.
"""

from __future__ import annotations

import contextlib
import ctypes
from typing import Any

from batos.errors import ModelError
from batos.mind.pageable import Region

_CPU = 0
_MAPPED = "CPU_Mapped"
_BUFFER, _SOURCE, _NAME = 8, 152, 256
"""Places of `buffer`, `src[0]` and `name` in ggml.h's `struct ggml_tensor`."""


def names(llama_cpp: Any) -> list[str]:
    """Names of the layouts on llama.cpp's list, the preferred one first."""
    library, layouts = _layouts(llama_cpp)
    return [library.ggml_backend_buft_name(layout).decode() for layout in layouts if layout]


def regions(llama_cpp: Any, model: Any) -> list[Region]:
    """Where a loaded model's weights lie: what is mapped from its file, and what was laid out anew.

    A throwaway context computes one token, and llama.cpp shows each step's tensors to the callback that it has for that.

    Args:
        llama_cpp: The library.
        model: The model's handle.

    Raises:
        ModelError: They cannot be found.
    """
    library, _ = _layouts(llama_cpp)
    if library is None:
        raise ModelError("this llama.cpp does not tell where weights lie")
    strange = []
    wanted = {_MAPPED, *names(llama_cpp)}
    buffers: dict[int, Region] = {}

    @llama_cpp.ggml_backend_sched_eval_callback  # type: ignore[untyped-decorator, unused-ignore]
    def on_step(tensor: int, ask: bool, data: object) -> bool:
        del ask, data
        if library.ggml_get_name(tensor) != tensor + _NAME:  # a library whose tensors look otherwise
            strange.append(tensor)
            return False
        source = ctypes.c_void_p.from_address(tensor + _SOURCE).value
        buffer = source and ctypes.c_void_p.from_address(source + _BUFFER).value
        if buffer and buffer not in buffers:
            name = library.ggml_backend_buft_name(library.ggml_backend_buffer_get_type(buffer)).decode()
            if name in wanted:
                start, size = library.ggml_backend_buffer_get_base(buffer), library.ggml_backend_buffer_get_size(buffer)
                buffers[buffer] = Region(start, size, name == _MAPPED)
        return False

    _compute_once(llama_cpp, model, on_step)
    if strange:
        raise ModelError("this llama.cpp keeps its tensors in another form")
    return list(buffers.values())


def _compute_once(llama_cpp: Any, model: Any, on_step: Any) -> None:
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx, parameters.n_batch, parameters.n_ubatch = 32, 1, 1
    parameters.n_threads = parameters.n_threads_batch = 1
    parameters.cb_eval = on_step
    context = llama_cpp.llama_init_from_model(model, parameters)
    if not context:
        raise ModelError("llama.cpp cannot make a context to find the weights by")
    token = (llama_cpp.llama_token * 1)(0)
    failed = llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(token, 1))
    llama_cpp.llama_free(context)
    if failed:
        raise ModelError("llama.cpp cannot compute to find the weights")


def _layouts(llama_cpp: Any) -> tuple[Any, Any]:
    """The library with its functions declared, and the list itself; empty where it has none."""
    with contextlib.suppress(AttributeError):  # a library that was built otherwise has no such list
        # Opened once more, for prototypes of our own: those of llama_cpp stay as they are.
        library = ctypes.CDLL(llama_cpp.llama_cpp._lib._name)  # noqa: SLF001 - it tells nobody where it lies
        _declare(library)
        device = library.ggml_backend_dev_by_type(_CPU)
        registry = library.ggml_backend_dev_backend_reg(device)
        address = library.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
        if address:
            give = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(address)
            layouts = give(device)
            length = next(place for place in range(64) if not layouts[place])
            return library, ctypes.cast(layouts, ctypes.POINTER(ctypes.c_void_p * length)).contents
    return None, ()


def _declare(library: Any) -> None:
    """Tell the kinds of the arguments and results of ggml's functions that are used here."""
    pointer = ctypes.c_void_p
    for name, result, arguments in (
        ("get_name", pointer, [pointer]),
        ("backend_dev_by_type", pointer, [ctypes.c_int]),
        ("backend_dev_backend_reg", pointer, [pointer]),
        ("backend_reg_get_proc_address", pointer, [pointer, ctypes.c_char_p]),
        ("backend_buft_name", ctypes.c_char_p, [pointer]),
        ("backend_buffer_get_type", pointer, [pointer]),
        ("backend_buffer_get_base", pointer, [pointer]),
        ("backend_buffer_get_size", ctypes.c_size_t, [pointer]),
    ):
        function = getattr(library, f"ggml_{name}")
        function.restype, function.argtypes = result, arguments
