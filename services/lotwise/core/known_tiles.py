"""What a regressor knows: how strange a tile is to it, and which of its own tiles look alike.

One file beside its weights, tied to them by hash. Familiarity is that of `familiarity.py` over the
features of a single network. Its calibration tiles are of lots that are not in its bank, so a lot
that was never seen, but might have been, is as familiar as any other.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lotwise.core.committee_outputs import BLOCKS, FeatureOutputs
from lotwise.core.errors import Contradiction
from lotwise.core.familiarity import Familiarity, squared_distances
from lotwise.core.uncertainty import Array
from lotwise.core.validation import first_problem

KNOWN_TILES_FILE: Final = "known_tiles.npz"


class KnownTilesStatement(BaseModel):
    """What the tiles are.

    Attributes:
        version: Name of this fit.
        weights_sha256: The regressor that it belongs to.
        calibration_tiles: Tiles that familiarity was calibrated with.
        lots: Lots that all of it rests on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(min_length=1)
    weights_sha256: str = Field(min_length=64, max_length=64)
    calibration_tiles: int = Field(gt=0)
    lots: int = Field(gt=1)


@dataclass(frozen=True)
class Example:
    """A tile that the regressor learned from.

    Attributes:
        lot_id: Its lot.
        value: The lot's measured property, in the regressor's unit.
        simulated: Whether the lot is.
        jpeg: The tile, smaller.
    """

    lot_id: str
    value: float
    simulated: bool
    jpeg: bytes


@dataclass(frozen=True, eq=False)
class KnownTiles:
    """Everything in the file.

    Attributes:
        statement: What it is.
        familiarity: Over both blocks of features.
        examples: N tiles.
        places: float16 [N, P], where they lie along the directions of the first block.
    """

    statement: KnownTilesStatement
    familiarity: Familiarity
    examples: tuple[Example, ...]
    places: npt.NDArray[np.float16]

    def p_values(self, seen: FeatureOutputs) -> Array:
        """Familiarity of tiles: float64 [N], above 0 and at most 1; small is strange."""
        return self.familiarity.p_values(seen)

    def nearest(self, seen: FeatureOutputs, count: int) -> list[list[tuple[Example, float]]]:
        """The examples that are most alike, nearest first, with their distances.

        Args:
            seen: Of some tiles.
            count: How many of each tile, of as many lots.

        Returns:
            For each tile. A distance of 1 is usual between two tiles of one lot.
        """
        reference = self.familiarity.blocks[BLOCKS[0]]
        places = reference.places(seen.blocks[BLOCKS[0]])
        # Along every direction tiles of one lot have unit variance, so two differ by twice that.
        usual = np.sqrt(2.0 * places.shape[1])
        distances = np.sqrt(squared_distances(places, self._places)) / usual
        return [self._of_different_lots(row, count) for row in distances]

    @cached_property
    def _places(self) -> npt.NDArray[np.float32]:
        return self.places.astype(np.float32)

    def _of_different_lots(
        self, distances: npt.NDArray[Any], count: int
    ) -> list[tuple[Example, float]]:
        found: dict[str, tuple[Example, float]] = {}
        for number in np.argsort(distances):
            example = self.examples[number]
            found.setdefault(example.lot_id, (example, float(distances[number])))
            if len(found) == count:
                break
        return list(found.values())

    def check_weights(self, weights_sha256: str) -> None:
        """Refuse a regressor of other weights.

        Raises:
            Contradiction: KNOWN_TILES_MISMATCH.
        """
        if weights_sha256 != self.statement.weights_sha256:
            raise Contradiction(
                "KNOWN_TILES_MISMATCH",
                f"The known tiles {self.statement.version} are those of another regressor than the "
                "one that is served. Run `lotwise-train regressor` and export it again.",
            )

    def write(self, path: Path) -> None:
        """Write the file that `read` reads."""
        ends = np.cumsum([len(each.jpeg) for each in self.examples])
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                allow_pickle=False,
                statement=_bytes(self.statement.model_dump_json().encode()),
                familiarity=_bytes(self.familiarity.to_bytes()),
                places=self.places,
                lot_ids=np.array([each.lot_id for each in self.examples]),
                values=np.array([each.value for each in self.examples]),
                simulated=np.array([each.simulated for each in self.examples]),
                pictures=_bytes(b"".join(each.jpeg for each in self.examples)),
                ends=ends,
            )

    @classmethod
    def read(cls, path: Path) -> KnownTiles:
        """Read and check the file.

        Raises:
            Contradiction: KNOWN_TILES_MISSING or KNOWN_TILES_INVALID.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise Contradiction(
                "KNOWN_TILES_MISSING", f"{path} cannot be read: {error.strerror}."
            ) from None
        try:
            return cls._read(content)
        except ValidationError as error:
            problem = first_problem(error)
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            problem = str(error)
        raise Contradiction("KNOWN_TILES_INVALID", f"{path} holds no known tiles: {problem}.")

    @classmethod
    def _read(cls, content: bytes) -> KnownTiles:
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise ValueError("it is no .npz file")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            statement = KnownTilesStatement.model_validate_json(arrays["statement"].tobytes())
            familiarity = Familiarity.from_bytes(arrays["familiarity"].tobytes())
            pictures, ends = arrays["pictures"].tobytes(), arrays["ends"].tolist()
            rows = zip(
                arrays["lot_ids"].tolist(),
                arrays["values"].tolist(),
                arrays["simulated"].tolist(),
                [pictures[start:end] for start, end in zip([0, *ends], ends, strict=False)],
                strict=True,
            )
            known = cls(
                statement, familiarity, tuple(Example(*row) for row in rows), arrays["places"]
            )
        if len(known.places) != len(known.examples) or BLOCKS[0] not in familiarity.blocks:
            raise ValueError("its parts do not belong together")
        return known


def _bytes(content: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(content, dtype=np.uint8)
