"""H.264 by ``ffmpeg``: which of its encoders work on this machine, the chips' own first.

That ``ffmpeg`` lists an encoder says only that it was compiled in. So each whose device is there is tried
with a few pictures, and used only if every one comes out, in order, with a header that MP4 can hold.
"""

from __future__ import annotations

import functools
import glob
import io
import logging
import shutil
import subprocess
from dataclasses import dataclass

from edgecam.matroska import coded_pictures

log = logging.getLogger(__name__)

SOFTWARE = "libx264"
GROUP = 30  # pictures from one key picture to the next
_TRIAL = 8  # pictures
_TRIAL_SIZE = (320, 240)
_TRIAL_SECONDS = 8.0
_BITS_PER_PIXEL = 0.1  # of a picture, where an encoder wants a rate


@dataclass(frozen=True)
class _Kind:
    """How one encoder is called.

    Attributes:
        device: pattern of a file without which it cannot work, "" for none.
        options: behind the input; ``{rate}`` stands for bits a second.
        first: before the input.
    """

    device: str
    options: str
    first: str = ""


#: In the order of preference: chips of small boards, of PCs, the CPU.
KINDS = {
    "h264_v4l2m2m": _Kind("/dev/video*", "-pix_fmt yuv420p -b:v {rate} -bf 0"),
    "h264_rkmpp": _Kind("/dev/mpp_service", "-pix_fmt nv12 -b:v {rate} -bf 0"),
    "h264_vaapi": _Kind(
        "/dev/dri/renderD*", "-vf format=nv12,hwupload -qp 25 -bf 0", "-vaapi_device {device}"
    ),
    "h264_qsv": _Kind("/dev/dri/renderD*", "-pix_fmt nv12 -global_quality 25 -bf 0 -async_depth 1"),
    "h264_nvenc": _Kind("/dev/nvidia[0-9]*", "-pix_fmt yuv420p -preset p2 -tune ll -cq 28 -bf 0"),
    SOFTWARE: _Kind("", "-preset superfast -tune zerolatency -crf 25 -pix_fmt yuv420p"),
}


@dataclass(frozen=True)
class H264Coder:
    """An encoder that works here.

    Attributes:
        program: path of ``ffmpeg``.
        name: the encoder's, a key of :data:`KINDS`.
    """

    program: str
    name: str = SOFTWARE

    def command(self, size: tuple[int, int]) -> list[str]:
        """What reads raw RGB pictures of ``size`` (width, height) and writes Matroska."""
        kind = KINDS[self.name]
        rate = round(size[0] * size[1] * 30 * _BITS_PER_PIXEL)
        device = next(iter(sorted(glob.glob(kind.device))), kind.device)  # noqa: PTH207 - a pattern of devices
        first = kind.first.format(device=device).split()
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", "30", "-i", "-"]
        coder = ["-c:v", self.name, *kind.options.format(rate=rate).split(), "-g", str(GROUP)]
        return [
            self.program,
            "-v",
            "error",
            *first,
            *source,
            *coder,
            "-flush_packets",
            "1",
            "-f",
            "matroska",
            "-",
        ]


def h264_coder(wanted: str = "auto") -> H264Coder | None:
    """The best encoder that works here, None without any.

    Args:
        wanted: ``auto``, ``software``, or the name of one.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    offered = _offered(program)
    names = {"auto": list(KINDS), "software": [SOFTWARE]}.get(wanted, [wanted])
    for name in names:
        coder = H264Coder(program, name)
        if name in offered and (name == SOFTWARE or _works(coder)):
            return coder
    return None


def _offered(program: str) -> list[str]:
    try:
        listing = subprocess.run(
            [program, "-hide_banner", "-encoders"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [name for name in KINDS if f" {name} " in listing]


@functools.cache
def _works(coder: H264Coder) -> bool:
    """Try it with a few pictures."""
    kind = KINDS[coder.name]
    if kind.device and not glob.glob(kind.device):  # noqa: PTH207
        return False
    width, height = _TRIAL_SIZE
    pictures = b"".join(bytes([30 * i]) * (width * height * 3) for i in range(_TRIAL))
    try:
        done = subprocess.run(
            coder.command(_TRIAL_SIZE),
            input=pictures,
            capture_output=True,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.debug("%s: %s", coder.name, error)
        return False
    units = list(coded_pictures(io.BytesIO(done.stdout)))
    good = len(units) == _TRIAL and units[0][0] and all(config[:1] == b"\x01" for _, _, config in units)
    log.debug("%s: %s %s", coder.name, "works" if good else "does not work", done.stderr[-200:])
    return good
