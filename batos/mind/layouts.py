"""The layouts that llama.cpp may bring weights into for the processor at hand.

Each is a "buffer type" of ggml's CPU device. llama.cpp takes the first of its list that can hold a tensor; the list is
given by ggml's public interface, so what must not be used is taken off it before the first model is loaded.

AMX must not: its tile configuration is set up in a way that GCC leaves half of it out, and the first prompt ends the
process (ggml-org/llama.cpp, pull request 26954).
"""

from __future__ import annotations

import contextlib
import ctypes
from typing import Any

_CPU = 0


def leave_out(llama_cpp: Any, name: str) -> None:
    """Take a layout off llama.cpp's list, for this process; one that is not there is no trouble."""
    library, layouts = _layouts(llama_cpp)
    kept = [layout for layout in layouts if layout and library.ggml_backend_buft_name(layout) != name.encode()]
    for place, layout in enumerate([*kept, *[None] * (len(layouts) - len(kept))]):
        layouts[place] = layout


def names(llama_cpp: Any) -> list[str]:
    """Names of the layouts on llama.cpp's list, the preferred one first."""
    library, layouts = _layouts(llama_cpp)
    return [library.ggml_backend_buft_name(layout).decode() for layout in layouts if layout]


def _layouts(llama_cpp: Any) -> tuple[Any, Any]:
    """The library with its functions declared, and the list itself, to read and to write; empty where it has none."""
    with contextlib.suppress(AttributeError):  # a library that was built otherwise has no such list
        # Opened once more, for prototypes of our own: those of llama_cpp stay as they are.
        library = ctypes.CDLL(llama_cpp.llama_cpp._lib._name)  # noqa: SLF001 - it tells nobody where it lies
        for function in ("dev_by_type", "dev_backend_reg", "reg_get_proc_address"):
            getattr(library, f"ggml_backend_{function}").restype = ctypes.c_void_p
        library.ggml_backend_dev_backend_reg.argtypes = [ctypes.c_void_p]
        library.ggml_backend_reg_get_proc_address.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.ggml_backend_buft_name.argtypes = [ctypes.c_void_p]
        library.ggml_backend_buft_name.restype = ctypes.c_char_p
        device = library.ggml_backend_dev_by_type(_CPU)
        registry = library.ggml_backend_dev_backend_reg(device)
        address = library.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
        if address:
            give = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(address)
            layouts = give(device)
            length = next(place for place in range(64) if not layouts[place])
            return library, ctypes.cast(layouts, ctypes.POINTER(ctypes.c_void_p * length)).contents
    return None, ()
