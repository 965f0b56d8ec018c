"""From settings to the installed models of a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecam import build_model, build_privacy, catalogue, contract, scene
from edgecam.config import Settings
from edgecam.contract import ModelSpec
from edgecam.errors import UsageError
from edgecam.model import Model
from edgecam.slots.store import Store, default_folder

if TYPE_CHECKING:
    from edgecam.slots.keeper import Keeper

#: What the settings say of a model that is not in a slot: a slot's model says it itself.
_OF_THE_BASE = {
    "task": None, "decoder": None, "labels": None, "resize": None, "normalize": None, "color": None,
    "outputs": (), "decoder_options": (),
}  # fmt: skip


def folder(settings: Settings) -> Path:
    """Where the installed models of these settings are."""
    return Path(settings.slots) if settings.slots else default_folder()


def make(
    settings: Settings,
    load: Callable[[Path | None], Model],
    report: Callable[[str], None],
    used: Callable[[Path | None], None],
) -> Keeper | None:
    """The keeper of a live run; None where nobody has ever installed a model and no service is run, and where
    another run has the folder."""
    place = folder(settings)
    if not (settings.slots or settings.fleet or os.environ.get("STATE_DIRECTORY") or place.is_dir()):
        return None
    from edgecam.slots.check import MB
    from edgecam.slots.keeper import Keeper

    keeper = Keeper(Store(place), settings.model, load, report, int(settings.slot_memory * MB), used)
    return keeper if keeper.open() else None


def load(settings: Settings, slot: Path | None) -> Model:
    """The model of a slot's file, or the one that the settings name.

    Raises:
        EdgecamError: it cannot be loaded, or does not fit what the settings ask for.
    """
    if slot is not None:
        settings = replace(settings, model=str(slot), **_OF_THE_BASE)  # type: ignore[arg-type]
    model = build_model.load_model(settings, build_model.weak(settings))
    try:
        scene.check_labels(settings.scene, model.labels, model.spec.task)
    except BaseException:
        model.engine.close()
        raise
    return model


def fits(settings: Settings) -> Callable[[ModelSpec], None]:
    """Raises what keeps a model out of a run with these settings."""

    def check(spec: ModelSpec) -> None:
        found = catalogue.find(settings.model)
        base = contract.resolve(found.path, build_model.overrides(settings).over(found.overrides))
        if spec.task != base.task:
            raise UsageError(
                f"{spec.name} is there to {spec.task}, the settings' model to {base.task}",
                "install a model of the same kind, or change the settings",
            )
        build_privacy.check(settings, spec)
        scene.check_labels(settings.scene, spec.labels, spec.task)

    return check
