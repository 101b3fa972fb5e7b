"""`tables`: the data as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .documents import Document, figure_of, read_document, stated, title_of


def all_tables(folder: Path) -> str:
    """One section for each file of data that is there."""
    parts = []
    for kind, table in TABLES.items():
        document = read_document(folder, kind)
        if document:
            parts.append(f"<!-- {kind}: {stated(document)} -->\n\n{table(document)}")
    return "\n\n".join(parts)


def _compare(document: Document) -> str:
    """Ratios with their extremes and the number of rounds that count; `~` before a figure of disturbed samples alone."""
    cells = document["cells"]
    if not cells:
        return ""
    peers = list(dict.fromkeys(label for cell in cells for label in cell["entries"] if " " not in label))
    peers.sort(key=lambda peer: (peer == cells[0]["base"], peer == "nginx"))
    base = title_of(cells[0]["base"])
    ours = [peer for peer in peers if peer != cells[0]["base"]]
    rows = []
    for cell in cells:
        entries = cell["entries"]
        if cell["scenario"] == "s3":
            continue
        row = [f"{cell['scenario'].upper()}", cell["title"]]
        row += [_figure(entries.get(peer), cell["metric"]) for peer in peers]
        rows.append(row + [_ratio(entries.get(peer)) for peer in ours])
    head = ["", "what", *map(title_of, peers), *(f"{title_of(peer)} / {base}" for peer in ours)]
    return "\n\n".join(filter(None, (_table(head, rows), _added(cells), _variants(cells))))


def _added(cells: Iterable[Document]) -> str:
    rows = []
    for cell in cells:
        for label, entry in cell["entries"].items():
            if entry.get("added"):
                added = entry["added"]
                between = f"{added['min']:.2f} to {added['max']:.2f}"
                rows.append([title_of(label), f"{added['median']:.2f} µs", between, str(added["n"])])
    return _table(["what filters add to a request", "added", "between", "pairs"], rows) if rows else ""


def _variants(cells: Iterable[Document]) -> str:
    """What a peer did in a second way in the same rounds."""
    rows = []
    for cell in cells:
        for label, entry in cell["entries"].items():
            if " " in label and not entry.get("added") and cell["scenario"] != "s3":
                row = [cell["scenario"].upper(), cell["title"], title_of(label)]
                rows.append([*row, _figure(entry, cell["metric"]), _ratio(entry)])
    return _table(["", "what", "variant", "value", "ratio"], rows) if rows else ""


def _reload(document: Document) -> str:
    rows = []
    for name in ("without", "with"):
        turn = document[name]
        times = [_between(turn[kind], " µs") for kind in ("p50_us", "p99_us")]
        rows.append([f"{name} reloads", f"{turn['requests']:,}", str(turn["failed"]), *times])
    rows.append(
        ["difference in the same round", "", "", *(_between(document[f"added_{kind}"], " µs") for kind in ("p50_us", "p99_us"))]
    )
    text = f"{document['reloads']} reloads; beside the load {document['new_connections']:,} new connections, "
    text += f"{document['new_connections_failed']} of which failed."
    return _table([f"at {document['rate']:,} requests a second", "requests", "failed", "p50", "p99"], rows) + "\n\n" + text


def _memory(document: Document) -> str:
    rows = []
    for peer, entry in document["entries"].items():
        levels = [f"{level['pss'] / 1024:.1f} ({level['pss_anon'] / 1024:.1f})" for level in entry["levels"]]
        per = [f"{entry['kib_per_connection']:.2f}", f"{entry.get('kib_per_further_connection', float('nan')):.2f}"]
        rows.append([title_of(peer), *levels, *per])
    counts = [f"{count:,} connections" for count in document["connections"]]
    return _table(["MiB (of these anonymous)", "idle", *counts, "KiB per connection", "per further connection"], rows)


def _scale(document: Document) -> str:
    tables = []
    for axis in document["axes"]:
        rows = [
            [f"{int(size):,}", _figure(entry, "cpu_us"), "1" if size == axis["base"] else _ratio(entry)]
            for size, entry in axis["entries"].items()
        ]
        tables.append(_table([axis["title"], "CPU per request", f"ratio to {axis['base']}"], rows))
    return "\n\n".join(tables)


def _workers(document: Document) -> str:
    rows = []
    for peer, figures in document["entries"].items():
        for count in figures["cpu_us"]:
            rate, cost = figures["per_second"][count], figures["cpu_us"][count]
            rows.append([title_of(peer), count, _figure(rate, "per_second"), _ratio(rate), _figure(cost, "cpu_us"), _ratio(cost)])
    text = "\n\nProxy, origin and load share the cores." if document["shared_cores"] else ""
    return _table(["", "workers", "requests a second", "ratio to one", "CPU per request", "ratio to one"], rows) + text


def _startup(document: Document) -> str:
    rows = []
    for name, title in (("empty", "nothing compiled yet"), ("warm", "compiled by an earlier start")):
        entry = document["entries"][name]
        memory = [f"{entry[kind]['median'] / 1024:.1f} MiB" for kind in ("idle_pss_kib", "idle_pss_anon_kib", "idle_rss_kib")]
        rows.append([title, _between(entry["milliseconds"], " ms"), *memory])
    return _table([f"{document['plugins']} plugins", "to the first answer", "idle PSS", "anonymous", "RSS"], rows)


def _instructions(document: Document) -> str:
    rows = [
        [entry["title"], f"{entry['instructions']['median']:,.0f}", _percent(entry["all"])]
        for entry in document["entries"].values()
    ]
    return _table(["exchange", "instructions", "runs differ by"], rows)


def _percent(values: Sequence[float]) -> str:
    return f"{(max(values) - min(values)) / min(values) * 100:.2f} %" if len(values) > 1 else "-"


def _figure(entry: Document | None, metric: str) -> str:
    value, undisturbed = figure_of(entry or {})
    if not value:
        return "-"
    forms = {"mb_per_cpu_second": "{:,.0f} MB", "per_second": "{:,.0f}", "p50_us": "{:,.0f} µs"}
    return ("" if undisturbed else "~ ") + forms.get(metric, "{:.1f} µs").format(value["median"])


def _ratio(entry: Document | None) -> str:
    ratio = (entry or {}).get("ratio")
    return f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f}; {ratio['n']})" if ratio else ""


def _between(value: Document | None, unit: str) -> str:
    return f"{value['median']:,.0f}{unit} ({value['min']:,.0f} to {value['max']:,.0f})" if value else "-"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


TABLES: dict[str, Callable[[Document], str]] = {
    "compare": _compare,
    "reload": _reload,
    "memory": _memory,
    "scale": _scale,
    "workers": _workers,
    "startup": _startup,
    "instructions": _instructions,
}
