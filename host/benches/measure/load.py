"""The load: packaged generators, how they are called and what they say."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .bench import Bench, MeasureError, find_tool
from .quantiles import percentile
from .request import ANSWER_BYTES, header_options

CONNECTIONS = 64
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Finished:
    """What a generator got done. Only answers that came whole and well count as requests."""

    requests: int
    body_bytes: int
    failed: int
    command: str
    p50_us: float | None = None
    p99_us: float | None = None


class Load(Protocol):
    def run(self, bench: Bench, port: int) -> Finished: ...


@dataclass(frozen=True)
class Saturation:
    """wrk: every connection asks again as soon as it is answered."""

    seconds: float
    tls: bool = False
    close: bool = False
    connections: int = CONNECTIONS

    def run(self, bench: Bench, port: int) -> Finished:
        script = bench.folder / "report.lua"
        script.write_text(WRK_REPORT)
        threads = max(1, len(bench.cores.load) // 2)
        command = [find_tool("wrk", "wrk"), "-t", threads, "-c", self.connections, "-d", f"{math.ceil(self.seconds)}s"]
        command += ["-s", script, *header_options(), *(["-H", "Connection: close"] if self.close else [])]
        command.append(f"{'https' if self.tls else 'http'}://127.0.0.1:{port}/")
        done = bench.run(command, bench.cores.load, self.seconds + PATIENCE_SECONDS)
        return parse_wrk(done.stdout, shown(command))


@dataclass(frozen=True)
class Paced:
    """h2load: requests at a steady rate, one each millisecond from each of several processes."""

    seconds: float
    rate: int
    tls: bool = False

    def run(self, bench: Bench, port: int) -> Finished:
        processes, clients = self.shape()
        total = round(self.seconds * self.rate / processes)
        logs = [bench.folder / f"requests-{number}" for number in range(processes)]
        commands = []
        for log in logs:
            log.unlink(missing_ok=True)
            command = [find_tool("h2load", "nghttp2-client"), "--h1", "-c", clients, "-n", total]
            command += ["-r", 1, "--rate-period=1ms", f"--rps={1000 / clients:.4f}", f"--log-file={log}"]
            commands.append([*command, *header_options(), f"{'https' if self.tls else 'http'}://127.0.0.1:{port}/"])
        done = bench.run_together(commands, bench.cores.load, self.seconds + PATIENCE_SECONDS)
        times = sorted(time for log in logs for time in read_times(log))
        finished = [parse_h2load(one.stdout, "") for one in done]
        return Finished(
            sum(one.requests for one in finished),
            sum(one.requests for one in finished) * ANSWER_BYTES,
            sum(one.failed for one in finished),
            f"{processes} x {shown(commands[0])}",
            percentile(times, 50),
            percentile(times, 99),
        )

    def shape(self) -> tuple[int, int]:
        """How many processes, each of which sends a request every millisecond, and how many connections each has: so many that its
        requests fall evenly into the period of one connection."""
        processes = max(1, round(self.rate / 1000))
        return processes, round(CONNECTIONS / processes)


@dataclass(frozen=True)
class Requests:
    """h2load: so many requests, as fast as they are answered."""

    count: int

    def run(self, bench: Bench, port: int) -> Finished:
        command = [find_tool("h2load", "nghttp2-client"), "--h1", "-c", CONNECTIONS, "-n", self.count, *header_options()]
        command.append(f"http://127.0.0.1:{port}/")
        done = bench.run(command, bench.cores.load, PATIENCE_SECONDS)
        return parse_h2load(done.stdout, shown(command))


@dataclass(frozen=True)
class Bodies:
    """h2load over HTTP/1.1: a fixed number of large bodies, all of them finished."""

    seconds: float
    size: int
    name: str
    upload: bool = False
    bytes_per_second: int = 2_000_000_000

    def run(self, bench: Bench, port: int) -> Finished:
        command: list[object]
        connections = 8 if self.size <= 1 << 20 else 2
        each = max(1, round(self.seconds * self.bytes_per_second / self.size / connections))
        command = [find_tool("h2load", "nghttp2-client"), "--h1", "-c", connections, "-n", each * connections]
        command += header_options()
        if self.upload:
            command += ["-d", self._file(bench), f"http://127.0.0.1:{port}/sink"]
        else:
            command.append(f"http://127.0.0.1:{port}/body/{self.name}")
        done = bench.run(command, bench.cores.load, self.seconds + PATIENCE_SECONDS)
        finished = parse_h2load(done.stdout, shown(command))
        return Finished(finished.requests, finished.requests * self.size, finished.failed, finished.command)

    def _file(self, bench: Bench) -> Path:
        file = bench.folder / f"upload-{self.name}"
        if not file.exists():
            file.write_bytes(bytes(self.size))
        return file


@dataclass(frozen=True)
class Multiplexed:
    """h2load over HTTP/2."""

    seconds: float
    tls: bool

    def run(self, bench: Bench, port: int) -> Finished:
        command = [find_tool("h2load", "nghttp2-client"), "-c", 8, "-m", 8, "-D", f"{round(self.seconds * 1000)}ms"]
        command += header_options() + [f"{'https' if self.tls else 'http'}://127.0.0.1:{port}/"]
        done = bench.run(command, bench.cores.load, self.seconds + PATIENCE_SECONDS)
        return parse_h2load(done.stdout, shown(command))


@dataclass(frozen=True)
class Handshakes:
    """openssl s_time: several processes, each of which makes one connection after another, with one request on each."""

    seconds: float
    reuse: bool
    processes: int = 4

    def run(self, bench: Bench, port: int) -> Finished:
        command: list[object] = [find_tool("openssl", "openssl"), "s_time", "-connect", f"127.0.0.1:{port}", "-tls1_3"]
        command += ["-reuse" if self.reuse else "-new", "-time", math.ceil(self.seconds), "-www", "/"]
        done = bench.run_together([command] * self.processes, bench.cores.load, self.seconds + PATIENCE_SECONDS)
        made = sum(parse_s_time(one.stdout, self.reuse) for one in done)
        return Finished(made, made * ANSWER_BYTES, 0, f"{self.processes} x {shown(command)}")


#: wrk calls this at the end; its own text rounds.
WRK_REPORT = """\
done = function(summary, latency)
    local errors = summary.errors
    local lost = errors.connect + errors.read + errors.write + errors.timeout
    io.write(string.format("figures requests=%d bytes=%d failed=%d p50=%d p99=%d\\n", summary.requests, summary.bytes,
        errors.status + lost, latency:percentile(50), latency:percentile(99)))
