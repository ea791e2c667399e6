"""Is a share below or above a limit? Answers that hold however often one looks.

For each of the two claims a bet is made against its contrary, tile by tile: the likelihood of what
was seen, averaged over all shares that the claim allows, against its likelihood at the limit
(Robbins 1970, "Statistical methods related to the law of the iterated logarithm"; Wald 1945). If
the contrary is true, this ratio is a supermartingale that begins at 1, so by Ville's inequality it
ever reaches 1 / a with probability a at most. Whoever stops as soon as it does is wrong no more
often than that; whoever looks once, at a number of tiles fixed beforehand, needs fewer tiles.
"""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.special import betainc, betaincc, betaln


def log_evidence_below(k: int, n: int, limit: float) -> float:
    """Logarithm of the evidence that a share is below a limit, after k of n trials.

    Args:
        k: Trials that counted, 0 to n.
        n: Trials.
        limit: Within (0, 1).

    Returns:
        Of the bet against "at the limit or above"; 0 before the first trial.
    """
    weight = betainc(k + 1, n - k + 1, limit)
    return _log_ratio(k, n, limit, float(weight), limit)


def log_evidence_above(k: int, n: int, limit: float) -> float:
    """Logarithm of the evidence that a share is above a limit, after k of n trials.

    Args:
        k: Trials that counted, 0 to n.
        n: Trials.
        limit: Within (0, 1).

    Returns:
        Of the bet against "at the limit or below"; 0 before the first trial.
    """
    weight = betaincc(k + 1, n - k + 1, limit)
    return _log_ratio(k, n, limit, float(weight), 1.0 - limit)


def anytime_bounds(k: int, n: int, confidence: float) -> tuple[float, float]:
    """Bounds of a share that hold at every number of trials at once.

    Args:
        k: Trials that counted, 0 to n.
        n: Trials; 0 tells nothing: (0, 1).
        confidence: Of each bound, within (0.5, 1).

    Returns:
        Lower and upper bound: limits against which the evidence has never been strong enough at
        these counts. The true share is below the lower, at any time, with probability of at most
        1 - confidence; above the upper likewise.

    Raises:
        ValueError: k is not within 0 to n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    needed = -math.log(1.0 - confidence)
    share = k / n if n else 0.5
    least, most = 1e-12, 1.0 - 1e-12

    def above(limit: float) -> float:
        return log_evidence_above(k, n, limit) - needed

    def below(limit: float) -> float:
        return log_evidence_below(k, n, limit) - needed

    # Evidence grows with the distance of the limit from the share that was seen.
    lower = float(brentq(above, least, share)) if k and above(least) > 0.0 else 0.0
    upper = float(brentq(below, share, most)) if k < n and below(most) > 0.0 else 1.0
    return lower, upper


def _log_ratio(k: int, n: int, limit: float, weight: float, width: float) -> float:
    """Mean likelihood over the claim's shares, over the likelihood at the limit."""
    if weight <= 0.0:
        return -math.inf  # smaller than any number: no evidence at all
    at_limit = k * math.log(limit) + (n - k) * math.log1p(-limit)
    return math.log(weight) + float(betaln(k + 1, n - k + 1)) - math.log(width) - at_limit
