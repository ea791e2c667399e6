"""Uncertainty of a committee of classifiers.

Averaged probabilities, and the split of their entropy into what the members agree is
ambiguous and how far they disagree: H[mean p] = mean H[p] + I. Zhang et al. 2020, "Predictive
entropy"; Lakshminarayanan et al. 2017 (deep ensembles); Depeweg et al. 2018 (the split).

N tiles, T members, K reference lots. All entropies in nats.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def softmax(logits: npt.ArrayLike) -> Array:
    """Probabilities over the last axis, without overflow.

    Args:
        logits: float [..., K].

    Returns:
        float64 [..., K], each row summing to 1.
    """
    z = np.asarray(logits, dtype=np.float64)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return cast(Array, e / e.sum(axis=-1, keepdims=True))


def entropy(probabilities: Array) -> Array:
    """Shannon entropy over the last axis; 0 log 0 = 0.

    Args:
        probabilities: float64 [..., K].

    Returns:
        float64 [...], in nats.
    """
    p = np.clip(probabilities, 1e-300, 1.0)
    return cast(Array, -(probabilities * np.log(p)).sum(axis=-1))


def committee_probabilities(member_probabilities: Array) -> Array:
    """The committee's answer: the members' probabilities, averaged.

    Args:
        member_probabilities: float64 [N, T, K].

    Returns:
        float64 [N, K].
    """
    return cast(Array, member_probabilities.mean(axis=1))


def predictive_entropy(member_probabilities: Array) -> Array:
    """Entropy of the averaged probabilities.

    Args:
        member_probabilities: float64 [N, T, K].

    Returns:
        float64 [N], in nats.
    """
    return entropy(committee_probabilities(member_probabilities))


def mean_member_entropy(member_probabilities: Array) -> Array:
    """Mean of the members' own entropies.

    Args:
        member_probabilities: float64 [N, T, K].

    Returns:
        float64 [N], in nats.
    """
    return cast(Array, entropy(member_probabilities).mean(axis=1))


def mutual_information(member_probabilities: Array) -> Array:
    """How far the members disagree: predictive entropy less mean member entropy.

    Args:
        member_probabilities: float64 [N, T, K].

    Returns:
        float64 [N], in nats, not negative.
    """
    disagreement = predictive_entropy(member_probabilities) - mean_member_entropy(
        member_probabilities
    )
    # Jensen's inequality makes it non-negative; rounding may not.
    return cast(Array, np.maximum(disagreement, 0.0))
