"""How well a map agrees with a mask or with another map: ranks only, so no scaling of a map changes a score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Ranks from 1 of all values, flat; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse.ravel()]


def area_under_curve(values: NDArray[np.floating], mask: NDArray[np.bool_]) -> float:
    """Probability that a random place in `mask` has a larger value than one outside; ties count half, 0.5 is chance.

    The area under the receiver operating characteristic. NaN if the mask is empty or full.
    """
    inside, outside = values[mask], np.sort(values[~mask])
    if not inside.size or not outside.size:
        return float("nan")
    below, up_to = (np.searchsorted(outside, inside, side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * outside.size))


def rank_correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Spearman's rank correlation of two maps of the same shape, -1..1; 0 if one of them is constant."""
    one, other = (values - values.mean() for values in (ranks(first), ranks(second)))
    length = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / length) if length else 0.0
