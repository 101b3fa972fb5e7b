"""`compare`: what a request costs each proxy, in interleaved turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .bench import Bench, MeasureError
from .origin import Origin, start_origin
from .peers import Peer, Proxy, start_peer
from .results import show_entry
from .samples import Noise, Sample, Turn, interleave
from .scenarios import CELLS, SCENARIOS, Cell
from .spread import UNITS, difference, summarise
from .work import check_work

BASE = "haproxy"
WARM_SECONDS = 0.3
# A build that takes a profile of itself writes it when it ends by itself.
END_SECONDS_MAX = 5.0


@dataclass(frozen=True)
class Plan:
    peers: Sequence[Peer]
    scenarios: Sequence[str]
    rounds: int
    seconds: float
    noise: Noise


def compare(bench: Bench, plan: Plan) -> tuple[list[dict[str, object]], list[str]]:
    """Runs the cells one after the other; in each, all proxies are up at once. A cell that fails does not cost the others: its name and
    the reason are returned beside them."""
    chosen = [cell for cell in CELLS if cell.scenario in plan.scenarios or cell.name in plan.scenarios]
    if not chosen:
        raise MeasureError(f"no such scenario; there are {', '.join(SCENARIOS)}")
    origin = start_origin(bench)
    done, failed = [], []
    for cell in chosen:
        try:
            done.append(_measure(bench, plan, cell, origin))
        except MeasureError as error:
            print(f"  failed: {error}", flush=True)
            failed.append(f"{cell.name}: {error}")
    return done, failed


def _measure(bench: Bench, plan: Plan, cell: Cell, origin: Origin) -> dict[str, object]:
    print(f"{cell.name}: {cell.title}, {UNITS[cell.metric]}", flush=True)
    proxies: list[Proxy] = []
    try:
        _start_all(bench, plan.peers, cell.modes, origin, proxies)
        for proxy in proxies:
            check_work(proxy)
            cell.load(WARM_SECONDS).run(bench, proxy.port)
        load = cell.load(plan.seconds * cell.stretch)
        turns = [Turn(proxy.label, proxy, load) for proxy in proxies]
        samples, commands = interleave(bench, turns, plan.rounds, plan.noise)
    finally:
        for proxy in proxies:
            bench.stop(proxy.process, gently_seconds=END_SECONDS_MAX)
    entries = summarise(samples, cell.metric, BASE)
    for label, entry in entries.items():
        if (added := _added(samples, label, cell)) is not None:
            entry["added"] = added
        print(f"  {label:20s} {show_entry(entry)}", flush=True)
    return {
        "name": cell.name,
        "scenario": cell.scenario,
        "title": cell.title,
        "metric": cell.metric,
        "unit": UNITS[cell.metric],
        "base": BASE,
        "load": next(iter(commands.values())),
        "entries": entries,
        "samples": {label: [sample.as_row() for sample in of_it] for label, of_it in samples.items()},
    }


def _start_all(bench: Bench, peers: Sequence[Peer], modes: Sequence[str], origin: Origin, started: list[Proxy]) -> None:
    """Each peer in each mode it has, added to `started` one by one. The first mode bears the peer's name alone."""
    for peer in peers:
        for mode in modes:
            if mode in peer.modes:
                label = peer.name if mode == modes[0] else f"{peer.name} {mode}"
                started.append(start_peer(bench, peer, mode, origin, label=label))
    if not started:
        raise MeasureError("none of the peers can do this")


def _added(samples: dict[str, list[Sample]], label: str, cell: Cell) -> dict[str, float | int] | None:
    """In a cell of several modes: how much more than the peer's own first mode in the same round."""
    name, _, mode = label.partition(" ")
    if not mode or cell.metric != "cpu_us":
        return None
    return difference(samples[label], samples[name], cell.metric)
