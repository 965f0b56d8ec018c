"""How a detector tells what it is: ``STEM.detector.json`` beside the model.

A Keras model, a SavedModel or a tfjs graph holds no decoder, and an output's meaning cannot be seen from its
shape. So a small file says it: beside ``parts.keras`` or the folder ``parts/`` lies ``parts.detector.json``::

    {
      "decoder": "ssd-anchors",
      "outputs": {"boxes": "boxes", "scores": "scores"},
      "anchors": {"kind": "ssd", "strides": [16, 32, 64], "min_scale": 0.2, "max_scale": 0.9},
      "box_scales": [10, 10, 5, 5],
      "background": false,
      "activation": "sigmoid",
      "postprocess": {"max_detections": 100, "score_threshold": 0.05, "iou_threshold": 0.6}
    }

``decoder``
    the head that understands the outputs (:data:`edgecam.registry.HEADS`); ``ssd-anchors`` if not said: box
    codes (1, N, 4) against N anchors and scores (1, N, C). ``ssd-postprocess``: the model ends in
    ``TFLite_Detection_PostProcess`` already.
``outputs``
    role -> name of the model's output (a Keras model's ``output_names``, the keys of a SavedModel's
    signature, the nodes of a graph); a role's own name if not said.
``postprocess``
    of ``ssd-anchors``: the op ``TFLite_Detection_PostProcess`` goes behind the network with these values
    (:class:`PostProcess`), so that MediaPipe and others take the file too; ``false`` leaves the raw outputs,
    which the device decodes.
``graph``
    of a tfjs graph of TensorFlow's Object Detection API: where it is cut, see :class:`SsdGraph`.
    Anchors and scales are then the graph's own.

Everything else are options of the decoder as they stand in a contract; those of ``ssd-anchors``
(:class:`edgecam.heads.ssd.SsdAnchorsHead`) are checked here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from edgecam import registry
from edgecam.errors import ModelError, UnknownNameError

SUFFIX = ".detector.json"
ANCHORS, POSTPROCESS = "ssd-anchors", "ssd-postprocess"
#: decoder -> the roles of its outputs
ROLES = {
    ANCHORS: ("boxes", "scores"),
    POSTPROCESS: ("boxes", "classes", "scores", "count"),
}
_OPTIONS = {
    ANCHORS: (
        *("anchors", "box_scales", "box_order", "background", "activation", "label_offset"),
        *("class_agnostic", "threshold", "iou", "top_k"),
    ),
    POSTPROCESS: ("threshold", "top_k", "label_offset"),
}


@dataclass(frozen=True)
class PostProcess:
    """Parameters of ``TFLite_Detection_PostProcess``.

    Attributes:
        max_detections: rows of its outputs.
        score_threshold: lower scores are not considered.
        iou_threshold: of the suppression.
        regular: suppress class by class; else over all classes at once, each anchor's best class only.
        per_class: rows at most for one class, with ``regular``.
    """

    max_detections: int = 100
    score_threshold: float = 0.05
    iou_threshold: float = 0.6
    regular: bool = False
    per_class: int = 100


@dataclass(frozen=True)
class SsdGraph:
    """Where the parts of an SSD lie in its graph (names of the TensorFlow Object Detection API).

    Attributes:
        size: side of the square input in pixels.
        image: the tensor that holds the normalised picture; what leads to it is cut away.
        boxes: box codes, (1, anchors, 4).
        scores: class scores after the sigmoid, (1, anchors, classes + 1), background first.
        anchors: constant with the anchors as ymin xmin ymax xmax, relative, (1, anchors, 4).
        center_scale: constant with 1 / scale of the centre codes.
        size_scale: constant with 1 / scale of the size codes.
    """

    size: int = 300
    image: str = "Preprocessor/sub"
    boxes: str = "Squeeze"
    scores: str = "Postprocessor/convert_scores"
    anchors: str = "Postprocessor/ExpandDims"
    center_scale: str = "ConstantFolding/Postprocessor/Decode/div_recip"
    size_scale: str = "ConstantFolding/Postprocessor/Decode/div_2_recip"


@dataclass(frozen=True)
class Detector:
    """What a model's outputs are; see the module.

    Attributes:
        decoder: name of the head.
        outputs: role -> name of the model's output.
        options: of the decoder.
        postprocess: what is put behind the network, None for nothing.
        graph: where a graph is cut, None for a model that is taken whole.
    """

    decoder: str = ANCHORS
    outputs: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    postprocess: PostProcess | None = PostProcess()
    graph: SsdGraph | None = None

    @property
    def roles(self) -> tuple[str, ...]:
        """Of the model's outputs, before anything is put behind them."""
        return ROLES.get(self.decoder) or tuple(self.outputs)

    def output(self, role: str) -> str:
        """The name of the output that plays a role."""
        return self.outputs.get(role, role)

    def as_dict(self) -> dict[str, Any]:
        """As in the file."""
        out: dict[str, Any] = {"decoder": self.decoder, **self.options}
        if self.outputs:
            out["outputs"] = dict(self.outputs)
        if self.graph:
            out["graph"] = asdict(self.graph)
        if self.decoder == ANCHORS:
            out["postprocess"] = asdict(self.postprocess) if self.postprocess else False
        return out

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            ModelError: it does not say what it must.
        """
        from converters.files import write_whole

        content = self.as_dict()
        from_dict(content, path)
        write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def beside(model: Path) -> Path:
    """Where the file of a model is looked for."""
    return model.parent / f"{model.name if model.is_dir() else model.stem}{SUFFIX}"


def ssd(
    anchors: Mapping[str, Any], *, postprocess: PostProcess | None = PostProcess(), **options: Any
) -> Detector:
    """An SSD whose outputs are called ``boxes`` and ``scores``; options as in the file."""
    return Detector(options={"anchors": dict(anchors), **options}, postprocess=postprocess)


def read(path: Path) -> Detector:
    """
    Raises:
        ModelError: there is no such file, or it does not say what it must.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{path} is missing: nothing says what the detector's outputs mean",
            "write it, with decoder and anchors: see docs/converters.md, or name it by --detector",
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON ({error})", "correct it") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is no JSON object", "see docs/converters.md")
    return from_dict(content, path)


