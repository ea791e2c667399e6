"""Both clients against the real services, over the committed models."""

import asyncio
import inspect
import io
import subprocess
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from google.protobuf.message import Message
from PIL import Image

import lotwise
from lotwise import AsyncClient, Client, LotwiseError, TileFailure
from lotwise.client import (
    Decision,
    InvalidRequest,
    InvalidTile,
    NotFound,
    Prediction,
    Tile,
    Uncertainty,
)
from lotwise.client.connection import PORTS
from lotwise.platform.ports import PlatformPorts
from lotwise.v1 import explain_pb2, predict_pb2, referral_pb2, uncertainty_pb2
from tests.support.tiles import BAD_TILE_REASONS, bad_tiles, png


@pytest.fixture
def tile(pictures):
    return png(pictures[0])


@pytest.fixture
def lot(tmp_path, pictures):
    folder = tmp_path / "R01"
    folder.mkdir()
    for index, picture in enumerate(pictures):
        (folder / f"{index}.png").write_bytes(png(picture))
    (folder / "lot.json").write_text('{"um_per_px": 1.0, "simulated": true}')
    return folder


def public_methods(kind):
    return {
        name: method
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and name != "close"
    }


def test_both_clients_have_the_same_methods_and_arguments():
    waiting, awaited = public_methods(Client), public_methods(AsyncClient)
    assert sorted(waiting) == sorted(awaited)
    for name in waiting:
        ours, theirs = (inspect.signature(kind[name]).parameters for kind in (waiting, awaited))
        assert list(ours) == list(theirs), name
        assert [p.default for p in ours.values()] == [p.default for p in theirs.values()], name


def test_the_standard_ports_are_the_platforms():
    assert PlatformPorts.standard().grpc == PORTS


def test_the_package_offers_the_client_and_nothing_that_is_not_there():
    for name in lotwise.__all__:
        assert getattr(lotwise, name) is getattr(lotwise.client, name)
    with pytest.raises(AttributeError, match="no attribute 'Clients'"):
        _ = lotwise.Clients


def test_importing_the_package_brings_no_grpc():
    code = "import lotwise, sys; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_predict_in_both_units(asker, tile, stubs, make_tile):
    answer = await asker.ask("predict", tile, lot_id="R01", um_per_px=1.0)
    direct = await stubs.predict.Predict(predict_pb2.PredictRequest(tile=make_tile()))
    assert isinstance(answer, Prediction)
    assert answer.value == answer.psi == pytest.approx(direct.value, rel=1e-6)
    assert answer.mpa == answer.value * 0.006894757293168361
    assert (answer.property_name, answer.unit, answer.lot_id) == ("peak stress", "psi", "R01")
    assert answer.quality.verdict == "good"
    assert answer.provenance.engine == "onnxruntime"
    assert [model.name for model in answer.models] == ["regressor"]
    assert answer.trained_on_simulated_lots
    assert not answer.simulated
    assert answer.reading.um_per_px == 1.0
    assert answer.reading.scale_source == "stated"
    with pytest.raises(FrozenInstanceError):
        answer.lot_id = "B"


async def test_a_path_bytes_an_array_and_a_pillow_image_are_the_same_tile(asker, lot, pictures):
    path = lot / "0.png"
    given = [path, str(path), path.read_bytes(), pictures[0], Image.fromarray(pictures[0])]
    given += [pictures[0].astype(np.uint16) * 257, (pictures[0] / 255).astype(np.float32)]
    answers = [await asker.ask("predict", each, um_per_px=1.0) for each in given]
    for answer in answers:
        assert answer.value == pytest.approx(answers[0].value, rel=1e-5)
    assert [answer.simulated for answer in answers] == [True, True] + [False] * 5
    assert answers[0].tile_id == "0.png"


async def test_uncertainty(asker, tile, stubs, make_tile):
    answer = await asker.ask("uncertainty", tile, um_per_px=1.0)
    direct = await stubs.uncertainty.Assess(uncertainty_pb2.AssessRequest(tile=make_tile()))
    assert isinstance(answer, Uncertainty)
    shares = list(answer.probabilities.values())
    assert sum(shares) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)
    assert next(iter(answer.probabilities)) == answer.looks_like == direct.top[0].reference_lot
    assert answer.probabilities[answer.looks_like] == pytest.approx(answer.confidence)
    assert answer.predictive_entropy_nats == pytest.approx(direct.predictive_entropy_nats)
    assert answer.members == direct.members


