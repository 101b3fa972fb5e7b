"""`scale`: what a request costs Tollgate when there is more of something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .bench import Bench, MeasureError, free_port
from .load import Load, Requests, Saturation
from .origin import Origin, start_origin
from .peers import CONNECTIONS_MAX, Proxy, Setting, launch
from .peers.tollgate import Tollgate, called_component, cluster, head
from .results import show_entry
from .samples import Noise, Turn, interleave
from .spread import UNITS, summarise
from .work import check_work

Configuration = Callable[[int, int, Origin], str]


@dataclass(frozen=True)
class Axis:
    """What there is more of."""

    name: str
    title: str
    sizes: tuple[int, ...]
    configuration: Configuration


def measure_scale(
    bench: Bench, tollgate: Tollgate, names: Sequence[str], size_max: int, rounds: int, seconds: float, noise: Noise
) -> list[dict[str, object]]:
    known = {axis.name: axis for axis in AXES}
    if unknown := set(names) - set(known):
        raise MeasureError(f"no scale of {', '.join(unknown)}: there are {', '.join(known)}")
    origin = start_origin(bench, everywhere=True)
    return [_measure(bench, tollgate, known[name], size_max, origin, Saturation(seconds), rounds, noise) for name in names]


def _measure(
    bench: Bench, tollgate: Tollgate, axis: Axis, size_max: int, origin: Origin, load: Load, rounds: int, noise: Noise
) -> dict[str, object]:
    print(f"{axis.name}: {UNITS['cpu_us']}", flush=True)
    sizes = [size for size in axis.sizes if size <= size_max]
    proxies: list[Proxy] = []
    try:
        for size in sizes:
            proxies.append(_start(bench, tollgate, axis, size, origin))
        turns = [Turn(proxy.label, proxy, load) for proxy in proxies]
        samples, commands = interleave(bench, turns, rounds, noise)
    finally:
        for proxy in proxies:
            bench.stop(proxy.process)
    entries = summarise(samples, "cpu_us", base=str(sizes[0]))
    for label, entry in entries.items():
        print(f"  {label:>6s} {show_entry(entry)}", flush=True)
    return {
        "name": axis.name,
        "title": axis.title,
        "unit": UNITS["cpu_us"],
        "base": str(sizes[0]),
        "load": commands[str(sizes[0])],
        "entries": entries,
        "samples": {label: [sample.as_row() for sample in of_it] for label, of_it in samples.items()},
    }


def _start(bench: Bench, tollgate: Tollgate, axis: Axis, size: int, origin: Origin) -> Proxy:
    """Starts one size and warms it, so that every endpoint has a connection in the pool."""
    port = free_port()
    folder = bench.folder / f"{axis.name}-{size}-{port}"
    folder.mkdir()
    text = axis.configuration(size, port, origin)
    setting = Setting("plain", port, origin.ports, folder)
    proxy = launch(bench, _Configured(tollgate, text), setting, str(size))
    check_work(proxy)
    Requests(max(2_000, 2 * size)).run(bench, proxy.port)
    return proxy


class _Configured(Tollgate):
    """Tollgate with a configuration that was made elsewhere."""

    def __init__(self, tollgate: Tollgate, text: str) -> None:
        super().__init__(str(tollgate.binary))
        self.text = text

    def command(self, setting: Setting) -> list[object]:
        return self.run(setting.folder, self.text)


def _routes(size: int, port: int, origin: Origin) -> str:
    """Each with a host and a path of its own; the one that is asked for comes last."""
    others = "\n".join(
        f'    route host="site-{number}.example.com" path="/section-{number}/*" {{ cluster "origins" }}'
        for number in range(size - 1)
    )
    return _listener(port, f'{others}\n    route host="127.0.0.1" path="/*" {{ cluster "origins" }}') + _origins(origin)


def _endpoints(size: int, port: int, origin: Origin) -> str:
    """One nginx, which is there under every address of 127.0.0.0/8."""
    addresses = [f"127.1.{number // 250}.{number % 250 + 1}:{origin.ports[0]}" for number in range(size)]
    return _listener(port, '    route { cluster "origins" }') + cluster("origins", addresses)


def _filters(size: int, port: int, origin: Origin) -> str:
    """The same filter so many times; each is called for the request and for the response."""
    chain = "filters { " + "; ".join(["called"] * size) + " }" if size else ""
    plugin = f'plugin "called" "{called_component()}"\n'
    return (plugin if size else "") + _listener(port, f'    route {{ {chain}\n cluster "origins" }}') + _origins(origin)


def _listeners(size: int, port: int, origin: Origin) -> str:
    """One is asked; the others share its port on other addresses of 127.0.0.0/8."""
    others = "".join(
        f'listener "other-{number}" "127.2.0.{number + 1}:{port}" {{ route {{ cluster "origins" }} }}\n'
        for number in range(size - 1)
    )
    return _listener(port, '    route { cluster "origins" }') + others + _origins(origin)


def _listener(port: int, routes: str) -> str:
    return f"""{head(1)}
listener "measured" "127.0.0.1:{port}" {{
    limits connections-max={CONNECTIONS_MAX}
    timeouts idle="600s"
{routes}
}}
"""


def _origins(origin: Origin) -> str:
    return cluster("origins", [f"127.0.0.1:{port}" for port in origin.ports])


AXES = (
    Axis("routes", "routes in the table", (1, 10, 100, 1_000, 10_000), _routes),
    Axis("endpoints", "endpoints in the cluster", (1, 10, 100, 1_000, 10_000), _endpoints),
    Axis("filters", "filters called on every request and response", (0, 1, 2, 4, 10), _filters),
    Axis("listeners", "listeners", (1, 10, 100), _listeners),
)
