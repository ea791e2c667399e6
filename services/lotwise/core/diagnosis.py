"""Why a tile is unfamiliar: the instrument, the synthesis, or no material at all.

Zhang et al. 2020, section "Can we leverage uncertainties to identify different types of shifts?",
hope to tell them by entropy and name what to do about each. Entropy alone does not tell them, but
where networks place a tile does: a change of the instrument moves it otherwise than another
material. So a small network is fitted on simulated shifts of known kinds, on what the committee
says of a tile and where it places it. `lotwise_training/data/synthetic_shifts.py` makes the shifts;
the diagnosis is evaluated on other ones.

N tiles, F numbers that describe a tile, H hidden units.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lotwise.core.committee_outputs import CommitteeOutputs
from lotwise.core.errors import Contradiction
from lotwise.core.familiarity import BlockReference, Single, read_blocks, scores
from lotwise.core.uncertainty import Array, mutual_information, softmax

DIAGNOSIS_FILE: Final = "diagnosis.npz"


class Shift(Enum):
    """What has changed between known tiles and a tile. Names as in the protocol."""

    NONE = "none"
    INSTRUMENT = "instrument shift"
    SYNTHESIS = "unseen synthesis"
    UNRELATED = "unrelated"


KINDS: Final = tuple(Shift)
"""The order of every array of kinds."""
ACTIONS: Final[Mapping[Shift, str]] = {
    Shift.NONE: "",
    Shift.INSTRUMENT: (
        "Set the instrument as it was and scan again; if the change is to stay, train with tiles "
        "of it, or calibrate again."
    ),
    Shift.SYNTHESIS: "Test samples of the lot mechanically: no known lot speaks for it.",
    Shift.UNRELATED: "Discard: it shows no such material.",
}
"""What to do about each kind; Zhang et al. 2020, end of the results."""
PLACE: Final = 8
"""Directions of each block that tests on lots go by: those in which known lots differ most."""


@dataclass(frozen=True)
class TileDiagnosis:
    """What the diagnosis says of one tile.

    Attributes:
        log_probabilities: Of the kinds, in the order of KINDS.
        place: Along PLACE directions of each block, in units of the spread within a known lot.
        version: Of the diagnosis.
    """

    log_probabilities: tuple[float, ...]
    place: tuple[float, ...]
    version: str

    @property
    def likeliest(self) -> Shift:
        """The kind that is likeliest."""
        return KINDS[int(np.argmax(self.log_probabilities))]


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """A fitted diagnosis of one committee.

    Attributes:
        blocks: Where known lots lie, by the committee's output.
        centre, scale: float32 [F], of the description.
        hidden: float32 [F + 1, H]; the last row is added.
        output: float32 [H + 1, 4]; the last row is added.
        weights_sha256: Of the committee.
        version: Name of this fit.
    """

    blocks: Mapping[str, BlockReference]
    centre: Single
    scale: Single
    hidden: Single
    output: Single
    weights_sha256: str
    version: str

    def log_probabilities(self, outputs: CommitteeOutputs) -> Array:
        """Of the kinds, as if all were equally common: float64 [N, 4].

        Args:
            outputs: Of the committee.
        """
        described = (describe(self.blocks, outputs) - self.centre) / self.scale
        hidden = np.maximum(described @ self.hidden[:-1] + self.hidden[-1], 0.0)
        logits = hidden @ self.output[:-1] + self.output[-1]
        return np.asarray(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))

    def places(self, outputs: CommitteeOutputs) -> Array:
        """Where tiles lie: float64 [N, PLACE a block], in units of the spread within a known lot.

        Args:
            outputs: Of the committee.
        """
        parts = [
            block.places(outputs.blocks[name])[:, -PLACE:] for name, block in self.blocks.items()
        ]
        return np.concatenate(parts, axis=1).astype(np.float64)

    def of_tiles(self, outputs: CommitteeOutputs) -> list[TileDiagnosis]:
        """What it says of each tile.

        Args:
            outputs: Of the committee.
        """
        return [
            TileDiagnosis(tuple(logs.tolist()), tuple(place.tolist()), self.version)
            for logs, place in zip(
                self.log_probabilities(outputs), self.places(outputs), strict=True
            )
        ]

    def check_weights(self, weights_sha256: str) -> None:
        """Refuse a committee of other weights.

        Raises:
            Contradiction: DIAGNOSIS_MISMATCH.
        """
        if weights_sha256 != self.weights_sha256:
            raise Contradiction(
                "DIAGNOSIS_MISMATCH",
                f"{DIAGNOSIS_FILE} was fitted for other weights than the committee's. Fit it again "
                "with `lotwise-train diagnose`, or remove it.",
            )

    def write(self, path: Path) -> None:
        """As a compressed .npz."""
        arrays: dict[str, npt.NDArray[Any]] = {
            name: getattr(self, name) for name in ("centre", "scale", "hidden", "output")
        }
        for name, block in self.blocks.items():
            arrays |= {f"{name}/{key}": value for key, value in block.arrays().items()}
        stated = {name: np.array(getattr(self, name)) for name in ("weights_sha256", "version")}
        np.savez_compressed(path, allow_pickle=False, **arrays, **stated)

    @classmethod
    def read(cls, path: Path) -> Diagnosis | None:
        """What `write` wrote; None where there is no file.

        Raises:
            Contradiction: DIAGNOSIS_INVALID.
        """
        if not path.exists():
            return None
        try:
            if not zipfile.is_zipfile(path):
                raise ValueError("it is no .npz file")
            with np.load(path, allow_pickle=False) as arrays:
                blocks = read_blocks(arrays)
                kept = {name: arrays[name] for name in ("centre", "scale", "hidden", "output")}
                return cls(
                    blocks,
                    **kept,
                    weights_sha256=str(arrays["weights_sha256"]),
                    version=str(arrays["version"]),
                )
        except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
            raise Contradiction("DIAGNOSIS_INVALID", f"{path} cannot be read: {error}.") from None


def describe(blocks: Mapping[str, BlockReference], outputs: CommitteeOutputs) -> Array:
    """What the diagnosis goes by: float64 [N, F].

    Where the tile lies in each block, drawn together so that what lies far out does not outweigh
    all else; the logarithms of its distances; energy, entropy, disagreement of the members.

    Args:
        blocks: Where known lots lie.
        outputs: Of the committee.
    """
    places = [blocks[name].places(outputs.blocks[name]) for name in blocks]
    columns = scores(blocks, outputs)
    distances = 2 * len(blocks)
    return np.concatenate(
        [
            np.arcsinh(np.concatenate(places, axis=1).astype(np.float64)),
            np.log(columns[:, :distances] + 1e-3),
            columns[:, distances:],
            mutual_information(softmax(outputs.logits))[:, None],
        ],
        axis=1,
    )
