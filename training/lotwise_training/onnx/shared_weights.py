"""A graph without the weights that other files hold already.

The gradient graph is made of the decoder's and the regressor's weights, some of them twice, and an
encoder that draws the tile itself holds the decoder's. They are committed once, in the models they
come from; the *skeleton* that is committed for the others names them. ``lotwise.runtime.assemble``
puts the graph together again on the user's machine, with numpy and onnx only, and is the reader of
what is written here: change both, or neither.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from lotwise_training.onnx.half_precision import large_weights, write_atomically

REFERENCES_KEY = "lotwise.weights"
"""Metadata key of the references: JSON, initializer name -> {model, initializer, transform}, where
transform is "identity", "transpose" (the first two axes swapped) or "transpose_flip" (that, and
the last two axes reversed)."""

SOURCES_KEY = "lotwise.sources"
"""Metadata key of the sources: JSON, model name -> SHA-256 over its large weights."""


class StripError(ValueError):
    """A large weight of the graph is in none of the sources."""


def strip_weights(
    model: onnx.ModelProto,
    sources: Mapping[str, onnx.ModelProto],
    *,
    own_weights: bool = False,
) -> onnx.ModelProto:
    """Copy ``model`` without its large weights, each replaced by a reference to a source's.

    Weights are matched by value, as float16 and under every transform, so it does not matter how
    the exporter named them or which transposes it folded.

    Args:
        model: the graph, as float32 or with halved weights.
        sources: models by the name of their folder in the model repository, for example
            ``{"editor_decoder": ..., "regressor": ...}``.
        own_weights: The graph may have large weights that no source has; they stay in it.

    Returns:
        The skeleton: not a valid graph until assembled, as the stripped names are missing.

    Raises:
        StripError: a large weight is in no source, and ``own_weights`` is false.
        HalfPrecisionError: a large weight is not exactly a float16.
    """
    known: dict[tuple[tuple[int, ...], bytes], dict[str, str]] = {}
    for name, source in sorted(sources.items()):
        for initializer, weight in large_weights(source).items():
            for transform, variant in _variants(weight):
                reference = {"model": name, "initializer": initializer, "transform": transform}
                known.setdefault(_fingerprint(variant), reference)
    references: dict[str, dict[str, str]] = {}
    for initializer, weight in large_weights(model).items():
        found = known.get(_fingerprint(weight))
        if found is None and own_weights:
            continue
        if found is None:
            raise StripError(
                f"{initializer} {weight.shape} is in none of {', '.join(sorted(sources))}"
            )
        references[initializer] = found

    skeleton = onnx.ModelProto()
    skeleton.CopyFrom(model)
    _drop(skeleton.graph, set(references))
    used = sorted({reference["model"] for reference in references.values()})
    _set_metadata(skeleton, REFERENCES_KEY, json.dumps(references, sort_keys=True))
    _set_metadata(
        skeleton,
        SOURCES_KEY,
        json.dumps({name: weights_digest(sources[name]) for name in used}, sort_keys=True),
    )
    return skeleton


def save_skeleton(skeleton: onnx.ModelProto, path: Path) -> None:
    """Store a skeleton, atomically; unchecked, as it is no valid graph before its assembly."""
    write_atomically(skeleton, path)


def weights_digest(model: onnx.ModelProto) -> str:
    """SHA-256 (hex) over names, shapes and float16 values of the large weights of ``model``.

    Stored in the skeleton, so that one assembled with the weights of another training is refused
    instead of answering with a wrong gradient.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(large_weights(model).items()):
        digest.update(f"{name}{list(weight.shape)}".encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _variants(weight: NDArray[np.float16]) -> Iterator[tuple[str, NDArray[np.float16]]]:
    """The forms in which a weight may occur in another graph, by name, the plainest first."""
    yield "identity", weight
    # A matrix whose Gemm became a MatMul or which works backwards; a 1x1 kernel, backwards.
    yield "transpose", weight.swapaxes(0, 1)
    if weight.ndim == 4:
        # A kernel of stride 1, backwards.
        yield "transpose_flip", weight.swapaxes(0, 1)[:, :, ::-1, ::-1]


def _fingerprint(weight: NDArray[np.float16]) -> tuple[tuple[int, ...], bytes]:
    return weight.shape, hashlib.sha256(np.ascontiguousarray(weight).tobytes()).digest()


def _drop(graph: onnx.GraphProto, names: set[str]) -> None:
    """Remove initializers (as float32, or as float16 with their casts) from the graph."""
    halves = {f"{name}.half" for name in names}
    kept = [i for i in graph.initializer if i.name not in names | halves]
    nodes = [node for node in graph.node if not halves.intersection(node.input)]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.node[:]
    graph.node.extend(nodes)


def _set_metadata(model: onnx.ModelProto, key: str, value: str) -> None:
    for entry in model.metadata_props:
        if entry.key == key:
            entry.value = value
            return
    model.metadata_props.add(key=key, value=value)