async def test_refer(asker, tile, stubs, make_tile, policy):
    answer = await asker.ask("refer", tile, um_per_px=1.0)
    direct = await stubs.referral.Decide(referral_pb2.DecideRequest(tile=make_tile()))
    assert isinstance(answer, Decision)
    refer = direct.decision == referral_pb2.DECISION_REFER
    assert answer.decision == ("refer" if refer else "accept")
    assert answer.score == pytest.approx(direct.score)
    assert answer.threshold == policy.max_score
    assert answer.provenance.policy_version == policy.policy_version


async def test_a_tile_that_the_committee_has_not_seen_has_no_score(asker):
    black = np.zeros((256, 256), np.uint8)
    answer = await asker.ask("refer", black, um_per_px=1.0)
    assert (answer.decision, answer.reasons) == ("refer", ("poor_quality",))
    assert answer.score is None
    assert answer.quality.verdict == ""


async def test_explain_forward_gives_values_and_pictures(asker, tile, tmp_path, stubs, make_tile):
    answer = await asker.ask(
        "explain_forward", tile, lot_id="R01", vary="porosity", steps=3, um_per_px=1.0
    )
    direct = await stubs.explain.Forward(
        explain_pb2.ForwardRequest(tile=make_tile(), vary="porosity", steps=3)
    )
    assert [step.attribute_value for step in answer.steps] == [0.0, 0.5, 1.0]
    values = [step.quantity.psi for step in answer.steps]
    assert values == pytest.approx([step.value for step in direct.steps], rel=1e-5)
    assert answer.original.psi == pytest.approx(direct.original, rel=1e-5)
    assert answer.attribute == "porosity"
    image = answer.steps[1].image
    pixels = image.array()
    assert (pixels.shape, pixels.dtype) == ((256, 256), np.uint8)
    assert np.array_equal(pixels, np.asarray(Image.open(io.BytesIO(direct.steps[1].edited_png))))
    assert image.save(tmp_path / "edited.png").read_bytes() == image.png
    assert image._repr_png_() == image.png


async def test_an_explanation_comes_with_its_evidence(asker, tile):
    answer = await asker.ask(
        "explain_backward", tile, lot_id="R01", target=1200.0, starts=1, um_per_px=1.0
    )
    evidence = answer.evidence
    assert evidence.activation_map.array().shape == (256, 256)
    for examples in (evidence.examples, evidence.edited_examples):
        assert [each.simulated for each in examples] == [True] * 3
        assert all(each.array().shape == (128, 128) for each in examples)
        assert all(500 < each.quantity.psi < 5000 for each in examples)
    assert 0 < answer.familiarity <= 1


async def test_explain_edit_is_one_edit(asker, tile):
    asked = {"lot_id": "R01", "wanted": {"size": 0.3}, "um_per_px": 1.0}
    answer = await asker.ask("explain_edit", tile, **asked)
    (size,) = (each for each in answer.attributes if each.name == "size")
    assert size.after == 0.3
    assert abs(size.measured_change) > 0
    assert answer.quantity.psi != answer.original.psi
    assert answer.image.array().shape == (256, 256)
    bare = await asker.ask("explain_edit", tile, image=False, **asked)
    assert bare.image is None
    assert bare.quantity.psi == pytest.approx(answer.quantity.psi, rel=1e-6)


async def test_explain_pair_varies_two_attributes(asker, tile):
    answer = await asker.ask(
        "explain_pair", tile, lot_id="R01", pair=("size", "porosity"), steps=2, um_per_px=1.0
    )
    assert (answer.first, answer.second) == ("size", "porosity")
    at = [(step.first_value, step.second_value) for step in answer.steps]
    assert at == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len({step.quantity.psi for step in answer.steps}) == 4
    assert len(answer.sensitivities) == 2


