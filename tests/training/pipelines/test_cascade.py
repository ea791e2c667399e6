"""What a cascade decides on the benchmark's sets, stored and reported."""

import numpy as np
import pytest

from lotwise.core.calibration_fit import calibrate
from lotwise.core.cascade import CASCADE_FILE, committee_scores
from lotwise.core.cascade_fit import fit_cascade
from lotwise_training.evaluation.shifts import REFERRED, SETS, CascadeDecisions, StoredCascade
from lotwise_training.pipelines.exported_ensemble import cascade_decisions
from lotwise_training.report.diagnosis import (
    CASCADE,
    cascade_records,
    cascade_section,
    cascade_targets,
)
from lotwise_training.report.render import Inputs
from lotwise_training.report.served_models import RecheckFailed
from lotwise_training.store.arrays import ResultsError, find, write
from tests.support.committees import COVERAGE, WEIGHTS, known_tiles, labelled

DONE = np.array([True, True, True, False])
CASCADED = CascadeDecisions(
    done=DONE,
    decided=np.array([1, 2, REFERRED, 0], dtype=np.int16),
    by_all=np.array([1, 3, REFERRED, 0], dtype=np.int16),
)


def stored(version="v"):
    return StoredCascade(dict.fromkeys(SETS, CASCADED), version, 2, 4, 0.8, 0.99, 7)


def test_decisions_are_read_as_they_were_written(tmp_path):
    assert find(StoredCascade, tmp_path) is None
    write(tmp_path, stored())
    read = find(StoredCascade, tmp_path)
    assert set(read.sets) == set(SETS)
    for name in ("done", "decided", "by_all"):
        np.testing.assert_array_equal(getattr(read.sets["new"], name), getattr(CASCADED, name))
    assert (read.version, read.first, read.members, read.false_alarms) == ("v", 2, 4, 7)


def test_something_else_is_refused(tmp_path):
    write(tmp_path, stored())
    path = tmp_path / "cascade.json"
    path.write_text(path.read_text().replace('"first"', '"primero"'))
    with pytest.raises(ResultsError, match=r"cascade\.json: first: Field required"):
        find(StoredCascade, tmp_path)


def test_figures_are_counted_tile_by_tile():
    row = cascade_records(stored()).rows(CASCADE)[0]
    assert row.metrics["evaluations"].count == 4
    assert (row.value("first_enough"), row.value("same_decision")) == (0.75, 0.75)
    # Two of four members always, the other two for a quarter.
    assert row.value("evaluations") == pytest.approx((2 + 0.25 * 2) / 4)
    assert (row.value("accepted_tiles"), row.value("accepted_by_all")) == (0.75, 0.75)


def test_targets_are_of_known_lots():
    equal, cost = cascade_targets(cascade_records(stored()))
    assert (equal.reached, equal.value) == (False, 0.75)
    assert (cost.reached, cost.value) == (False, 0.625)


def test_answers_are_those_of_both_policies():
    tiles = labelled(6000)
    fitted = calibrate(tiles, COVERAGE, WEIGHTS)
    found = fit_cascade(tiles, fitted, 2, "first", "rest")
    outputs, _ = known_tiles(300, 5)
    said = cascade_decisions(outputs, fitted, found)
    of_all = committee_scores(fitted.calibrated, outputs)
    policy = fitted.policy
    accepted = of_all.accepted(policy.max_score, policy.request.min_familiarity)
    np.testing.assert_array_equal(said.by_all, np.where(accepted, of_all.named, REFERRED))
    assert (said.decided == said.by_all).mean() > 0.97
    # Where all were asked, their scores decide.
    rest = ~said.done
    here = of_all.accepted(found.policy.max_score, found.policy.request.min_familiarity)
    np.testing.assert_array_equal(said.decided[rest], np.where(here, of_all.named, REFERRED)[rest])


def test_the_section_shows_the_cascade_that_is_served_or_none(tmp_path):
    assert cascade_section(Inputs(tmp_path)) is None
    tiles = labelled(6000)
    found = fit_cascade(tiles, calibrate(tiles, COVERAGE, WEIGHTS), 2, "first", "rest")
    (tmp_path / "models" / "committee").mkdir(parents=True)
    found.cascade.write(tmp_path / "models" / "committee" / CASCADE_FILE)
    write(tmp_path, stored())
    with pytest.raises(RecheckFailed, match="another cascade is served"):
        cascade_section(Inputs(tmp_path, tmp_path / "models"))
    write(tmp_path, stored(found.cascade.calibration.calibration_version))
    section = cascade_section(Inputs(tmp_path, tmp_path / "models"))
    assert section.records.rows(CASCADE)[0].value("same_decision") == 0.75
    assert "7 false alarms" in section.tables[0].note
