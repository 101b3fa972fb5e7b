"""`instructions`: user-space instructions of one exchange."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from .bench import Bench, MeasureError, free_port
from .callgrind import find_tasks, finish, start_counted
from .exchanges import StillOrigin, exchange
from .peers.tollgate import FILTERS, Tollgate, called_component, cluster, head
from .quantiles import spread
from .startup import BALANCERS

#: The most that runs may differ from each other.
SPREAD_PERCENT_MAX = 0.5
ENDPOINTS = 10
PROBES = 5
#: Under callgrind everything takes some fifty times as long, but a plugin's budget of time is the same. Tables are made small, so that
#: making them, which is in no figure, stays within it.
SMALL_TABLES = {"maglev": "table-size=1021", "ring-hash": "positions=32"}

Configuration = Callable[[int, list[int]], str]


def measure_instructions(
    bench: Bench,
    tollgate: Tollgate,
    names: Sequence[str],
    exchanges: int,
    rounds: int,
    function: str | None,
    keep: Path | None,
) -> dict[str, object]:
    """For each shape, the difference between a sequence and one twice as long, for each exchange of the difference: what is spent once,
    on the first exchange or on the connection, is in neither."""
    if unknown := set(names) - set(SHAPES):
        raise MeasureError(f"no shape {', '.join(unknown)}: there are {', '.join(SHAPES)}")
    function = function or _outermost(bench, tollgate)
    print(f"counted in {function}, {exchanges} exchanges", flush=True)
    entries: dict[str, object] = {}
    for name in names or SHAPES:
        folder = keep and keep / name
        counts = [_per_exchange(bench, tollgate, name, exchanges, function, folder) for _ in range(rounds)]
        entries[name] = entry = {"title": SHAPES[name][0], "instructions": spread(counts, 1), "all": counts}
        print(f"  {name}: {entry['instructions']}{_repeatability(counts)}", flush=True)
    return {"function": function, "exchanges": exchanges, "entries": entries}


def _outermost(bench: Bench, tollgate: Tollgate) -> str:
    """Of the functions that may be the task of a connection the one in which most happens."""
    counts = {task: _count(bench, tollgate, "plain", PROBES, task, None) for task in find_tasks(tollgate.binary)}
    task = max(counts, key=lambda name: counts[name])
    if not counts[task]:
        raise MeasureError(f"nothing happens in any of {', '.join(counts)}: name another function by --function")
    return task


def _repeatability(counts: Sequence[float]) -> str:
    if len(counts) < 2:
        return ""
    percent = (max(counts) - min(counts)) / min(counts) * 100
    mark = "" if percent <= SPREAD_PERCENT_MAX else f", which is more than {SPREAD_PERCENT_MAX} %"
    return f", runs differ by {percent:.3f} %{mark}"


def _per_exchange(bench: Bench, tollgate: Tollgate, name: str, exchanges: int, function: str, keep: Path | None) -> float:
    short, long = (_count(bench, tollgate, name, count, function, keep) for count in (exchanges, 2 * exchanges))
    return round((long - short) / exchanges, 1)


def _count(bench: Bench, tollgate: Tollgate, name: str, exchanges: int, function: str, keep: Path | None) -> int:
    _, endpoints, configuration = SHAPES[name]
    origin = StillOrigin(endpoints)
    port = free_port()
    try:
        counted = start_counted(bench, tollgate, name, configuration(port, origin.ports), port, function)
        exchange(port, exchanges)
        instructions = finish(bench, counted)
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(counted.output, keep / f"callgrind.{exchanges}.out")
        return instructions
    finally:
        origin.close()


def _site(inside: str = "", plugin: str = "", balancer: str = "round-robin") -> Configuration:
    def configuration(port: int, origins: list[int]) -> str:
        declared = plugin and f'plugin "{plugin}" "{called_component()}"\n'
        endpoints = [f"127.0.0.1:{number}" for number in origins]
        route = f'    route {{\n{inside}\n        cluster "origins"\n    }}'
        listener = f'listener "measured" "127.0.0.1:{port}" {{\n    timeouts idle="600s"\n{route}\n}}\n'
        return f"{declared}{head(1)}\n{listener}{cluster('origins', endpoints, balancer, SMALL_TABLES.get(balancer, ''))}"

    return configuration


#: What it is, how many endpoints, and the configuration.
SHAPES: dict[str, tuple[str, int, Configuration]] = {
    "plain": ("forwarded, nothing else", 1, _site()),
    "filters": ("the usual filter work, by needs", 1, _site(FILTERS)),
    "called": ("the same by a filter that is called", 1, _site("        filters { called }", "called")),
} | {f"balancer-{name}": (f"{name}, {ENDPOINTS} endpoints", ENDPOINTS, _site(balancer=name)) for name in BALANCERS}
