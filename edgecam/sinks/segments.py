"""``record:FOLDER?segment=5m``: all pictures, in MP4 files of some minutes each; also ``segments:FOLDER``.

``FOLDER/2026-11-25/segment-140500.mp4`` begins at 14:05:00 local time; the file itself says so in UTC
(``creation_time``), and each picture has the time at which it was captured. While a camera is away there is
no segment. A power cut costs at most the open one, and of that most plays (:mod:`edgecam.storage`).

Options:
    segment: length of a file; the next begins with the first picture that stands for itself after that.
    codec: ``auto``: the camera's JPEG as it is; where there is none H.264 if ``ffmpeg`` is installed (by
        a chip if one does it), else MPEG-4. Or ``jpeg``, ``h264``, ``mpeg4``.
    boxes: draw what the overlay draws; then nothing of the camera can be kept as it is.
    fps: at most so many pictures a second; 0 keeps each.
    age, size, free: what is deleted, see ``docs/recording.md``.
"""

from __future__ import annotations

from edgecam.errors import UsageError
from edgecam.quantities import parse_duration, show_duration
from edgecam.registry import URI
from edgecam.sinks.base import SinkContext
from edgecam.sinks.coding import Unit, coder_options, make_coder
from edgecam.sinks.keeping import KeepingSink
from edgecam.sinks.movie import Movie, limit_words
from edgecam.types import Packet

_MOST_BYTES = 2 << 30  # of one file; FAT takes four
_SHARE = 8  # of the size limit that one file may be, so that deleting one makes little gap
_GAP = 10.0  # seconds without a picture after which another file begins


class SegmentsSink(KeepingSink):
    """Keeps all pictures in files of some minutes.

    Attributes:
        films: the folder.
    """

    kind = "segment"

    def __init__(self, uri: URI) -> None:
        super().__init__(uri, segment=(parse_duration, 300.0), **coder_options())
        options = self._options
        self.films = self._folder
        self._length: float = options["segment"]
        if self._length < 1:
            raise UsageError(f"{uri.safe}: segment={self._length:g} s is too short", "1s or more")
        self._most = min(_MOST_BYTES, self._limits.size // _SHARE or _MOST_BYTES)
        self._coder = make_coder(options)
        self._movie: Movie | None = None

    def _open(self, context: SinkContext) -> None:
        self._coder.open()
        super()._open(context)
        context.report(
            f"recording to {self._folder} in files of {show_duration(self._length)} "
            f"({self._coder.words}), {limit_words(self._limits)}"
        )

    def _handle(self, packet: Packet) -> None:
        if packet.result is None:  # the camera is away: what comes then is another film
            self._keep(self._coder.close())
            self._close_movie()
            return
        self._coder.push(packet, packet.frame.moment)
        self._keep(self._coder.take())

    def _keep(self, units: list[Unit]) -> None:
        for unit in units:
            if self._movie is not None and self._is_over(self._movie, unit):
                self._close_movie()
            if self._movie is None:
                self._movie = self._archive.begin(unit) if unit.key else None
            elif not self._archive.add(self._movie, unit):
                self._movie = None

    def _is_over(self, movie: Movie, unit: Unit) -> bool:
        apart = not 0 <= unit.at - movie.last < _GAP or unit.track is not movie.track
        full = unit.at - movie.start.at >= self._length or movie.bytes >= self._most
        return apart or (full and unit.key)

    def _close_movie(self) -> None:
        if self._movie is not None:
            self._archive.end(self._movie)
        self._movie = None

    def _finish(self) -> None:
        if self._opened is None:
            return
        try:
            self._keep(self._coder.close())
        finally:
            self._close_movie()
            self._archive.close()