async def test_explain_forward_without_images(asker, tile):
    stated = dict.fromkeys(("size", "porosity", "polydispersity", "facetness"), 0.5)
    answer = await asker.ask(
        "explain_forward",
        tile,
        attributes=stated,
        vary="size",
        steps=2,
        images=False,
        um_per_px=1.0,
    )
    assert [step.image for step in answer.steps] == [None, None]


async def test_a_target_in_mpa_is_the_same_target_in_psi(asker, tile):
    def ask(**target):
        return asker.ask(
            "explain_backward", tile, lot_id="R01", immutable="size", max_evaluations=8,
            um_per_px=1.0, **target,
        )  # fmt: skip

    psi = await ask(target=1200.0, tolerance=20.0)
    mpa = await ask(target=psi.target.mpa, tolerance=psi.tolerance.mpa, unit="MPa")
    assert psi.target.psi == 1200.0
    assert mpa.target.psi == pytest.approx(1200.0, rel=1e-12)
    assert mpa.tolerance.psi == pytest.approx(20.0, rel=1e-12)
    assert mpa.after.psi == pytest.approx(psi.after.psi, rel=1e-6)
    assert psi.reached == (abs(psi.after.psi - 1200.0) <= 20.0)
    size = next(change for change in psi.changes if change.name == "size")
    assert size.before == size.after
    assert psi.image.array().shape == (256, 256)


async def test_a_target_in_a_unit_that_leads_nowhere_is_refused(asker, tile):
    with pytest.raises(InvalidRequest) as refused:
        await asker.ask("explain_backward", tile, lot_id="R01", target=300.0, unit="K", um_per_px=1)
    assert refused.value.reason == "TARGET_INVALID"
    assert "psi" in refused.value.message


@pytest.mark.parametrize("reason", BAD_TILE_REASONS)
async def test_a_bad_tile_raises_its_reason(asker, make_tile, pictures, reason):
    bad = make_tile(**bad_tiles(pictures[0])[reason])
    if bad.WhichOneof("content") == "raw":
        given = np.full((256, 256), np.nan, np.float32)
    else:
        given = bad.file
    um_per_px = bad.um_per_px if bad.HasField("um_per_px") else None
    with pytest.raises(InvalidTile) as refused:
        await asker.ask("predict", given, um_per_px=um_per_px)
    assert refused.value.reason == reason
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize(
    ("method", "options", "kind", "reason"),
    [
        ("predict", {"model": "nothing"}, NotFound, "MODEL_UNKNOWN"),
        ("predict", {"model": "committee"}, InvalidRequest, "MODEL_WRONG_KIND"),
        ("refer", {"policy": "another"}, NotFound, "POLICY_UNKNOWN"),
        ("explain_forward", {"vary": "colour"}, InvalidRequest, "ATTRIBUTE_UNKNOWN"),
        ("explain_forward", {"vary": "size", "lot_id": "?"}, InvalidRequest, "ATTRIBUTES_MISSING"),
    ],
)
async def test_a_wrong_request_raises_its_reason(asker, tile, method, options, kind, reason):
    with pytest.raises(kind) as refused:
        await asker.ask(method, tile, um_per_px=1.0, **{"lot_id": "R01", **options})
    assert refused.value.reason == reason


STREAMS = {
    "predict_many": {},
    "uncertainty_many": {},
    "refer_many": {},
    "explain_forward_many": {"vary": "size", "steps": 2},
    "explain_backward_many": {"target": 9.0, "unit": "MPa", "max_evaluations": 1},
}


@pytest.mark.parametrize("method", STREAMS)
async def test_many_tiles_answer_in_order_and_a_bad_one_in_its_place(
    asker, pictures, method, tmp_path
):
    tiles = [png(pictures[0])[:500], Tile(pictures[1], "mine"), tmp_path / "gone.png", pictures[2]]
    answers = await asker.ask_many(method, tiles, lot_id="R01", um_per_px=1.0, **STREAMS[method])
    said = [getattr(answer, "reason", answer.tile_id) for answer in answers]
    assert said == ["TILE_TRUNCATED", "mine", "TILE_EMPTY", "tile-3"]
    assert [answer.tile_id for answer in answers] == ["tile-0", "mine", "gone.png", "tile-3"]
    assert {answer.lot_id for answer in answers} == {"R01"}
    assert isinstance(answers[0], TileFailure)
    assert isinstance(answers[0].error, InvalidTile)
    single = await asker.ask(
        method.removesuffix("_many"), pictures[2], lot_id="R01", um_per_px=1.0, **STREAMS[method]
    )
    assert type(single) is type(answers[3])


