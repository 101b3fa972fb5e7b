"""Running Tollgate under callgrind, and reading what it has counted."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .bench import Bench, MeasureError, find_tool, wait_until
from .peers.tollgate import Tollgate

#: The task of a downstream connection, the narrowest first. Which of them is left as a function is the compiler's decision.
TASKS = (
    "tollgate::proxy::http::serve_connection::{{closure}}",
    "tollgate::listener::serve::{{closure}}",
)
READY_SECONDS_MAX = 120.0
END_SECONDS_MAX = 60.0


@dataclass
class Counted:
    """Tollgate under callgrind. Its count is complete only after `finish`."""

    port: int
    process: subprocess.Popen[bytes]
    output: Path
    log: Path


def find_task(binary: Path) -> str:
    """The name of the function to count in: there must be exactly one of it."""
    done = subprocess.run([find_tool("nm", "binutils"), "-C", str(binary)], capture_output=True, text=True)
    names = [line.split(maxsplit=2)[2] for line in done.stdout.splitlines() if len(line.split(maxsplit=2)) == 3]
    for task in TASKS:
        if names.count(task) == 1:
            return task
    if not names:
        raise MeasureError(f"{binary} has no symbols: it was stripped")
    raise MeasureError(f"{binary} has none of the functions {', '.join(TASKS)}, or several of one: name another by --function")


def start_counted(bench: Bench, tollgate: Tollgate, name: str, text: str, port: int, function: str) -> Counted:
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
            text = "valgrind gives a process 128 GiB of addresses at most, and the smallest pool of plugin instances wants more"
            raise MeasureError(f"{text}:\n{error}") from error
        raise
    return Counted(port, process, output, log)


def finish(bench: Bench, counted: Counted) -> int:
    """Ends it and returns the instructions it spent in the function that is counted."""
    bench.stop(counted.process, gently_seconds=END_SECONDS_MAX)
    text = counted.output.read_text() if counted.output.exists() else ""
    return parse_total(text)


def parse_total(text: str) -> int:
    found = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
    if not found or not int(found[1]):
        raise MeasureError("callgrind has counted nothing: the function was not entered, or the process was killed")
    return int(found[1])
