"""Fits the referral policy: above which uncertainty a tile goes to an expert.

Zhang et al. 2020, case study 2: a tile whose predictive entropy exceeds a threshold is referred.
The threshold is the entropy quantile that keeps the wanted share of *known* tiles; it is fitted on
validation tiles and its risk is measured on test tiles. Nothing is fitted on shifted tiles: how
they will differ is what nobody knows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from lotwise.core.policy import MeasuredRisk, ReferralPolicy
from lotwise.core.uncertainty import (
    Array,
    committee_probabilities,
    mutual_information,
    predictive_entropy,
    softmax,
)
from lotwise_training.config import PolicyRecipe

SMALLEST_THRESHOLD_NATS = 1e-6
"""A committee that is certain of every validation tile would get a threshold of 0, which refers
whatever rounds up; this is far below any entropy that means something."""


def fit_policy(
    validation_logits: npt.ArrayLike,
    test_logits: npt.ArrayLike,
    test_labels: npt.NDArray[np.int64],
    recipe: PolicyRecipe,
    *,
    weights_sha256: str,
) -> ReferralPolicy:
    """Fit thresholds on validation tiles and measure them on test tiles.

    Args:
        validation_logits: float [N, T, K], of the T members on known tiles.
        test_logits: float [M, T, K], on known tiles of other regions.
        test_labels: int64 [M], true lots of the test tiles.
        recipe: Coverage and quantile to fit, and the laboratory's demands on lots.
        weights_sha256: The committee that gave the logits, 64 hexadecimal digits.

    Returns:
        The policy; its version names the weights and the policy's own content.

    Raises:
        ValueError: Logits are not [N, T, K], or labels and logits differ in number.
    """
    validation = _probabilities(validation_logits)
    test = _probabilities(test_logits)
    if len(test) != len(test_labels):
        raise ValueError(f"{len(test)} test tiles have {len(test_labels)} labels")
    # "higher" is a value that occurred, so at least the wanted share of tiles is accepted.
    entropy_threshold = np.quantile(
        predictive_entropy(validation), recipe.target_coverage, method="higher"
    )
    unfamiliar_threshold = np.quantile(
        predictive_entropy(validation), recipe.unfamiliar_entropy_quantile, method="higher"
    )
    disagreement_threshold = np.quantile(
        mutual_information(validation), recipe.mutual_information_quantile, method="higher"
    )
    accepted = predictive_entropy(test) <= entropy_threshold
    wrong = committee_probabilities(test).argmax(axis=1) != test_labels
    policy = ReferralPolicy(
        policy_version="unnamed",
        weights_sha256=weights_sha256,
        n_tiles=len(validation),
        target_coverage=recipe.target_coverage,
        entropy_threshold_nats=max(float(entropy_threshold), SMALLEST_THRESHOLD_NATS),
        unfamiliar_entropy_nats=max(float(unfamiliar_threshold), SMALLEST_THRESHOLD_NATS),
        mutual_information_threshold_nats=max(
            float(disagreement_threshold), SMALLEST_THRESHOLD_NATS
        ),
        max_referred_share=recipe.max_referred_share,
        confidence=recipe.confidence,
        measured=MeasuredRisk(
            tiles=len(test),
            coverage=float(accepted.mean()),
            # Where nothing is accepted, nothing accepted is wrong.
            error_among_accepted=float(wrong[accepted].mean()) if accepted.any() else 0.0,
        ),
    )
    # Named by all that it says, so that two policies that decide differently differ in name.
    content = hashlib.sha256(policy.model_dump_json().encode()).hexdigest()
    return policy.model_copy(update={"policy_version": f"{weights_sha256[:8]}-{content[:8]}"})


def committee_sha256(members: Sequence[nn.Module]) -> str:
    """Hash of the members' weights: names, shapes and values, running statistics included."""
    digest = hashlib.sha256()
    for number, member in enumerate(members):
        for name, tensor in sorted(member.state_dict().items()):
            values = tensor.detach().cpu().numpy()
            digest.update(f"{number} {name} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def write_policy(policy: ReferralPolicy, path: Path) -> None:
    """Write the file that `lotwise.core.policy.ReferralPolicy.read` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(policy.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _probabilities(logits: npt.ArrayLike) -> Array:
    if np.ndim(logits) != 3:
        raise ValueError(f"logits must be [N, T, K], not {np.shape(logits)}")
    return softmax(logits)
