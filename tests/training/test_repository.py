"""The committed model repository is what an export writes."""

import json

import pytest

from lotwise.core.policy import ReferralPolicy
from lotwise.runtime.model_config import read_pbtxt
from lotwise_training.export.card import write_card

MODELS = ("regressor", "committee", "editor_encoder", "editor_decoder", "edit_gradient")


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_its_card_with_hash_and_parity(repository, model):
    card = (repository / model / "MODEL_CARD.md").read_text(encoding="utf-8")
    signature = read_pbtxt(repository / model / "config.pbtxt")
    assert signature.name == model
    assert signature.metadata.weights_sha256 in card
    assert "Trained on simulated lots alone" in card
    parity = float(card.split("trained network: ")[1].split(" ")[0])
    assert 0 <= parity <= (5e-4 if model == "edit_gradient" else 1e-4)


def test_labels_name_the_reference_lots_in_the_order_of_the_logits(repository):
    labels = (repository / "committee" / "labels.txt").read_text(encoding="utf-8").split()
    signature = read_pbtxt(repository / "committee" / "config.pbtxt")
    assert labels == [lot.lot_id for lot in signature.metadata.reference_lots]
    assert len(labels) >= 8
    assert signature.outputs[0].shape == (signature.metadata.members, len(labels))
    assert signature.outputs[0].label_file == "labels.txt"


def test_the_policy_belongs_to_the_committee(repository):
    policy = ReferralPolicy.read(repository / "committee" / "referral_policy.json")
    signature = read_pbtxt(repository / "committee" / "config.pbtxt")
    assert policy.weights_sha256 == signature.metadata.weights_sha256


def test_a_card_shows_the_figures_of_the_runs_report_and_none_else(repository, tmp_path):
    signature = read_pbtxt(repository / "regressor" / "config.pbtxt")
    card = tmp_path / "MODEL_CARD.md"
    write_card(signature, card, what="a network", parity=0.0, tolerance=1e-4, runs=tmp_path)
    assert "Nothing yet" in card.read_text(encoding="utf-8")
    (tmp_path / "regressor").mkdir()
    report = {"held-out lots": {"mape_percent": 12.5, "auroc": None}}
    (tmp_path / "regressor" / "evaluation.json").write_text(json.dumps(report))
    write_card(signature, card, what="a network", parity=0.0, tolerance=1e-4, runs=tmp_path)
    assert "| held-out lots: mape percent | 12.5 |" in card.read_text(encoding="utf-8")
    assert "None" not in card.read_text(encoding="utf-8")
