"""A line of text in any script as a small bitmap.

Pillow is loaded with the first of them: a run that nobody watches needs none.
"""

from __future__ import annotations

import functools
import logging
import math
import threading
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgecam.text import arabic, bidi, fonts
from edgecam.types import Image

if TYPE_CHECKING:
    from PIL import ImageFont

log = logging.getLogger(__name__)

_MAX_CHARS = 200
_ELLIPSIS = "…"
_JOINERS = {"\u200c", "\u200d"}  # they shape Indic and Persian words
_ASCENT, _DESCENT = 0.79, 0.25  # of the em: room for b and g; what is taller gets more
_lock = threading.Lock()  # FreeType faces are not for two threads at once


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of one font and one direction, ready to draw at ``x``."""

    text: str
    font: ImageFont.FreeTypeFont
    direction: str | None
    x: float
    bbox: tuple[float, float, float, float]


class Line(NamedTuple):
    """A drawn line: its ink, uint8 (H, W), and how many of the rows stand above the baseline."""

    ink: Image
    above: int


@functools.cache
def can_shape() -> bool:
    """Whether Pillow shapes complex scripts here (it needs the system's FriBiDi)."""
    from PIL import features

    return bool(features.check("raqm"))


def clean(text: str) -> str:
    """One printable line: composed (NFC), no control or formatting characters, blanks as single spaces."""
    text = unicodedata.normalize("NFC", text[: 4 * _MAX_CHARS])
    spaced = "".join(" " if c.isspace() else c for c in text)
    shown = "".join(c for c in spaced if c in _JOINERS or unicodedata.category(c) not in {"Cc", "Cf", "Cs"})
    return " ".join(shown.split())[:_MAX_CHARS]


def width(text: str, size: int) -> int:
    """Width of a line in pixels at ``size`` pixels per em."""
    with _lock:
        return math.ceil(_layout(clean(text), size)[1])


def line(text: str, size: int, max_width: int | None = None) -> Line:
    """Draw a line of text.

    Args:
        text: any script; cleaned with :func:`clean`.
        size: pixels per em.
        max_width: a longer line is cut and ends in an ellipsis.

    Returns:
        The ink, 255 where it is full; at least as high as plain Latin, higher where a script needs it.
    """
    from PIL import Image as PilImage
    from PIL import ImageDraw

    text = clean(text)
    with _lock:
        if max_width is not None:
            text = _fit(text, size, max_width)
        pieces, advance = _layout(text, size)
        boxes = [p.bbox for p in pieces]
        left = min([0.0, *(p.x + p.bbox[0] for p in pieces)])
        right = max([advance, *(p.x + p.bbox[2] for p in pieces)])
        top = max([_ASCENT * size, *(-b[1] for b in boxes)])
        bottom = max([_DESCENT * size, *(b[3] for b in boxes)])
        baseline = math.ceil(top)
        canvas = PilImage.new("L", (max(1, math.ceil(right - left)), baseline + math.ceil(bottom)))
        draw = ImageDraw.Draw(canvas)
        for piece in pieces:
            draw.text(
                (piece.x - left, baseline),
                piece.text,
                fill=255,
                font=piece.font,
                anchor="ls",
                direction=piece.direction,
            )
        return Line(np.asarray(canvas), baseline)


def _fit(text: str, size: int, max_width: int) -> str:
    """The longest beginning of a line that fits, with an ellipsis if it was cut; "" if nothing fits."""
    if _layout(text, size)[1] <= max_width:
        return text
    low, high = 0, len(text)
    while low < high:  # how many characters stay
        middle = (low + high + 1) // 2
        if _layout(text[:middle].rstrip() + _ELLIPSIS, size)[1] <= max_width:
            low = middle
        else:
            high = middle - 1
    while low > 0 and low < len(text) and unicodedata.category(text[low])[0] == "M":
        low -= 1  # never part a mark from its letter
    return text[:low].rstrip() + _ELLIPSIS if low else ""


@functools.lru_cache(maxsize=64)
def _layout(text: str, size: int) -> tuple[list[_Piece], float]:
    """The pieces of a line from left to right, and the width of it all."""
    from PIL import ImageFont

    layout = ImageFont.Layout.RAQM if can_shape() else ImageFont.Layout.BASIC
    pieces: list[_Piece] = []
    x = 0.0
    for run, backwards in bidi.visual_runs(text):
        stretches = _by_font(run)
        for stretch, face in reversed(stretches) if backwards else stretches:
            direction = None
            if can_shape():
                direction = "rtl" if backwards else "ltr"
            else:
                _warn_unshaped(stretch)
                if backwards:
                    stretch = arabic.visual(stretch)
            font = fonts.load(face.path, size, layout)
            box = font.getbbox(stretch, anchor="ls", direction=direction)
            pieces.append(_Piece(stretch, font, direction, x, box))
            x += font.getlength(stretch, direction=direction)
    return pieces, x


def _by_font(run: str) -> list[tuple[str, fonts.Face]]:
    """Split a run where the font must change; marks, joiners and blanks stay with what they follow."""
    out: list[tuple[str, fonts.Face]] = []
    for char in run:
        last = out[-1][1] if out else None
        face = last if last is not None and _stays(char, last) else _face(char)
        if last is face:
            out[-1] = (out[-1][0] + char, face)
        else:
            out.append((char, face))
    return out


def _face(char: str) -> fonts.Face:
    return fonts.face_for(char) or fonts.bundled()[0]  # which draws a hollow box for what nobody has


def _stays(char: str, face: fonts.Face) -> bool:
    mark = char == " " or unicodedata.category(char)[0] == "M"
    return char in _JOINERS or (mark and face.covers(char))


@functools.cache
def _warn_once(remedy: str) -> None:
    log.warning("labels in Indic and South-East Asian scripts are drawn without shaping: %s", remedy)


def _warn_unshaped(text: str) -> None:
    # Devanagari (U+0900) to Myanmar and Khmer (U+17FF), less Georgian, Hangul and Ethiopic in between
    if any("\u0900" <= c <= "\u109f" or "\u1780" <= c <= "\u17ff" for c in text):
        _warn_once("apt install libfribidi0")
