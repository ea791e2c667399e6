"""Stored answers: what is read is what was written, and near enough to what was answered."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lotwise.core.uncertainty import (
    committee_probabilities,
    entropy,
    mean_member_entropy,
    mutual_information,
    predictive_entropy,
    softmax,
)
from lotwise_training.evaluation.predictions import (
    DROPOUT,
    ENSEMBLE,
    LEAST_LOG_PROBABILITY,
    SINGLE,
    EnsembleResult,
    pool_logits,
    set_predictions,
)
from lotwise_training.store.arrays import ResultsError, find, read, write
from tests.training.answered_tiles import MANIFEST, ensemble_result


def logits(n=200, members=4, lots=30, *, sharpness=4.0, seed=0):
    rng = np.random.default_rng(seed)
    return (sharpness * rng.normal(size=(n, members, lots))).astype(np.float32)


@pytest.fixture
def outputs():
    of_members = logits(5)
    return {
        ("tile-random", "test"): set_predictions(
            np.array([3, 1, 70_000, 7, 9]),
            np.array([0, 29, 2, 2, 1]),
            {SINGLE: of_members[:, :1], DROPOUT: logits(5, 16, seed=1), ENSEMBLE: of_members},
        ),
        ("lot-held-out", "unseen"): set_predictions(
            np.array([4]), np.array([-1]), {ENSEMBLE: logits(1, lots=24)}
        ),
    }


def test_what_is_read_is_what_was_written(outputs, tmp_path):
    write(tmp_path / "a" / "results", ensemble_result(outputs))
    stored = read(EnsembleResult, tmp_path / "a" / "results")
    found, manifest = stored.sets, stored.manifest()
    assert found.keys() == outputs.keys()
    for key, expected in outputs.items():
        assert list(found[key].predictions) == list(expected.predictions)
        pairs = [(found[key].tiles, expected.tiles), (found[key].labels, expected.labels)]
        for method, answers in expected.predictions.items():
            again = found[key].predictions[method]
            pairs.append((again.log_probabilities, answers.log_probabilities))
            pairs.append((again.member_entropy, answers.member_entropy))
        for one, other in pairs:
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    assert manifest == {**MANIFEST, "arrays_sha256": manifest["arrays_sha256"]}
    assert len(manifest["arrays_sha256"]) == 64
    assert sorted(path.name for path in (tmp_path / "a" / "results").iterdir()) == [
        "class_predictions.json",
        "class_predictions.npz",
    ]


def test_other_outputs_replace_them(outputs, tmp_path):
    write(tmp_path, ensemble_result(outputs))
    del outputs["lot-held-out", "unseen"]
    write(tmp_path, ensemble_result(outputs))
    assert list(read(EnsembleResult, tmp_path).sets) == [("tile-random", "test")]


def test_outputs_that_were_changed_are_refused(outputs, tmp_path):
    write(tmp_path, ensemble_result(outputs))
    path = tmp_path / "class_predictions.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ResultsError, match="not the file that its manifest describes"):
        read(EnsembleResult, tmp_path)


def test_a_manifest_of_other_outputs_is_refused(outputs, tmp_path):
    write(tmp_path, ensemble_result(outputs))
    path = tmp_path / "class_predictions.json"
    manifest = json.loads(path.read_text())
    for changed in ({**manifest, "arrays_sha256": "0" * 64}, MANIFEST):
        path.write_text(json.dumps(changed))
        with pytest.raises(ResultsError, match="not the file that its manifest describes"):
            read(EnsembleResult, tmp_path)


@pytest.mark.parametrize("name", ["class_predictions.json", "class_predictions.npz"])
def test_a_file_that_is_missing_is_an_error_of_its_own(name, outputs, tmp_path):
    write(tmp_path, ensemble_result(outputs))
    (tmp_path / name).unlink()
    with pytest.raises(ResultsError, match=name):
        read(EnsembleResult, tmp_path)


def test_a_manifest_that_is_no_json_is_an_error_of_its_own(outputs, tmp_path):
    write(tmp_path, ensemble_result(outputs))
    (tmp_path / "class_predictions.json").write_text("{")
    with pytest.raises(ResultsError, match="no readable results"):
        read(EnsembleResult, tmp_path)


def test_outputs_that_are_too_large_are_refused_and_the_old_ones_kept(outputs, tmp_path):
    write(tmp_path, ensemble_result(outputs))
    more = {**outputs, ("new", "test"): outputs["tile-random", "test"]}
    with pytest.raises(ResultsError, match="at most 0.0005 MB") as refused:
        write(tmp_path, ensemble_result(more), largest_bytes=500)
    assert refused.value.reason == "RESULTS_TOO_LARGE"
    assert len(list(tmp_path.iterdir())) == 2
    assert read(EnsembleResult, tmp_path).sets.keys() == outputs.keys()


def test_nothing_stored_is_found_and_part_of_it_is_an_error(outputs, tmp_path):
    assert find(EnsembleResult, tmp_path) is None
    write(tmp_path, ensemble_result(outputs))
    (tmp_path / "class_predictions.npz").unlink()
    with pytest.raises(ResultsError, match=r"class_predictions\.npz"):
        find(EnsembleResult, tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"profile": 3}, "class_predictions.json: profile: Input should be a valid string"),
        ({"profil": "cpu"}, "class_predictions.json: profil: Unexpected keyword argument"),
        ({"profile": None, "sets": {}}, "profile"),
        ({"sets": {}}, "names no array 'lot-held-out/unseen/ensemble/log_probabilities'"),
    ],
)
def test_a_field_that_is_wrong_is_named(change, said, outputs, tmp_path):
    write(tmp_path, ensemble_result(outputs))
    path = tmp_path / "class_predictions.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ResultsError, match=said) as refused:
        read(EnsembleResult, tmp_path)
    assert refused.value.reason == "RESULTS_INVALID"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.zeros(5), r"labels: Value error, is float64, not int16"),
        (np.zeros(4, dtype=np.int16), r"has shape \(4,\), not \[N\] with .*'N': 5"),
        (np.zeros((5, 1), dtype=np.int16), r"has shape \(5, 1\), not \[N\]"),
    ],
)
def test_arrays_that_contradict_their_declaration_are_never_written(
    labels, said, outputs, tmp_path
):
    key = ("tile-random", "test")
    with pytest.raises(ResultsError, match=said):
        write(tmp_path, ensemble_result({key: replace(outputs[key], labels=labels)}))
    assert list(tmp_path.iterdir()) == []


def test_answers_are_the_members_average_and_their_entropies():
    values = logits(sharpness=1.0)
    members = softmax(values)
    found = pool_logits(values)
    np.testing.assert_allclose(
        found.probabilities, committee_probabilities(members), atol=1e-3, rtol=2e-3
    )
    np.testing.assert_allclose(found.member_entropy, mean_member_entropy(members), rtol=1e-6)
    assert found.log_probabilities.dtype == np.float16
    assert found.member_entropy.dtype == np.float32


def test_of_one_network_the_members_entropy_is_that_of_its_answer():
    values = logits(members=1)
    found = pool_logits(values)
    np.testing.assert_allclose(found.member_entropy, predictive_entropy(softmax(values)), rtol=1e-6)


# Half precision keeps 11 binary digits of a logarithm l, so a probability p = exp(l) is off by a
# share of at most |l| / 2048, and the sum by which it is divided by no more than the largest share.
@pytest.mark.parametrize("sharpness", [0.1, 1.0, 10.0])
def test_half_precision_costs_little(sharpness):
    members = softmax(logits(sharpness=sharpness))
    exact = committee_probabilities(members)
    found = pool_logits(logits(sharpness=sharpness))
    assert np.abs(found.probabilities - exact).max() < 5e-4
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, atol=1e-12)
    assert np.abs(entropy(found.probabilities) - entropy(exact)).max() < 2e-3
    disagreement = entropy(found.probabilities) - found.member_entropy
    assert np.abs(disagreement - mutual_information(members)).max() < 2e-3
    # What was named is named, unless two lots are as likely to three digits.
    first, second = np.sort(exact, axis=1)[:, [-1, -2]].T
    clear = first - second > 1e-3
    assert clear.any()
    same = found.probabilities.argmax(axis=1) == exact.argmax(axis=1)
    assert same[clear].all()


def test_what_is_impossible_stays_a_number():
    certain = np.array([[[0.0, -1e6, -2.0]], [[1e5, 0.0, -1e5]]])
    with np.errstate(all="raise", under="ignore"):
        found = pool_logits(certain)
    assert np.isfinite(found.log_probabilities).all()
    assert found.log_probabilities.min() == LEAST_LOG_PROBABILITY
    np.testing.assert_allclose(found.probabilities[1], [1.0, 0.0, 0.0])
    assert found.probabilities[0, 1] == 0.0
