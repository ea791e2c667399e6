"""Settings of the referral service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from lotwise.runtime.addresses import Address
from lotwise.runtime.settings import ServiceSettings


class ReferralSettings(ServiceSettings):
    """Read from LOTWISE_REFERRAL_*."""

    model_config = SettingsConfigDict(env_prefix="LOTWISE_REFERRAL_")

    uncertainty_address: Address = "127.0.0.1:50052"
    """gRPC address of the uncertainty service; several with commas between them, or
    `dns:///name:port`, which balances over its pods."""

    policy_file: Path = Path("model_repository/committee/referral_policy.json")
    """The policy; fitted by `lotwise calibrate` for the committee that is served."""

    cascade: bool = False
    """Whether the cascade decides where a request names no policy; else the whole committee."""

    max_lot_tiles: int = Field(default=100_000, gt=0)
    """A stream of one lot ends with LOT_TOO_LARGE after so many tiles."""
