"""A referral policy: which tiles are accepted, what that promises, and on which tiles it rests.

A laboratory asks for a policy (`PolicyRequest`); fitted on labelled tiles (`policy_fit.py`) it
becomes one (`ReferralPolicy`): versioned, tied to the weights and to their calibration. Thresholds
are never part of a network and never have a default.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lotwise.core.calibration import CalibrationSet
from lotwise.core.errors import Contradiction, LotwiseError
from lotwise.core.validation import first_problem

Kind = Literal["risk", "coverage", "threshold"]

_ROUNDING: Final = 1e-9


class _Stated(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PolicyRequest(_Stated):
    """What a laboratory asks of a policy.

    Attributes:
        kind: "risk": the error among accepted tiles is at most the target. "coverage": at least
            the target share of known tiles is accepted. "threshold": tiles are accepted up to the
            target, and nothing is promised beforehand.
        target: Error, share, or score (the chance that the named lot is wrong), 0 to 1.
        min_familiarity: Tiles below are referred, however sure the committee is: so large a share
            of known tiles, too.
        max_referred_share: A lot with a larger share of referred tiles is referred.
        confidence: Of the promise, and of each bound on a lot's share.
    """

    kind: Kind
    target: float = Field(gt=0, lt=1)
    min_familiarity: float = Field(gt=0, lt=1)
    max_referred_share: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0.5, lt=1)

    @model_validator(mode="after")
    def _does_not_contradict_itself(self) -> Self:
        if self.max_referred_share <= self.min_familiarity:
            raise ValueError(
                f"max_referred_share {self.max_referred_share:g} refers every lot, because "
                f"{self.min_familiarity:g} of a known lot's tiles are unfamiliar already"
            )
        if self.kind != "coverage":
            return self
        # Decimal shares are not exact: 1 - 0.9 is a little less than 0.1.
        if self.target + self.min_familiarity >= 1 - _ROUNDING:
            raise ValueError(
                f"a target coverage of {self.target:g} cannot be reached while "
                f"{self.min_familiarity:g} of known tiles are unfamiliar"
            )
        if self.max_referred_share + self.target <= 1 + _ROUNDING:
            raise ValueError(
                f"max_referred_share {self.max_referred_share:g} refers every lot, because "
                f"{1 - self.target:.3g} of a known lot's tiles may be referred already"
            )
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a request from TOML; every key must be there.

        Raises:
            Contradiction: POLICY_MISSING, POLICY_INVALID or POLICY_CONTRADICTORY.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise Contradiction(
                "POLICY_MISSING", f"No policy can be read at {path} ({error.strerror})."
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Contradiction("POLICY_INVALID", f"{path} is no TOML: {error}.") from None
        except ValidationError as error:
            raise _refusal(path, error) from None


class Guarantee(_Stated):
    """What a policy promises, or where it promises nothing beforehand, what was found.

    Attributes:
        quantity: "error among accepted tiles" or "accepted share of known tiles".
        target: What was asked for; None where nothing was.
        bound: Of the quantity, from above for an error, from below for a share.
        confidence: Of the bound, over calibration sets.
        statement: The same as a sentence.
    """

    quantity: Literal["error among accepted tiles", "accepted share of known tiles"]
    target: float | None
    bound: float = Field(ge=0, le=1)
    confidence: float = Field(gt=0.5, lt=1)
    statement: str = Field(min_length=1)


class AcceptedTiles(_Stated):
    """What a threshold did on labelled tiles.

    Attributes:
        tiles: How many.
        coverage: Share of them that is accepted.
        error: Share of the accepted ones that name the wrong lot; 0 where none is accepted.
    """

    tiles: int = Field(gt=0)
    coverage: float = Field(ge=0, le=1)
    error: float = Field(ge=0, le=1)


class ReferralPolicy(_Stated):
    """A fitted policy.

    Attributes:
        policy_version: Name of this fit.
        weights_sha256: The committee that it belongs to.
        calibration_version: The calibration that its scores come from.
        request: What was asked for.
        max_score: Tiles with a larger chance of error are referred.
        guarantee: What is promised.
        risk_bound: The error among accepted tiles is at most this, with the same confidence.
        fitted: What the threshold did on the tiles that it was tested on.
        calibration_set: All tiles of the fit.
        measured: What it does on further tiles that no fit has seen; None where there were none.
    """

    policy_version: str = Field(min_length=1)
    weights_sha256: str = Field(min_length=64, max_length=64)
    calibration_version: str = Field(min_length=1)
    request: PolicyRequest
    max_score: float = Field(ge=0, le=1)
    guarantee: Guarantee
    risk_bound: float = Field(ge=0, le=1)
    fitted: AcceptedTiles
    calibration_set: CalibrationSet
    measured: AcceptedTiles | None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check a policy file.

        Raises:
            Contradiction: POLICY_MISSING, POLICY_INVALID or POLICY_CONTRADICTORY.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise Contradiction(
                "POLICY_MISSING",
                f"No policy can be read at {path} ({error.strerror}). "
                "Fit one with `lotwise calibrate`.",
            ) from None
        except ValidationError as error:
            raise _refusal(path, error) from None


def write_policy(policy: ReferralPolicy, path: Path) -> None:
    """Write the file that `ReferralPolicy.read` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(policy.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _refusal(path: Path, error: ValidationError) -> LotwiseError:
    first = error.errors()[0]
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return Contradiction("POLICY_CONTRADICTORY", f"Policy {path}: {message}.")
    return Contradiction("POLICY_INVALID", f"Policy {path}: {first_problem(error)}.")