async def test_answers_hold_no_message_of_the_protocol(asker, tile):
    answers = [
        await asker.ask("predict", tile, um_per_px=1.0),
        await asker.ask("uncertainty", tile, um_per_px=1.0),
        await asker.ask("refer", tile, um_per_px=1.0),
        await asker.ask("explain_forward", tile, lot_id="R01", vary="size", steps=2, um_per_px=1.0),
        await asker.ask("screen_lot", [tile], lot_id="R01", um_per_px=1.0),
    ]

    def parts(value):
        yield value
        if hasattr(value, "__dataclass_fields__"):
            inner = vars(value).values()
        elif isinstance(value, dict):
            inner = [*value, *value.values()]
        else:
            inner = value if isinstance(value, tuple | list) else []
        for each in inner:
            yield from parts(each)

    kinds = {type(part) for answer in answers for part in parts(answer)}
    assert not [kind for kind in kinds if issubclass(kind, Message)]
    plain = {
        kind
        for kind in kinds
        if kind.__module__.split(".")[0] not in ("lotwise", "builtins", "datetime")
    }
    assert plain == set()


async def test_a_folder_is_a_lot(asker, lot, policy):
    (lot / "3.png").write_bytes(b"")
    seen = []
    verdict = await asker.ask("screen_lot", lot, on_tile=seen.append)
    assert (verdict.lot_id, verdict.tiles, verdict.failed) == ("R01", 8, 1)
    assert verdict.accepted + verdict.referred + verdict.failed == verdict.tiles
    assert verdict.verdict in ("accept", "refer", "undecided")
    assert verdict.confidence == policy.request.confidence
    assert verdict.simulated
    assert list(verdict.decisions) == seen
    assert [each.tile_id for each in seen] == [f"{index}.png" for index in range(8)]
    assert seen[3].reason == "TILE_EMPTY"
    referred = [each for each in seen if getattr(each, "decision", "") == "refer"]
    assert len(referred) == verdict.referred
    assert verdict.trained_on_simulated_lots


async def test_a_list_is_a_lot_and_a_file_that_is_gone_counts(asker, pictures, tmp_path):
    tiles = [*pictures[:2], tmp_path / "gone.png"]
    verdict = await asker.ask("screen_lot", tiles, lot_id="mine", um_per_px=1.0)
    assert (verdict.lot_id, verdict.tiles, verdict.failed) == ("mine", 3, 1)
    assert "gone.png cannot be read" in verdict.decisions[2].message


@pytest.mark.parametrize(
    ("lot", "options", "reason"),
    [
        ("nowhere", {}, "LOT_MISSING"),
        ([], {"lot_id": "R01"}, "LOT_EMPTY"),
        ([np.zeros((32, 32), np.uint8)], {}, "LOT_MISSING"),
    ],
)
async def test_a_lot_that_is_none_is_refused(asker, lot, options, reason):
    with pytest.raises(InvalidRequest) as refused:
        await asker.ask("screen_lot", lot, **options)
    assert refused.value.reason == reason


async def test_a_deadline_that_passes_is_said(make_asker, addresses, tile):
    hurried = make_asker(**addresses, timeout=0.001)
    with pytest.raises(LotwiseError) as refused:
        await hurried.ask("predict", tile, um_per_px=1.0)
    assert refused.value.reason == "DEADLINE_EXCEEDED"
    patient = await hurried.ask("predict", tile, um_per_px=1.0, timeout=60.0)
    assert patient.psi > 0


async def test_one_client_serves_many_callers_at_once(asker, pictures):
    answers = await asyncio.gather(
        *(asker.ask("predict", picture, um_per_px=1.0) for picture in pictures)
    )
    alone = [await asker.ask("predict", picture, um_per_px=1.0) for picture in pictures]
    for together, single in zip(answers, alone, strict=True):
        assert together.value == pytest.approx(single.value, rel=1e-5)
