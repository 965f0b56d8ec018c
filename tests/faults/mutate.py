"""Model files as damage and malice make them: the graph, the appended zip, the contract, the labels."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.engines.damage import mutated, structure

#: What a person or a program may be shown, and what it could do there.
NASTY_TEXTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\x1b[2J\x1b]0;owned\x07",
    "cam/+/#",
    "$SYS/broker",
    "../../../../etc/passwd",
    "\u202egnp.exe",
    "a\nb\rc\0d",
    "x" * 100_000,
    "{{7*7}}%s%n${jndi:ldap://x}",
    "",
)
_NUMBERS = (0, -1, 1, 2**31 - 1, 2**31, 2**63, 10**400, 1e308, -1e308, 5e-324, 0.1)
_OTHERS: tuple[Any, ...] = (None, True, [], {}, [[]], {"a": {}}, "nan", "0x41")
_BOMB = b"\0" * (64 * 2**20)


@dataclass
class Seed:
    """One good model to start from.

    Attributes:
        name: of the file.
        data: its bytes.
        places: positions in it that are not weights.
        graph: bytes before the appended zip.
        members: what is appended.
    """

    name: str
    data: bytes
    places: list[int] = field(init=False, repr=False)
    graph: bytes = field(init=False, repr=False)
    members: dict[str, bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.places = structure(self.data)
        try:
            with zipfile.ZipFile(io.BytesIO(self.data)) as archive:
                self.graph = self.data[: min(entry.header_offset for entry in archive.infolist())]
                self.members = {name: archive.read(name) for name in archive.namelist()}
        except (zipfile.BadZipFile, ValueError):
            self.graph, self.members = self.data, {}


def mutate(seed: Seed, chance: random.Random) -> tuple[str, bytes]:
    """(kind of damage, the damaged file); the same ``chance`` makes the same file."""
    name = chance.choice(tuple(KINDS) if seed.members else tuple(_GRAPH))
    return name, KINDS[name](seed, chance)


def _places(seed: Seed, chance: random.Random) -> bytes:
    return mutated(seed.data, chance, seed.places)


def _truncated(seed: Seed, chance: random.Random) -> bytes:
    return seed.data[: chance.randrange(len(seed.data))]


def _moved(seed: Seed, chance: random.Random) -> bytes:
    """A stretch of the file over another one: whole tables where others belong."""
    size = chance.choice((4, 8, 16, 64, 256))
    source, target = (min(chance.choice(seed.places), len(seed.data) - size) for _ in range(2))
    return seed.data[:target] + seed.data[source : source + size] + seed.data[target + size :]


def _offsets(seed: Seed, chance: random.Random) -> bytes:
    """Offsets that lead back, to themselves, or to another table."""
    out = bytearray(seed.data)
    for _ in range(chance.choice((1, 2, 3))):
        at = min(chance.choice(seed.places), len(out) - 4) & ~3
        target = chance.choice(seed.places)
        struct.pack_into("<I", out, at, (target - at) & 0xFFFFFFFF)
    return bytes(out)


def _zip_bytes(seed: Seed, chance: random.Random) -> bytes:
    tail = len(seed.data) - len(seed.graph)
    out = bytearray(seed.data)
    for _ in range(chance.choice((1, 2, 8))):
        # The directory is at the end: that is where a reader begins.
        back = min(tail, chance.choice((22, 200, tail)))
        out[len(out) - 1 - chance.randrange(back)] = chance.randrange(256)
    return bytes(out)


def _zip_members(seed: Seed, chance: random.Random) -> bytes:
    members = dict(seed.members)
    kind = chance.randrange(5)
    if kind == 0:
        members |= {f"{number}": b"" for number in range(400)}
    elif kind == 1:
        members = {
            chance.choice(("../", "/etc/", "C:\\", "a\x1b/")) + name: data for name, data in members.items()
        }
    elif kind == 2:
        members[chance.choice(("labels.txt", "edgecam.json"))] = _BOMB
    elif kind == 3 and members:
        members.pop(chance.choice(sorted(members)))
    else:
        members |= {name: chance.randbytes(200) for name in ("labels.txt", "edgecam.json")}
    return seed.graph + _zipped(members, zipfile.ZIP_DEFLATED)


def _labels(seed: Seed, chance: random.Random) -> bytes:
    lines = seed.members.get("labels.txt", b"").decode("utf-8", "replace").split("\n")
    for _ in range(chance.choice((1, 3, len(lines)))):
        lines[chance.randrange(len(lines))] = chance.choice(NASTY_TEXTS)
    text = "\n".join(lines)
    if chance.random() < 0.2:
        text = f"{chance.choice((999_999, 10**30))} {text}"
    data = text.encode("utf-8", "surrogatepass")
    data = data if chance.random() < 0.9 else data.replace(b"e", b"\xff")
    return seed.graph + _zipped({**seed.members, "labels.txt": data})


def _contract(seed: Seed, chance: random.Random) -> bytes:
    value = json.loads(seed.members["edgecam.json"])
    for _ in range(chance.choice((1, 1, 2, 5))):
        # What the device works by, more often than what it only shows.
        part = value.get(chance.choice(("input", "options", "outputs"))) if chance.random() < 0.5 else value
        _twist(part if part and isinstance(part, dict) else value, chance)
    text = json.dumps(value)
    if chance.random() < 0.1:
        text = "[" * 100_000 + text
    return seed.graph + _zipped({**seed.members, "edgecam.json": text.encode()})


def _twist(value: dict[str, Any], chance: random.Random) -> None:
    """Change one value somewhere in a JSON object."""
    node: Any = value
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = chance.choice(keys)
        child = node[key]
        if not isinstance(child, dict | list) or not child or chance.random() < 0.3:
            break
        node = child
    alike = NASTY_TEXTS if isinstance(child, str) else _NUMBERS
    new = chance.choice(alike if chance.random() < 0.6 else (*_NUMBERS, *_OTHERS, *NASTY_TEXTS, [0] * 3000))
    if isinstance(child, list) and child and chance.random() < 0.3:
        new = child * chance.choice((2, 1000))
    node[key] = new


def _zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


_GRAPH: dict[str, Callable[[Seed, random.Random], bytes]] = {
    "bytes at structural places": _places,
    "offsets redirected": _offsets,
    "a stretch moved": _moved,
    "truncated": _truncated,
}
KINDS = {
    **_GRAPH,
    "zip bytes": _zip_bytes,
    "zip members": _zip_members,
    "labels": _labels,
    "contract": _contract,
}
