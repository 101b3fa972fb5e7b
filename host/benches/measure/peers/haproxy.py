"""HAProxy: the yardstick."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..bench import Bench, find_tool
from . import CONNECTIONS_MAX, Setting

LUA = """\
core.register_action("before", { "http-req" }, function(txn)
    if txn.sf:path():sub(1, 6) == "/admin" then
        local reply = txn:reply({ status = 403 })
        txn:done(reply)
    end
    txn.http:req_set_header("X-Request-Id", string.format("%08x%08x", math.random(0, 0xffffffff), math.random(0, 0xffffffff)))
    txn.http:req_set_header("X-Forwarded-For", txn.sf:src())
end)
core.register_action("after", { "http-res" }, function(txn)
    txn.http:res_del_header("Server")
end)
"""


class HAProxy:
    name = "haproxy"
    modes: tuple[str, ...] = ("plain", "filters", "called", "tls", "h2c", "tcp", "splice")

    def __init__(self, binary: str | None = None) -> None:
        self.binary = binary or find_tool("haproxy", "haproxy")

    def version(self) -> str:
        said = subprocess.run([self.binary, "-v"], capture_output=True, text=True).stdout
        return said.replace("version ", "").split()[1]

    def command(self, setting: Setting) -> list[object]:
        config = setting.folder / "haproxy.cfg"
        config.write_text(_config(setting))
        return [self.binary, "-db", "-f", config]

    def environment(self, bench: Bench) -> dict[str, str]:
        return {}


def _config(setting: Setting) -> str:
    mode = setting.mode
    lines = ["global", f"    maxconn {CONNECTIONS_MAX}", "    no strict-limits", f"    nbthread {setting.workers}"]
    lines += ["    ssl-default-bind-options ssl-min-ver TLSv1.3"]
    if mode == "called":
        lines.append(f"    lua-load-per-thread {_lua(setting.folder)}")
    lines += ["defaults", f"    mode {'tcp' if mode == 'tcp' else 'http'}"]
    lines += [f"    timeout {name}" for name in ("connect 5s", "client 600s", "server 600s")]
    if mode in ("tcp", "splice"):
        lines.append("    option splice-auto")
    if mode != "tcp":
        lines += ["    timeout http-keep-alive 600s", "    http-reuse always"]
    lines += ["frontend measured", f"    bind 127.0.0.1:{setting.port} backlog 8192{_bind(setting)}"]
    lines += {
        "filters": [
            "    http-request deny deny_status 403 if { path_beg /admin }",
            "    http-request set-header X-Request-Id %[uuid()]",
            "    http-request set-header X-Forwarded-For %[src]",
            "    http-response del-header Server",
        ],
        "called": ["    http-request lua.before", "    http-response lua.after"],
    }.get(mode, [])
    lines += ["    default_backend origins", "backend origins", "    balance roundrobin"]
    lines += [f"    server o{number} 127.0.0.1:{port}" for number, port in enumerate(setting.origins)]
    return "\n".join(lines) + "\n"


def _bind(setting: Setting) -> str:
    options = {"tls": f" ssl crt {setting.both} alpn h2,http/1.1", "h2c": " proto h2"}
    return options.get(setting.mode, "")


def _lua(folder: Path) -> Path:
    script = folder / "filter.lua"
    script.write_text(LUA)
    return script
