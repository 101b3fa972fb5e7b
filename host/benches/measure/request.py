"""The request that everybody gets, and how its answer looks."""

from __future__ import annotations

ANSWER_BYTES = 1024
MIB = 1 << 20

#: What a browser says; with the request line and `Host` some 690 bytes.
BROWSER_HEADERS: tuple[tuple[str, str], ...] = (
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("Accept-Language", "en-GB,en;q=0.7,nb;q=0.3"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Referer", "http://shop.example.com/catalogue/lamps?page=4&sort=price"),
    (
        "Cookie",
        "session=5d0c84c7e1f94f0b8d2a; theme=dark; consent=necessary; basket=17-3-220-4; visits=41; last-seen=lamp-0317%2Clamp-0442",
    ),
    ("Upgrade-Insecure-Requests", "1"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-User", "?1"),
    ("Priority", "u=0, i"),
    ("Cache-Control", "max-age=0"),
)


def header_options(host: str | None = None) -> list[str]:
    """The headers as both wrk and h2load take them."""
    pairs = (("Host", host), *BROWSER_HEADERS) if host else BROWSER_HEADERS
    return [part for name, value in pairs for part in ("-H", f"{name}: {value}")]


def request_bytes(path: str, host: str) -> bytes:
    """The request as it goes over HTTP/1.1."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in BROWSER_HEADERS)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
