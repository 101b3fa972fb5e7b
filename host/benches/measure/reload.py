"""`reload`: requests at a steady rate, in one turn without reloads and in one with them."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from pathlib import Path

from .bench import Bench, MeasureError
from .load import Finished, Paced
from .origin import start_origin
from .peers import Proxy, start_peer
from .peers.tollgate import Tollgate
from .quantiles import spread

RATE = 2000
RELOADS = 10
IN_FORCE_SECONDS_MAX = 1.0


def measure_reloads(bench: Bench, tollgate: Tollgate, rounds: int, seconds: float) -> dict[str, object]:
    origin = start_origin(bench)
    proxy = start_peer(bench, tollgate, "plain", origin)
    load = Paced(seconds, RATE)
    Paced(0.3, RATE).run(bench, proxy.port)
    turns: dict[str, list[Finished]] = {"without": [], "with": []}
    totals = {"reloads": 0, "new_connections": 0, "new_connections_failed": 0}
    for number in range(rounds):
        # Which comes first changes from round to round.
        for name in ("without", "with") if number % 2 == 0 else ("with", "without"):
            with _Visitor(proxy, name == "with", seconds) as visitor:
                turns[name].append(load.run(bench, proxy.port))
            totals = {key: totals[key] + value for key, value in visitor.totals().items()}
    if proxy.process.poll() is not None:
        raise MeasureError(f"it ended: {proxy.log.read_text(errors='replace')[-2000:]}")
    content: dict[str, object] = {"rate": RATE, **totals} | {name: _sum(of_it) for name, of_it in turns.items()}
    for name in ("p50_us", "p99_us"):
        pairs = zip(turns["with"], turns["without"], strict=True)
        content[f"added_{name}"] = spread([getattr(one, name) - getattr(other, name) for one, other in pairs])
    for name, value in content.items():
        print(f"  {name}: {value}", flush=True)
    return content


def _sum(turns: list[Finished]) -> dict[str, object]:
    return {
        "requests": sum(turn.requests for turn in turns),
        "failed": sum(turn.failed for turn in turns),
        "p50_us": spread([turn.p50_us for turn in turns if turn.p50_us is not None]),
        "p99_us": spread([turn.p99_us for turn in turns if turn.p99_us is not None]),
        "load": turns[0].command,
    }


class _Visitor:
    """Asks all the time in the background, on a new connection for each question. If it reloads, it also changes the configuration, evenly
    over the turn, sends SIGHUP, and sees when the change is in force."""

    def __init__(self, proxy: Proxy, reloads: bool, seconds: float) -> None:
        self._proxy, self._reloads, self._seconds = proxy, reloads, seconds
        self._config: Path = proxy.log.parent / "config.kdl"
        self._plain = self._config.read_text()
        self._done, self._asked, self._failed = 0, 0, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Visitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._config.write_text(self._plain)

    def totals(self) -> dict[str, int]:
        return {"reloads": self._done, "new_connections": self._asked, "new_connections_failed": self._failed}

    def _run(self) -> None:
        begun = time.monotonic()
        for number in range(1, RELOADS + 2):
            due = begun + number * self._seconds / (RELOADS + 1)
            while time.monotonic() < due:
                if self._over.wait(0.02):
                    return
                self._ask("/")
            if self._reloads and number <= RELOADS:
                self._reload(f"{number}-{begun}")

    def _reload(self, mark: str) -> None:
        route = f'    route path="/in-force" {{ respond 200 body="{mark}" }}\n    route {{'
        self._config.write_text(self._plain.replace("    route {", route))
        self._proxy.process.send_signal(signal.SIGHUP)
        late = time.monotonic() + IN_FORCE_SECONDS_MAX
        while time.monotonic() < late:
            if self._ask("/in-force") == mark.encode():
                self._done += 1
                return
            self._over.wait(0.02)

    def _ask(self, path: str) -> bytes:
        self._asked += 1
        connection = http.client.HTTPConnection("127.0.0.1", self._proxy.port, timeout=5)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read()
            self._failed += answer.status != 200
            return body
        except (OSError, http.client.HTTPException):
            self._failed += 1
            return b""
        finally:
            connection.close()
