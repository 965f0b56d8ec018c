"""What the steps ``train`` and ``distill`` do, in the process that has TensorFlow."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from converters.steps.base import Report
from converters.training import processor, spread
from converters.training.plan import Plan
from converters.work import Work
from edgecam.errors import UsageError

_FEW = 20  # training pictures of a class
_SKEWED = 5  # times as many of one class as of another
_CONFLICTS = 3  # pictures with two labels
_DESIGN = ("width", "depth", "widths", "activation", "dropout", "scaling")


def train(report: Report, *, work: str, options: Mapping[str, Any], mark: str, out: str) -> dict[str, Any]:
    """Train a network; the step ``train``.

    Args:
        report: hears what happens.
        work: the work folder, which holds the split.
        options: of the step.
        mark: stands for all that the result depends on.
        out: name of the model in the work folder.

    Returns:
        The step's figures.
    """
    folder, plan = Work(Path(work)), begin(options, report)
    data = dataset(folder)
    spread.agreed("the pictures", data.fingerprint)
    if data.task == "detect":
        from converters.detection import jobs as detection

        return detection.train(report, detection.Task(folder, options, plan, data, mark, out))
    if options["network"].startswith("ssd_"):
        raise UsageError(f"{options['network']} learns boxes, these pictures have none", "COCO, CSV or YOLO")
    model, new = start(options, data.names, report)
    return _fit(report, folder, options, mark, out, data, plan, model, new)


def distill(report: Report, *, work: str, options: Mapping[str, Any], mark: str, out: str) -> dict[str, Any]:
    """Train a network under a teacher; the step ``distill``. As :func:`train`."""
    from converters.training import distil

    folder, plan = Work(Path(work)), begin(options, report)
    data = dataset(folder)
    refuse_boxes(data, "distill")
    path = options["teacher"] or options["model"]
    if not path:
        raise UsageError("no teacher is named", "--teacher FILE, or a step train before")
    student = {**options, "model": "" if options["network"] else options["model"]}
    if not options["network"] and not options["teacher"]:
        raise UsageError("no student is named", "--network NAME")
    model, new = start(student, data.names, report)
    teacher = _teacher(Path(path), options, data, model, report)
    makes = distil.trainer(
        teacher,
        temperature=options["temperature"],
        weight=options["teacher_weight"],
        features=options["features"],
        feature_weight=options["feature_weight"],
    )
    found = _fit(report, folder, student, mark, out, data, plan, model, new, makes)
    return {**found, "teacher": {"file": path, "parameters": int(teacher.count_params())}}


def _teacher(path: Path, options: Mapping[str, Any], data: Any, student: Any, report: Report) -> Any:
    """The teacher behind the student's input.

    Raises:
        UsageError: it knows other classes, or options that make no sense.
    """
    from converters import conventions
    from converters.training import cost, distil, files, mirror

    if options["balance"] == "weights":
        raise UsageError("a teacher and class weights do not go together", 'balance = "sample"')
    if not options["temperature"] > 0 or not 0 <= options["teacher_weight"] <= 1:
        raise UsageError(
            f"temperature {options['temperature']:g}, teacher_weight {options['teacher_weight']:g}",
            "a temperature above 0, a weight from 0 to 1",
        )
    teacher = files.load_model(path)
    check_classes(teacher, path, data.names, "the teacher")
    found = cost.of_model(teacher)
    macs = found.macs * int(files.note(path).get(mirror.KEY, 1))
    size = f"{found.parameters:,} parameters, {macs / 1e6:.1f} million multiply-accumulates"
    report.line(f"teacher: {path}, {size}")
    said = options["teacher_preprocess"]
    scale = conventions.parse(said) if said else None
    return distil.laid_out(teacher, shape_of(student), scale)


def shape_of(model: Any) -> tuple[int, int, int]:
    """(height, width, channels) of a model's input."""
    height, width, channels = (int(side) for side in model.inputs[0].shape[1:])
    return height, width, channels


def _fit(
    report: Report,
    folder: Work,
    options: Mapping[str, Any],
    mark: str,
    out: str,
    data: Any,
    plan: Plan,
    model: Any,
    new: tuple[str, ...],
    makes: Any = None,
) -> dict[str, Any]:
    """Feed, train and save a model; the step's figures."""
    from converters.training import files, mirror, sheet, transfer, whiten
    from converters.training.feed import open_feeds
    from converters.training.fit import fit
    from converters.training.judging import classifier_judge

    for doubt in doubts(data):
        report.warn(doubt)
    cost = tell(model, report)
    new = transfer.carry_over(model, options["weights"], report) if options["weights"] else new
    shape = shape_of(model)
    feeds = open_feeds(data, shape, plan, report, options["resize"])
    if options["whiten"]:
        whiten.whiten(model, feeds.train.pictures, plan.seed)
        plan = replace(plan, frozen=(*plan.frozen, whiten.STEM))
    sheet_file = sheet.write(folder.path(sheet.FILE), feeds.train, plan, shape[2])
    judge = classifier_judge(feeds.validation, data.names) if feeds.validation else None
    checkpoints = folder.path(Path(out).stem)
    shared: Any = {"mark": mark, "judge": judge, "new": new or ("logits",), "trainer": makes}
    feed = spread.shared(feeds.train, feeds.train.batch)
    fitted = fit(model, feed, plan, checkpoints, report, **shared)
    note = {"names": data.names, "network": options["network"], "resize": options["resize"]}
    looked_twice: dict[str, Any] = {}
    if options["mirror"]:
        model, looked_twice = mirror.kept(model, judge, report)
        note[mirror.KEY] = mirror.LOOKS
        cost = tell(model, report, mirror.LOOKS)
    files.save_model(model, folder.path(out), note)
    files.remove(checkpoints)
    made = {"network": options["network"] or Path(options["model"]).stem, "input": list(shape), **cost}
    known = {"plan": asdict(plan), "sheet": sheet_file, "files": [out, sheet_file]}
    return {**made, **asdict(fitted), **known, **looked_twice}


