"""The cells of the comparison: what each peer is made to do, by which load, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from .load import Bodies, Handshakes, Load, Multiplexed, Paced, Saturation
from .request import MIB

RATE = 5000


@dataclass(frozen=True)
class Cell:
    """One line of the results."""

    name: str
    scenario: str
    title: str
    load: Callable[[float], Load]
    #: In which modes each peer takes part; those that a peer does not have are passed over.
    modes: tuple[str, ...] = ("plain",)
    metric: str = "cpu_us"
    #: Longer turns where a turn finishes few requests.
    stretch: float = 1.0


SIZES = (("1m", "1 MiB", MIB), ("64m", "64 MiB", 64 * MIB))


def _bodies(scenario: str, modes: tuple[str, ...], upload: bool) -> list[Cell]:
    way = "up" if upload else "down"
    return [
        Cell(
            f"{scenario}-{way}-{name}",
            scenario,
            f"{'TCP, ' if scenario == 's8' else ''}{size} {way}",
            partial(Bodies, size=count, name=name, upload=upload),
            modes,
            "mb_per_cpu_second",
        )
        for name, size, count in SIZES
    ]


CELLS: tuple[Cell, ...] = (
    Cell("s1", "s1", "HTTP/1.1 keep-alive, saturated", lambda s: Saturation(s)),
    Cell("s1-paced", "s1", "the same at 5,000 requests a second", lambda s: Paced(s, RATE)),
    Cell("s2", "s2", "with the usual filters, saturated", lambda s: Saturation(s), ("filters",)),
    Cell("s2-paced", "s2", "the same at 5,000 requests a second", lambda s: Paced(s, RATE), ("filters",)),
    Cell("s3", "s3", "what filters add, saturated", lambda s: Saturation(s), ("plain", "filters", "called")),
    Cell("s4", "s4", "a connection for each request, saturated", lambda s: Saturation(s, close=True)),
    *_bodies("s5", ("plain", "splice"), upload=False),
    *_bodies("s5", ("plain", "splice"), upload=True),
    Cell("s6", "s6", "TLS keep-alive, saturated", lambda s: Saturation(s, tls=True), ("tls",)),
    Cell("s6-paced", "s6", "the same at 5,000 requests a second", lambda s: Paced(s, RATE, tls=True), ("tls",)),
    Cell("s6-full", "s6", "TLS, a full handshake for each request", lambda s: Handshakes(s, reuse=False), ("tls",)),
    Cell("s6-resumed", "s6", "TLS, a resumed handshake for each request", lambda s: Handshakes(s, reuse=True), ("tls",)),
    Cell("s7-tls", "s7", "HTTP/2 over TLS to HTTP/1.1", lambda s: Multiplexed(s, tls=True), ("tls",)),
    Cell("s7-h2c", "s7", "HTTP/2 in the clear to HTTP/1.1", lambda s: Multiplexed(s, tls=False), ("h2c",)),
    Cell("s8", "s8", "TCP, small requests on open connections", lambda s: Saturation(s), ("tcp",)),
    Cell("s8-new", "s8", "TCP, a connection for each request", lambda s: Saturation(s, close=True), ("tcp",)),
    *_bodies("s8", ("tcp",), upload=False),
    Cell("s9", "s9", "median latency at 5,000 requests a second", lambda s: Paced(s, RATE), metric="p50_us", stretch=2.0),
)

SCENARIOS = tuple(dict.fromkeys(cell.scenario for cell in CELLS))
