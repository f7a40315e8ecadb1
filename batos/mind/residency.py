"""Which models are loaded in a host: a budget of bytes, the least lately used leaves first, none is loaded twice.

Pinned models stay, whatever else is asked for. One that has to leave for another falls asleep where its engine can: its
memory goes back to the system, and its next use is much quicker than a load.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.errors import ModelError, NoWeights

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.mind.protocol import ModelSpec


MOST_ASLEEP = 4


class Residency:
    """The loaded models of one host.

    Args:
        make: Loads a model; gives its engine.
        budget: Bytes that all of them may take; 0 for no limit.
    """

    def __init__(self, make: Callable[[ModelSpec], Any], budget: int = 0) -> None:
        self._make = make
        self._budget = budget
        self._loaded: OrderedDict[str, tuple[ModelSpec, int, Any]] = OrderedDict()
        self._asleep: OrderedDict[str, tuple[ModelSpec, int, Any]] = OrderedDict()
        self.pinned: frozenset[str] = frozenset()
        self.beside = 0
        """Bytes of the budget that models of another host take."""
        self.loads = 0
        self.wakes = 0

    def get(self, spec: ModelSpec) -> Any:
        """Give the engine of a model; loads it if it is not loaded, others leave where room is needed.

        Raises:
            NoWeights: Its file is not there.
            ModelError: It cannot be loaded, or the budget has no room for it beside what is pinned.
        """
        held = self._loaded.get(spec.name)
        if held is not None and held[0] == spec:
            self._loaded.move_to_end(spec.name)
            return held[2]
        if held is not None or self._asleep.get(spec.name, (spec,))[0] != spec:
            self.drop(spec.name)
        size = weight_bytes(Path(spec.path))
        self._make_room(spec.name, size)
        engine = self._woken(spec.name)
        if engine is None:
            engine = self._make(spec)
            self.loads += 1
        self._loaded[spec.name] = (spec, size, engine)
        return engine

    def has(self, spec: ModelSpec) -> bool:
        """Tell whether a model is loaded just as it is described."""
        held = self._loaded.get(spec.name)
        return held is not None and held[0] == spec

    def drop(self, name: str) -> None:
        """Unload a model, also one that sleeps; one that is not there is no trouble."""
        for place in (self._loaded, self._asleep):
            held = place.pop(name, None)
            if held is not None:
                held[2].close()

    def clear(self) -> None:
        """Unload all models."""
        for name in [*self._loaded, *self._asleep]:
            self.drop(name)

    def listing(self) -> list[dict[str, Any]]:
        """The loaded models, least lately used first: `name`, `bytes`, `sha256`."""
        return [_described(held) for held in self._loaded.values()]

    def sleeping(self) -> list[dict[str, Any]]:
        """The models that sleep, in the same form; those bytes they do not take."""
        return [_described(held) for held in self._asleep.values()]

    def _woken(self, name: str) -> Any:
        """The engine of a model that slept; None where none did."""
        held = self._asleep.pop(name, None)
        if held is None:
            return None
        try:
            held[2].wake()
        except ModelError:
            held[2].close()
            raise
        self.wakes += 1
        return held[2]

    def _rest(self, name: str) -> None:
        """Put a model to sleep, or unload it where its engine cannot; of too many that sleep the first is unloaded."""
        held = self._loaded.pop(name)
        if not held[2].sleep():
            held[2].close()
            return
        self._asleep[name] = held
        if len(self._asleep) > MOST_ASLEEP:
            self.drop(next(iter(self._asleep)))

    def _make_room(self, name: str, size: int) -> None:
        if not self._budget:
            return
        pinned = sum(held[1] for other, held in self._loaded.items() if other in self.pinned)
        if size + pinned + self.beside > self._budget:
            raise self._no_room(name, size, pinned)
        for other in [other for other in self._loaded if other not in self.pinned]:
            if size + self.beside + sum(held[1] for held in self._loaded.values()) <= self._budget:
                return
            self._rest(other)

    def _no_room(self, name: str, size: int, pinned: int) -> ModelError:
        beside = f" beside {pinned >> 20} MiB that are pinned" if pinned else ""
        beside += f" beside {self.beside >> 20} MiB of models in the other host" if self.beside else ""
        hint = "Raise MEMORY_BUDGET, or choose a smaller model in PERSONA_MODELS."
        return ModelError(
            f"{name} takes {size >> 20} MiB, and the budget for models is {self._budget >> 20} MiB{beside}",
            hint + " Or unpin one." * bool(pinned),
        )


def _described(held: tuple[ModelSpec, int, Any]) -> dict[str, Any]:
    return {"name": held[0].name, "bytes": held[1], "sha256": held[0].sha256}


def weight_bytes(path: Path) -> int:
    """Bytes of a model's file, or of the weights in its folder.

    Raises:
        NoWeights: There is nothing at that path.
    """
    if path.is_file():
        return path.stat().st_size
    if path.is_dir():
        return sum(file.stat().st_size for file in path.glob("*.safetensors"))
    raise NoWeights(f"{path} is not there", "Fetch the weights: `python -m batos models fetch`.")
