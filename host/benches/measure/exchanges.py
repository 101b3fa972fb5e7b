"""A fixed sequence of exchanges: one client, one origin, both here and both slow enough that the proxy always waits for them."""

from __future__ import annotations

import socket
import threading
import time

from .bench import MeasureError
from .memory import read_answer
from .request import ANSWER_BYTES, request_bytes

#: Each side waits so long before it sends. The proxy has then always gone to sleep, so that how often it is woken, and what it does each
#: time, does not depend on who happens to be faster.
PAUSE_SECONDS = 0.004
#: As `Origin` of nginx answers.
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: "
    + str(ANSWER_BYTES).encode()
    + b"\r\nConnection: keep-alive\r\n\r\n"
    + b"0123456789abcde " * (ANSWER_BYTES // 16)
)


class StillOrigin:
    """Listens on several addresses and answers every request with the same bytes."""

    def __init__(self, endpoints: int) -> None:
        self._listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(endpoints)]
        self.ports = [listening.getsockname()[1] for listening in self._listening]
        for listening in self._listening:
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def close(self) -> None:
        for listening in self._listening:
            listening.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection = listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        received = b""
        with connection:
            while more := _receive(connection):
                received += more
                if received.endswith(b"\r\n\r\n"):
                    received = b""
                    time.sleep(PAUSE_SECONDS)
                    connection.sendall(ANSWER)


def exchange(port: int, count: int) -> None:
    """So many requests, one after the other, on one connection."""
    request = request_bytes("/", "measured.example.com")
    try:
        with socket.create_connection(("127.0.0.1", port), 30) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(count):
                time.sleep(PAUSE_SECONDS)
                connection.sendall(request)
                read_answer(connection)
    except OSError as error:
        raise MeasureError(f"the exchange broke off: {error}") from error


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""
