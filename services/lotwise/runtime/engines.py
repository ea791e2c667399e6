"""Chooses the inference engine that the settings name."""

from __future__ import annotations

import logging

from lotwise.runtime.inference import Inference
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise.runtime.inference_triton import TritonInference
from lotwise.runtime.settings import InferenceSettings

logger = logging.getLogger(__name__)


def connect(settings: InferenceSettings) -> Inference:
    """Triton, or the in-process engine, which says that it is used."""
    if settings.engine == "triton":
        return TritonInference(settings.triton_address, settings.priority)
    logger.warning(
        "networks run inside this process, without Triton",
        extra={"engine": "onnxruntime", "model_repository": str(settings.model_repository)},
    )
    return OnnxRuntimeInference(settings.model_repository)
