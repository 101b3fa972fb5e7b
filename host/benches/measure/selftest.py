"""`selftest`: every command in its smallest form, to see that it works here. What it measures is worth nothing."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from . import cli
from .bench import MeasureError

QUICK = ("--rounds", "1", "--retries", "0", "--seconds", "1")
SMALLEST: dict[str, Sequence[str]] = {
    "compare": (*QUICK, "--peers", "haproxy,tollgate", "--scenarios", "s1,s6-full,s7-h2c,s8-new"),
    "reload": ("--rounds", "1", "--seconds", "2"),
    "memory": ("--peers", "tollgate"),
    "scale": (*QUICK, "--size-max", "10", "--of", "routes,endpoints,filters"),
    "workers": QUICK,
    "startup": ("--rounds", "1"),
    "instructions": ("--rounds", "1", "--exchanges", "20", "--shapes", "plain"),
}


def run_all(tollgate: str | None) -> None:
    """Runs them all, then draws and tabulates what came out; fails if one of them failed."""
    failed = []
    with tempfile.TemporaryDirectory(prefix="tollgate-selftest-") as name:
        folder = Path(name)
        commands = [
            [command, *options, "--out", str(folder / f"{command}.json"), *(["--tollgate", tollgate] if tollgate else [])]
            for command, options in SMALLEST.items()
        ]
        for arguments in (*commands, ["plot", "--data", name], ["tables", "--data", name]):
            begun = time.monotonic()
            print(f"== {' '.join(arguments[:1])}", flush=True)
            if cli.main(arguments):
                failed.append(arguments[0])
            print(
                f"== {arguments[0]}: {'failed' if arguments[0] in failed else 'works'}, {time.monotonic() - begun:.1f} s",
                flush=True,
            )
    if failed:
        raise MeasureError(f"these do not work here: {', '.join(failed)}")
