"""Which font draws which character: the bundled ones first, then the system's.

The bundled fonts (``edgecam/fonts``, licences beside them) cover Latin, Greek, Cyrillic, Chinese, Japanese,
Korean, Arabic, Hebrew and the larger scripts of South and South-East Asia. For anything else the folders
of the system's fonts are looked through once.
"""

from __future__ import annotations

import bisect
import functools
import logging
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL import ImageFont

log = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parent.parent / "fonts"
BASE = "NotoSans-Regular.ttf"
SYSTEM_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("~/.local/share/fonts").expanduser(),
    Path("~/.fonts").expanduser(),
)
_MAX_SYSTEM_FONTS = 1000


class Face:
    """One font file and what it covers. A broken file covers nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def covers(self, char: str) -> bool:
        starts, ends = self._ranges
        i = bisect.bisect_right(starts, ord(char)) - 1
        return i >= 0 and ord(char) <= ends[i]

    @functools.cached_property
    def _ranges(self) -> tuple[list[int], list[int]]:
        try:
            with self.path.open("rb") as file:
                ranges = sorted(_read_ranges(file))
        except (OSError, struct.error, ValueError, IndexError) as error:
            log.debug("font %s skipped: %s", self.path, error)
            ranges = []
        return [first for first, _ in ranges], [last for _, last in ranges]


@functools.lru_cache(maxsize=64)
def load(path: Path, size: int, layout: ImageFont.Layout) -> ImageFont.FreeTypeFont:
    """The font at ``size`` pixels per em."""
    from PIL import ImageFont

    return ImageFont.truetype(str(path), size, layout_engine=layout)


@functools.cache
def bundled() -> tuple[Face, ...]:
    """Noto Sans first, the large CJK fallback last."""
    others = sorted(p for p in FOLDER.glob("NotoSans*.ttf") if p.name != BASE)
    return tuple(Face(p) for p in (FOLDER / BASE, *others, FOLDER / "DroidSansFallback.ttf"))


@functools.cache
def system() -> tuple[Face, ...]:
    """The system's outline fonts, upright regular ones first."""
    paths: list[Path] = []
    for folder in SYSTEM_FOLDERS:
        if folder.is_dir():
            paths += [p for p in folder.rglob("*") if p.suffix.lower() in {".ttf", ".otf", ".ttc"}]

    def rank(path: Path) -> tuple[bool, str]:
        name = path.stem.lower()
        return any(word in name for word in ("bold", "italic", "oblique", "light", "thin", "black")), name

    return tuple(Face(p) for p in sorted(paths, key=rank)[:_MAX_SYSTEM_FONTS])


@functools.lru_cache(maxsize=4096)
def face_for(char: str) -> Face | None:
    """The first face that has the character, or None."""
    for face in bundled():
        if face.covers(char):
            return face
    for face in system():
        if face.covers(char):
            return face
    return None


def _read_ranges(file: BinaryIO) -> list[tuple[int, int]]:
    """The characters that a TrueType or OpenType file maps to glyphs (table ``cmap``), as (first, last)."""
    start = 0
    if file.read(4) == b"ttcf":  # a collection: its first font
        file.seek(12)
        (start,) = struct.unpack(">I", file.read(4))
    file.seek(start + 4)
    (count,) = struct.unpack(">H6x", file.read(8))
    tables = {}
    for _ in range(count):
        tag, offset, length = struct.unpack(">4s4xII", file.read(16))
        tables[tag] = (offset, length)
    if not {b"glyf", b"CFF ", b"CFF2"} & tables.keys():
        raise ValueError("it has no outlines")
    offset, length = tables.get(b"cmap", (0, 0))
    file.seek(offset)
    return list(_cmap_ranges(file.read(length)))


def _cmap_ranges(cmap: bytes) -> Iterator[tuple[int, int]]:
    (count,) = struct.unpack_from(">H", cmap, 2)
    best: dict[int, int] = {}
    for i in range(count):
        platform, encoding, offset = struct.unpack_from(">HHI", cmap, 4 + 8 * i)
        if platform == 0 or (platform == 3 and encoding in {1, 10}):  # Unicode
            best[struct.unpack_from(">H", cmap, offset)[0]] = offset
    if 12 in best:
        at = best[12]
        (groups,) = struct.unpack_from(">I", cmap, at + 12)
        for i in range(groups):
            first, last = struct.unpack_from(">II", cmap, at + 16 + 12 * i)
            yield first, last
    elif 4 in best:
        yield from _format4(cmap, best[4])


def _format4(cmap: bytes, at: int) -> Iterator[tuple[int, int]]:
    (length,) = struct.unpack_from(">H", cmap, at + 2)
    (double,) = struct.unpack_from(">H", cmap, at + 6)
    count = double // 2
    ends = struct.unpack_from(f">{count}H", cmap, at + 14)
    starts = struct.unpack_from(f">{count}H", cmap, at + 16 + double)
    deltas = struct.unpack_from(f">{count}H", cmap, at + 16 + 2 * double)
    offsets = struct.unpack_from(f">{count}H", cmap, at + 16 + 3 * double)
    for i, (first, last, delta, offset) in enumerate(zip(starts, ends, deltas, offsets, strict=True)):
        if first > last or first == 0xFFFF:
            continue
        if offset == 0:
            yield first, last
            continue
        base = at + 16 + 3 * double + 2 * i + offset  # idRangeOffset counts from its own place
        for char in range(first, last + 1):
            where = base + 2 * (char - first)
            if where + 2 > min(at + length, len(cmap)):
                break
            (glyph,) = struct.unpack_from(">H", cmap, where)
            if glyph and (glyph + delta) & 0xFFFF:
                yield char, char
