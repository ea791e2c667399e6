"""Lots whose property follows what is seen of them, some of them untested, and their plans."""

from dataclasses import replace

import numpy as np

from lotwise_training.active_learning.forecast import LearningCurve
from lotwise_training.pipelines.plan_lots import plan_lots
from tests.training.small_lots import lot_table

SEEN = 20


def lots(count=30, seed=0, scatter=0.0):
    """What is seen of lots in three directions of many, and a property that follows two of them."""
    rng = np.random.default_rng(seed)
    hidden = rng.uniform(-1, 1, (count, 3))
    means = hidden @ np.random.default_rng(99).normal(size=(3, SEEN))
    means += 0.01 * rng.normal(size=means.shape)
    true = np.exp(7 + 0.3 * hidden[:, 0] + 0.2 * hidden[:, 1] ** 2)
    return means, true * np.exp(scatter * rng.normal(size=count)), true


def table_of(values, unit="psi"):
    return replace(lot_table(len(values)), property_name="stress", unit=unit, values=values)


def planned(tested=10, count=1, seed=0, **options):
    means, values, _ = lots(seed=seed)
    values[tested:] = np.nan
    return plan_lots(table_of(values), means, count, **{"resamples": 20, **options})


def curve(errors, beyond):
    """Of ten tested lots and as many more as there are errors."""
    return LearningCurve(10, np.array(errors), beyond)
