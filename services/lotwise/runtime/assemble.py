"""Put served graphs together from the parts that are kept in the repository.

Some models are not stored whole, because other files hold their weights already:

- ``model.onnx`` of the committee and of the regressor's folds: all members as branches of one
  graph, from ``member_*.onnx`` beside it. One request then costs one call of the engine, not one
  for each member. A ``members.json`` names some members of another model instead: so the halves of
  a cascade are made.
- Any ``model.onnx`` with a ``skeleton.onnx`` beside it, which names weights of other models:
  ``edit_gradient`` those of the decoder and the regressor, ``editor_encoder`` those of the decoder
  where it draws the tile itself. ``lotwise_training.onnx.shared_weights`` writes it; what the two
  modules agree on are the metadata keys, the names of the transforms and the digest.

Runs at set-up on the user's machine with numpy and onnx only. A file that is up to date stays
untouched; others are replaced atomically, and the same parts give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from lotwise.runtime.members import (
    BRANCHED,
    MEMBERS_FILE,
    AssemblyError,
    chosen_members,
    find_members,
    read_part,
)

REFERENCES_KEY: Final = "lotwise.weights"
SOURCES_KEY: Final = "lotwise.sources"
ASSEMBLED_KEY: Final = "lotwise.assembled_from"
ASSEMBLER: Final = "3"  # raise it when the output changes, so that old files count as stale

_HALF: Final = ".half"


def assemble_repository(root: Path) -> list[Path]:
    """Assemble every model of the repository that is kept in parts.

    Args:
        root: the model repository.

    Returns:
        The assembled files, fresh or up to date already, in the order of their paths.

    Raises:
        AssemblyError: nothing to assemble, or as :func:`assemble_members` and
            :func:`assemble_skeleton`.
    """
    assembled = []
    for model, output in BRANCHED.items():
        for folder in sorted(root.glob(f"{model}/*/")):
            assemble_members(find_members(folder), folder / "model.onnx", output)
            assembled.append(folder / "model.onnx")
    for chosen in sorted(root.glob(f"*/*/{MEMBERS_FILE}")):
        paths, output = chosen_members(chosen, root)
        assemble_members(paths, chosen.with_name("model.onnx"), output)
        assembled.append(chosen.with_name("model.onnx"))
    for skeleton in sorted(root.glob("*/*/skeleton.onnx")):
        assemble_skeleton(skeleton, root, skeleton.with_name("model.onnx"))
        assembled.append(skeleton.with_name("model.onnx"))
    if not assembled:
        raise AssemblyError(f"{root} holds neither committee/1 nor any skeleton.onnx")
    return sorted(assembled)


def has_parts(root: Path) -> bool:
    """Whether a repository holds anything to be assembled."""
    members = (root.glob(f"{model}/*/member_*.onnx") for model in BRANCHED)
    further = (root.glob(f"*/*/{name}") for name in (MEMBERS_FILE, "skeleton.onnx"))
    return any(map(any, (*members, *further)))


def assemble_members(member_paths: Sequence[Path], out_path: Path, output: str = "logits") -> bool:
    """Merge members into one graph.

    Args:
        member_paths: T graphs, each with the one input ``image`` [B, ...], the first output
            ``output`` float32 [B, K] and any further outputs [B, ...]; alike in names, shapes,
            types, opset and IR version.
        out_path: the graph with input ``image`` and the same outputs, each stacked along axis 1:
            ``output`` float32 [B, T, K], others [B, T, ...], members in the given order.
        output: name of the members' first output.

    Returns:
        Whether it was written; False if it was up to date.

    Raises:
        AssemblyError: no members, or they are unreadable or not alike.
    """
    if not member_paths:
        raise AssemblyError(f"no members to assemble for {out_path}")
    content = [read_part(path) for path in member_paths]
    origin = _origin(*content)
    if _is_up_to_date(out_path, origin):
        return False
    members = [_parse(data, path) for data, path in zip(content, member_paths, strict=True)]
    first = members[0]
    for member, path in zip(members, member_paths, strict=True):
        _check_member(member, path, first, member_paths[0], output)

    graph = onnx.GraphProto(name="members")
    graph.input.append(first.graph.input[0])
    # In opset 13 and later the axes of Unsqueeze are a tensor.
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "member_axis"))
    for number, member in enumerate(members):
        branch = compose.add_prefix_graph(member.graph, f"m{number}/", rename_inputs=False)
        graph.initializer.extend(branch.initializer)
        graph.node.extend(branch.node)
    for value in first.graph.output:
        graph.node.extend(_stack(value.name, len(members)))
        graph.output.append(_with_member_axis(value, len(members)))

    merged = onnx.ModelProto(
        ir_version=first.ir_version,
        producer_name="lotwise",
        opset_import=first.opset_import,
        graph=graph,
    )
    _write(merged, out_path, origin)
    return True


def assemble_skeleton(skeleton_path: Path, repository_root: Path, out_path: Path) -> bool:
    """Put the weights back into a skeleton.

    Each weight comes from the version of the named model whose weights the skeleton was made of.

    Args:
        skeleton_path: the graph without its large weights.
        repository_root: folder of the models that the skeleton names.
        out_path: the complete graph.

    Returns:
        Whether it was written; False if it was up to date.

    Raises:
        AssemblyError: the skeleton or a source is missing or unreadable, a source has other
            weights than those the skeleton was made of, or lacks one of them.
    """
    skeleton_content = read_part(skeleton_path)
    skeleton = _parse(skeleton_content, skeleton_path)
    references = _json_metadata(skeleton, REFERENCES_KEY, skeleton_path)
    digests = _json_metadata(skeleton, SOURCES_KEY, skeleton_path)
    # The digests in the skeleton stand for the sources, but only once they have been compared:
    # so the weights are read even if the output turns out to be up to date.
    weights = {
        name: _source_weights(repository_root, name, digest, skeleton_path)
        for name, digest in digests.items()
    }
    origin = _origin(skeleton_content)
    if _is_up_to_date(out_path, origin):
        return False

    casts = []
    for name, reference in sorted(references.items()):
        weight = _referenced(reference, weights, skeleton_path)
        tensor = numpy_helper.from_array(np.ascontiguousarray(weight), name + _HALF)
        skeleton.graph.initializer.append(tensor)
        casts.append(helper.make_node("Cast", [name + _HALF], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *skeleton.graph.node]
    del skeleton.graph.node[:]
    skeleton.graph.node.extend(nodes)
    del skeleton.metadata_props[:]
    _write(skeleton, out_path, origin)
    return True


def _stack(output: str, members: int) -> list[onnx.NodeProto]:
    """Nodes that put an output of all branches into one tensor, members along axis 1."""
    rows = [f"m{number}/{output}/row" for number in range(members)]
    return [
        *(
            helper.make_node("Unsqueeze", [f"m{number}/{output}", "member_axis"], [row])
            for number, row in enumerate(rows)
        ),
        helper.make_node("Concat", rows, [output], axis=1),
    ]


def _with_member_axis(output: onnx.ValueInfoProto, members: int) -> onnx.ValueInfoProto:
    batch, *rest = output.type.tensor_type.shape.dim
    shape = onnx.TensorShapeProto()
    shape.dim.extend([batch, onnx.TensorShapeProto.Dimension(dim_value=members), *rest])
    stacked = onnx.ValueInfoProto()
    stacked.CopyFrom(output)
    stacked.type.tensor_type.shape.CopyFrom(shape)
    return stacked


def _check_member(
    member: onnx.ModelProto, path: Path, first: onnx.ModelProto, at: Path, output: str
) -> None:
    inputs, outputs = (
        {value.name: value.type for value in values}
        for values in (member.graph.input, member.graph.output)
    )
    if list(inputs) != ["image"] or list(outputs)[:1] != [output]:
        raise AssemblyError(f"{path} maps {list(inputs)} to {list(outputs)}, not image to {output}")
    if len(outputs[output].tensor_type.shape.dim) != 2:
        raise AssemblyError(f"{path}: {output} must have the shape [batch, classes]")
    if not all(len(each.tensor_type.shape.dim) for each in outputs.values()):
        raise AssemblyError(f"{path} has an output without a batch")
    if len(member.functions):
        raise AssemblyError(f"{path} has functions of its own, which are not supported")
    wanted = {value.name: value.type for value in first.graph.output}
    for what, mine, theirs in (
        ("image", inputs["image"], first.graph.input[0].type),
        ("the names of its outputs", list(outputs), list(wanted)),
        *((name, type_, wanted.get(name)) for name, type_ in outputs.items()),
        ("opset", _opsets(member), _opsets(first)),
        ("IR version", member.ir_version, first.ir_version),
    ):
        if mine != theirs:
            raise AssemblyError(f"{path} differs from {at} in {what}")


def _opsets(model: onnx.ModelProto) -> dict[str, int]:
    return {opset.domain: opset.version for opset in model.opset_import}


def _source_weights(
    root: Path, name: str, digest: str, skeleton: Path
) -> dict[str, NDArray[np.float16]]:
    """The weights of the version of model ``name`` that has this digest."""
    versions = sorted(root.glob(f"{name}/*/model.onnx"))
    if not versions:
        raise AssemblyError(f"{root / name} holds no model, but {skeleton} needs its weights")
    for path in versions:
        weights = _half_weights(_parse(read_part(path), path))
        if _digest(weights) == digest:
            return weights
    raise AssemblyError(
        f"{root / name} holds other weights than those {skeleton} was made of; "
        "export both again, or restore that version of the model"
    )


def _half_weights(model: onnx.ModelProto) -> dict[str, NDArray[np.float16]]:
    return {
        tensor.name.removesuffix(_HALF): numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT16
    }


def _digest(weights: dict[str, NDArray[np.float16]]) -> str:
    digest = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        digest.update(f"{name}{list(weight.shape)}".encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _referenced(
    reference: dict[str, str], weights: dict[str, dict[str, NDArray[np.float16]]], skeleton: Path
) -> NDArray[np.float16]:
    weight = weights.get(reference["model"], {}).get(reference["initializer"])
    if weight is None:
        raise AssemblyError(f"{reference['model']} has no weight {reference['initializer']}")
    match reference["transform"]:
        case "identity":
            return weight
        case "transpose":
            return weight.swapaxes(0, 1)
        case "transpose_flip":
            return weight.swapaxes(0, 1)[:, :, ::-1, ::-1]
        case other:
            raise AssemblyError(f"{skeleton} asks for the unknown transform {other!r}")


def _json_metadata(model: onnx.ModelProto, key: str, path: Path) -> dict[str, Any]:
    values = [entry.value for entry in model.metadata_props if entry.key == key]
    if not values:
        raise AssemblyError(f"{path} is no skeleton: it lacks the metadata {key}")
    try:
        parsed: dict[str, Any] = json.loads(values[0])
    except ValueError as error:
        raise AssemblyError(f"{path} has unreadable metadata {key}") from error
    return parsed


def _parse(content: bytes, path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise AssemblyError(f"{path} is no ONNX model") from error
    if not model.HasField("graph"):
        raise AssemblyError(f"{path} is no ONNX model")
    return model


def _origin(*parts: bytes) -> str:
    digest = hashlib.sha256(ASSEMBLER.encode())
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _is_up_to_date(path: Path, origin: str) -> bool:
    if not path.exists():
        return False
    try:
        model = _parse(read_part(path), path)
    except AssemblyError:
        return False  # a damaged file is written anew
    return any(e.key == ASSEMBLED_KEY and e.value == origin for e in model.metadata_props)


def _write(model: onnx.ModelProto, path: Path, origin: str) -> None:
    model.metadata_props.add(key=ASSEMBLED_KEY, value=origin)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise AssemblyError(f"{path} would not be a valid model: {error}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def main() -> None:
    """`python -m lotwise.runtime.assemble REPOSITORY`, what `make models` runs."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m lotwise.runtime.assemble REPOSITORY")
    try:
        for path in assemble_repository(Path(sys.argv[1])):
            sys.stdout.write(f"{path}\n")
    except AssemblyError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
