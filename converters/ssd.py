"""SSD detectors: cut out of a TensorFlow Object Detection graph, and ended by the op that decodes them.

The graph's preprocessor and its decoding of boxes (loops and control flow that no small device runs) are cut
away. What is left is one straight network from a picture to box codes and class scores; the op
``TFLite_Detection_PostProcess``, which every TFLite interpreter has built in, decodes and suppresses behind
it, with the anchors that the graph held as a constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from converters.detector import PostProcess, SsdGraph
from edgecam.errors import ModelError
from edgecam.types import Array, Floats

POSTPROCESS = "TFLite_Detection_PostProcess"
OUTPUTS = ("boxes", "classes", "scores", "count")


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


def restore_residuals(graph: Any, *, strict: bool = True) -> int:
    """Undo, in place, what TensorFlow's optimiser did to residual connections before the graph was published.

    It turned ``(convolution + bias) + residual`` into ``bias + AddN(convolution, residual)``. But TFLite's
    ``ADD_N`` works in float alone, so each of them would cut the int8 network in two; and a bias behind it
    cannot become part of the convolution.

    Args:
        graph: ``GraphDef``.
        strict: refuse an ``AddN`` of another form. Else one of two inputs becomes a plain sum, and the rest
            stays as it is.

    Returns:
        How many were restored.

    Raises:
        ModelError: an ``AddN`` of another form.
    """
    nodes = {node.name: node for node in graph.node}
    found = [node for node in graph.node if node.op == "AddN"]
    restored = 0
    for total in found:
        users = [node for node in graph.node if total.name in node.input]
        others = [name for name in users[0].input if name != total.name] if len(users) == 1 else []
        made = [name for name in total.input if name in nodes and nodes[name].op in ("Conv2D", "Mul")]
        fits = len(total.input) == 2 and made and len(others) == 1 and users[0].op in ("Add", "AddV2")
        if fits and others[0] in nodes and nodes[others[0]].op == "Const":
            residual = next(name for name in total.input if name != made[0])
            _become_sum(total, users[0].name + "/biased", [made[0], others[0]])
            users[0].input[:] = [total.name, residual]
            restored += 1
        elif strict:
            raise ModelError(f"AddN {total.name!r} is no residual connection", "convert the graph by hand")
        elif len(total.input) == 2:
            _become_sum(total, total.name, list(total.input))
    return restored


def _become_sum(node: Any, name: str, inputs: Sequence[str]) -> None:
    kind = node.attr["T"].type
    node.Clear()
    node.name, node.op = name, "AddV2"
    node.input.extend(inputs)
    node.attr["T"].type = kind


def says(graph: Any, names: SsdGraph) -> dict[str, Any]:
    """What a graph's own constants say: the options ``anchors`` and ``box_scales`` of its decoder."""
    anchors = center_anchors(constant(graph, names.anchors))
    centre, size = (1 / float(constant(graph, name)) for name in (names.center_scale, names.size_scale))
    return {
        "anchors": {"kind": "explicit", "boxes": anchors.tolist()},
        "box_scales": [float(f"{scale:.6g}") for scale in (centre, centre, size, size)],
    }


def postprocess(
    boxes: Any, scores: Any, anchors: Floats, post: PostProcess, scales: Sequence[float], background: bool
) -> dict[str, Any]:
    """``TFLite_Detection_PostProcess`` behind a network, inside a TensorFlow function that is converted.

    Args:
        boxes: box codes (1, N, 4), ty tx th tw.
        scores: probabilities (1, N, C).
        anchors: (N, 4), centre y, centre x, height, width, relative.
        post: its parameters.
        scales: by which training multiplied the codes: y, x, height, width.
        background: the first score is that of the background.

    Returns:
        Role -> tensor, see :data:`OUTPUTS`.
    """
    import tensorflow as tf

    rows = post.max_detections
    signature = _signature(post, int(scores.shape[-1]) - background, scales)

    @tf.function(experimental_implements=signature)  # type: ignore[untyped-decorator]
    def op(boxes: Any, scores: Any, anchors: Any) -> Any:
        # Never executed: the converter puts the op named by the signature in the place of this body.
        return tf.zeros([1, rows, 4]), tf.zeros([1, rows]), tf.zeros([1, rows]), tf.zeros([1])

    return dict(zip(OUTPUTS, op(boxes, scores, tf.constant(anchors)), strict=True))


def _signature(post: PostProcess, classes: int, scales: Sequence[float]) -> str:
    y, x, height, width = scales
    attributes = {
        "max_detections": f"i: {post.max_detections}",
        "max_classes_per_detection": "i: 1",
        "detections_per_class": f"i: {post.per_class}",
        "use_regular_nms": f"b: {str(post.regular).lower()}",
        "nms_score_threshold": f"f: {post.score_threshold}",
        "nms_iou_threshold": f"f: {post.iou_threshold}",
        "y_scale": f"f: {y:.6g}",
        "x_scale": f"f: {x:.6g}",
        "h_scale": f"f: {height:.6g}",
        "w_scale": f"f: {width:.6g}",
        "num_classes": f"i: {classes}",
    }
    body = " ".join(f'attr {{ key: "{key}" value {{ {value} }} }}' for key, value in attributes.items())
    return f'name: "{POSTPROCESS}" {body}'
