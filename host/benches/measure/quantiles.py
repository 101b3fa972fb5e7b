"""The little statistics that is needed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

Spread = dict[str, float | int]


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The smallest of the values that so many per cent of them do not exceed."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread(values: Sequence[float], digits: int = 3) -> Spread | None:
    """Median, extremes and number of values; nothing of no values."""
    if not values:
        return None
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "n": len(values),
    }
