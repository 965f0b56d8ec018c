"""From settings to a model that is ready to run."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgecam import build_privacy, catalogue, contract, registry, scene, tuned
from edgecam.analysis import WEAK
from edgecam.config import Settings
from edgecam.contract import Overrides
from edgecam.engines import runtimes
from edgecam.engines.base import EngineOptions
from edgecam.errors import UsageError
from edgecam.model import Model
from edgecam.preprocess import Preprocessor


def load_model(settings: Settings, weak: float = 1.0) -> Model:
    """Find the model, read its contract, load it and warm it up.

    Args:
        weak: part of the threshold from which on it reports, see :class:`edgecam.types.HeadOptions`.

    Raises:
        UnknownNameError: no such model.
        ModelError: the file is broken or its contract does not fit.
        EngineError: it cannot be loaded here.
    """
    found = catalogue.find(settings.model)
    spec = contract.resolve(found.path, overrides(settings).over(found.overrides))
    with found.path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    choice, note = tuning(settings, sha256)
    delegate, delegate_options = settings.delegate_library
    options = EngineOptions(
        model=found.path,
        threads=settings.threads if choice is None else choice.setup.threads,
        tuned=choice is not None,
        runtime=settings.runtime,
        device=settings.device,
        delegate=delegate,
        delegate_options=delegate_options,
        require_delegate=settings.require_delegate,
    )
    engine = registry.load(registry.ENGINES, "engine", settings.engine)(options)
    contract.check(spec, engine.input, engine.outputs)
    head_options = build_privacy.head_options(settings, spec, weak)
    head = registry.load(registry.HEADS, "decoder", spec.decoder)(
        spec, engine.input, engine.outputs, head_options
    )
    return Model(
        spec,
        Preprocessor(spec, engine.input, settings.region_box),
        engine,
        head,
        sha256,
        choice,
        (note,) if note else (),
    )


def tuning(settings: Settings, sha256: str) -> tuple[tuned.Choice | None, str]:
    """What was chosen on this machine for a model's file; see :func:`edgecam.tuned.find`."""
    if settings.threads or settings.engine != "litert":
        return None, ""
    return tuned.find(tuned.Place.here(sha256, runtime(settings)))


def asks_for_accelerator(settings: Settings) -> bool:
    """Whether the settings name something else than the processor."""
    return bool(settings.delegate) or settings.device not in ("auto", "cpu")


def runtime(settings: Settings) -> str:
    """The interpreter that a choice is for."""
    return runtimes.installed(settings.runtime)


def overrides(settings: Settings) -> Overrides:
    """What the user says of the model."""
    return Overrides(
        task=settings.task,
        decoder=settings.decoder,
        labels=None if settings.labels is None else Path(settings.labels),
        color=settings.color,
        resize=settings.resize,
        mean_std=settings.mean_std,
        outputs=settings.output_roles,
        options=settings.decoder_parameters,
    )


def check_ladder(settings: Settings) -> None:
    """Raise what is wrong with the models: each must be there, and of the same kind as the first.

    Raises:
        UsageError, ModelError: a model that cannot be.
    """
    first = ""
    for name in (settings.model, *settings.model_ladder):
        found = catalogue.find(name)
        spec = contract.resolve(found.path, overrides(settings).over(found.overrides))
        build_privacy.check(settings, spec)
        scene.check_labels(settings.scene, spec.labels, spec.task)
        task = spec.task
        first = first or task
        if task != first:
            raise UsageError(
                f"{name} does not fit {settings.model}: one is there to {task}, the other to {first}",
                "name smaller models of the same kind",
            )


def weak(settings: Settings) -> float:
    """Part of the threshold from which on the main model reports, see :class:`edgecam.types.HeadOptions`."""
    return WEAK if settings.tracks else 1.0
