"""Running Tollgate under callgrind, and reading what it has counted."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .bench import Bench, MeasureError, find_tool, wait_until
from .peers.tollgate import Tollgate

#: Functions that may be the task of a downstream connection. Which of them is left as one, and not made part of its callers, is the
#: compiler's decision.
TASKS = re.compile(r"tollgate::(listener|proxy::http)::serve\w*::\{\{closure\}\}")
READY_SECONDS_MAX = 120.0
END_SECONDS_MAX = 60.0


@dataclass
class CountedProcess:
    """Tollgate under callgrind. Its count is complete only after `finish`."""

    port: int
    process: subprocess.Popen[bytes]
    output: Path
    log: Path


def find_tasks(binary: Path) -> list[str]:
    """The functions to try: of each there must be exactly one."""
    done = subprocess.run([find_tool("nm", "binutils"), "-C", str(binary)], capture_output=True, text=True)
    names = Counter(line.split(maxsplit=2)[2] for line in done.stdout.splitlines() if len(line.split(maxsplit=2)) == 3)
    found = [name for name, times in names.items() if times == 1 and TASKS.fullmatch(name)]
    if not found:
        why = "none of its functions is called like the task of a connection: name another by --function"
        raise MeasureError(f"{binary}: {why if names else 'it has no symbols'}")
    return sorted(found)


def start_counted(bench: Bench, tollgate: Tollgate, name: str, text: str, port: int, function: str) -> CountedProcess:
    """Starts it and waits until it listens."""
    folder = bench.folder / f"{name}-{port}"
    folder.mkdir()
    output, log = folder / "callgrind.out", folder / "log"
    command: list[object] = [find_tool("valgrind", "valgrind"), "--tool=callgrind", f"--callgrind-out-file={output}"]
    command += [f"--toggle-collect={function}", *tollgate.run(folder, text)]
    process = bench.start(command, bench.cores.proxy, tollgate.environment(bench), log)

    def listens() -> bool:
        # Not by a connection: that would be counted.
        return any(line.split()[1] == f"0100007F:{port:04X}" for line in Path("/proc/net/tcp").read_text().splitlines())

    try:
        wait_until(listens, process, log, READY_SECONDS_MAX)
    except MeasureError as error:
        if "memory pool mapping" in str(error):
            text = "valgrind gives a process 128 GiB of addresses at most, and this build wants more for plugin instances"
            raise MeasureError(f"{text}:\n{error}") from error
        raise
    return CountedProcess(port, process, output, log)


def finish(bench: Bench, counted: CountedProcess) -> int:
    """Ends it and returns the instructions it spent in the function that is counted; none if it was never entered."""
    bench.stop(counted.process, gently_seconds=END_SECONDS_MAX)
    text = counted.output.read_text() if counted.output.exists() else ""
    return parse_total(text)


def parse_total(text: str) -> int:
    found = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
    if not found:
        raise MeasureError("callgrind has written nothing: the process did not end in time")
    return int(found[1])
