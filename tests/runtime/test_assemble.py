"""Graphs put together from their parts compute what the parts compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lotwise.runtime.assemble import (
    assemble_members,
    assemble_repository,
    assemble_skeleton,
    has_parts,
)
from lotwise.runtime.members import AssemblyError

TILE = (8, 8)


def member(
    path: Path,
    seed: int,
    *,
    classes: int = 3,
    output: str = "logits",
    further: dict[str, list[int]] | None = None,
) -> Path:
    """A graph image -> logits: Cast, Reshape, MatMul with weights of its own.

    Further outputs, by name with their shapes without the batch, are the pixels times a number of
    this member.
    """
    further = further or {}
    weights = np.random.default_rng(seed).normal(size=(TILE[0] * TILE[1], classes))
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["w.half"], ["w"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["pixels"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "w"], [output]),
            helper.make_node("Mul", ["pixels", "own"], ["scaled"]),
            *(
                helper.make_node("Reshape", ["scaled", f"shape of {name}"], [name])
                for name in further
            ),
        ],
        "member",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", 1, *TILE])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
            for name, shape in {output: [classes], **further}.items()
        ],
        [
            numpy_helper.from_array(weights.astype(np.float16), "w.half"),
            numpy_helper.from_array(np.float32(seed + 1), "own"),
            *(
                numpy_helper.from_array(np.array([-1, *shape], np.int64), f"shape of {name}")
                for name, shape in further.items()
            ),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def run(path: Path, **feed: NDArray[np.generic]) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs: list[NDArray[np.float32]] = session.run(None, feed)
    return outputs


def tiles(batch: int) -> NDArray[np.uint8]:
    return np.random.default_rng(batch).integers(0, 256, (batch, 1, *TILE), dtype=np.uint8)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_committee_is_its_members_in_order(tmp_path: Path, batch: int) -> None:
    members = [member(tmp_path / f"{seed}.onnx", seed) for seed in range(3)]
    out = tmp_path / "model.onnx"
    assert assemble_members(members, out)
    (logits,) = run(out, image=tiles(batch))
    assert logits.shape == (batch, 3, 3)
    for number, path in enumerate(members):
        np.testing.assert_array_equal(logits[:, number], run(path, image=tiles(batch))[0])


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_every_output_is_stacked_along_the_members(tmp_path: Path, batch: int) -> None:
    further = {"features": [64], "map": [2, 4, 8]}
    members = [member(tmp_path / f"{seed}.onnx", seed, further=further) for seed in range(3)]
    out = tmp_path / "model.onnx"
    assert assemble_members(members, out)
    stated = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in onnx.load(out).graph.output
    }
    assert stated == {
        "logits": ["batch", 3, 3],
        "features": ["batch", 3, 64],
        "map": ["batch", 3, 2, 4, 8],
    }
    assert list(stated) == ["logits", *further]
    stacked = run(out, image=tiles(batch))
    for number, path in enumerate(members):
        for whole, own in zip(stacked, run(path, image=tiles(batch)), strict=True):
            np.testing.assert_array_equal(whole[:, number], own)


def test_members_must_give_the_same_outputs(tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    both = member(tmp_path / "both.onnx", 0, further={"features": [64], "early": [64]})
    for name, further, what in (
        ("fewer", {"features": [64]}, "the names of its outputs"),
        ("more", {"features": [64], "early": [64], "late": [64]}, "the names of its outputs"),
        ("order", {"early": [64], "features": [64]}, "the names of its outputs"),
        ("shape", {"features": [64], "early": [8, 8]}, "early"),
    ):
        other = member(tmp_path / f"{name}.onnx", 1, further=further)
        with pytest.raises(AssemblyError, match=f"differs from .* in {what}"):
            assemble_members([both, other], out)
    late = member(tmp_path / "late.onnx", 0, output="features", further={"logits": [64]})
    with pytest.raises(AssemblyError, match="not image to logits"):
        assemble_members([late], out)
    assert not out.exists()


def test_committee_is_written_once_and_again_when_a_member_changes(tmp_path: Path) -> None:
    members = [member(tmp_path / f"{seed}.onnx", seed) for seed in range(2)]
    out = tmp_path / "model.onnx"
    assert assemble_members(members, out)
    first = out.read_bytes()
    assert not assemble_members(members, out)
    assert assemble_members(list(reversed(members)), out)
    assert assemble_members(members, out)
    assert out.read_bytes() == first
    member(members[0], 7)
    assert assemble_members(members, out)
    assert out.read_bytes() != first
    out.write_bytes(first[:100])
    assert assemble_members(members, out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.onnx", "1.onnx", "model.onnx"]


def test_contradictory_members_are_refused(tmp_path: Path) -> None:
    good = member(tmp_path / "good.onnx", 0)
    out = tmp_path / "model.onnx"
    with pytest.raises(AssemblyError, match=r"differs from .* in logits"):
        assemble_members([good, member(tmp_path / "classes.onnx", 1, classes=4)], out)
    with pytest.raises(AssemblyError, match="not image to logits"):
        assemble_members([good, member(tmp_path / "name.onnx", 1, output="scores")], out)
    with pytest.raises(AssemblyError, match="cannot be read"):
        assemble_members([good, tmp_path / "absent.onnx"], out)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(AssemblyError, match="no ONNX model"):
        assemble_members([good, broken], out)
    with pytest.raises(AssemblyError, match="no members"):
        assemble_members([], out)
    assert not out.exists()


def test_repository_finds_members_by_number(tmp_path: Path) -> None:
    folder = tmp_path / "committee" / "1"
    for number in range(11):
        member(folder / f"member_{number}.onnx", number)
    assert assemble_repository(tmp_path) == [folder / "model.onnx"]
    (logits,) = run(folder / "model.onnx", image=tiles(2))
    (tenth,) = run(folder / "member_10.onnx", image=tiles(2))
    np.testing.assert_array_equal(logits[:, 10], tenth)
    (folder / "member_4.onnx").unlink()
    with pytest.raises(AssemblyError, match=r"lacks member_4\.onnx"):
        assemble_repository(tmp_path)


def test_fold_networks_of_a_regressor_become_one_graph_too(tmp_path: Path) -> None:
    folder = tmp_path / "regressor_folds" / "1"
    assert not has_parts(tmp_path)
    for number in range(2):
        member(folder / f"member_0{number}.onnx", number, classes=1, output="property")
    assert has_parts(tmp_path)
    assert assemble_repository(tmp_path) == [folder / "model.onnx"]
    (stacked,) = run(folder / "model.onnx", image=tiles(3))
    assert stacked.shape == (3, 2, 1)
    for number in range(2):
        (own,) = run(folder / f"member_0{number}.onnx", image=tiles(3))
        np.testing.assert_array_equal(stacked[:, number], own)
    member(folder / "member_01.onnx", 1, classes=1, output="logits")
    with pytest.raises(AssemblyError, match="not image to property"):
        assemble_repository(tmp_path)


def test_an_empty_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssemblyError, match="holds neither"):
        assemble_repository(tmp_path)


def gradient_repository(root: Path) -> tuple[Path, list[NDArray[np.float32]]]:
    """A small trained-like editor and regressor, exported and stripped; torch needed."""
    torch = pytest.importorskip("torch")
    from lotwise_training.models.attgan import Decoder
    from lotwise_training.onnx.export import export_module
    from lotwise_training.onnx.gradient import export_gradient
    from lotwise_training.onnx.half_precision import halve_weights
    from lotwise_training.onnx.shared_weights import save_skeleton, strip_weights

    torch.manual_seed(0)
    decoder = Decoder(4, 4)
    regressor = torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 5, stride=2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 16, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AvgPool2d(6),
        torch.nn.Flatten(),
        torch.nn.Linear(400, 16),
        torch.nn.Tanh(),
        torch.nn.Linear(16, 1),
    )
    inputs = [torch.randn(2, 64, 2, 2), torch.randn(2, 32, 4, 4), torch.rand(2, 4)]
    with torch.no_grad():
        regressor(decoder(*inputs))
    for network in (decoder, regressor):
        halve_weights(network.eval())
    whole = root / "whole.onnx"
    model = export_gradient(decoder, regressor, inputs, whole)
    names = ["latent", "skip", "attributes"]
    sources = {
        "editor_decoder": export_module(
            decoder, inputs, names, ["image"], root / "editor_decoder/1/model.onnx"
        ),
        "regressor": export_module(
            regressor,
            [torch.rand(2, 1, 64, 64)],
            ["image"],
            ["property"],
            root / "regressor/1/model.onnx",
        ),
    }
    save_skeleton(strip_weights(model, sources), root / "edit_gradient/1/skeleton.onnx")
    return whole, [tensor.numpy() for tensor in inputs]


def test_gradient_survives_stripping_and_assembly(tmp_path: Path) -> None:
    whole, (latent, skip, attributes) = gradient_repository(tmp_path)
    folder = tmp_path / "edit_gradient/1"
    assert assemble_repository(tmp_path) == [folder / "model.onnx"]
    feed = {"latent": latent, "skip": skip, "attributes": attributes}
    for got, wanted in zip(run(folder / "model.onnx", **feed), run(whole, **feed), strict=True):
        np.testing.assert_array_equal(got, wanted)
    stripped = (folder / "skeleton.onnx").stat().st_size
    assert stripped < 0.5 * (folder / "model.onnx").stat().st_size
    large = [
        tensor.name
        for tensor in onnx.load(folder / "skeleton.onnx").graph.initializer
        if np.prod(tensor.dims) >= 256 and tensor.data_type == TensorProto.FLOAT
    ]
    assert not large

    before = (folder / "model.onnx").read_bytes()
    out = tmp_path / "again.onnx"
    assert assemble_skeleton(folder / "skeleton.onnx", tmp_path, out)
    assert not assemble_skeleton(folder / "skeleton.onnx", tmp_path, out)
    assert out.read_bytes() == before

    # Another training's weights, a missing model and a file that is no skeleton.
    decoder = tmp_path / "editor_decoder/1/model.onnx"
    model = onnx.load(decoder)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 2, tensor.name))
    onnx.save(model, decoder)
    with pytest.raises(AssemblyError, match="other weights"):
        assemble_repository(tmp_path)
    decoder.unlink()
    with pytest.raises(AssemblyError, match="holds no model"):
        assemble_repository(tmp_path)
    with pytest.raises(AssemblyError, match="no skeleton"):
        assemble_skeleton(whole, tmp_path, out)


def test_a_skeleton_may_keep_weights_of_its_own(tmp_path: Path) -> None:
    """As an encoder does that holds a decoder beside itself."""
    torch = pytest.importorskip("torch")
    from lotwise_training.onnx.export import export_module
    from lotwise_training.onnx.half_precision import halve_weights, to_half
    from lotwise_training.onnx.shared_weights import StripError, save_skeleton, strip_weights

    torch.manual_seed(0)
    last = torch.nn.Linear(32, 32)
    both = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.Tanh(), last)
    halve_weights(both.eval())
    x = torch.randn(2, 32)
    source = export_module(last, [x], ["x"], ["y"], tmp_path / "source/1/model.onnx")
    model = to_half(export_module(both, [x], ["x"], ["y"], tmp_path / "whole.onnx"))
    with pytest.raises(StripError):
        strip_weights(model, {"source": source})
    skeleton = strip_weights(model, {"source": source}, own_weights=True)
    save_skeleton(skeleton, tmp_path / "encoder/1/skeleton.onnx")
    assert assemble_repository(tmp_path) == [tmp_path / "encoder/1/model.onnx"]
    stored = (tmp_path / "encoder/1/skeleton.onnx").stat().st_size
    assert stored < (tmp_path / "encoder/1/model.onnx").stat().st_size - 32 * 32
    for got, wanted in zip(
        run(tmp_path / "encoder/1/model.onnx", x=x.numpy()),
        run(tmp_path / "whole.onnx", x=x.numpy()),
        strict=True,
    ):
        np.testing.assert_array_equal(got, wanted)


def chosen(root: Path, content: str) -> Path:
    """A model that is made of members of another."""
    path = root / "some" / "1" / "members.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    return path


def test_members_of_another_model_make_one_of_their_own(tmp_path: Path) -> None:
    paths = [member(tmp_path / "committee" / "1" / f"member_0{n}.onnx", n) for n in range(3)]
    chosen(tmp_path, '{"model": "committee", "version": "1", "members": [2, 0]}')
    assert has_parts(tmp_path)
    made = assemble_repository(tmp_path)
    assert tmp_path / "some" / "1" / "model.onnx" in made
    image = np.random.default_rng(0).integers(0, 256, (2, 1, *TILE)).astype(np.uint8)
    (said,) = onnxruntime.InferenceSession(made[-1]).run(None, {"image": image})
    for place, number in enumerate((2, 0)):
        (alone,) = onnxruntime.InferenceSession(paths[number]).run(["logits"], {"image": image})
        np.testing.assert_allclose(said[:, place], alone, rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "names no members"),
        ("[]", "names no members"),
        ('{"model": "regressor", "version": "1", "members": [0]}', "names no members"),
        ('{"model": "committee", "version": "2", "members": [0]}', "holds no member"),
        ('{"model": "committee", "version": "1", "members": [3]}', r"members \[3\] of 1"),
        ('{"model": "committee", "version": "1", "members": []}', r"members \[\] of 1"),
    ],
)
def test_members_that_are_not_there_are_named(tmp_path: Path, content: str, said: str) -> None:
    member(tmp_path / "committee" / "1" / "member_00.onnx", 0)
    chosen(tmp_path, content)
    with pytest.raises(AssemblyError, match=said):
        assemble_repository(tmp_path)
