"""One sample: some load on one proxy, and what the proxy spent on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from .accounts import Used, machine_time, of_finished_children, tree, used
from .bench import Bench, MeasureError
from .load import Finished, Load
from .peers import Proxy

#: A sample in which more than one in so many requests failed is none.
FAILED_ONE_IN = 1000


@dataclass(frozen=True)
class Noise:
    """When a sample counts as disturbed, and how often another is then taken in its place."""

    cores_max: float = 0.08
    retries: int = 3


@dataclass(frozen=True)
class Sample:
    round: int
    seconds: float
    requests: int
    body_bytes: int
    failed: int
    cpu_seconds: float
    user_seconds: float
    system_seconds: float
    foreign_cores: float
    stolen_cores: float
    undisturbed: bool
    p50_us: float | None
    p99_us: float | None

    @property
    def user_share(self) -> float | None:
        both = self.user_seconds + self.system_seconds
        return self.user_seconds / both if both else None

    def as_row(self) -> dict[str, object]:
        """For the JSON: without digits that mean nothing."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Turn:
    """What one sample needs to know: on whom, and what load."""

    label: str
    proxy: Proxy
    load: Load


def interleave(
    bench: Bench, turns: Sequence[Turn], rounds: int, noise: Noise, said: Callable[[str], None] = print
) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    """Takes a sample of each in every round; each round begins with another. Returns the samples and the commands of the load."""
    samples: dict[str, list[Sample]] = {turn.label: [] for turn in turns}
    commands: dict[str, str] = {}
    for number in range(rounds):
        start = number % len(turns)
        for turn in (*turns[start:], *turns[:start]):
            sample, finished = _least_disturbed(bench, turn, number, noise)
            samples[turn.label].append(sample)
            commands[turn.label] = finished.command
            if not sample.undisturbed:
                said(f"    round {number + 1}, {turn.label}: left out, others used {sample.foreign_cores:.2f} cores")
    return samples, commands


def _least_disturbed(bench: Bench, turn: Turn, number: int, noise: Noise) -> tuple[Sample, Finished]:
    """The first undisturbed sample, or else the one that was disturbed least."""
    taken = []
    for _ in range(noise.retries + 1):
        taken.append(_take(bench, turn, number, noise))
        if taken[-1][0].undisturbed:
            break
    return min(taken, key=lambda one: one[0].foreign_cores)


def _take(bench: Bench, turn: Turn, number: int, noise: Noise) -> tuple[Sample, Finished]:
    pids = turn.proxy.pids()
    before = _Reading(bench, pids)
    finished = turn.load.run(bench, turn.proxy.port)
    after = _Reading(bench, pids)
    if not finished.requests or finished.failed > finished.requests / FAILED_ONE_IN:
        text = f"{turn.label}: {finished.failed} requests failed, {finished.requests} did not; {finished.command}"
        raise MeasureError(f"{text}\n{turn.proxy.log.read_text(errors='replace')[-2000:]}")
    seconds = after.at - before.at
    spent = after.proxy.since(before.proxy)
    foreign = max(0.0, ((after.machine.busy - before.machine.busy) - (after.known - before.known)) / seconds)
    sample = Sample(
        round=number,
        seconds=seconds,
        requests=finished.requests,
        body_bytes=finished.body_bytes,
        failed=finished.failed,
        cpu_seconds=spent.total,
        user_seconds=spent.user,
        system_seconds=spent.system,
        foreign_cores=foreign,
        stolen_cores=(after.machine.stolen - before.machine.stolen) / seconds,
        undisturbed=foreign <= noise.cores_max,
        p50_us=finished.p50_us,
        p99_us=finished.p99_us,
    )
    return sample, finished


class _Reading:
    """All the accounts at one moment."""

    def __init__(self, bench: Bench, proxy: Sequence[int]) -> None:
        everyone = [pid for child in bench.children for pid in tree(child.pid)]
        self.at = time.monotonic()
        self.machine = machine_time()
        self.proxy: Used = used(proxy)
        self.known = used(everyone).total + of_finished_children()
