"""What the kernel says that processes have used: CPU time and memory."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """CPU time of some processes in seconds. `total` is exact, the split is counted in ticks."""

    total: float
    user: float
    system: float

    def since(self, before: Used) -> Used:
        return Used(self.total - before.total, self.user - before.user, self.system - before.system)


@dataclass(frozen=True)
class MachineTime:
    """CPU time of the whole machine in seconds."""

    busy: float
    stolen: float


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    pids, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        pids.append(parent)
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            waiting.extend(map(int, _read(children).split()))
    return pids


def used(pids: Iterable[int]) -> Used:
    """All threads of these processes."""
    total, user, system = 0, 0, 0
    for pid in pids:
        for schedstat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            total += int((_read(schedstat).split() or ["0"])[0])
        fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        if fields:
            user, system = user + int(fields[11]), system + int(fields[12])
    return Used(total / 1e9, user * TICK_SECONDS, system * TICK_SECONDS)


def of_finished_children() -> float:
    """CPU time in seconds of this process and of those it has waited for."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + time.process_time()


def machine_time(stat: str | None = None) -> MachineTime:
    """From the first line of /proc/stat: user nice system idle iowait irq softirq steal."""
    fields = [int(field) for field in (stat or _read(Path("/proc/stat"))).split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return MachineTime((user + nice + system + irq + softirq) * TICK_SECONDS, steal * TICK_SECONDS)


def memory_kib(pids: Iterable[int]) -> dict[str, int]:
    """PSS (shared pages divided among their users), how much of it is anonymous rather than of files, and RSS, in KiB."""
    sums = {"pss": 0, "pss_anon": 0, "rss": 0}
    for pid in pids:
        for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
            name, _, rest = line.lower().partition(":")
            if name in sums:
                sums[name] += int(rest.split()[0])
    return sums


def _read(path: Path) -> str:
    """What ended meanwhile reads as nothing."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
