"""What the regressor says of pictures beside their property: what it saw, where, what is alike.

Class activation maps (Zhou et al., CVPR 2016) of a network whose head is linear over pooled
features are Grad-CAM (Selvaraju et al., ICCV 2017, section 3.1) without its rectifier, and cost
nothing. They stand beside an explanation because users know them; what about the material matters
they do not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from lotwise.core.committee_outputs import BLOCKS, FeatureOutputs
from lotwise.core.known_tiles import Example, KnownTiles
from lotwise.core.tile import Grey
from lotwise.runtime.inference import Inference, infer_in_chunks

PROPERTY: Final = "property"
MAP: Final = "activation_map"
EXAMPLES: Final = 3
"""Of each picture."""

Found = list[tuple[Example, float]]
"""Examples with their distances, nearest first."""


@dataclass(frozen=True)
class Looks:
    """What the regressor says of N pictures.

    Attributes:
        values: float64 [N], as predict would answer.
        familiarities: Of each a p-value among known tiles; None where nobody can say.
        seen: Its features; None where nothing is compared with them.
        maps: float32 [N, h, w], where it looked; None where nobody asked, or nobody can say.
    """

    values: npt.NDArray[np.float64]
    familiarities: tuple[float, ...] | None = None
    seen: FeatureOutputs | None = None
    maps: npt.NDArray[np.float32] | None = None

    def at(self, number: int) -> Looks:
        """Of one picture alone."""
        only = slice(number, number + 1)
        return Looks(
            self.values[only],
            None if self.familiarities is None else self.familiarities[only],
            None if self.seen is None else self.seen.take(only),
            None if self.maps is None else self.maps[only],
        )

    @property
    def familiarity(self) -> float | None:
        """Of the first picture."""
        return None if self.familiarities is None else self.familiarities[0]

    @classmethod
    def joined(cls, parts: Sequence[Looks]) -> Looks:
        """Of the pictures of all parts, one after another; without maps."""
        told = [part.familiarities for part in parts if part.familiarities is not None]
        familiarities = tuple(chain.from_iterable(told)) if len(told) == len(parts) else None
        blocks = [part.seen.blocks for part in parts if part.seen is not None]
        seen = None
        if len(blocks) == len(parts):
            names = blocks[0].keys()
            joined = {name: np.concatenate([each[name] for each in blocks]) for name in names}
            seen = FeatureOutputs(joined)
        return cls(np.concatenate([part.values for part in parts]), familiarities, seen)


@dataclass(frozen=True)
class Observer:
    """A served regressor, with what it knows.

    Attributes:
        inference: The engine.
        model: Its name.
        outputs: That it gives.
        known: Its known tiles; None where there are none.
    """

    inference: Inference
    model: str
    outputs: tuple[str, ...]
    known: KnownTiles | None

    async def look(self, images: npt.NDArray[np.uint8], *, where: bool = False) -> Looks:
        """Ask about pictures.

        Args:
            images: uint8 [N, 1, px, px].
            where: Whether maps are wanted, too.

        Raises:
            InferenceError: As the engine does.
        """
        wanted = [PROPERTY]
        wanted += BLOCKS if self.known is not None else ()
        wanted += [MAP] if where and MAP in self.outputs else ()
        said = await infer_in_chunks(self.inference, self.model, {"image": images}, wanted)
        values = said[PROPERTY][:, 0].astype(np.float64)
        if self.known is None:
            return Looks(values, maps=said.get(MAP))
        seen = FeatureOutputs.of(said)
        return Looks(values, tuple(self.known.p_values(seen).tolist()), seen, said.get(MAP))

    def examples(self, looks: Looks) -> list[Found]:
        """Tiles that the regressor learned from and sees as most alike; none where nobody knows."""
        if self.known is None or looks.seen is None:
            return [[] for _ in looks.values]
        return self.known.nearest(looks.seen, EXAMPLES)


def map_picture(activation_map: npt.NDArray[Any], px: int) -> Grey:
    """A map as a picture of the tile's size: black where nothing raises the property.

    Args:
        activation_map: float [h, w].
        px: Edge of the picture.

    Returns:
        uint8 [px, px], 255 where the map is highest.
    """
    raised = np.maximum(activation_map, 0.0)
    scaled = raised / max(float(raised.max()), 1e-9)
    small = Image.fromarray(scaled.astype(np.float32))
    large = np.asarray(small.resize((px, px), Image.Resampling.BILINEAR))
    grey: Grey = np.rint(255.0 * large.clip(0.0, 1.0)).astype(np.uint8)
    return grey
