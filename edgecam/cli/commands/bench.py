"""``edgecam bench``: how fast a model runs here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from edgecam.cli import console
from edgecam.cli.base import HeadedOption, new_command
from edgecam.cli.settings import KindType, ParamType, model_argument, settings_params, with_settings
from edgecam.config import ENGINE, MODEL, Settings
from edgecam.config_load import Loaded
from edgecam.errors import UsageError
from edgecam.options import Number

if TYPE_CHECKING:
    from edgecam.types import Frame

EXAMPLES = """
edgecam bench detect-coco
edgecam bench detect-coco --threads 1,4 --json
edgecam bench mobilenet-v2-edgetpu --picture photo.jpg
edgecam bench detect-coco --tune          find the best number of threads, for edgecam run to use
sudo edgecam bench --tune --service       the same for the service, with its model
"""

HELP = """Measure how fast MODEL runs on this machine, with different numbers of threads.

Each stage of a frame is timed: preprocess (pixels to tensor), invoke (the model), decode (tensors to
results). Shown are the median and the 95th percentile in milliseconds. The interpreters' Python packages do
not tell the time of single operators; TensorFlow's benchmark_model --enable_op_profiling=true does.

With --tune the whole pipeline is measured in their place, the next picture being decoded while the model is
at work, and the setup that is best on this machine is kept: edgecam run then uses it for this model, unless
--threads is given. It takes about four seconds for each core; do it when the machine has nothing else to do.
"""


class ThreadList(ParamType):
    name = "threads"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        try:
            numbers = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if not numbers or not all(1 <= number <= 256 for number in numbers):
            self.fail(f"expected numbers of threads such as 1,2,4, got {value!r}", param, ctx)
        return numbers


PARAMS: list[click.Parameter] = [
    HeadedOption(
        ["--threads", "thread_list"],
        metavar="N,N,...",
        type=ThreadList(),
        help="Numbers of threads to try [1, 2, 4, ... up to the cores].",
    ),
    HeadedOption(
        ["--runs"],
        metavar="N",
        type=KindType("runs", Number(int, 5, 100_000)),
        help="Frames each [100].",
    ),
    HeadedOption(
        ["--seconds"],
        metavar="S",
        type=KindType("seconds", Number(float, 0.1, 3600)),
        help="Stop each after so long, be the frames done or not [10; with --tune 3].",
    ),
    HeadedOption(["--picture"], metavar="FILE", help="Picture to use [a made one of 1280x720]."),
    HeadedOption(["--tune", "tunes"], is_flag=True, help="Find out what is best here, and keep it."),
    HeadedOption(
        ["--service"],
        metavar="NAME",
        is_flag=False,
        flag_value="",
        help="With --tune: for the service (the one called NAME), with its settings.",
    ),
    HeadedOption(["--json", "as_json"], is_flag=True, help="As JSON."),
]


@new_command(
    "bench",
    help=HELP,
    examples=EXAMPLES,
    params=[
        model_argument("model", "[MODEL]", required=False),
        *PARAMS,
        *settings_params(sections=[MODEL, ENGINE], leave_out=["model", "threads"]),
    ],
)
@with_settings
def bench(
    loaded: Loaded,
    thread_list: tuple[int, ...] | None,
    runs: int | None,
    seconds: float | None,
    picture: str | None,
    tunes: bool,
    service: str | None,
    as_json: bool,
) -> int | None:
    from edgecam import bench as measuring
    from edgecam import build
    from edgecam.cli import tune

    settings = loaded.settings
    if service is not None and not tunes:
        raise UsageError("--service goes with --tune")
    if tunes and runs is not None:
        raise UsageError("--runs does not go with --tune", "it measures for --seconds")
    if tunes:
        order = tune.Order(thread_list, picture, seconds or tune.SECONDS, as_json)
        return tune.tune(settings, order) if service is None else tune.for_service(loaded, order, service)
    numbers = thread_list or measuring.thread_counts(measuring.cores())
    frames = FrameMaker(picture)
    with console.progress(settings.model) as advance:
        rows = measuring.sweep(
            lambda number: build.load_model(dataclasses.replace(settings, threads=number)),
            numbers,
            frames,
            runs=runs or 100,
            seconds=seconds or 10.0,
            progress=advance,
        )
    machine = measuring.machine()
    if as_json:
        console.write_json(
            {
                "model": settings.model,
                "picture": list(frames.size),
                "machine": machine,
                "rows": [row.as_dict() for row in rows],
            }
        )
        return None
    print_rows(settings, machine, rows, frames.size)
    return None


class FrameMaker:
    """Makes frames of one picture: of a file (a JPEG with its bytes, as from a camera), or of noise."""

    def __init__(self, picture: str | None) -> None:
        import numpy as np

        self._jpeg: bytes | None = None
        self._image: Any = None
        if picture is None:
            self._image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
        else:
            self._read(picture)
        self.size = self(0).size

    def _read(self, picture: str) -> None:
        from pathlib import Path

        from edgecam import jpeg
        from edgecam.sources.images import load_picture

        if picture.lower().endswith((".jpg", ".jpeg")):
            try:
                self._jpeg = Path(picture).read_bytes()
            except OSError as error:
                raise UsageError(f"{picture}: {error.strerror}", "name a picture file") from error
            jpeg.decode(self._jpeg)
        else:
            self._image = load_picture(Path(picture))

    def __call__(self, n: int) -> Frame:
        from edgecam import jpeg
        from edgecam.types import Frame

        if self._jpeg is None:
            return Frame(n, self._image)
        return Frame(n, jpeg=self._jpeg, size=jpeg.size(self._jpeg), decode=jpeg.decode)


def print_rows(settings: Settings, machine: dict[str, Any], rows: list[Any], size: tuple[int, int]) -> None:
    print(f"{settings.model} on {machine['cpu']}, {machine['cores']} cores, {machine['machine']}")
    print(f"pictures of {size[0]}x{size[1]}, {rows[0].runtime}; milliseconds: median / 95th percentile")
    console.table(
        ("device", "preprocess", "invoke", "decode", "total", "FPS", "runs", "load ms"),
        [
            (
                row.device,
                *(f"{s.median_ms:.2f} / {s.p95_ms:.2f}" for s in row.stages.values()),
                f"{row.fps:.1f}",
                row.runs,
                row.load_ms,
            )
            for row in rows
        ],
    )
