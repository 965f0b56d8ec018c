"""Other cameras' pages, to be shown beside this one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit


@dataclass(frozen=True)
class Neighbour:
    """Another edgecam.

    Attributes:
        name: for people.
        origin: ``http://door:8080``, what pictures may be loaded from.
        path: of its page, with ``/`` at the end.
        token: to be shown there, "" for none.
    """

    name: str
    origin: str
    path: str
    token: str

    def as_dict(self) -> dict[str, str]:
        token = f"?token={quote(self.token, safe='')}" if self.token else ""
        base = self.origin + self.path
        return {"name": self.name, "page": base + token, "picture": f"{base}snapshot.jpg{token}"}


def parse(text: str) -> tuple[Neighbour, ...]:
    """``Door=http://door:8080?token=SECRET,http://garage:8080``.

    Raises:
        ValueError: what is expected.
    """
    return tuple(_one(item.strip()) for item in text.split(",") if item.strip())


def _one(text: str) -> Neighbour:
    match = re.fullmatch(r"(?:([^=/]*)=)?(https?://\S+)", text)
    wanted = "expected addresses of pages, NAME=http://HOST:PORT?token=TOKEN, separated by commas"
    if match is None:
        raise ValueError(wanted)
    try:
        parts = urlsplit(match[2])
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(wanted) from None
    # It becomes a word of the content security policy: nothing but what a host's name is made of.
    if not host or not re.fullmatch(r"[A-Za-z0-9_.:-]+", host) or "@" in parts.netloc:
        raise ValueError(wanted)
    shown = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{shown}" + ("" if port is None else f":{port}")
    # Not parse_qs: a token that was made by edgecam has no +, and one that has is written %2B.
    token = next((p[6:] for p in parts.query.split("&") if p.startswith("token=")), "")
    return Neighbour((match[1] or "").strip() or host, origin, parts.path.rstrip("/") + "/", unquote(token))
