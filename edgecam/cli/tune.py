"""``edgecam bench --tune``: shows what was measured, and keeps the best where ``edgecam run`` finds it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecam.cli import console
from edgecam.config import Settings, flag
from edgecam.config_load import Loaded
from edgecam.errors import EdgecamError, UsageError

if TYPE_CHECKING:
    from edgecam.install.layout import Instance
    from edgecam.tuning import Row

SECONDS = 3.0  # for one setup, all rounds together
SIZE, PICTURES = "1280x720", 25  # of the demo scene, where no picture is named


@dataclass(frozen=True)
class Order:
    """What is to be measured.

    Attributes:
        threads: numbers of threads to try, None for what suits the machine.
        picture: file of the picture to use, None for the demo scene.
        seconds: for each setup.
        as_json: show it as JSON.
    """

    threads: tuple[int, ...] | None
    picture: str | None
    seconds: float
    as_json: bool


def tune(settings: Settings, order: Order) -> int:
    """Measure setups, show them, and keep the best; the exit code.

    Raises:
        EdgecamError: the model cannot be run, runs on an accelerator, or the choice cannot be kept.
    """
    from edgecam import bench, build_model, tuned, tuning

    def load(number: int) -> Any:
        return build_model.load_model(dataclasses.replace(settings, threads=number))

    place = tuned.Place.here(_checked(load(1)), build_model.runtime(settings))
    measure = partial(tuning.measure, load, _pictures(order.picture), order.seconds / tuning.ROUNDS)
    _warn_if_busy(bench.cores())
    numbers = order.threads or tuning.thread_counts(bench.cores())
    with console.progress(settings.model) as advance:
        rows = tuning.tune(measure, numbers, fast=tuning.fast_cores(), progress=advance)
    best = tuning.choose(rows)
    choice = tuned.Choice(place, best.setup, round(best.fps, 1), round(rows[0].fps, 1), tuned.now())
    try:
        file = tuned.keep(choice)
    except OSError as error:
        raise EdgecamError(
            f"{tuned.file()} cannot be written ({error.strerror})",
            f"edgecam run --threads {best.setup.threads} takes it for once",
        ) from error
    if order.as_json:
        facts = {"model": settings.model, "machine": bench.machine(), "file": str(file)}
        found = {"rows": [row.as_dict() for row in rows], "choice": dataclasses.asdict(choice)}
        console.write_json(facts | found)
        return 0
    _show(settings, bench.machine(), rows, best)
    console.line(f"edgecam run uses it from its next start on, unless --threads is given: {file}")
    return 0


def _warn_if_busy(cores: int) -> None:
    """What else runs is measured too."""
    from edgecam.board import Board

    load = Board().load()
    if load is not None and load >= cores / 2:
        console.line(
            f"this machine is busy (load {load:.1f} on {cores} cores): the choice may be a wrong one"
        )


def _checked(model: Any) -> str:
    """The hash of a model's file, once it is clear that there is something to choose."""
    device = model.engine.device
    model.engine.close()
    if not device.startswith("CPU"):
        raise UsageError(f"{model.name} runs on {device}: there are no threads to choose", "try --device cpu")
    return str(model.sha256)


def _pictures(picture: str | None) -> list[bytes]:
    """JPEG pictures as a camera sends them: of a file, or of the demo scene."""
    from edgecam import jpeg
    from edgecam.cli.commands.bench import FrameMaker
    from edgecam.registry import parse_uri
    from edgecam.sources.demo import DemoSource

    if picture is not None:
        return [jpeg.of(FrameMaker(picture)(0))]
    scene = DemoSource(parse_uri(f"demo:?size={SIZE}&frames={PICTURES}"))
    scene.open()
    return [jpeg.encode(frame.image, quality=85) for frame in iter(scene.read, None)]


def _show(settings: Settings, machine: dict[str, Any], rows: Sequence[Row], best: Row) -> None:
    print(f"{settings.model} on {machine['cpu']}, {machine['cores']} cores, {machine['machine']}")
    notes = {rows[0].setup: "usual", best.setup: "best"}
    if best.setup == rows[0].setup:
        notes = {best.setup: "usual, and best"}
    console.table(
        ("setup", "FPS", "ms", "CPU ms", "times the usual", ""),
        [
            (row.setup.words, round(row.fps, 1), row.ms, row.cpu_ms, row.gain, notes.get(row.setup, ""))
            for row in rows
        ],
    )


def for_service(loaded: Loaded, order: Order, name: str) -> int:
    """The same by the service's own program, as its user, into its folder; the exit code.

    Raises:
        EdgecamError: it is not installed, or this is not root.
        UsageError: a flag that the service's settings decide on.
    """
    from edgecam.install import units
    from edgecam.install.layout import Instance

    instance = Instance.named(name)
    program = instance.layout.current / "bin" / "edgecam"
    if not program.is_file():
        raise EdgecamError(f"{instance.unit} is not installed", f"sudo {instance.command('install')}")
    if os.geteuid() != 0:
        raise EdgecamError("only root may measure as the service's user", "call it with sudo")
    if units.show(instance).active == "active":
        console.line(f"{instance.unit} runs meanwhile, which spoils the figures: sudo systemctl stop edgecam")
    owner = instance.state.stat()
    done = subprocess.run(
        [str(program), "bench", *_arguments(loaded, order), "--config", str(instance.config)],
        check=False,
        cwd=instance.state,
        env=environment(instance),
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=(),
    )
    if done.returncode == 0:
        console.line(f"the service takes it at its next start: sudo systemctl restart {instance.unit}")
    return done.returncode


def environment(instance: Instance) -> dict[str, str]:
    """What the unit gives the service, as far as it matters here."""
    home = str(instance.layout.state)
    data = {"HOME": home, "XDG_DATA_HOME": f"{home}/share", "STATE_DIRECTORY": str(instance.state)}
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"} | data


def _arguments(loaded: Loaded, order: Order) -> list[str]:
    """``order`` and the model as a command line has them."""
    flags = [name for name, origin in loaded.origins.items() if origin.kind == "flag" and name != "model"]
    if flags:
        raise UsageError(f"{flag(flags[0])} does not go with --service", "the service's own settings count")
    out = ["--tune", "--seconds", str(order.seconds)]
    out += [loaded.settings.model] if loaded.origins["model"].kind == "flag" else []
    out += ["--threads", ",".join(map(str, order.threads))] if order.threads else []
    out += ["--picture", str(Path(order.picture).absolute())] if order.picture else []
    return [*out, "--json"] if order.as_json else out
