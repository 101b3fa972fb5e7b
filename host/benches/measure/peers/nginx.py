"""nginx as a proxy."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..bench import Bench, MeasureError, find_tool
from ..origin import temporary_paths, user
from . import Setting

STREAM_MODULES = ("/usr/lib/nginx/modules/ngx_stream_module.so",)


class Nginx:
    name = "nginx"
    #: It has no filter language of its own that is called for every request: `called` is missing.
    modes: tuple[str, ...] = ("plain", "filters", "tls", "h2c", "tcp")

    def __init__(self, binary: str | None = None, stream_module: str | None = None) -> None:
        self.binary = binary or find_tool("nginx", "nginx")
        self.stream_module = stream_module

    def version(self) -> str:
        said = subprocess.run([self.binary, "-v"], capture_output=True, text=True).stderr
        return said.strip().rpartition("/")[2]

    def command(self, setting: Setting) -> list[object]:
        config = setting.folder / "nginx.conf"
        body = self._tcp(setting) if setting.mode == "tcp" else _http(setting)
        config.write_text(
            f"daemon off;\n{user()}\npid {setting.folder}/pid;\nworker_processes {setting.workers};\n"
            f"worker_rlimit_nofile 65000;\nerror_log stderr crit;\n{body}"
        )
        return [self.binary, "-p", setting.folder, "-c", config]

    def environment(self, bench: Bench) -> dict[str, str]:
        return {}

    def _tcp(self, setting: Setting) -> str:
        module = self.stream_module or next((path for path in STREAM_MODULES if Path(path).exists()), None)
        if module is None:
            raise MeasureError("nginx has no stream module: apt-get install libnginx-mod-stream")
        return f"""\
load_module {module};
events {{ worker_connections 60000; }}
stream {{
    upstream origins {{ {_servers(setting)} }}
    server {{ listen 127.0.0.1:{setting.port} backlog=8192; proxy_pass origins; proxy_timeout 600s; }}
}}
"""


def _servers(setting: Setting) -> str:
    return " ".join(f"server 127.0.0.1:{port};" for port in setting.origins)


def _http(setting: Setting) -> str:
    listen = {"tls": " ssl http2", "h2c": " http2"}.get(setting.mode, "")
    extra = {
        # It cannot leave `Server` out altogether without a further module: it sends its own, without a version.
        "filters": """\
        server_tokens off;
        proxy_set_header X-Request-Id $request_id;
        proxy_set_header X-Forwarded-For $remote_addr;
        location ^~ /admin { return 403; }""",
        "tls": f"""\
        ssl_certificate {setting.certificate};
        ssl_certificate_key {setting.key};
        ssl_protocols TLSv1.3;
        ssl_session_cache shared:tls:10m;""",
    }.get(setting.mode, "")
    return f"""\
events {{ worker_connections 60000; }}
http {{
{temporary_paths(setting.folder)}
    access_log off;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    upstream origins {{ {_servers(setting)} keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s; }}
    server {{
        listen 127.0.0.1:{setting.port}{listen} backlog=8192;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
{extra}
        location / {{ proxy_pass http://origins; }}
    }}
}}
"""
