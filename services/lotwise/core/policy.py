"""A referral policy: numbers fitted on labelled tiles of the committee's own lots.

A policy is versioned and tied to the weights that it was fitted on. Thresholds are policy;
they are never part of a network and never have a default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lotwise.core.errors import Contradiction


class MeasuredRisk(BaseModel):
    """What the fitted thresholds gave on tiles that were not used to fit them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tiles: int = Field(gt=0)
    coverage: float = Field(ge=0, le=1)
    error_among_accepted: float = Field(ge=0, le=1)


class ReferralPolicy(BaseModel):
    """Entropy thresholds of a committee, after Zhang et al. 2020, case study 2.

    Attributes:
        policy_version: Name of this fit.
        weights_sha256: The committee that it belongs to.
        n_tiles: Validation tiles that it was fitted on.
        target_coverage: Share of those tiles that the entropy threshold accepts.
        entropy_threshold_nats: Tiles above it are referred.
        unfamiliar_entropy_nats: Above it a tile is unlike every reference lot, even where the
            members agree that they know nothing.
        mutual_information_threshold_nats: Above it the members' disagreement is unusual.
        max_referred_share: A lot with a larger share of referred tiles is referred.
        confidence: Of each bound on that share.
        measured: On the test tiles.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    policy_version: str = Field(min_length=1)
    weights_sha256: str = Field(min_length=64, max_length=64)
    n_tiles: int = Field(gt=0)
    target_coverage: float = Field(gt=0, lt=1)
    entropy_threshold_nats: float = Field(gt=0)
    unfamiliar_entropy_nats: float = Field(gt=0, allow_inf_nan=False)
    mutual_information_threshold_nats: float = Field(gt=0)
    max_referred_share: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0.5, lt=1)
    measured: MeasuredRisk

    @model_validator(mode="after")
    def _a_known_lot_can_be_accepted(self) -> Self:
        if self.max_referred_share <= 1 - self.target_coverage:
            raise ValueError(
                f"max_referred_share {self.max_referred_share:g} refers every lot, because "
                f"{1 - self.target_coverage:.3g} of a known lot's tiles are referred already"
            )
        if self.unfamiliar_entropy_nats < self.entropy_threshold_nats:
            raise ValueError(
                f"unfamiliar_entropy_nats {self.unfamiliar_entropy_nats:g} lies below "
                f"entropy_threshold_nats {self.entropy_threshold_nats:g}, so nothing is ambiguous"
            )
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check a policy file.

        Raises:
            Contradiction: POLICY_MISSING or POLICY_INVALID.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise Contradiction(
                "POLICY_MISSING",
                f"No policy can be read at {path} ({error.strerror}). "
                "Fit one with `lotwise-train policy`.",
            ) from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise Contradiction(
                "POLICY_INVALID", f"Policy {path}: {where}: {first['msg']}."
            ) from None
