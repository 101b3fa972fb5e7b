"""`startup`: from the start of the process to the first answered request, with twelve bundled plugins in use."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

from .accounts import memory_kib
from .bench import Bench, MeasureError, free_port
from .origin import Origin, start_origin
from .peers.tollgate import Tollgate, cluster, head
from .quantiles import spread

BALANCERS = ("round-robin", "least-request", "random", "peak-ewma", "ring-hash", "maglev", "first")
WAIT_SECONDS_MAX = 60.0
POLL_SECONDS = 0.0005


def measure_startup(bench: Bench, tollgate: Tollgate, rounds: int) -> dict[str, object]:
    """Takes turns: with an empty folder for compiled plugins, then with what that start has left there."""
    origin = start_origin(bench)
    cache = bench.folder / "startup-cache"
    times: dict[str, list[float]] = {"empty": [], "warm": []}
    memory: dict[str, list[dict[str, int]]] = {"empty": [], "warm": []}
    for _ in range(rounds):
        shutil.rmtree(cache, ignore_errors=True)
        for name in times:
            milliseconds, kib = _start_once(bench, tollgate, origin, cache)
            times[name].append(milliseconds)
            memory[name].append(kib)
    entries: dict[str, object] = {}
    for name in times:
        entry: dict[str, object] = {
            "milliseconds": spread(times[name], 2),
            "all_milliseconds": [round(one, 2) for one in times[name]],
        }
        for kind in ("pss", "pss_anon", "rss"):
            entry[f"idle_{kind}_kib"] = spread([one[kind] for one in memory[name]])
        entries[name] = entry
        print(f"  {name}: {entry}", flush=True)
    return {"plugins": 12, "entries": entries}


def _start_once(bench: Bench, tollgate: Tollgate, origin: Origin, cache: Path) -> tuple[float, dict[str, int]]:
    port = free_port()
    folder = bench.folder / f"startup-{port}"
    folder.mkdir()
    command = tollgate.run(folder, configuration(port, origin))
    log = folder / "log"
    begun = time.monotonic()
    process = bench.start(command, bench.cores.proxy, {"TOLLGATE_CACHE_DIR": str(cache)}, log)
    while not _answers(port):
        if process.poll() is not None or time.monotonic() - begun > WAIT_SECONDS_MAX:
            raise MeasureError(f"it gave no answer: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(POLL_SECONDS)
    milliseconds = (time.monotonic() - begun) * 1000
    # The compiled code is written in the background; it is also time for memory to come to rest.
    time.sleep(1)
    kib = memory_kib([process.pid])
    bench.stop(process, gently_seconds=3)
    return milliseconds, kib


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), WAIT_SECONDS_MAX) as connection:
            connection.sendall(b"GET /round-robin/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            return connection.recv(12).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def configuration(port: int, origin: Origin) -> str:
    """A network filter, four HTTP filters, and a cluster for each balancer."""
    endpoints = [f"127.0.0.1:{number}" for number in origin.ports]
    routes = "\n".join(f'    route path="/{name}/*" {{ cluster "{name}" }}' for name in BALANCERS)
    clusters = "".join(cluster(name, endpoints, name) for name in BALANCERS)
    return f"""{head(1)}
listener "measured" "127.0.0.1:{port}" {{
    network-filters {{ ip-acl {{ deny "192.0.2.0/24" }} }}
    filters {{
        acl {{ rule "deny" status=403 {{ path "/admin*" }} }}
        request-id
        headers {{ request {{ set "x-client" "{{client-ip}}" }}; response {{ remove "server" }} }}
        rewrite {{ prefix "/old" "/new" }}
    }}
{routes}
}}
{clusters}"""
