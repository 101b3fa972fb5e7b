"""The place where a measurement happens: a temporary folder, the processes in it, and which cores they run on."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS_MAX = 20.0
DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


class MeasureError(Exception):
    """Something that the user can put right; its text says how."""


@dataclass(frozen=True)
class Cores:
    """Which cores the proxy has, and which everything else."""

    proxy: frozenset[int]
    load: frozenset[int]

    @property
    def shared(self) -> bool:
        return bool(self.proxy & self.load)

    def describe(self) -> str:
        def name(cores: frozenset[int]) -> str:
            return ",".join(map(str, sorted(cores)))

        return f"proxy {name(self.proxy)}; origin and load {name(self.load)}"


def split_cores(workers: int, proxy: str | None = None, load: str | None = None) -> Cores:
    """The first `workers` cores for the proxy and the rest for the load; where none would remain, all for both."""
    there = sorted(os.sched_getaffinity(0))

    def parse(text: str) -> frozenset[int]:
        cores = frozenset(int(part) for part in text.split(","))
        if not cores <= set(there):
            raise MeasureError(f"there are no cores {text}: this machine offers {there}")
        return cores

    apart = len(there) > workers
    return Cores(
        parse(proxy) if proxy else frozenset(there[:workers] if apart else there),
        parse(load) if load else frozenset(there[workers:] if apart else there),
    )


class Bench:
    """Owns every process and file of one run of the kit. Leaving it ends the processes and removes the folder."""

    def __init__(self, cores: Cores) -> None:
        self.cores = cores
        self.children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Bench:
        self.folder = Path(tempfile.mkdtemp(prefix="tollgate-measure-"))
        signal.signal(signal.SIGTERM, _leave)
        raise_file_limit()
        return self

    def __exit__(self, *_: object) -> None:
        for child in list(self.children):
            self.stop(child)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(
        self,
        command: Sequence[object],
        cores: frozenset[int],
        environment: dict[str, str] | None = None,
        log: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts a process in a group of its own. Its output goes to `log`, or else nowhere."""
        with open(log or os.devnull, "ab") as output:
            child = subprocess.Popen(
                [str(part) for part in command],
                preexec_fn=_settle(cores),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
            )
        self.children.append(child)
        return child

    def run(self, command: Sequence[object], cores: frozenset[int], seconds_max: float) -> subprocess.CompletedProcess[str]:
        """Runs a process to its end and returns what it printed."""
        return self.run_together([command], cores, seconds_max)[0]

    def run_together(
        self, commands: Sequence[Sequence[object]], cores: frozenset[int], seconds_max: float
    ) -> list[subprocess.CompletedProcess[str]]:
        """Runs processes beside each other, to the end of the last."""
        deadline = time.monotonic() + seconds_max
        texts = [[str(part) for part in command] for command in commands]
        running: list[subprocess.Popen[str]] = []
        try:
            for text in texts:
                running.append(
                    subprocess.Popen(
                        text,
                        preexec_fn=_settle(cores),
                        start_new_session=True,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        text=True,
                    )
                )
            done = []
            for text, process in zip(texts, running, strict=True):
                output, _ = process.communicate(timeout=max(0.1, deadline - time.monotonic()))
                done.append(subprocess.CompletedProcess(text, process.returncode, output))
            return done
        except subprocess.TimeoutExpired:
            raise MeasureError(f"`{' '.join(texts[0])}` had not ended after {seconds_max:.0f} s") from None
        finally:
            for process in running:
                if process.poll() is None:
                    _kill_group(process.pid)
                    process.wait()

    def stop(self, child: subprocess.Popen[bytes], gently_seconds: float = 0.0) -> None:
        """Ends a process and all it started; with `gently_seconds` it is asked first."""
        if gently_seconds and child.poll() is None:
            child.terminate()
            try:
                child.wait(gently_seconds)
            except subprocess.TimeoutExpired:
                pass
        _kill_group(child.pid)
        child.wait()
        if child in self.children:
            self.children.remove(child)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    """Returns once somebody accepts connections on the port."""

    def accepts() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    wait_until(accepts, child, log)


def wait_until(
    ready: Callable[[], bool], child: subprocess.Popen[bytes], log: Path, seconds_max: float = READY_SECONDS_MAX
) -> None:
    """Asks until it is so; says what the process printed if it ends before or takes too long."""
    deadline = time.monotonic() + seconds_max
    while not ready():
        if child.poll() is not None or time.monotonic() > deadline:
            text = log.read_text(errors="replace").strip() if log.exists() else ""
            command = " ".join(map(str, child.args))  # type: ignore[arg-type]
            raise MeasureError(f"`{command}` did not get ready; it printed:\n{text or '(nothing)'}")
        time.sleep(0.02)


def find_tool(name: str, package: str) -> str:
    """The path of a program, or an error that names the package it comes in."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        raise MeasureError(f"{name} is not installed: apt-get install {package}")
    return path


def raise_file_limit() -> int:
    """Takes as many file descriptors as are allowed, for us and for what we start."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _settle(cores: frozenset[int]) -> Callable[[], None]:
    libc = ctypes.CDLL(None)

    def settle() -> None:
        os.sched_setaffinity(0, cores)
        libc.prctl(DEATH_SIGNAL, signal.SIGTERM)

    return settle


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
