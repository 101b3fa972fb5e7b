"""The proxies that are measured: each by name, in each of its modes, started in the same way."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..accounts import tree
from ..bench import Bench, MeasureError, free_port, wait_for_port
from ..certificate import make_certificate
from ..origin import Origin

#: What a proxy can be asked to do.
MODES = ("plain", "filters", "called", "tls", "h2c", "tcp", "splice")
CONNECTIONS_MAX = 20_000


@dataclass(frozen=True)
class Setting:
    """All that a peer needs to know to write its configuration."""

    mode: str
    port: int
    origins: tuple[int, int]
    folder: Path
    workers: int = 1
    certificate: Path | None = None
    key: Path | None = None
    both: Path | None = None


@dataclass
class Proxy:
    """One that runs."""

    label: str
    mode: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def pids(self) -> list[int]:
        return tree(self.process.pid)


class Peer(Protocol):
    """What is to be known of a kind of proxy. A new one is a file here and a line in `cli.py`."""

    name: str
    modes: tuple[str, ...]

    def version(self) -> str: ...

    def command(self, setting: Setting) -> list[object]:
        """Writes the configuration into the setting's folder, and says what to run."""
        ...

    def environment(self, bench: Bench) -> dict[str, str]: ...


def start_peer(
    bench: Bench,
    peer: Peer,
    mode: str,
    origin: Origin,
    workers: int = 1,
    label: str | None = None,
) -> Proxy:
    """Starts a proxy on a free port and waits until it accepts connections."""
    if mode not in peer.modes:
        raise MeasureError(f"{peer.name} has no mode {mode}")
    port = free_port()
    folder = bench.folder / f"{peer.name}-{mode}-{port}"
    folder.mkdir()
    keys = make_certificate(bench)
    setting = Setting(mode, port, origin.ports, folder, workers, keys.certificate, keys.key, keys.both)
    return launch(bench, peer, setting, label or peer.name)


def launch(bench: Bench, peer: Peer, setting: Setting, label: str) -> Proxy:
    """Starts a proxy with a setting made elsewhere."""
    log = setting.folder / "log"
    process = bench.start(peer.command(setting), bench.cores.proxy, peer.environment(bench), log)
    wait_for_port(setting.port, process, log)
    return Proxy(label, setting.mode, setting.port, process, log)
