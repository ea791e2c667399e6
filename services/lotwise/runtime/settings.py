"""Settings that every service has, read from the environment.

A service adds its own in its settings.py under one prefix, LOTWISE_<SERVICE>_.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from lotwise.runtime.addresses import Address


class ServiceSettings(BaseSettings):
    """Base of the services' settings."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=()
    )

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: int = Field(default=0, ge=0, le=65535)
    """Port of the gRPC server; 0 takes a free one."""

    metrics_port: int = Field(default=0, ge=0, le=65535)
    """Port of /metrics; 0 takes a free one."""

    health_port: int | None = Field(default=None, ge=0, le=65535)
    """Port on which plain gRPC serves the health service and nothing else, for the probes of an
    orchestrator; 0 takes a free one. Without it, health is asked on `port` alone."""

    max_tile_bytes: int = Field(default=32 * 2**20, gt=0)
    """Larger tiles are refused with TILE_TOO_LARGE."""

    max_tile_pixels: int = Field(default=64 * 10**6, gt=0)
    """Larger pictures are refused before they are unpacked."""

    stream_window: int = Field(default=16, gt=0, le=256)
    """Tiles of one stream that are worked on at the same time."""

    drain_delay_s: float = Field(default=0.5, ge=0)
    """After SIGTERM, how long calls are still taken while health says NOT_SERVING, so that
    balancers take note before the port closes."""

    drain_s: float = Field(default=20.0, ge=0)
    """After that, how long calls in flight may finish."""

    max_connection_age_s: float | None = Field(default=None, gt=0, le=86_400)
    """Age at which a connection takes no new calls, so that its client connects anew and finds
    replicas that were added meanwhile; gRPC varies it by a tenth. None for no limit."""

    max_connection_age_grace_s: float | None = Field(default=None, gt=0, le=86_400)
    """After that, how long calls in flight may last; they are cut off then. None for no limit: the
    stream of a lot lasts as long as its scan."""

    health_interval_s: float = Field(default=0.5, gt=0)
    """How often the health service looks at what this service depends on."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe log line that is written."""


class InferenceSettings(ServiceSettings):
    """Settings of a service that asks the inference engine."""

    engine: Literal["triton", "onnxruntime"] = "triton"
    """triton: a server at `triton_address`. onnxruntime: the networks run in this process,
    read from `model_repository`; for machines without Triton."""

    triton_address: Address = "127.0.0.1:8001"
    """Triton's gRPC address; several with commas between them, or `dns:///name:port`."""

    priority: int = Field(default=1, ge=1, le=2)
    """Of this service's requests in Triton's queues; those of 2 wait for those of 1."""

    model_repository: Path = Path("model_repository")
    """Networks for the in-process engine; calibration of a committee, whatever the engine."""
