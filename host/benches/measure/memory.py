"""`memory`: what idle keep-alive connections hold, each of which had one request answered."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Sequence

from .accounts import memory_kib
from .bench import Bench, MeasureError
from .origin import Origin, start_origin
from .peers import Peer, Proxy, start_peer
from .request import ANSWER_BYTES, request_bytes

CONNECTIONS = (1_000, 10_000)
SETTLE_SECONDS = 1.0


def measure_memory(bench: Bench, peers: Sequence[Peer]) -> dict[str, object]:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    counts = [count for count in CONNECTIONS if count + 500 <= limit]
    if counts != list(CONNECTIONS):
        print(f"  only {limit} file descriptors are allowed, so no more than {max(counts, default=0)} connections")
    origin = start_origin(bench)
    return {"connections": counts, "entries": {peer.name: _of_peer(bench, peer, origin, counts) for peer in peers}}


def _of_peer(bench: Bench, peer: Peer, origin: Origin, counts: Sequence[int]) -> dict[str, object]:
    # The first start may compile something that later ones find, and what compiling has used stays for a while.
    bench.stop(start_peer(bench, peer, "plain", origin).process, gently_seconds=3)
    proxy = start_peer(bench, peer, "plain", origin)
    held: list[socket.socket] = []
    try:
        time.sleep(SETTLE_SECONDS)
        levels = [{"connections": 0} | memory_kib(proxy.pids())]
        for count in counts:
            while len(held) < count:
                held.append(_ask_once(proxy))
            time.sleep(SETTLE_SECONDS)
            levels.append({"connections": count} | memory_kib(proxy.pids()))
    finally:
        for connection in held:
            connection.close()
        bench.stop(proxy.process)
    first, last = levels[0], levels[-1]
    per_connection = (last["pss"] - first["pss"]) / max(1, last["connections"])
    entry: dict[str, object] = {"levels": levels, "kib_per_connection": round(per_connection, 2)}
    # The first connections also pay for what is made once, so the slope between the two counts is the lower figure.
    if len(levels) > 2:
        before = levels[-2]
        slope = (last["pss"] - before["pss"]) / (last["connections"] - before["connections"])
        entry["kib_per_further_connection"] = round(slope, 2)
    print(f"  {peer.name}: {entry}", flush=True)
    return entry


def _ask_once(proxy: Proxy) -> socket.socket:
    """Opens a connection, has one request answered, and leaves it open."""
    connection = socket.create_connection(("127.0.0.1", proxy.port), 10)
    connection.settimeout(10)
    connection.sendall(request_bytes("/", f"127.0.0.1:{proxy.port}"))
    read_answer(connection)
    return connection


def read_answer(connection: socket.socket) -> None:
    """Reads one answer of the usual size to its end."""
    received = b""
    while b"\r\n\r\n" not in received or len(received.split(b"\r\n\r\n", 1)[1]) < ANSWER_BYTES:
        more = connection.recv(65536)
        if not more:
            raise MeasureError(f"a connection ended after {received[:200]!r}")
        received += more
    if not received.startswith(b"HTTP/1.1 200"):
        raise MeasureError(f"a request was answered {received[:200]!r}")
