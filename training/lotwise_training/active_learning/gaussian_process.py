"""A Gaussian process over lots: what tested lots say of the property of untested ones.

ln(property) = m + f(place) + u, with a kernel of three terms for f and a lot's own deviation u,

    k(x, x') = c^2 + b^2 x.x' + s^2 (1 + r + r^2 / 3) exp(-r),   r = sqrt(5) |x - x'| / l

a level, a slope and the Matern 5/2 kernel (Rasmussen & Williams 2006, Gaussian Processes for
Machine Learning, equation 4.17). A measured value adds the scatter of its tests. Properties are
positive and strength tests scatter by so many percent, hence the logarithm. Hyperparameters
maximise the marginal likelihood (their equation 5.8) times log-normal priors, so that five tested
lots suffice; the same lots give the same process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from lotwise_training.data.tiles import DatasetError, Floats, Numbers

LEAST_TESTED: Final = 5
LEVEL: Final = 1.3
"""Standard deviation c of the level about the tested lots' mean, in their standard deviations."""
PRIOR_MEDIAN: Final = np.array([1.0, 1.5, 1.0, 0.1])
"""Of signal, length, slope and nugget: the length in median distances of two lots, the others in
standard deviations of the tested lots' ln(property). Set on 200 simulated lots that are no part of
the benchmark; half the signal and two thirds of the length did a little worse there."""
PRIOR_SPREAD: Final = np.array([1.0, 0.5, 1.0, 1.0])
"""Standard deviation of their logarithms: 95% lie within a factor of 2.7 (length) or 7."""
WIDEST: Final = 3.0
"""Bounds of the search, in spreads about the median."""
SMALLEST_SPREAD: Final = 1e-6
"""Tested lots that differ by less in ln(property) are the same."""


@dataclass(frozen=True)
class Hyperparameters:
    """Of the kernel; all positive.

    Attributes:
        signal: s, in standard deviations of the tested lots' ln(property), as `slope`, `nugget`.
        length: l, in median distances of two lots.
        slope: b, for a lot at the root mean square distance from the middle of the pool.
        nugget: Standard deviation of a lot's own deviation u, that no place tells.
    """

    signal: float
    length: float
    slope: float
    nugget: float

    @classmethod
    def of(cls, logarithms: Floats) -> Hyperparameters:
        """From their logarithms, float64 [4]."""
        return cls(*np.exp(logarithms).tolist())


@dataclass(frozen=True, eq=False)
class LotKernel:
    """Distances and products of L lots, from which every covariance is computed.

    Attributes:
        distances: float64 [L, L], in median distances of two lots of the pool.
        products: float64 [L, L], of places; 1 on the diagonal on average over the pool.
    """

    distances: Floats
    products: Floats

    @classmethod
    def of(cls, places: Floats, pool: int | None = None) -> LotKernel:
        """The kernel of lots at places.

        Args:
            places: float64 [L, C].
            pool: The first so many lots set the units; None for all.
        """
        squares = np.sum(places**2, axis=1)
        products = places @ places.T
        distances = np.sqrt((squares[:, None] + squares - 2 * products).clip(min=0.0))
        np.fill_diagonal(distances, 0.0)
        n = pool or len(places)
        median = float(np.median(distances[:n, :n][np.triu_indices(n, 1)]))
        return cls(distances / (median or 1.0), products / (squares[:n].mean() or 1.0))

    def take(self, lots: Numbers) -> LotKernel:
        """Of some lots, int64 [n]."""
        rows = np.ix_(lots, lots)
        return LotKernel(self.distances[rows], self.products[rows])

    def covariance(self, h: Hyperparameters) -> Floats:
        """Prior covariance of the lots' ln(property), float64 [L, L], in squared spreads."""
        made: Floats = LEVEL**2 + h.slope**2 * self.products
        made += h.signal**2 * _matern(np.sqrt(5.0) * self.distances / h.length)
        made += h.nugget**2 * np.eye(len(made))
        return made


def _matern(r: Floats) -> Floats:
    correlation: Floats = (1.0 + r + r**2 / 3.0) * np.exp(-r)
    return correlation


def negative_log_posterior(
    logarithms: Floats, kernel: LotKernel, values: Floats, noise: Floats
) -> tuple[float, Floats]:
    """What the hyperparameters minimise, and its gradient (equation 5.9), up to a constant.

    Args:
        logarithms: float64 [4], of signal, length, slope and nugget.
        kernel: Of the n tested lots.
        values: float64 [n], ln(property) less its mean, in spreads.
        noise: float64 [n], variance of the tests, in squared spreads.

    Returns:
        The value, and float64 [4].
    """
    h = Hyperparameters.of(logarithms)
    r = np.sqrt(5.0) * kernel.distances / h.length
    covariance = kernel.covariance(h) + np.diag(noise)
    factor = cho_factor(covariance, lower=True)
    inverse = cho_solve(factor, np.eye(len(values)))
    weights = inverse @ values
    off = (logarithms - np.log(PRIOR_MEDIAN)) / PRIOR_SPREAD
    value = 0.5 * values @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * off @ off
    inner = inverse - np.outer(weights, weights)
    slopes = (
        2 * h.signal**2 * _matern(r),
        h.signal**2 * r**2 * (1.0 + r) / 3.0 * np.exp(-r),
        2 * h.slope**2 * kernel.products,
        2 * h.nugget**2 * np.eye(len(values)),
    )
    gradient = np.array([0.5 * np.sum(inner * slope) for slope in slopes])
    return float(value), gradient + off / PRIOR_SPREAD


