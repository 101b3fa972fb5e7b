"""`workers`: throughput and cost of a request with one worker and with two."""

from __future__ import annotations

from collections.abc import Sequence

from .bench import Bench
from .load import Saturation
from .origin import start_origin
from .peers import Peer, start_peer
from .results import show_entry
from .samples import Noise, Turn, interleave
from .spread import UNITS, summarise

COUNTS = (1, 2)
CONNECTIONS = 128


def measure_workers(bench: Bench, peers: Sequence[Peer], rounds: int, seconds: float, noise: Noise) -> dict[str, object]:
    """Both counts on the same cores, so that they differ in nothing else."""
    if bench.cores.shared:
        print("  too few cores: origin and load share those of the proxy, so throughput says little; cost per request stands")
    origin = start_origin(bench)
    entries: dict[str, object] = {}
    kept: dict[str, object] = {}
    for peer in peers:
        proxies = [start_peer(bench, peer, "plain", origin, workers=count, label=str(count)) for count in COUNTS]
        for proxy in proxies:
            Saturation(1, connections=CONNECTIONS).run(bench, proxy.port)
        load = Saturation(seconds, connections=CONNECTIONS)
        samples, _ = interleave(bench, [Turn(proxy.label, proxy, load) for proxy in proxies], rounds, noise)
        for proxy in proxies:
            bench.stop(proxy.process)
        figures = {name: summarise(samples, name, base=str(COUNTS[0])) for name in ("per_second", "cpu_us")}
        for name, of_it in figures.items():
            for label, entry in of_it.items():
                print(f"  {peer.name}, {label} workers, {UNITS[name]}: {show_entry(entry)}", flush=True)
        entries[peer.name] = figures
        kept[peer.name] = {label: [sample.as_row() for sample in of_it] for label, of_it in samples.items()}
    return {"connections": CONNECTIONS, "entries": entries, "samples": kept}
