"""The model contract: what a ``.tflite`` says about itself.

A model file is the TFLite flatbuffer, in it the standard ``TFLITE_METADATA`` buffer, and after it an
appended, stored (uncompressed) zip with ``labels.txt`` (one label a line, line number = class id, empty or
``???`` for unused slots) and ``edgecam.json``::

    {
      "edgecam": 1,                         format version
      "name": "detect-coco",
      "version": "1.0.0",
      "description": "...", "licence": "Apache-2.0", "origin": "...",
      "task": "detect",                     classify | detect
      "decoder": "ssd-postprocess",         a name in edgecam.registry.HEADS
      "input": {
        "color": "rgb",                     rgb | bgr | gray
        "resize": "stretch",                stretch | letterbox | crop
        "mean": [127.5], "std": [127.5]     real = (pixel - mean) / std; one value or three
      },
      "outputs": {"boxes": "name", ...},    role -> tensor name or index as text; the decoder's roles
      "options": {"threshold": 0.5, ...},   the decoder's
      "report": {...},                      what was measured, and how
      "golden": [...]                       golden samples
    }

Shape, dtype, scale and zero point are never here: they come from the interpreter alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Task = Literal["classify", "detect"]
Color = Literal["rgb", "bgr", "gray"]
Resize = Literal["stretch", "letterbox", "crop"]


@dataclass(frozen=True)
class ModelSpec:
    """A model's contract, read and validated.

    Attributes:
        name: short name, file stem if the file gives none.
        task: what its results are.
        decoder: key of :data:`edgecam.registry.HEADS`.
        labels: index is the class id; "" marks an unused slot. Empty if the model names none.
        color: channel order of the input.
        resize: how a frame is laid into the input.
        mean: real input = (pixel - mean) / std; one value for all channels, or one each.
        std: see ``mean``.
        outputs: role -> tensor name or decimal index; empty where the decoder can tell without.
        options: the decoder's own parameters (threshold, iou, anchors, ...).
    """

    name: str
    task: Task
    decoder: str
    labels: tuple[str, ...] = ()
    color: Color = "rgb"
    resize: Resize = "stretch"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    outputs: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    description: str = ""
    licence: str = ""
    origin: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)
    golden: tuple[Mapping[str, Any], ...] = ()
