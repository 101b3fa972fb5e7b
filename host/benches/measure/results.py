"""Results: what is said about the machine, how they are kept, how they are shown while they come."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .bench import Bench, find_tool
from .peers import Peer

FORMAT = 1
#: Whose versions matter to which command.
TOOLS = {
    "compare": ("h2load", "wrk", "openssl", "nginx"),
    "scale": ("h2load", "wrk", "nginx"),
    "reload": ("h2load", "nginx"),
    "workers": ("wrk", "nginx"),
    "memory": ("nginx",),
    "startup": ("nginx",),
    "instructions": ("valgrind",),
}


def machine() -> dict[str, object]:
    """What the figures depend on."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split("\n", 1)[0].split()[1]
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory) / (1 << 20)),
        "kernel": platform.release(),
        "system": _distribution(),
    }


def write_results(
    path: Path, kind: str, bench: Bench, peers: Sequence[Peer], settings: Mapping[str, object], content: Mapping[str, object]
) -> None:
    """One file for each command: where, when, by what, and then the content."""
    versions = {peer.name: peer.version() for peer in peers}
    document = {
        "format": FORMAT,
        "kind": kind,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "cores": bench.cores.describe(),
        "shared_cores": bench.cores.shared,
        "versions": versions | _tool_versions(bench, TOOLS[kind]),
        "settings": dict(settings),
        **content,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(document))
    print(f"written: {path}")


def show_entry(entry: Mapping[str, object]) -> str:
    """One line for the terminal; `~` before what was disturbed."""
    value, mark = entry.get("value"), ""
    if value is None:
        value, mark = entry.get("disturbed"), "~"
    if not isinstance(value, Mapping):
        return "nothing"
    text = f"{mark}{value['median']:10.2f} [{value['min']:.2f} to {value['max']:.2f}]"
    for name in ("ratio", "added"):
        figure = entry.get(name)
        if isinstance(figure, Mapping):
            text += f"  {name} {figure['median']:.3f} [{figure['min']:.2f} to {figure['max']:.2f}]"
    for name in ("user_share", "proxy_cores_busy", "per_second", "p50_us", "p99_us"):
        if entry.get(name) is not None:
            text += f"  {name} {entry[name]}"
    return f"{text}  undisturbed {entry['undisturbed']}/{entry['samples']}"


def _tool_versions(bench: Bench, tools: Sequence[str]) -> dict[str, str]:
    """What else the figures came about with."""
    options = {"nginx": "-v", "openssl": "version"}
    versions = {}
    for tool in tools:
        said = bench.run([find_tool(tool, tool), options.get(tool, "--version")], bench.cores.load, 10).stdout
        number = re.search(r"\d+\.\d+[\w.+-]*", said)
        versions["origin nginx" if tool == "nginx" else tool] = number[0] if number else "unknown"
    return versions


def _distribution() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()


def _text(document: object) -> str:
    """JSON in which each sample is one line."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    lines: list[str] = []
    for line in text.splitlines():
        # A group without groups in it fits on one line.
        if line.strip().rstrip(",") in ("}", "]") and lines and (start := _leaf(lines)) is not None:
            joined = " ".join(part.strip() for part in (*lines[start:], line))
            lines[start:] = [lines[start][: len(lines[start]) - len(lines[start].lstrip())] + joined]
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _leaf(lines: Sequence[str]) -> int | None:
    """Where the innermost group begins that the next line would close, if nothing in it is a group."""
    for index in range(len(lines) - 1, -1, -1):
        text = lines[index].strip()
        if text.endswith(("{", "[")):
            return index
        if text.rstrip(",").endswith(("}", "]")):
            return None
    return None
