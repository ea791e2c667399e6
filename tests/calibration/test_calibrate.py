"""`lotwise calibrate`: from a laboratory's own folders to a calibration that the services use."""

import asyncio
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from lotwise.cli import app
from lotwise.core.calibration import read_calibration
from lotwise.core.policy import ReferralPolicy
from lotwise.core.tile import DecodedTile
from lotwise.runtime.inference_onnxruntime import OnnxRuntimeInference
from lotwise.uncertainty.calibrations import Calibrations
from lotwise.uncertainty.handler import UncertaintyHandler
from tests.support.grey_committee import GREYS, WEIGHTS, write_committee, write_lots, write_tile

TILES = 250
REQUEST = {
    "kind": "coverage",
    "target": 0.8,
    "min_familiarity": 0.05,
    "max_referred_share": 0.4,
    "confidence": 0.9,
}


def write_request(path, **changes):
    lines = [f"{key} = {json.dumps(value)}" for key, value in {**REQUEST, **changes}.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def said(*arguments):
    result = CliRunner().invoke(app, ["calibrate", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture
def models(tmp_path):
    return write_committee(tmp_path / "models")


@pytest.fixture(scope="module")
def lots(tmp_path_factory):
    return write_lots(tmp_path_factory.mktemp("lots"), TILES)


@pytest.fixture
def request_file(tmp_path):
    return write_request(tmp_path / "policy.toml")


def refused(*arguments):
    code, text = said(*arguments)
    assert code == 1
    return text


def test_a_laboratorys_tiles_calibrate_what_it_serves(models, lots, request_file):
    code, text = said(lots, "--policy", request_file, "--models", models)
    assert code == 0, text
    assert "750 tiles of 3 of 3 reference lots (laboratory)" in text
    calibration = read_calibration(models / "committee").calibration
    # The members are twice as sure as they should be.
    assert calibration.temperature == pytest.approx(2.0, rel=0.3)
    assert calibration.weights_sha256 == WEIGHTS
    policy = ReferralPolicy.read(models / "committee" / "referral_policy.json")
    assert policy.calibration_version == calibration.calibration_version
    assert policy.policy_version in text
    assert policy.guarantee.statement in text.replace("\n", " ")
    assert policy.fitted.coverage >= 0.8

    # And the uncertainty service answers with it.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        seen = runner.run(assessed(models, tiles_of_grey(GREYS["A"], 250.0)))
    assert seen[0].ranking[0][0] == "A"
    assert seen[0].familiarity > 0.05 > seen[1].familiarity


async def assessed(models, tiles):
    engine = OnnxRuntimeInference(models)
    handler = UncertaintyHandler(engine, Calibrations(models), "committee")
    answers = [await handler.assess(tile) for tile in tiles]
    await engine.close()
    return answers


def tiles_of_grey(*greys):
    rng = np.random.default_rng(5)
    pixels = [(grey + 3 * rng.normal(size=(32, 32))).clip(1, 250) for grey in greys]
    return [DecodedTile(grey=each.astype(np.uint8), um_per_px=1.0) for each in pixels]


def test_folders_can_be_named_one_by_one_and_the_answer_read_by_programs(
    models, lots, request_file, tmp_path
):
    folders = [lots / lot for lot in GREYS]
    where = ("--policy", request_file, "--models", models, "--out", tmp_path / "new", "--json")
    code, text = said(*folders, *where)
    assert code == 0, text
    answer = json.loads(text)
    assert answer["policy"]["calibration_set"]["tiles"] == 3 * TILES
    policy = ReferralPolicy.read(tmp_path / "new" / "referral_policy.json")
    assert answer["policy"]["policy_version"] == policy.policy_version
    assert not (models / "committee" / "calibration.json").exists()


def test_a_committee_of_logits_alone_can_be_calibrated(lots, request_file, tmp_path):
    models = write_committee(tmp_path / "bare", bare=True)
    code, text = said(lots, "--policy", request_file, "--models", models)
    assert code == 0, text
    assert read_calibration(models / "committee").familiarity.blocks == {}


def test_some_of_the_lots_alone_are_taken_and_said(models, lots, request_file, tmp_path):
    code, text = said(lots / "A", lots / "B", "--policy", request_file, "--models", models)
    assert code == 0, text
    assert "500 tiles of 2 of 3 reference lots" in text
    assert "other reference lots may look unfamiliar" in text


def test_simulated_lots_are_said_to_be(models, request_file, tmp_path):
    lots = write_lots(tmp_path / "lots", TILES)
    (lots / "B" / "lot.json").write_text('{"simulated": true}')
    code, text = said(lots, "--policy", request_file, "--models", models)
    assert code == 0, text
    assert "(simulated)" in text


def test_poor_pictures_are_left_out_and_counted(models, request_file, tmp_path):
    lots = write_lots(tmp_path / "lots", TILES)
    half_black = np.full((32, 32), 100, dtype=np.uint8)
    half_black[:, 12:] = 0
    Image.fromarray(half_black).save(lots / "A" / "edge.png", dpi=(25_400, 25_400))
    code, text = said(lots, "--policy", request_file, "--models", models)
    assert code == 0, text
    assert "750 tiles" in text
    assert "1 of poor quality left out" in text


def test_one_lot_alone_is_refused(models, lots, request_file):
    text = refused(lots / "A", "--policy", request_file, "--models", models)
    assert "CALIBRATION_ONE_LOT" in text


def test_a_lot_that_the_committee_does_not_know_is_refused(models, request_file, tmp_path):
    lots = write_lots(tmp_path / "lots", 12, lots=("A", "B", "batch 17"))
    text = refused(lots, "--policy", request_file, "--models", models)
    assert "CALIBRATION_LOT_UNKNOWN" in text
    assert "batch 17" in text


def test_a_lot_with_one_tile_is_refused(models, request_file, tmp_path):
    lots = write_lots(tmp_path / "lots", 200, lots=("A", "B"))
    write_lots(lots, 1, lots=("C",))
    text = refused(lots, "--policy", request_file, "--models", models)
    assert "CALIBRATION_LOT_TOO_SMALL" in text
    assert "Lot C has 1 tile;" in text


def test_too_few_tiles_are_refused_with_the_number_that_is_needed(models, request_file, tmp_path):
    lots = write_lots(tmp_path / "lots", 20)
    text = refused(lots, "--policy", request_file, "--models", models)
    assert "CALIBRATION_TOO_SMALL" in text
    assert "60 tiles are too few" in text
    assert "at least" in text


def test_the_same_picture_twice_is_refused(models, request_file, tmp_path):
    lots = write_lots(tmp_path / "lots", 12)
    (lots / "B" / "copy.png").write_bytes((lots / "B" / "0003.png").read_bytes())
    text = refused(lots, "--policy", request_file, "--models", models)
    assert "CALIBRATION_TILE_TWICE" in text
    assert "copy.png" in text


def test_files_that_cannot_be_used_are_named_and_nothing_is_written(models, request_file, tmp_path):
    lots = write_lots(tmp_path / "lots", TILES)
    content = (lots / "A" / "0000.png").read_bytes()
    (lots / "A" / "half.png").write_bytes(content[: len(content) // 2])
    rng = np.random.default_rng(0)
    write_tile(lots / "C" / "tiny.png", 120.0, rng)
    Image.open(lots / "C" / "tiny.png").crop((0, 0, 20, 20)).save(lots / "C" / "tiny.png")
    text = refused(lots, "--policy", request_file, "--models", models)
    assert "CALIBRATION_TILES_UNUSABLE" in text
    assert "half.png: TILE_TRUNCATED" in text
    assert "tiny.png" in text
    assert not (models / "committee" / "calibration.json").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"max_referred_share": 0.1}, "POLICY_CONTRADICTORY"),
        ({"kind": "entropy"}, "POLICY_INVALID"),
        ({"kind": "risk", "target": 0.001, "max_referred_share": 0.9}, "CALIBRATION_TOO_SMALL"),
        ({"kind": "risk", "target": 0.013}, "POLICY_UNREACHABLE"),
    ],
)
def test_policies_that_cannot_be_are_refused(models, lots, tmp_path, changes, reason):
    path = write_request(tmp_path / "odd.toml", **changes)
    text = refused(lots, "--policy", path, "--models", models)
    assert reason in text


def test_what_is_missing_is_named(models, lots, request_file, tmp_path):
    text = refused(lots, "--policy", tmp_path / "none.toml", "--models", models)
    assert "POLICY_MISSING" in text
    text = refused(tmp_path / "nowhere", "--policy", request_file, "--models", models)
    assert "LOT_MISSING" in text
    text = refused(lots, "--policy", request_file, "--models", models, "--model", "regressor")
    assert "MODEL_UNKNOWN" in text


def test_other_commands_and_services_start_without_scipy():
    program = (
        "import sys, lotwise.cli, lotwise.predict.__main__, lotwise.uncertainty.__main__, "
        "lotwise.explain.__main__; assert 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
