"""Tollgate itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from ..bench import Bench, MeasureError
from . import CONNECTIONS_MAX, Setting

REPOSITORY = Path(__file__).resolve().parents[4]
GUESTS = REPOSITORY / "target/guests"
CALLED = GUESTS / "wasm32-unknown-unknown/release/guest_called.wasm"

COMPILER_VARIABLES = ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET")

#: The usual filter work, by bundled plugins.
FILTERS = """\
        filters {
            acl { rule "deny" status=403 { path "/admin*" } }
            request-id
            headers { response { remove "server" } }
        }"""


class Tollgate:
    modes: tuple[str, ...] = ("plain", "filters", "called", "tls", "h2c", "tcp")

    def __init__(self, binary: str | None = None, name: str = "tollgate") -> None:
        self.name = name
        self.binary = Path(binary or REPOSITORY / "target/release/tollgate").resolve()
        if not os.access(self.binary, os.X_OK):
            raise MeasureError(f"there is no {self.binary}: cargo build --release, or say where it is by --tollgate")

    def version(self) -> str:
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout.split()[-1]

    def command(self, setting: Setting) -> list[object]:
        return self.run(setting.folder, configuration(setting))

    def run(self, folder: Path, text: str) -> list[object]:
        """What to run for a configuration made elsewhere."""
        config = folder / "config.kdl"
        config.write_text(text)
        return [self.binary, "run", "--config", config]

    def environment(self, bench: Bench) -> dict[str, str]:
        """Compiled plugins of this run of the kit, and of no other."""
        return {"TOLLGATE_CACHE_DIR": str(bench.folder / "cache")}


def configuration(setting: Setting) -> str:
    mode = setting.mode
    filters = {"filters": FILTERS, "called": "        filters { called }"}.get(mode, "")
    plugin = f'plugin "called" "{called_component()}"\n' if mode == "called" else ""
    tls = f'    tls {{ certificate "{setting.certificate}" key="{setting.key}"; versions "1.3" }}\n' if mode == "tls" else ""
    return f"""\
{plugin}{head(setting.workers)}
listener "measured" "127.0.0.1:{setting.port}" {{
    protocol "{"tcp" if mode == "tcp" else "http"}"
{tls}    limits connections-max={CONNECTIONS_MAX}
    timeouts idle="600s"
    route {{
{filters}
        cluster "origins"
    }}
}}
{cluster("origins", [f"127.0.0.1:{port}" for port in setting.origins])}"""


def head(workers: int) -> str:
    """No access lines: the peers write none either."""
    return f'process {{ workers {workers}; log level="warn" }}'


def cluster(name: str, endpoints: list[str], balancer: str = "round-robin", settings: str = "") -> str:
    lines = "\n".join(f'    endpoint "{endpoint}"' for endpoint in endpoints)
    return f'cluster "{name}" {{\n    balancer "{balancer}" {settings}\n    timeouts idle="600s"\n{lines}\n}}\n'


def called_component() -> Path:
    """The plugin of the tests that must be called for every request and response; built if it is not there."""
    if not CALLED.exists():
        cargo = shutil.which("cargo")
        if cargo is None:
            raise MeasureError(f"{CALLED} is not built, and there is no cargo to build it")
        print("building the plugin `called` of the tests", flush=True)
        command = [cargo, "build", "--release", "--package", "guest-called"]
        command += ["--target", "wasm32-unknown-unknown", "--target-dir", str(GUESTS)]
        # What is said to the compiler for the host does not hold for plugins.
        environment = {name: value for name, value in os.environ.items() if name not in COMPILER_VARIABLES}
        if subprocess.run(command, cwd=REPOSITORY / "tests/guests", env=environment).returncode:
            raise MeasureError(f"the plugin did not build: {' '.join(command)}")
    return CALLED
