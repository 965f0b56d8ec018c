"""Detectors trained on one's own boxes: SSDLite heads on a MobileNet.

Quick to import; what needs TensorFlow says so.
"""

from __future__ import annotations

#: name -> its backbone, a network of :mod:`converters.training.networks`
BACKBONES = {
    "ssd_mobilenet_v1": "mobilenet_v1",
    "ssd_mobilenet_v2": "mobilenet_v2",
    "ssd_mobilenet_v3": "mobilenet_v3",
    "ssd_mobilenet_v3_large": "mobilenet_v3_large",
}
NAMES = tuple(BACKBONES)
INPUT_SIZE = 320
