"""What samples come to: the spread of a metric, and of its ratio to the same round of another."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from .quantiles import Spread, spread
from .samples import Sample

Metric = Callable[[Sample], float]

METRICS: dict[str, Metric] = {
    "cpu_us": lambda sample: sample.cpu_seconds / sample.requests * 1e6,
    "mb_per_cpu_second": lambda sample: sample.body_bytes / 1e6 / sample.cpu_seconds,
    "p50_us": lambda sample: sample.p50_us or float("nan"),
    "p99_us": lambda sample: sample.p99_us or float("nan"),
    "per_second": lambda sample: sample.requests / sample.seconds,
}

UNITS = {
    "cpu_us": "µs of CPU per request",
    "mb_per_cpu_second": "MB per CPU second",
    "p50_us": "µs, median latency",
    "p99_us": "µs, 99th percentile of latency",
    "per_second": "requests per second",
}


def paired(of: Sequence[Sample], base: Sequence[Sample], metric: Metric, how: Callable[[float, float], float]) -> list[float]:
    """Combines undisturbed samples of the same round."""
    by_round = {sample.round: sample for sample in base if sample.undisturbed}
    pairs = ((one, by_round.get(one.round)) for one in of if one.undisturbed)
    return [how(metric(one), metric(other)) for one, other in pairs if other is not None]


def summarise(samples: Mapping[str, Sequence[Sample]], name: str, base: str | None = None) -> dict[str, dict[str, object]]:
    """One entry for each label: the metric's spread, and that of its ratio to the base of the same round. Disturbed samples are left
    out; where nothing else is there, `disturbed` holds their spread instead."""
    metric = METRICS[name]
    entries: dict[str, dict[str, object]] = {}
    for label, all_of_it in samples.items():
        clean = [sample for sample in all_of_it if sample.undisturbed]
        entry: dict[str, object] = {"samples": len(all_of_it), "undisturbed": len(clean)}
        entry["value"] = spread([metric(sample) for sample in clean])
        if not clean:
            entry["disturbed"] = spread([metric(sample) for sample in all_of_it])
        if base is not None and base in samples and base != label:
            entry["ratio"] = spread(paired(all_of_it, samples[base], metric, lambda one, other: one / other))
        entry |= _beside(clean or all_of_it, name)
        entries[label] = entry
    return entries


def difference(of: Sequence[Sample], base: Sequence[Sample], name: str) -> Spread | None:
    """The spread of same-round differences."""
    return spread(paired(of, base, METRICS[name], lambda one, other: one - other))


def _beside(samples: Sequence[Sample], name: str) -> dict[str, object]:
    """What else is worth knowing of the samples."""
    split = [sample.user_share for sample in samples if sample.user_share is not None]
    beside: dict[str, object] = {
        "user_share": round(statistics.median(split), 2) if split else None,
        "proxy_cores_busy": round(statistics.median(sample.cpu_seconds / sample.seconds for sample in samples), 2),
        "per_second": round(statistics.median(sample.requests / sample.seconds for sample in samples)),
    }
    for percentile_name in ("p50_us", "p99_us"):
        values = [value for sample in samples if (value := getattr(sample, percentile_name)) is not None]
        if values and percentile_name != name:
            beside[percentile_name] = round(statistics.median(values))
    return beside
