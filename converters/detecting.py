"""A loaded detector whose outputs are known by their roles. Needs TensorFlow; runs in the child process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from converters import ssd
from converters.detector import ANCHORS, POSTPROCESS, Detector
from converters.source import Source
from edgecam.errors import ModelError


def known(source: Source, told: Detector) -> tuple[Source, dict[str, Any]]:
    """The model with its outputs by role, and with the op behind it where that is wanted.

    Args:
        source: the loaded model.
        told: what is said of its outputs.

    Returns:
        the source, whose ``call`` gives role -> tensor; and ``decoder``, ``options`` and ``classes`` for the
        contract (0 where a detector's outputs do not tell).

    Raises:
        ModelError: an output is missing, or is not of the shape that its role has.
    """
    source = _by_role(source, told)
    options = {**told.options, **source.says}
    if told.decoder != ANCHORS:
        return source, {"decoder": told.decoder, "options": options, "classes": 0}
    columns = _check(source, options)
    classes = columns - bool(options.get("background", True))
    if told.postprocess is None:
        return source, {"decoder": ANCHORS, "options": options, "classes": classes}
    kept = {key: options[key] for key in ("threshold", "top_k", "label_offset") if key in options}
    return _ended(source, told, options), {"decoder": POSTPROCESS, "options": kept, "classes": classes}


def _by_role(source: Source, told: Detector) -> Source:
    places = {}
    for role in told.roles:
        name = told.output(role)
        if name not in source.output_names:
            raise ModelError(
                f"the model has no output {name!r}, its outputs are {', '.join(source.output_names)}",
                f'say which are meant: "outputs": {{"{role}": "NAME"}} in its .detector.json',
            )
        places[role] = source.output_names.index(name)

    def call(image: Any) -> dict[str, Any]:
        import tensorflow as tf

        outputs = tf.nest.flatten(source.call(image))
        return {role: outputs[place] for role, place in places.items()}

    shapes = tuple(source.outputs[place] for place in places.values())
    return replace(source, call=call, outputs=shapes, output_names=tuple(places), roles=tuple(places))


def _check(source: Source, options: Mapping[str, Any]) -> int:
    """Number of the score columns."""
    from edgecam.heads.anchors import make_anchors

    count = len(make_anchors(options.get("anchors"), source.shape[1], source.shape[0]))
    boxes, scores = source.outputs
    if len(boxes) != 3 or boxes[1:] != (count, 4):
        raise ModelError(
            f"the output boxes has the shape {boxes}, the anchors ask for (1, {count}, 4)",
            "correct the anchors in the .detector.json",
        )
    if len(scores) != 3 or scores[1] != count:
        raise ModelError(
            f"the output scores has the shape {scores}, the anchors ask for (1, {count}, classes)",
            "correct the anchors in the .detector.json",
        )
    return int(scores[2])


def _ended(source: Source, told: Detector, options: Mapping[str, Any]) -> Source:
    """With ``TFLite_Detection_PostProcess`` behind it."""
    from edgecam.heads.anchors import make_anchors

    anchors = make_anchors(options["anchors"], source.shape[1], source.shape[0])
    scales = [float(value) for value in np.ravel(options.get("box_scales", (10, 10, 5, 5)))]
    background = bool(options.get("background", True))
    activation = options.get("activation", "none")
    post = told.postprocess
    assert post is not None

    def call(image: Any) -> dict[str, Any]:
        import tensorflow as tf

        found = source.call(image)
        boxes, scores = found["boxes"], found["scores"]
        if options.get("box_order", "yxhw") == "xywh":
            boxes = tf.gather(boxes, [1, 0, 3, 2], axis=2)
        if activation != "none":
            scores = tf.nn.softmax(scores) if activation == "softmax" else tf.sigmoid(scores)
        return ssd.postprocess(boxes, scores, anchors, post, scales, background)

    rows = post.max_detections
    shapes = ((1, rows, 4), (1, rows), (1, rows), (1,))
    return replace(source, call=call, outputs=shapes, output_names=ssd.OUTPUTS, roles=ssd.OUTPUTS)
