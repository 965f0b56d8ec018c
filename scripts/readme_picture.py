"""Makes `docs/page.jpg`, the README's picture: the page in headless Chromium while `edgecam run demo:` runs.

.venv/bin/python scripts/readme_picture.py [FILE]
"""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser.driver import Browser  # noqa: E402
from tests.e2e.command import Running  # noqa: E402

FRAMES = 75  # enough for the rates to settle and the curve to be seen


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "page.jpg"
    with tempfile.TemporaryDirectory() as folder, Running("run", "demo:", "--sink", "web:?port=0") as run:
        with Browser(Path(folder) / "profile") as browser:
            browser.resize(1280, 664)
            browser.open(run.url() + "/")
            frames = "return Number(document.querySelector('#frames').textContent.replace(/\\D/g, ''))"
            browser.wait("frames", lambda: browser.run(frames) > FRAMES, timeout=60)
            shot = Path(folder) / "page.png"

            def all_in_the_shot() -> bool:
                before = set(browser.text("#results").split())
                browser.screenshot(shot)
                return {"cat", "cup", "person"} <= before & set(browser.text("#results").split())

            browser.wait("all three at once", all_in_the_shot, timeout=60)
        run.end(signal.SIGTERM)
        cv2.imwrite(str(target), cv2.imread(str(shot)), [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main()
