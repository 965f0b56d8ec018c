"""What the step ``train`` does where pictures have boxes, in the process that has TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from converters import detection, detector
from converters.detection import anchors, matching
from converters.detection.feed import BoxFeed, BoxPictures, open_pictures
from converters.steps.base import Report
from converters.training.plan import Plan
from converters.work import Work
from edgecam.errors import UsageError
from edgecam.heads.anchors import make_anchors

_FEW = 20  # training objects of a class
_CLASSIFIERS = ("depth", "widths", "activation", "dropout", "whiten", "mirror")
_UNFIT = ("rotate", "mixup", "smoothing")
_LEAST_SCORE = 0.05  # as the op that goes behind the network


class Task(NamedTuple):
    """
    Attributes:
        work: the work folder.
        options: of the step.
        plan: how to train.
        data: the split.
        mark: stands for all that the result depends on.
        out: name of the model in the work folder.
    """

    work: Work
    options: Mapping[str, Any]
    plan: Plan
    data: Any
    mark: str
    out: str


def train(report: Report, task: Task) -> dict[str, Any]:
    """Train a detector.

    Returns:
        The step's figures.

    Raises:
        UsageError: no boxes, no network for them, or options that make no sense.
    """
    from converters.training import jobs

    options = task.options
    check(options)
    for doubt in doubts(task.data):
        report.warn(doubt)
    known = _known(options, task.data.names, report)
    size = jobs.shape_of(known[0])[:2] if known else _size(options)
    pictures, validation = open_pictures(task.data, (*size, 3), task.plan, report, options["resize"])
    told = known[1] if known else _anchors(options, pictures, size)
    fits = anchors.best_overlaps(told, size, pictures.every())
    _tell_anchors(report, told, size, fits)
    for warning in too_small(fits, pictures, task.data.names):
        report.warn(warning)
    model, new = (known[0], ()) if known else _new(options, task.data.names, size, told, report)
    return _fit(report, task, model, new, told, pictures, validation)


def check(options: Mapping[str, Any]) -> None:
    """
    Raises:
        UsageError: no network for boxes, or options that do not go with boxes.
    """
    network = options["network"]
    if network and network not in detection.BACKBONES:
        raise UsageError(
            f"{network} knows no boxes, but these pictures have some",
            f"--network with one of {', '.join(detection.NAMES)}",
        )
    if not network and not options["model"]:
        raise UsageError("no network is named", f"--network with one of {', '.join(detection.NAMES)}")
    if network and options["model"]:
        raise UsageError(
            f"both a network ({network}) and a model ({options['model']}) are named",
            "--network for a new one, --weights FILE for what it shall take over",
        )
    for name in (*_CLASSIFIERS, *_UNFIT):
        if options[name]:
            raise UsageError(f"{name} = {options[name]} does not go with boxes", f"leave {name} out")
    if options["balance"] != "none":
        raise UsageError(f"balance = {options['balance']} does not go with boxes", "leave balance out")
    if not 0 <= options["crop"] <= 1:
        raise UsageError(f"crop = {options['crop']:g}", "give a value from 0 to 1")


def doubts(data: Any) -> list[str]:
    """What is likely to spoil a training on these boxes; one line each."""
    counts = data.counts()["train"]
    none = [name for name, count in zip(data.names, counts, strict=True) if not count]
    few = [f"{name} {count}" for name, count in zip(data.names, counts, strict=True) if 0 < count < _FEW]
    found = []
    if none and any(counts):
        found.append(f"no training picture shows {_listed(none)}: these will never be found")
    if few:
        found.append(f"few training objects ({_listed(few)}): some dozens a class are the least")
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def too_small(fits: Any, pictures: BoxPictures, names: Sequence[str]) -> list[str]:
    """Objects that no anchor fits; one line with an example."""
    lost = np.flatnonzero(fits < anchors.TOO_LITTLE)
    if not len(lost):
        return []
    picture = np.repeat(np.arange(len(pictures)), [len(boxes) for boxes in pictures.boxes])[lost[0]]
    height, width, _ = pictures.pictures.shape
    box, class_id = pictures.every()[lost[0]], np.concatenate(pictures.class_id)[lost[0]]
    w, h = (box[2:] - box[:2]) * (width, height)
    return [
        f"{len(lost)} of {len(fits)} objects fit no anchor and will hardly be found, such as"
        f" {names[int(class_id)]!r} in {pictures.samples[picture].path}, {w:.0f}x{h:.0f} pixels of"
        f" {width}x{height}: a larger --input-size, or --anchor-scales"
    ]


def _known(options: Mapping[str, Any], names: Sequence[str], report: Report) -> tuple[Any, Any] | None:
    """A detector in a file, and its anchors; None for a new one.

    Raises:
        ModelError: it does not say what its outputs are.
        UsageError: it is no detector of these classes.
    """
    from converters.training import files

    if not options["model"]:
        return None
    path = Path(options["model"])
    model = files.load_model(path)
    said = detector.read(detector.beside(path))
    outputs = dict(zip(model.output_names, model.outputs, strict=True))
    plain = said.decoder == detector.ANCHORS and list(outputs) == ["boxes", "scores"]
    if not plain or said.options.get("background", True) or said.options.get("activation") != "sigmoid":
        raise UsageError(f"{path} is no detector that was trained here", "--network NAME --weights FILE")
    columns = int(outputs["scores"].shape[-1])
    noted = files.note(path).get("names", names)
    if columns != len(names) or list(noted) != list(names):
        raise UsageError(
            f"{path} has {columns} classes, others than the pictures' {len(names)}",
            "--network NAME --weights FILE takes over what fits",
        )
    report.line(f"training goes on with {path}")
    return model, said.options["anchors"]


def _size(options: Mapping[str, Any]) -> tuple[int, int]:
    said = tuple(options["input_size"]) or (detection.INPUT_SIZE, detection.INPUT_SIZE)
    anchors.check_size(said)
    return said[0], said[1]


def _anchors(options: Mapping[str, Any], pictures: BoxPictures, size: tuple[int, int]) -> dict[str, Any]:
    return anchors.choose(
        pictures.every(),
        size,
        strides=options["strides"],
        scales=options["anchor_scales"],
        ratios=options["anchor_ratios"],
    )


def _tell_anchors(report: Report, told: Mapping[str, Any], size: tuple[int, int], fits: Any) -> None:
    count = len(make_anchors(told, size[1], size[0]))
    sides = ", ".join(f"{scale * min(size):.0f}" for scale in told["scales"])
    ratios = ", ".join(f"{ratio:g}" for ratio in told["aspect_ratios"])
    report.line(
        f"anchors: {count}, {sides} pixels on maps of strides {', '.join(map(str, told['strides']))},"
        f" ratios {ratios}; {100 * np.mean(fits >= matching.POSITIVE):.0f}% of the boxes overlap one by half"
    )


def _new(
    options: Mapping[str, Any],
    names: Sequence[str],
    size: tuple[int, int],
    told: Mapping[str, Any],
    report: Report,
) -> tuple[Any, tuple[str, ...]]:
    """A new network, with the weights that it shall take over; names of layers that begin anew."""
    from converters.detection import network
    from converters.training import transfer

    design = {"width": options["width"], "scaling": options["scaling"]}
    model = network.build(options["network"], len(names), size, told, **design)
    if not options["weights"]:
        return model, tuple(layer.name for layer in model.layers if layer.weights)
    return model, transfer.carry_over(model, options["weights"], report)


def _fit(
    report: Report,
    task: Task,
    model: Any,
    new: tuple[str, ...],
    told: Mapping[str, Any],
    pictures: BoxPictures,
    validation: BoxPictures,
) -> dict[str, Any]:
    """Train and save; the step's figures."""
    from converters.detection import judging, learning, sheet
    from converters.training import files, fit, jobs, spread
    from converters.training.sheet import FILE

    names, plan = task.data.names, task.plan
    shape = jobs.shape_of(model)
    cost = jobs.tell(model, report)
    made = make_anchors(told, shape[1], shape[0])
    feed = BoxFeed(pictures, plan, task.options["crop"], made, len(names), plan.threads or 2)
    drawn = sheet.write(task.work.path(FILE), feed, plan, shape[2])
    judge = None
    if any(len(boxes) for boxes in validation.boxes):
        decoder = judging.Decoder(told, shape, len(made), names, _LEAST_SCORE)
        judge = judging.judge(validation, decoder, names)
    checkpoints = task.work.path(Path(task.out).stem)
    shared: Any = {"mark": task.mark, "judge": judge, "new": new or tuple(_heads(model)), "metrics": ()}
    learns: Any = {"trainer": learning.BoxTrainer, "loss": learning.loss}
    share = spread.shared(feed, feed.batch)
    fitted = fit.fit(model, share, plan, checkpoints, report, **shared, **learns)
    network = task.options["network"] or Path(task.options["model"]).stem
    note = {"names": names, "network": network, "resize": task.options["resize"]}
    target = task.work.path(task.out)
    files.save_model(model, target, note)
    beside = detector.beside(target)
    detector.ssd(told, background=False, activation="sigmoid").write(beside)
    files.remove(checkpoints)
    figures = {"network": network, "input": list(shape), **cost, "anchors": {**told, "count": len(made)}}
    known = {"plan": asdict(plan), "sheet": drawn, "files": [task.out, beside.name, drawn]}
    return {**figures, "score": "AP50", **asdict(fitted), **known}


def _heads(model: Any) -> list[str]:
    return [layer.name for layer in model.layers if layer.weights and layer.name.startswith("ssd_")]
