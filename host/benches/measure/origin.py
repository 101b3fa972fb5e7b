"""The origin behind every proxy: one nginx, which answers from memory and from files in the temporary folder."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .bench import Bench, find_tool, free_port, wait_for_port
from .request import ANSWER_BYTES, MIB

BODY_SIZES = {"1m": MIB, "64m": 64 * MIB}
SINK_BYTES_MAX = "65m"


@dataclass(frozen=True)
class Origin:
    """Two ports of one process, so that the proxies have two endpoints to balance between."""

    ports: tuple[int, int]
    process: subprocess.Popen[bytes]


def start_origin(bench: Bench, everywhere: bool = False) -> Origin:
    """Starts it. `everywhere`: the first port is open on every address of 127.0.0.0/8, so that it can be many endpoints."""
    folder = bench.folder / f"origin-{len(bench.children)}"
    folder.mkdir()
    for name, size in BODY_SIZES.items():
        with open(folder / name, "wb") as body:
            body.truncate(size)
            for offset in range(0, size, MIB):
                body.seek(offset)
                body.write(bytes(range(256)) * (MIB // 256))
    ports = (free_port(), free_port())
    config = folder / "nginx.conf"
    config.write_text(_config(folder, ports, free_port(), everywhere, len(bench.cores.load)))
    log = folder / "log"
    nginx = find_tool("nginx", "nginx")
    process = bench.start([nginx, "-p", folder, "-c", config], bench.cores.load, log=log)
    wait_for_port(ports[1], process, log)
    return Origin(ports, process)


def _config(folder: Path, ports: tuple[int, int], sink: int, everywhere: bool, cores: int) -> str:
    first = f"listen 0.0.0.0:{ports[0]} backlog=8192; allow 127.0.0.0/8; deny all;"
    if not everywhere:
        first = f"listen 127.0.0.1:{ports[0]} backlog=8192;"
    # `return` answers without touching a file; a body is read to its end before it is answered, by way of a server of its own.
    return f"""\
daemon off;
{user()}
pid {folder}/pid;
worker_processes {max(1, cores // 2)};
worker_rlimit_nofile 65000;
error_log stderr crit;
events {{ worker_connections 32000; }}
http {{
{temporary_paths(folder)}
    access_log off;
    sendfile on;
    default_type text/plain;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    open_file_cache max=10 inactive=600s;
    server {{
        {first}
        listen 127.0.0.1:{ports[1]} backlog=8192;
        location / {{ return 200 "{"0123456789abcde " * (ANSWER_BYTES // 16)}"; }}
        location = /told {{ return 200 "$http_x_request_id|$http_x_forwarded_for"; }}
        location /body/ {{ alias {folder}/; }}
        location = /sink {{
            client_body_buffer_size {SINK_BYTES_MAX};
            proxy_request_buffering on;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_method GET;
            proxy_pass http://127.0.0.1:{sink};
        }}
    }}
    server {{
        listen 127.0.0.1:{sink};
        location / {{ return 200 "taken"; }}
    }}
}}
"""


def user() -> str:
    """As root nginx would change to a user who may not enter the temporary folder."""
    return "user root root;" if os.geteuid() == 0 else ""


def temporary_paths(folder: Path) -> str:
    """Every folder that nginx would otherwise want at a place of the system."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "\n".join(f"    {kind}_temp_path {folder}/{kind};" for kind in kinds)
