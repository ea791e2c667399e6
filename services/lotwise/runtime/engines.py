"""Chooses the inference engine that the settings name."""

from __future__ import annotations

import logging

from lotwise.runtime import tracing
from lotwise.runtime.inference import Inference
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise.runtime.inference_traced import TracedInference
from lotwise.runtime.inference_triton import TritonInference
from lotwise.runtime.settings import InferenceSettings

logger = logging.getLogger(__name__)


def connect(settings: InferenceSettings) -> Inference:
    """Triton, or the in-process engine, which says that it is used; traced where traces are on."""
    engine = _engine(settings)
    return TracedInference(engine) if tracing.is_on() else engine


def _engine(settings: InferenceSettings) -> Inference:
    if settings.engine == "triton":
        return TritonInference(settings.triton_address, settings.priority)
    logger.warning(
        "networks run inside this process, without Triton",
        extra={"engine": "onnxruntime", "model_repository": str(settings.model_repository)},
    )
    return OnnxRuntimeInference(settings.model_repository)
