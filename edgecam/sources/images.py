"""``images:`` picture files: one, a folder, or a glob, in natural order (``2.jpg`` before ``10.jpg``).

Each picture is seen once, unless an option makes a slide show of them::

    images:holiday               the pictures in a folder
    images:holiday?recursive=yes and in the folders below
    images:holiday/*.jpg         a glob; ** crosses folders
    images:holiday?fps=0.5       a slide show: live, one picture each two seconds
    images:holiday?loop=yes      the same without end (fps=1 if not given)

The EXIF orientation is honoured; 16-bit and gray pictures become 8-bit RGB; transparency is laid on white.
"""

from __future__ import annotations

import glob
import logging
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgecam.errors import FrameError, SourceError
from edgecam.registry import PICTURE_SUFFIXES, URI, parse_bool
from edgecam.sources import options as converters
from edgecam.sources.pace import Pacer
from edgecam.types import Frame, Image

if TYPE_CHECKING:
    from PIL import Image as pil

log = logging.getLogger(__name__)


def natural(path: str) -> list[tuple[int, str]]:
    """A sort key that counts digits as numbers."""
    return [(int(t), "") if t.isdecimal() else (-1, t.casefold()) for t in re.split(r"(\d+)", path) if t]


def load_picture(path: Path) -> Image:
    """Read a picture file, upright, as RGB uint8 (H, W, 3).

    Raises:
        FrameError: not a picture, broken, or not readable.
    """
    from PIL import Image as pil
    from PIL import ImageOps, UnidentifiedImageError

    try:
        with pil.open(path) as picture:
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            return np.array(_to_rgb(upright), np.uint8)
    except UnidentifiedImageError as error:
        raise FrameError(f"{path} is not a picture of a known kind") from error
    # Pillow's decoders raise nearly anything on broken data.
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, pil.DecompressionBombError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise FrameError(f"{path} cannot be read ({why})") from error


def _to_rgb(picture: pil.Image) -> pil.Image:
    from PIL import Image as pil

    if picture.mode.startswith("I") or picture.mode == "F":
        return pil.fromarray(_eight_bit(picture)).convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        return pil.alpha_composite(pil.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return picture.convert("RGB")


def _eight_bit(picture: pil.Image) -> Image:
    """A gray picture of 16-bit numbers, or of floats 0 to 1 or 0 to 255, as (H, W) uint8."""
    if picture.mode == "F":
        values = np.nan_to_num(np.asarray(picture, np.float64))
        gray = values * 255 if values.max(initial=0) <= 1 else values
        return np.clip(gray + 0.5, 0, 255).astype(np.uint8)
    # Pillow's modes I;16 and I (how a 16-bit PNG or TIFF is opened) both hold 0 to 65535.
    high: Image = np.clip(np.asarray(picture, np.int64) >> 8, 0, 255).astype(np.uint8)
    return high


class ImagesSource:
    """See the module's docstring. A broken picture is skipped, counted in ``broken`` and logged by name."""

    def __init__(self, uri: URI) -> None:
        options = uri.options(
            recursive=(parse_bool, False),
            fps=(converters.fps, None),
            loop=(parse_bool, False),
        )
        self.name = uri.safe
        self.live: bool = options["fps"] is not None or options["loop"]
        self.total: int | None = None
        self.broken = 0
        self._place = uri.path
        self._recursive: bool = options["recursive"]
        self._loop: bool = options["loop"]
        self._fps: float = options["fps"] or 1.0
        self._pacer = Pacer(slack=1 / self._fps)
        self.patience = 2 / self._fps
        self._base = Path()
        self._paths: list[Path] = []
        self._index = 0
        self._seq = 0
        self._good = 0
        self._good_in_turn = 0
        self._reported: set[Path] = set()

    def open(self) -> None:
        """List the pictures. A folder's list is made here once: later files are not seen.

        Raises:
            SourceError: no such file or folder, or no picture in it.
        """
        try:
            self._base, self._paths = self._find()
        except OSError as error:
            raise SourceError(
                f"{self.name} cannot be read ({error.strerror})", "check path and rights"
            ) from error
        self._index, self._good_in_turn = 0, 0
        self.total = None if self._loop else len(self._paths)
        self._pacer.start()

    def _find(self) -> tuple[Path, list[Path]]:
        """The folder that names are told from, and the pictures."""
        if not self._place:
            raise SourceError("images: names no picture", "write images:FOLDER, images:FILE or images:*.jpg")
        place = Path(self._place).expanduser()
        if place.is_file():
            return place.parent, [place]
        if place.is_dir():
            paths = self._in_folder(place)
            deeper = "" if self._recursive else ", or recursive=yes to look in the folders below it"
            base, where = place, f"folder {place}"
        elif any(c in self._place for c in "*?["):
            found = glob.glob(str(place), recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
            paths = [p for p in map(Path, found) if p.is_file() and p.suffix.lower() in PICTURE_SUFFIXES]
            base = Path(os.path.commonpath([p.parent for p in paths])) if paths else Path()
            deeper, where = "", f"glob {self._place}"
        else:
            raise SourceError(f"no such picture or folder: {place}", "check the path")
        if not paths:
            kinds = " ".join(sorted(PICTURE_SUFFIXES))
            raise SourceError(f"{where} holds no picture", f"expected files of kind {kinds}{deeper}")
        return base, sorted(paths, key=lambda p: natural(str(p)))

    def _in_folder(self, folder: Path) -> list[Path]:
        # Hidden files are thumbnails and leftovers ("._photo.jpg" of a Mac), not pictures.
        return [
            p
            for p in (folder.rglob("*") if self._recursive else folder.iterdir())
            if p.suffix.lower() in PICTURE_SUFFIXES and not p.name.startswith(".") and p.is_file()
        ]

    def read(self) -> Frame | None:
        """The next good picture.

        Raises:
            SourceError: not one of the pictures could be decoded.
        """
        while True:
            if self._index >= len(self._paths):
                if not self._good_in_turn:
                    raise SourceError(f"{self.name}: none of {len(self._paths)} pictures could be decoded")
                if not self._loop:
                    return None
                self._index, self._good_in_turn = 0, 0
            path = self._paths[self._index]
            frame = self._load(path, self._seq)
            self._index += 1
            self._seq += 1
            if frame is not None:
                self._good_in_turn += 1
                return frame

    def _load(self, path: Path, seq: int) -> Frame | None:
        try:
            image = load_picture(path)
        except FrameError as error:
            if len(self._paths) == 1:
                raise SourceError(error.message) from error
            if path not in self._reported:
                self._reported.add(path)
                self.broken += 1
                log.warning("skipped: %s", error.message)
            return None
        captured = self._pacer.wait(self._good / self._fps) if self.live else time.monotonic()
        self._good += 1
        name = path.relative_to(self._base).as_posix()
        return Frame(seq, image, source=self.name, captured=captured, name=name)

    def close(self) -> None:
        self._pacer.wake()
