"""`plot`: the data as pictures, the same to the byte for the same data and the same version of matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .bench import MeasureError
from .documents import Document, figure_of, read_document, stated, title_of

try:
    import matplotlib
except ImportError as error:
    raise MeasureError("matplotlib is not installed: pip install -r host/benches/requirements.txt") from error

matplotlib.use("svg")
import matplotlib.pyplot as pyplot  # noqa: E402

COLOURS = {"tollgate": "#2166ac", "nginx": "#b8b8b8", "haproxy": "#666666"}
OTHER_COLOUR = "#d6604d"
THOUSANDS = "{x:,.0f}"
STYLE: Any = {
    "svg.hashsalt": "tollgate",
    "svg.fonttype": "none",
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "legend.frameon": False,
}


def draw_all(folder: Path) -> None:
    """Draws what there is data for, beside the data."""
    with matplotlib.rc_context(STYLE):
        for name, (kind, draw) in PICTURES.items():
            document = read_document(folder, kind)
            figure = draw(document) if document else None
            if document is None or figure is None:
                continue
            figure.text(0.01, 0.004, _caption(stated(document)), fontsize=5, color="#777777", va="bottom")
            path = folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None, "Creator": None})
            pyplot.close(figure)
            print(f"drawn: {path}")


def _ratios(document: Document) -> Any:
    """CPU time for the same work as a multiple of HAProxy's; for bodies that is the inverse of bytes per CPU second."""
    cells = [cell for cell in document["cells"] if cell["metric"] in ("cpu_us", "mb_per_cpu_second")]
    base = cells[0]["base"] if cells else ""
    cells = [cell for cell in cells if any(_cost_ratio(cell, peer) for peer in cell["entries"] if " " not in peer)]
    if not cells:
        return None
    peers = list(dict.fromkeys(label for cell in cells for label in cell["entries"] if " " not in label and label != base))
    peers.sort(key=lambda peer: peer == "nginx")
    figure, axes = pyplot.subplots(figsize=(8, 0.9 + 0.2 * (len(peers) + 0.6) * len(cells)), layout="constrained")
    height = 0.8 / len(peers)
    for number, peer in enumerate(peers):
        for row, cell in enumerate(cells):
            ratio = _cost_ratio(cell, peer)
            if ratio is None:
                continue
            median, low, high = ratio
            place = row + (number - (len(peers) - 1) / 2) * height
            label = title_of(peer) if not axes.get_legend_handles_labels()[1].count(title_of(peer)) else None
            axes.barh(place, median, height * 0.9, color=COLOURS.get(peer, OTHER_COLOUR), label=label)
            axes.errorbar(median, place, xerr=[[median - low], [high - median]], color="#222222", lw=0.8, capsize=2)
            axes.text(high + 0.015, place, f"{median:.2f}", va="center", fontsize=7, color="#333333")
    axes.axvline(1, color="#444444", lw=1)
    axes.set_yticks(range(len(cells)), [_cell_title(cell) for cell in cells])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"ratio to {title_of(base)} (shorter is better), with its extremes")
    axes.set_title("CPU time of the proxy for the same work", pad=22)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(peers))
    _leave_caption(figure)
    return figure


def _cost_ratio(cell: Document, peer: str) -> tuple[float, float, float] | None:
    ratio = cell["entries"].get(peer, {}).get("ratio")
    if not ratio:
        return None
    if cell["metric"] == "mb_per_cpu_second":
        return 1 / ratio["median"], 1 / ratio["max"], 1 / ratio["min"]
    return ratio["median"], ratio["min"], ratio["max"]


def _cell_title(cell: Document) -> str:
    titles = {"s1-paced": "HTTP/1.1 keep-alive", "s2-paced": "with the usual filters", "s6-paced": "TLS keep-alive"}
    title = f"{titles[cell['name']]}, 5,000/s" if cell["name"] in titles else cell["title"]
    return f"{cell['scenario'].upper()}  {title}"


def _scale(document: Document) -> Any:
    figure, grid = pyplot.subplots(2, 2, figsize=(8, 5.6), layout="constrained", squeeze=False)
    for axes, axis in zip(grid.flat, document["axes"], strict=False):
        points = [(int(size), figure_of(entry)[0]) for size, entry in axis["entries"].items()]
        there = [(size, value) for size, value in points if value]
        sizes, medians = [size for size, _ in there], [value["median"] for _, value in there]
        errors = [[value["median"] - value["min"] for _, value in there], [value["max"] - value["median"] for _, value in there]]
        axes.errorbar(sizes, medians, yerr=errors, color=COLOURS["tollgate"], marker="o", ms=4, lw=1.4, capsize=3)
        if min(sizes, default=0) > 0:
            axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.set_ylim(0, 1.15 * max((value["max"] for _, value in there), default=1))
        axes.set_xlabel(axis["title"])
        axes.set_ylabel("µs of CPU per request")
    for axes in list(grid.flat)[len(document["axes"]) :]:
        axes.set_visible(False)
    figure.suptitle("Cost of a request by size of the configuration", x=0.01, ha="left", fontsize=11)
    _leave_caption(figure)
    return figure


