"""One temperature on the pooled probabilities: what they say becomes how often they are right.

Members are averaged first and scaled then (Rahaman & Thiery 2021, arXiv 2007.08792, "pool then
calibrate"): calibrated members do not make a calibrated committee. The temperature divides the
logarithm of the pooled probabilities (Guo et al. 2017) and is fitted by negative log-likelihood on
tiles that nothing was trained on.
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import numpy.typing as npt

from lotwise.core.uncertainty import Array, softmax

COLDEST: Final = 0.1
HOTTEST: Final = 10.0
"""A fit ends here: a committee that is right on every tile would be scaled to certainty."""
_LEAST: Final = 1e-300


def scaled(pooled: Array, temperature: float) -> Array:
    """Pooled probabilities, their logarithms divided by a temperature.

    Args:
        pooled: float64 [..., K].
        temperature: Positive; above 1 it makes less sure.

    Returns:
        float64 [..., K], each row summing to 1.
    """
    return softmax(np.log(np.maximum(pooled, _LEAST)) / temperature)


def error_probability(probabilities: Array) -> Array:
    """Chance that the likeliest lot is wrong, if the probabilities are calibrated.

    Summed over the other lots: 1 - p loses its digits where p is nearly 1.

    Args:
        probabilities: float64 [N, K].

    Returns:
        float64 [N], 0 to 1.
    """
    others = np.sort(probabilities, axis=-1)[..., :-1]
    return cast(Array, others.sum(axis=-1))


def log_loss(probabilities: Array, labels: npt.NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of the true lots, in nats.

    Args:
        probabilities: float64 [N, K].
        labels: int64 [N].
    """
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(true, _LEAST)).mean())


def fit_temperature(pooled: Array, labels: npt.NDArray[np.int64]) -> float:
    """The temperature of the least negative log-likelihood, between COLDEST and HOTTEST.

    Args:
        pooled: float64 [N, K], of tiles that nothing was trained on.
        labels: int64 [N], their true lots.
    """
    # Here, because services use the rest of this module and need no scipy for it.
    from scipy.optimize import minimize_scalar

    fit = minimize_scalar(
        lambda log_t: log_loss(scaled(pooled, float(np.exp(log_t))), labels),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(fit.x))
