"""``edgecam run``: the main job."""

from __future__ import annotations

import sys

from edgecam.cli import console
from edgecam.cli.base import new_command, start_logging
from edgecam.cli.settings import settings_params, source_argument, with_settings
from edgecam.config import Settings
from edgecam.config_load import Loaded

EXAMPLES = """
edgecam run                                      first camera, page at http://127.0.0.1:8080/
edgecam run 'camera:?size=1280x720&fps=30'
edgecam run rtsp://user:secret@camera/stream --class person
edgecam run clip.mp4 --sink out.mp4 --sink out.jsonl
edgecam run demo: --model face --sink window:
edgecam run --blur faces --sink web: --sink 'record:/srv/cam/?segment=5m'
edgecam run --listen 0.0.0.0:8080                for the whole network, with a token
"""

HELP = """Watch SOURCE and show what is seen: a page with the live picture, unless other sinks are named.

SOURCE is a camera (0, /dev/video0, camera:, picamera:), a stream (rtsp://, http://), a video or picture
file, a folder, demo: or synthetic:. Without it the first camera found is used, or the demo scene where there
is none. Ctrl-C ends the run.

Every option may also stand in the settings file or in the environment: --top-k 3 is top_k = 3 there and
EDGECAM_TOP_K=3 here. edgecam config shows what is in effect.
"""


@new_command("run", help=HELP, examples=EXAMPLES, params=[source_argument(), *settings_params()])
@with_settings
def run(loaded: Loaded) -> int:
    from edgecam import build

    def again() -> Settings:
        assert loaded.again is not None
        settings = loaded.again().settings
        start_logging(settings.log_level)
        return settings

    settings = loaded.settings
    # Results on the same terminal leave no place for a bar.
    crowded = sys.stdout.isatty() and any(text.startswith("jsonl:-") for text in settings.sinks)
    with console.progress("frames") as advance:
        report = build.run(settings, console.line, None if crowded else advance, again, loaded)
    counts = {
        "still": report.still,
        "dropped": report.dropped,
        "broken": report.broken,
        "lost": report.lost,
    }
    extra = "".join(f", {number} {name}" for name, number in counts.items() if number)
    console.line(f"{report.reason}: {report.frames} frames, {report.fps:.1f} a second{extra}")
    for failure in report.failures:
        console.error(f"failed: {failure}")
    return 1 if report.failures else 0
