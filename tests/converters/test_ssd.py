"""What of the SSD conversion needs no TensorFlow; the rest is the ``convert`` test of the bundled models."""

from __future__ import annotations

import numpy as np

from converters import coco, ssd


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