def _latency(document: Document) -> Any:
    cells = [cell for cell in document["cells"] if cell["metric"] == "p50_us"]
    if not cells:
        return None
    entries = cells[0]["entries"]
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.42 * len(entries)), layout="constrained")
    for row, (peer, entry) in enumerate(entries.items()):
        value, _ = figure_of(entry)
        if not value:
            continue
        error = [[value["median"] - value["min"]], [value["max"] - value["median"]]]
        axes.barh(row, value["median"], 0.6, color=COLOURS.get(peer, OTHER_COLOUR))
        axes.errorbar(value["median"], row, xerr=error, color="#222222", lw=0.8, capsize=3)
        text = f"{value['median']:.0f} µs" + (f"; 99th percentile {entry['p99_us']:,} µs" if entry.get("p99_us") else "")
        axes.text(value["max"] * 1.02, row, text, va="center", fontsize=8, color="#333333")
    axes.set_yticks(range(len(entries)), [title_of(peer) for peer in entries])
    axes.set_xlim(right=axes.get_xlim()[1] * 1.35)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("µs, from the request sent to the response received; median and extremes of the rounds' medians")
    axes.set_title("Median latency at 5,000 requests a second")
    _leave_caption(figure)
    return figure


def _startup(document: Document) -> Any:
    rows = (("empty", "nothing compiled yet"), ("warm", "compiled by an earlier start"))
    figure, axes = pyplot.subplots(figsize=(8, 1.9), layout="constrained")
    for row, (name, _) in enumerate(rows):
        entry = document["entries"][name]
        axes.plot(
            entry["all_milliseconds"], [row] * len(entry["all_milliseconds"]), "o", color=COLOURS["tollgate"], alpha=0.4, ms=5
        )
        median = entry["milliseconds"]["median"]
        axes.plot([median, median], [row - 0.25, row + 0.25], color="#222222", lw=1.5)
        axes.text(median, row - 0.32, f"{median:,.0f} ms", ha="center", fontsize=8, color="#333333")
    axes.set_xscale("log")
    axes.set_xlim(right=1.2 * axes.get_xlim()[1])
    axes.xaxis.set_major_formatter(THOUSANDS)
    axes.xaxis.set_minor_formatter("")
    axes.set_yticks(range(len(rows)), [title for _, title in rows])
    axes.set_ylim(len(rows) - 0.5, -0.7)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("ms from the start of the process to the first answer; one dot for each start, bar: median")
    axes.set_title(f"Start with {document['plugins']} plugins in use")
    _leave_caption(figure)
    return figure


def _memory(document: Document) -> Any:
    figure, axes = pyplot.subplots(figsize=(8, 3.2), layout="constrained")
    for peer, entry in document["entries"].items():
        counts = [level["connections"] for level in entry["levels"]]
        colour = COLOURS.get(peer, OTHER_COLOUR)
        axes.plot(counts, [level["pss"] / 1024 for level in entry["levels"]], marker="o", ms=4, lw=1.4, color=colour)
        text = f"  {title_of(peer)}, {entry['kib_per_connection']:.2f} KiB each"
        axes.text(counts[-1], entry["levels"][-1]["pss"] / 1024, text, va="center", fontsize=8, color=colour)
    axes.set_xlim(right=axes.get_xlim()[1] * 1.32)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(THOUSANDS)
    axes.set_xlabel("idle connections")
    axes.set_ylabel("MiB (PSS)")
    axes.set_title("Memory of idle keep-alive connections")
    _leave_caption(figure)
    return figure


def _instructions(document: Document) -> Any:
    entries = list(document["entries"].values())
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.3 * len(entries)), layout="constrained")
    medians = [entry["instructions"]["median"] for entry in entries]
    axes.barh(range(len(entries)), medians, 0.65, color=COLOURS["tollgate"])
    for row, median in enumerate(medians):
        axes.text(median, row, f" {median:,.0f}", va="center", fontsize=8, color="#333333")
    axes.set_yticks(range(len(entries)), [entry["title"] for entry in entries])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(THOUSANDS)
    axes.set_xlabel("user-space instructions of one exchange, by callgrind")
    axes.set_title("Instructions per request")
    _leave_caption(figure)
    return figure


def _leave_caption(figure: Any) -> None:
    figure.get_layout_engine().set(rect=(0, 0.26 / figure.get_figheight(), 1, 1 - 0.26 / figure.get_figheight()))


def _caption(text: str, width: int = 190) -> str:
    lines: Sequence[str] = [""]
    for word in text.split(" "):
        full = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], full] if len(full) <= width else [*lines, word]
    return "\n".join(lines)


PICTURES: dict[str, tuple[str, Callable[[Document], Any]]] = {
    "ratios": ("compare", _ratios),
    "latency": ("compare", _latency),
    "scale": ("scale", _scale),
    "startup": ("startup", _startup),
    "memory": ("memory", _memory),
    "instructions": ("instructions", _instructions),
}
