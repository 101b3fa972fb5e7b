"""The data as the pictures and tables read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .bench import MeasureError
from .results import FORMAT

#: How peers are called in titles.
PEER_TITLES = {"tollgate": "Tollgate", "haproxy": "HAProxy", "nginx": "nginx"}

Document = dict[str, Any]


def read_document(folder: Path, kind: str) -> Document | None:
    """The results of one command, if they are there."""
    path = folder / f"{kind}.json"
    if not path.exists():
        return None
    document: Document = json.loads(path.read_text())
    if document.get("format") != FORMAT or document.get("kind") != kind:
        raise MeasureError(f"{path} is not what this version of `{kind}` writes: measure again")
    return document


def figure_of(entry: Document) -> tuple[Document | None, bool]:
    """The spread of an entry's value, and whether it is of undisturbed samples."""
    if entry.get("value"):
        return entry["value"], True
    return entry.get("disturbed"), False


def title_of(label: str) -> str:
    peer, _, mode = label.partition(" ")
    title = PEER_TITLES.get(peer, peer)
    return f"{title}, {mode}" if mode else title


def stated(document: Document) -> str:
    """Where, when and by what, in one sentence."""
    machine, versions, settings = document["machine"], document["versions"], document["settings"]
    text = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}, {machine['system']}"
    )
    text += f"; {document['cores']}{' (shared)' if document['shared_cores'] else ''}; {document['date']}"
    text += "; " + ", ".join(f"{title_of(name) if name in PEER_TITLES else name} {version}" for name, version in versions.items())
    if "rounds" in settings:
        text += f"; rounds: {settings['rounds']}"
    if settings.get("seconds"):
        text += f", turns of {settings['seconds']:g} s"
    return text