def begin(options: Mapping[str, Any], report: Report) -> Plan:
    """Seeds, threads and devices, before anything else is done with TensorFlow or JAX.

    Args:
        options: of the step.
        report: hears what computes.

    Returns:
        How to train, on this machine.

    Raises:
        UsageError: options that make no sense.
    """
    import keras

    plan = Plan.from_options(options)
    keras.utils.set_random_seed(plan.seed)
    if keras.backend.backend() == "tensorflow":
        _settle_tensorflow(plan)
    spread.begin(options, report)
    return processor.settled(plan, report)


def _settle_tensorflow(plan: Plan) -> None:
    import tensorflow as tf

    threads = plan.threads or os.cpu_count() or 1
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:  # it has started already: in a test
        pass
    tf.config.experimental.enable_op_determinism()


def dataset(work: Work) -> Any:
    """The split of a work folder.

    Raises:
        UsageError: there is none.
    """
    from converters.dataset import Dataset

    path = work.path("data.json")
    if not path.exists():
        raise UsageError(f"{work.root} holds no pictures yet", "run the step data first")
    return Dataset.from_json(path.read_text(encoding="utf-8"))


def refuse_boxes(data: Any, steps: str) -> None:
    """
    Raises:
        UsageError: the pictures have boxes.
    """
    if data.task == "detect":
        raise UsageError(
            f"{steps} work on classifiers, these pictures have boxes: a detector's boxes and scores are"
            " judged and taught in another way",
            "train a smaller detector instead: --width 0.5, or a smaller --input-size",
        )


def doubts(data: Any) -> list[str]:
    """What is likely to spoil a training on these pictures; one line each."""
    from collections import Counter

    from converters.dataset import histogram

    counts = histogram(data.train, len(data.names))
    found = []
    few = [f"{name} {count}" for name, count in zip(data.names, counts, strict=True) if 0 < count < _FEW]
    if few:
        listed = ", ".join(few[:5]) + (", ..." if len(few) > 5 else "")
        found.append(f"few training pictures ({listed}): some dozens a class are the least to learn from")
    shown = [count for count in counts if count]
    if max(shown) >= _SKEWED * min(shown):
        remedy = 'balance = "sample" helps the rare ones'
        found.append(f"classes have {min(shown)} to {max(shown)} training pictures: {remedy}")
    twice = Counter(labels(problem.detail) for problem in data.problems if problem.kind == "conflict")
    for pair, number in twice.most_common(3):
        if pair and number >= _CONFLICTS:
            found.append(
                f"{number} pictures are of {pair} at once, or nearly: they cannot be told apart by these"
            )
    return found


def labels(detail: str) -> str:
    """The labels in the detail of a conflict: ``'a' and 'b'``, "" if there are none."""
    found = sorted(set(re.findall(r"'[^']+'", detail)))
    return " and ".join(found) if len(found) > 1 else ""


def start(options: Mapping[str, Any], names: tuple[str, ...], report: Report) -> tuple[Any, tuple[str, ...]]:
    """The model that is trained: a new network, or the one in a file.

    Returns:
        The model, and the names of the layers that begin with random weights.

    Raises:
        UsageError: neither is named, or both.
    """
    from converters.training import mirror, networks

    if options["network"] and options["model"]:
        raise UsageError(
            f"both a network ({options['network']}) and a model ({options['model']}) are named",
            "--network for a new one, --weights FILE for what it shall take over",
        )
    if options["network"]:
        size = tuple(options["input_size"]) or (networks.INPUT_SIZE, networks.INPUT_SIZE)
        more = {key: options[key] for key in _DESIGN}
        model = networks.build(options["network"], len(names), size, **more)
        return model, tuple(layer.name for layer in model.layers if layer.weights)
    if not options["model"]:
        raise UsageError("no network is named", f"--network with one of {', '.join(networks.NAMES)}")
    model = mirror.to_change(Path(options["model"]), report)
    report.line(f"training goes on with {options['model']}")
    check_classes(model, Path(options["model"]), names, "the model")
    return model, ("logits",)


def check_classes(model: Any, path: Path, names: tuple[str, ...], what: str) -> None:
    """
    Raises:
        UsageError: the model's classes are not those of the pictures.
    """
    from converters.training import files

    outputs = int(model.outputs[0].shape[-1])
    said = files.note(path).get("names")
    if outputs != len(names):
        raise UsageError(
            f"{what} {path} has {outputs} classes, the pictures have {len(names)}",
            "both must have the same classes",
        )
    if said is not None and tuple(said) != tuple(names):
        wrong = next((a, b) for a, b in zip(said, names, strict=True) if a != b)
        raise UsageError(
            f"{what} {path} has other classes than the pictures ({wrong[0]!r} where they have {wrong[1]!r})",
            "both must have the same classes in the same order: name them by --labels",
        )


def tell(model: Any, report: Report, looks: int = 1) -> dict[str, int]:
    """What a network costs that looks so many times at a picture, said and given back."""
    from converters.training import cost

    found = cost.of_model(model)
    macs = looks * found.macs
    height, width, channels = model.inputs[0].shape[1:]
    report.line(
        f"{model.name}: {width}x{height}x{channels}, {found.parameters:,} parameters,"
        f" {macs / 1e6:.1f} million multiply-accumulates a picture"
    )
    return {"macs": macs, "parameters": found.parameters}