def from_dict(content: Mapping[str, Any], path: Path) -> Detector:
    """
    Args:
        content: of the file.
        path: for messages.

    Raises:
        ModelError: a key or value is wrong.
    """
    rest = dict(content)
    decoder = rest.pop("decoder", ANCHORS)
    if decoder not in registry.HEADS or decoder == "classify":
        detectors = [name for name in registry.HEADS if name != "classify"]
        raise ModelError(f"{path}: decoder {decoder!r}", f"one of {', '.join(detectors)}")
    outputs = _table(path, rest, "outputs")
    graph = SsdGraph(**_values(path, _table(path, rest, "graph"), SsdGraph)) if "graph" in rest else None
    post = _postprocess(path, rest.pop("postprocess", decoder == ANCHORS), decoder)
    if decoder in _OPTIONS:
        _known(path, rest, _OPTIONS[decoder])
        _known(path, outputs, ROLES[decoder])
    elif not outputs:
        raise ModelError(f"{path}: decoder {decoder!r} without outputs", 'add outputs: {"ROLE": "NAME"}')
    if decoder == ANCHORS and not graph and "anchors" not in rest:
        raise ModelError(f"{path} names no anchors", 'add "anchors", for example {"kind": "ssd"}')
    return Detector(decoder, outputs, rest, post, graph)


def _table(path: Path, content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content.pop(key, {})
    if not isinstance(value, dict):
        raise ModelError(f"{path}: {key} = {value!r}", "give an object of names")
    return value


def _postprocess(path: Path, value: Any, decoder: str) -> PostProcess | None:
    if value is False or value is None:
        return None
    if decoder != ANCHORS:
        raise ModelError(f"{path}: postprocess with decoder {decoder!r}", f"it goes with {ANCHORS}")
    if value is True:
        return PostProcess()
    if not isinstance(value, dict):
        raise ModelError(f"{path}: postprocess = {value!r}", "give an object, or false")
    return PostProcess(**_values(path, value, PostProcess))


def _values(path: Path, table: Mapping[str, Any], kind: type[PostProcess] | type[SsdGraph]) -> dict[str, Any]:
    """A table of the fields of a dataclass, types and signs checked."""
    kinds = {entry.name: type(entry.default) for entry in fields(kind)}
    _known(path, table, tuple(kinds))
    for key, given in table.items():
        right = type(given) is kinds[key] or (kinds[key] is float and type(given) is int)
        if not right or (kinds[key] in (int, float) and given < 0):
            raise ModelError(f"{path}: {key} = {given!r}", f"give a value of type {kinds[key].__name__}")
    return dict(table)


def _known(path: Path, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            error = UnknownNameError("key", key, known)
            raise ModelError(f"{path}: {error.message}", error.remedy)
