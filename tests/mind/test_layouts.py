"""Where llama.cpp keeps weights, and the layout that is never used."""

import pytest

from batos.mind import layouts, llama_native


def test_layouts_have_names():
    """The library that is installed lists its layouts, each once."""
    names = layouts.names(llama_native.library())
    assert len(set(names)) == len(names)
    assert all(names)


@pytest.mark.real
def test_with_amx_in_the_library_weights_stay_as_they_are(weights, monkeypatch):
    """A library that has the layout which ends the process lays no weights out anew: all are mapped from the file."""
    library = llama_native.library()
    real = layouts.names(library)
    monkeypatch.setattr(layouts, "names", lambda _: ["AMX", *real])
    model = llama_native.Model(weights("qwen2.5-coder-0.5b").path)
    try:
        found = layouts.regions(library, model.handle)
    finally:
        model.close()
    assert found
    assert all(region.mapped for region in found)
