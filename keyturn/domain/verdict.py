"""The verdict on a connection, layer by layer. Unproven is never green."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Layer(StrEnum):
    """What a verdict is made of, from the cheapest proof to the strongest."""

    L0 = "L0"
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"


LAYER_MEANING = {
    Layer.L0: "the manifest and the pair pass lint",
    Layer.L1: "Gong's token endpoint knows the pair",
    Layer.L2: "the StackOne profile is there and as we left it",
    Layer.L3: "an account is active and a live call went through",
}


class LayerStatus(StrEnum):
    """NOT_TESTED is an honest answer, and never counts as PASSED."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_TESTED = "not tested"


@dataclass(frozen=True, slots=True)
class LayerResult:
    """One layer: what was seen, and what to do about it."""

    layer: Layer
    status: LayerStatus
    evidence: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """All layers, in order."""

    layers: tuple[LayerResult, ...]

    @property
    def failed(self) -> tuple[LayerResult, ...]:
        """The layers that failed."""
        return tuple(r for r in self.layers if r.status is LayerStatus.FAILED)

    @property
    def proven(self) -> bool:
        """Whether every layer passed."""
        return all(r.status is LayerStatus.PASSED for r in self.layers)
