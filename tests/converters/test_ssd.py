"""Converting an SSD: anchors, labels, and the graph's residual connections."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from converters import coco, ssd
from edgecam.errors import ModelError


def test_anchors_from_corners_to_centres() -> None:
    corners = np.array([[[0.1, 0.2, 0.5, 0.8], [-0.1, 0, 0.1, 1]]], np.float64)
    out = ssd.center_anchors(corners)
    assert (out.dtype, out.shape) == (np.float32, (2, 4))
    np.testing.assert_allclose(out, [[0.3, 0.5, 0.4, 0.6], [0, 0.5, 0.2, 1]], atol=1e-7)


def test_coco_labels() -> None:
    """Ids of COCO's own category list, less one for the background."""
    labels = coco.slots()
    assert len(labels) == 90
    assert len(coco.NAMES) == len(set(coco.NAMES)) == 80
    assert tuple(filter(None, labels)) == coco.NAMES
    known = {1: "person", 10: "traffic light", 13: "stop sign", 17: "cat", 44: "bottle", 46: "wine glass"}
    known |= {62: "chair", 67: "dining table", 70: "toilet", 72: "tv", 84: "book", 90: "toothbrush"}
    for number, name in known.items():
        assert labels[number - 1] == name


def optimised_graph() -> Any:
    """Convolution, bias and residual as TensorFlow's optimiser leaves them."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [1, 8, 8, 3], "image")
        kernel = tf.constant(np.random.default_rng(0).normal(size=(1, 1, 3, 3)), tf.float32, name="kernel")
        product = tf.nn.conv2d(image, kernel, 1, "SAME", name="product")
        total = tf.raw_ops.AddN(inputs=[product, image], name="total")
        bias = tf.constant([1.0, -2.0, 3.0], name="bias")
        tf.raw_ops.AddV2(x=bias, y=total, name="out")
    return graph.as_graph_def()


def run(graph: Any, picture: Any) -> Any:
    import tensorflow as tf

    function = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(graph, name=""), [])
    return function.prune("image:0", "out:0")(tf.constant(picture)).numpy()


@pytest.mark.convert
def test_residual_connections_are_as_they_were_trained() -> None:
    graph = optimised_graph()
    picture = np.random.default_rng(1).normal(size=(1, 8, 8, 3)).astype(np.float32)
    before = run(graph, picture)
    assert ssd.restore_residuals(graph) == 1
    np.testing.assert_allclose(run(graph, picture), before, atol=1e-5)
    nodes = {node.name: node for node in graph.node}
    assert "AddN" not in {node.op for node in graph.node}
    assert list(nodes["out"].input) == ["out/biased", "image"]
    assert list(nodes["out/biased"].input) == ["product", "bias"]
    assert ssd.restore_residuals(graph) == 0


@pytest.mark.convert
def test_other_sums_are_refused() -> None:
    graph = optimised_graph()
    for node in graph.node:
        if node.name == "bias":
            node.op = "Placeholder"
    with pytest.raises(ModelError, match="'total' is no residual connection"):
        ssd.restore_residuals(graph)
