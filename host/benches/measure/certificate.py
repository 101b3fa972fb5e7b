"""A certificate for the TLS scenarios, made afresh for each run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .bench import Bench, MeasureError, find_tool


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path
    both: Path


def make_certificate(bench: Bench) -> Certificate:
    """P-256, self-signed, for localhost."""
    made = Certificate(bench.folder / "site.pem", bench.folder / "site.key", bench.folder / "site-both.pem")
    if made.both.exists():
        return made
    command = [find_tool("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    done = bench.run([*command, "-keyout", made.key, "-out", made.certificate], bench.cores.load, 20)
    if done.returncode:
        raise MeasureError(f"openssl made no certificate: {done.stdout}")
    made.both.write_text(made.certificate.read_text() + made.key.read_text())
    return made
