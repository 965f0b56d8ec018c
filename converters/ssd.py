"""Cut an SSD detector out of a TensorFlow Object Detection graph and convert it to TFLite.

The graph's preprocessor and its decoding of boxes (loops and control flow that no small device runs) are cut
away. What is left is one straight network from a picture to box codes and class scores; the op
``TFLite_Detection_PostProcess``, which every TFLite interpreter has built in, decodes and suppresses behind
it, with the anchors that the graph held as a constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.flatmodel import order_outputs
from edgecam.errors import ModelError
from edgecam.types import Array, Floats

POSTPROCESS = "TFLite_Detection_PostProcess"
OUTPUTS = ("boxes", "classes", "scores", "count")


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
class PostProcess:
    """Parameters of ``TFLite_Detection_PostProcess``.

    Attributes:
        max_detections: rows of its outputs.
        score_threshold: lower scores are not considered.
        iou_threshold: of the suppression.
        regular: suppress class by class; else over all classes at once, each anchor's best class only.
        per_class: rows at most for one class, with ``regular``.
    """

    max_detections: int
    score_threshold: float
    iou_threshold: float
    regular: bool
    per_class: int = 100


def constant(graph: Any, name: str) -> Array:
    """The value of a graph's constant.

    Raises:
        ModelError: there is no such constant.
    """
    import tensorflow as tf

    for node in graph.node:
        if node.name == name and node.op == "Const":
            value: Array = tf.make_ndarray(node.attr["value"].tensor)
            return value
    raise ModelError(f"the graph has no constant {name!r}", "name the parts of this graph with SsdGraph")


def center_anchors(corners: Array) -> Floats:
    """Anchors (..., 4) from ymin xmin ymax xmax to ycenter xcenter height width, as the op wants them."""
    ymin, xmin, ymax, xmax = np.moveaxis(np.asarray(corners, np.float32).reshape(-1, 4), 1, 0)
    return np.stack([(ymin + ymax) / 2, (xmin + xmax) / 2, ymax - ymin, xmax - xmin], 1)


def cut(graph: Any, image: str, size: int, outputs: Sequence[str]) -> Any:
    """The part of a graph between ``image``, which becomes a placeholder of that name, and ``outputs``.

    Args:
        graph: ``GraphDef``.
        image: name of the node to replace by float32 (1, size, size, 3).
        size: in pixels.
        outputs: names of nodes.

    Raises:
        ModelError: a name is not in the graph, or a placeholder of the old graph is still needed.
    """
    import tensorflow as tf

    missing = {image, *outputs} - {node.name for node in graph.node}
    if missing:
        raise ModelError(f"the graph has no node {sorted(missing)[0]!r}", "name its parts with SsdGraph")
    out = tf.compat.v1.GraphDef()
    placeholder = out.node.add(name=image, op="Placeholder")
    placeholder.attr["dtype"].type = tf.float32.as_datatype_enum
    placeholder.attr["shape"].shape.CopyFrom(tf.TensorShape([1, size, size, 3]).as_proto())
    out.node.extend(node for node in graph.node if node.name != image)
    out = tf.compat.v1.graph_util.extract_sub_graph(out, list(outputs))
    inputs = [node.name for node in out.node if node.op == "Placeholder"]
    if inputs != [image]:
        raise ModelError(f"cut at {image!r} the graph still needs {inputs}", "cut it elsewhere")
    return out


def restore_residuals(graph: Any) -> int:
    """Undo, in place, what TensorFlow's optimiser did to residual connections before the graph was published.

    It turned ``(convolution + bias) + residual`` into ``bias + AddN(convolution, residual)``. But TFLite's
    ``ADD_N`` works in float alone, so each of them would cut the int8 network in two; and a bias behind it
    cannot become part of the convolution.

    Returns:
        How many were restored.

    Raises:
        ModelError: an ``AddN`` of another form.
    """
    nodes = {node.name: node for node in graph.node}
    found = [node for node in graph.node if node.op == "AddN"]
    for total in found:
        users = [node for node in graph.node if total.name in node.input]
        others = [name for name in users[0].input if name != total.name] if len(users) == 1 else []
        made = [name for name in total.input if nodes[name].op in ("Conv2D", "Mul")]
        if len(total.input) != 2 or not made or len(others) != 1 or nodes[others[0]].op != "Const":
            raise ModelError(f"AddN {total.name!r} is no residual connection", "convert the graph by hand")
        residual = next(name for name in total.input if name != made[0])
        kind = total.attr["T"].type
        total.Clear()
        total.name, total.op = users[0].name + "/biased", "AddV2"
        total.input.extend([made[0], others[0]])
        total.attr["T"].type = kind
        users[0].input[:] = [total.name, residual]
    return len(found)


def detector(graph: Any, names: SsdGraph, post: PostProcess) -> Any:
    """A ``tf.Module`` from a normalised picture to boxes, classes, scores and count."""
    import tensorflow as tf

    body = cut(graph, names.image, names.size, [names.boxes, names.scores])
    wrapped = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(body, name=""), [])
    network = wrapped.prune(f"{names.image}:0", [f"{names.boxes}:0", f"{names.scores}:0"])
    anchors = center_anchors(constant(graph, names.anchors))
    classes = network.structured_outputs[1].shape[-1] - 1
    scales = [1 / float(constant(graph, name)) for name in (names.center_scale, names.size_scale)]
    rows = post.max_detections

    @tf.function(experimental_implements=_signature(post, classes, *scales))  # type: ignore[untyped-decorator]
    def postprocess(boxes: Any, scores: Any, anchors: Any) -> Any:
        # Never executed: the converter puts the op named by the signature in the place of this body.
        return tf.zeros([1, rows, 4]), tf.zeros([1, rows]), tf.zeros([1, rows]), tf.zeros([1])

    class Detector(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.network = network
            self.anchors = tf.constant(anchors)

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec([1, names.size, names.size, 3], tf.float32, name="image")]
        )
        def __call__(self, image: Any) -> Any:
            boxes, scores = self.network(image)
            return dict(zip(OUTPUTS, postprocess(boxes, scores, self.anchors), strict=True))

    return Detector()


def _signature(post: PostProcess, classes: int, center_scale: float, size_scale: float) -> str:
    attributes = {
        "max_detections": f"i: {post.max_detections}",
        "max_classes_per_detection": "i: 1",
        "detections_per_class": f"i: {post.per_class}",
        "use_regular_nms": f"b: {str(post.regular).lower()}",
        "nms_score_threshold": f"f: {post.score_threshold}",
        "nms_iou_threshold": f"f: {post.iou_threshold}",
        "y_scale": f"f: {center_scale:.6g}",
        "x_scale": f"f: {center_scale:.6g}",
        "h_scale": f"f: {size_scale:.6g}",
        "w_scale": f"f: {size_scale:.6g}",
        "num_classes": f"i: {classes}",
    }
    body = " ".join(f'attr {{ key: "{key}" value {{ {value} }} }}' for key, value in attributes.items())
    return f'name: "{POSTPROCESS}" {body}'


def convert(module: Any, calibration: Iterable[Floats] | None = None) -> bytes:
    """A TFLite model from what :func:`detector` made.

    Args:
        module: the detector.
        calibration: normalised pictures, float32 (1, size, size, 3). With them the network becomes int8
            (weights per channel) with a uint8 image input; without them it stays float32.
    """
    import tensorflow as tf

    function = module.__call__.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.allow_custom_ops = True
    if calibration is not None:
        pictures = list(calibration)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([picture] for picture in pictures)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
    model: bytes = converter.convert()
    return order_outputs(model, OUTPUTS)