end
"""


def parse_wrk(text: str, command: str) -> Finished:
    found = re.search(r"^figures requests=(\d+) bytes=(\d+) failed=(\d+) p50=(\d+) p99=(\d+)$", text, re.MULTILINE)
    if not found:
        raise MeasureError(f"`{command}` said nothing that is understood:\n{text}")
    requests, _, failed, p50, p99 = map(int, found.groups())
    return Finished(requests, requests * ANSWER_BYTES, failed, command, p50, p99)


def parse_h2load(text: str, command: str) -> Finished:
    found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
    if not found:
        raise MeasureError(f"`{command}` said nothing that is understood:\n{text}")
    succeeded, failed, _errored, _timeout = map(int, found.groups())  # `failed` counts the errored, too
    return Finished(succeeded, succeeded * ANSWER_BYTES, failed, command)


def parse_s_time(text: str, reuse: bool) -> int:
    """How many connections were made, if nearly all of them were of the kind that was asked for: it prints `r` for each resumed one."""
    found = re.search(r"^(\d+) connections in \d+ real seconds", text, re.MULTILINE)
    if not found or not int(found[1]):
        raise MeasureError(f"`openssl s_time` made no connection:\n{text}")
    resumed = sum(line.count("r") for line in text.splitlines() if re.fullmatch(r"[rt*]+", line))
    share = resumed / int(found[1])
    if share < 0.9 if reuse else share > 0.1:
        raise MeasureError(f"`openssl s_time` made {found[1]} connections, of which {resumed} were resumed")
    return int(found[1])


def read_times(log: Path) -> list[float]:
    """h2load's log: when, which status, how many microseconds to the end of the response."""
    rows = (line.split() for line in log.read_text().splitlines())
    return [float(row[2]) for row in rows if len(row) >= 3 and row[1] == "200"]


def shown(command: Sequence[object]) -> str:
    """A command as the reader may repeat it: without the headers that all requests have, and without our paths."""
    parts, rest = [], iter(command)
    for part in map(str, rest):
        if part == "-H" and not (header := str(next(rest))).startswith("Connection"):
            continue
        parts.append(f"-H '{header}'" if part == "-H" else part)
    text = re.sub(r"(^|[ =])/\S*/", r"\1", " ".join(parts))
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
