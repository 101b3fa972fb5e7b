"""Before a proxy is measured: does it do what it is measured for?"""

from __future__ import annotations

import http.client
import socket
import ssl

from .bench import MeasureError
from .peers import Proxy
from .request import ANSWER_BYTES, BROWSER_HEADERS


def check_work(proxy: Proxy) -> None:
    """Asks once, and where filters work also whether they did."""
    if proxy.mode == "h2c":
        return _check_preface(proxy)
    status, headers, body = _ask(proxy, "/")
    if status != 200 or len(body) != ANSWER_BYTES:
        raise MeasureError(f"{proxy.label} in mode {proxy.mode} answered {status} with {len(body)} bytes")
    if proxy.mode in ("filters", "called"):
        _check_filters(proxy, headers.get("server"))


def _check_filters(proxy: Proxy, server: str | None) -> None:
    told = _ask(proxy, "/told")[2].decode()
    identifier, _, forwarded = told.partition("|")
    # nginx always sends a `Server` of its own, here at least without a version.
    if server not in (None, "nginx") or (server and not proxy.label.startswith("nginx")):
        raise MeasureError(f"{proxy.label} in mode {proxy.mode} let `Server: {server}` pass")
    if len(identifier) < 16 or forwarded != "127.0.0.1":
        raise MeasureError(f"{proxy.label} in mode {proxy.mode} told the origin `{told}`")
    denied = _ask(proxy, "/admin/x")[0]
    if denied != 403:
        raise MeasureError(f"{proxy.label} in mode {proxy.mode} answered {denied} to /admin/x")


def _check_preface(proxy: Proxy) -> None:
    """HTTP/2 in the clear: our preface and empty SETTINGS are answered by SETTINGS."""
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        head = connection.recv(9, socket.MSG_WAITALL)
    if len(head) < 9 or head[3] != 4:
        raise MeasureError(f"{proxy.label} does not speak HTTP/2 in the clear")


def _ask(proxy: Proxy, path: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    if proxy.mode == "tls":
        context = ssl._create_unverified_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=5, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    try:
        plain = {name: value for name, value in BROWSER_HEADERS if name != "Accept-Encoding"}
        connection.request("GET", path, headers=plain)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise MeasureError(f"{proxy.label} in mode {proxy.mode} gave no answer: {error}") from error
    finally:
        connection.close()