def fitted_hyperparameters(kernel: LotKernel, values: Floats, noise: Floats) -> Hyperparameters:
    """The likeliest hyperparameters.

    Args:
        kernel: Of the n tested lots.
        values: float64 [n], as `negative_log_posterior` takes them, as the next.
        noise: float64 [n].
    """
    middle, width = np.log(PRIOR_MEDIAN), WIDEST * PRIOR_SPREAD
    found = minimize(
        negative_log_posterior,
        middle,
        args=(kernel, values, noise),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(middle - width, middle + width, strict=True)),
    )
    return Hyperparameters.of(np.asarray(found.x))


@dataclass(frozen=True, eq=False)
class LotProcess:
    """A process conditioned on tested lots.

    Attributes:
        kernel: Of all L lots.
        tested: int64 [n], numbers of the tested ones.
        values: float64 [n], their ln(property).
        standard_error: Of a measured ln(property), that is, relative: 0.014 for 1.4%.
        level: Mean of `values`.
        spread: Their standard deviation, the unit of the hyperparameters.
        hyperparameters: Of the kernel.
    """

    kernel: LotKernel
    tested: Numbers
    values: Floats
    standard_error: float
    level: float
    spread: float
    hyperparameters: Hyperparameters

    @classmethod
    def fitted(
        cls, kernel: LotKernel, tested: Numbers, measured: Floats, standard_error: float = 0.0
    ) -> LotProcess:
        """Fit the hyperparameters to tested lots.

        Args:
            kernel: Of all L lots.
            tested: int64 [n], numbers of the tested ones, five at least.
            measured: float64 [n], their property, positive, in its unit.
            standard_error: Of such a mean of tests, relative; 0 where it is not known: the
                lots' own deviation then holds it, too.

        Raises:
            DatasetError: TESTED_TOO_FEW, PROPERTY_CONSTANT.
        """
        if len(tested) < LEAST_TESTED:
            raise DatasetError(
                "TESTED_TOO_FEW",
                f"{len(tested)} of the lots have a value; {LEAST_TESTED} at least are needed to "
                "say what others would give. Test some at random first.",
            )
        values = np.log(measured)
        level, spread = float(values.mean()), float(values.std(ddof=1))
        if spread < SMALLEST_SPREAD:
            raise DatasetError(
                "PROPERTY_CONSTANT",
                f"All {len(tested)} tested lots have the same value, {measured[0]:g}, so nothing "
                "can be learned from it. Check the column value.",
            )
        noise = np.full(len(tested), (standard_error / spread) ** 2)
        found = fitted_hyperparameters(kernel.take(tested), (values - level) / spread, noise)
        return cls(kernel, tested, values, standard_error, level, spread, found)

    @property
    def noise(self) -> float:
        """Variance of a measured ln(property) about the lot's own."""
        return self.standard_error**2

    @property
    def nugget(self) -> float:
        """Standard deviation of ln(property) that no test of other lots can take away."""
        return self.spread * self.hyperparameters.nugget

    def prior(self) -> Floats:
        """Covariance of all lots' ln(property) before any test, float64 [L, L]."""
        return self.spread**2 * self.kernel.covariance(self.hyperparameters)

    def posterior(self) -> tuple[Floats, Floats]:
        """Mean and covariance of all lots' true ln(property), float64 [L] and [L, L].

        Rasmussen & Williams 2006, equations 2.23 and 2.24.
        """
        prior = self.prior()
        seen = prior[np.ix_(self.tested, self.tested)] + self.noise * np.eye(len(self.tested))
        factor = cho_factor(seen, lower=True)
        across = prior[self.tested]
        mean = self.level + across.T @ cho_solve(factor, self.values - self.level)
        return mean, conditioned(prior, self.tested, self.noise)


def conditioned(covariance: Floats, given: Numbers, noise: float) -> Floats:
    """Covariance of lots once some of them are tested; no value is needed.

    Args:
        covariance: float64 [L, L], before.
        given: int64 [n], the lots that are tested.
        noise: Variance of a measured value.

    Returns:
        float64 [L, L].
    """
    if not len(given):
        return covariance
    seen = covariance[np.ix_(given, given)] + noise * np.eye(len(given))
    factor = np.linalg.cholesky(seen + 1e-12 * np.trace(seen) / len(seen) * np.eye(len(seen)))
    half = solve_triangular(factor, covariance[given], lower=True)
    left: Floats = covariance - half.T @ half
    return left
