"""``edgecam image``: recognise what is on pictures; annotated copies and JSON out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecam.cli import console
from edgecam.cli.base import HeadedOption, new_command
from edgecam.cli.settings import settings_params, with_settings
from edgecam.config import ENGINE, MODEL, RESULTS
from edgecam.config_load import Loaded
from edgecam.config_privacy import PRIVACY
from edgecam.errors import EdgecamError, FrameError, SourceError, UsageError
from edgecam.registry import PICTURE_SUFFIXES
from edgecam.values import Region

if TYPE_CHECKING:
    from edgecam.pipeline import Model
    from edgecam.privacy.filter import Privacy
    from edgecam.types import Packet

EXAMPLES = """
edgecam image photo.jpg
edgecam image holiday/ --out seen --json results.json
edgecam image *.jpg --model classify-person --top-k 3 | jq '.pictures[].classes'
"""

HELP = """Recognise what is on FILES: pictures, or folders of pictures.

An annotated copy of each, NAME-annotated.jpg, is put into the folder --out; the pictures themselves are
never touched. Results go to standard output as JSON, in the schema of the jsonl: sink. A picture that cannot
be read is named and skipped; the exit code is 1 only if none could be read.
"""

PARAMS: list[click.Parameter] = [
    click.Argument(["files"], nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)),
    HeadedOption(
        ["--out"],
        metavar="DIR",
        default="annotated",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of the annotated copies, made if it is not there [annotated].",
    ),
    HeadedOption(["--no-copies"], is_flag=True, help="Make no annotated copies."),
    HeadedOption(
        ["--json", "json_file"],
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write the results there and not to standard output.",
    ),
]


@new_command(
    "image",
    help=HELP,
    examples=EXAMPLES,
    params=[*PARAMS, *settings_params(sections=[MODEL, RESULTS, PRIVACY, ENGINE])],
)
@with_settings
def image(loaded: Loaded, files: tuple[Path, ...], out: Path, no_copies: bool, json_file: Path | None) -> int:
    from edgecam import build, build_privacy

    paths = list(pictures(files))
    inputs = frozenset(path.resolve() for path in paths)
    if json_file is not None and json_file.resolve() in inputs:
        raise UsageError(f"{json_file} is one of the pictures", "name another file with --json")
    model = build.load_model(loaded.settings)
    for note in model.engine.notes:
        console.line(note)
    # One picture tells nothing of where a face of another is: nothing is held.
    settings = replace(loaded.settings, blur_hold=0.0)
    privacy, face_model = build_privacy.make(settings, model.spec, build.load_model, console.line)
    copies = None if no_copies else out
    recogniser = Recogniser(model, copies, inputs, privacy, settings.region_box)
    try:
        with console.progress("pictures") as advance:
            for done, path in enumerate(paths):
                advance(done, len(paths))
                recogniser.take(path)
    finally:
        model.engine.close()
        if privacy is not None and privacy.close() and face_model is not None:
            face_model.engine.close()
    results = {
        "model": model.name,
        "device": model.engine.device,
        "runtime": model.engine.runtime,
        "pictures": recogniser.records,
        "skipped": recogniser.skipped,
    }
    if json_file is None:
        console.write_json(results)
    else:
        write(json_file, f"{console.to_json(results)}\n".encode(errors="backslashreplace"))
    if recogniser.skipped:
        console.error(f"{len(recogniser.skipped)} of {len(paths)} pictures could not be read")
    return 0 if recogniser.records else 1


def pictures(files: Iterable[Path]) -> Iterable[Path]:
    """The files named, and the pictures in the folders named, in natural order.

    Raises:
        SourceError: a folder without a picture.
    """
    from edgecam.sources.images import natural

    for path in files:
        if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir fails where one may not look
            yield path
            continue
        try:
            found = [p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and p.name[0] != "."]
        except OSError as error:
            raise SourceError(f"folder {path} cannot be read ({error.strerror})") from error
        if not found:
            kinds = " ".join(sorted(PICTURE_SUFFIXES))
            raise SourceError(f"folder {path} holds no picture", f"expected files of kind {kinds}")
        yield from sorted(found, key=lambda p: natural(str(p)))


class Recogniser:
    """Runs a model over picture files; gathers records, and what had to be skipped.

    Args:
        out: folder of the annotated copies, None for none.
        inputs: files that no copy may replace.
        privacy: makes the pictures that are copied, if there are rules of privacy.
        region: what the model looks at, None for all of the picture.
    """

    def __init__(
        self,
        model: Model,
        out: Path | None,
        inputs: frozenset[Path],
        privacy: Privacy | None = None,
        region: Region | None = None,
    ) -> None:
        from edgecam.overlay import Overlay

        self.records: list[dict[str, Any]] = []
        self.skipped: list[dict[str, str]] = []
        self._model = model
        self._out = out
        self._privacy = privacy
        self._overlay = Overlay(status=False, region=region)
        self._taken = set(inputs)

    def take(self, path: Path) -> None:
        """Recognise one picture.

        Raises:
            EdgecamError: the model failed, or the copy cannot be written.
        """
        from edgecam.sources.images import load_picture
        from edgecam.types import Frame, Packet, Status

        try:
            frame = Frame(len(self.records), load_picture(path), source="images:", name=str(path))
        except FrameError as error:
            self.skipped.append({"name": str(path), "error": error.message})
            console.error(f"skipped: {error.message}")
            return
        result = self._model.run(frame if self._privacy is None else self._privacy.for_model(frame))
        if self._privacy is not None:
            frame, result = self._privacy.protect(frame, result, self._model.labels)
        packet = Packet(frame, result, self._model.labels, Status(state="running"), self._overlay.draw)
        record = packet.record()
        if self._out is not None:
            record["annotated"] = str(self._write_copy(self._out, path, packet))
        self.records.append(record)

    def _write_copy(self, folder: Path, path: Path, packet: Packet) -> Path:
        from edgecam import jpeg

        target = folder / f"{path.stem}-annotated.jpg"
        number = 1
        # Pictures of the same name from several folders, and a picture that is itself called so.
        while target.resolve() in self._taken:
            number += 1
            target = folder / f"{path.stem}-annotated-{number}.jpg"
        self._taken.add(target.resolve())
        write(target, jpeg.encode(packet.picture(), quality=92))
        return target


def write(path: Path, data: bytes) -> None:
    """Write a file at once, so that no half of one is ever seen.

    Raises:
        EdgecamError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise EdgecamError(
            f"cannot write {path} ({error.strerror})", "name another folder with --out"
        ) from error
