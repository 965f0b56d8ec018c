"""Public models and photographs, from the file to the answer: preprocessing, interpreter and head together.

The answers are those that the models give after plain antialiased bilinear resizing.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from edgecam import contract, jpeg, registry, resources
from edgecam.contract import ModelSpec, Overrides
from edgecam.engines.base import EngineOptions
from edgecam.engines.litert import LiteRTEngine
from edgecam.heads.ssd import SsdAnchorsHead, SsdPostprocessHead
from edgecam.preprocess import Preprocessor
from edgecam.types import Array, Classification, Detections, Frame, HeadOptions, Result, TensorInfo
from tests.heads.support import iou

pytestmark = pytest.mark.real


def picture(path: Path) -> Frame:
    if path.suffix == ".jpg":
        data = path.read_bytes()
        return Frame(0, jpeg=data, size=jpeg.size(data), decode=jpeg.decode)
    return Frame(0, np.asarray(Pillow.open(path).convert("RGB")))


@dataclass
class Model:
    """A model with its preprocessing and its head, made as the program makes them."""

    spec: ModelSpec
    engine: LiteRTEngine
    preprocess: Preprocessor
    head: Any

    def __call__(self, frame: Frame) -> Result:
        tensor, geometry = self.preprocess(frame)
        result: Result = self.head.decode(self.engine.infer(tensor), geometry)
        return result

    def names(self, result: Result) -> list[str]:
        return [self.spec.labels[i] for i in result.class_id]


def load(path: Path, spec: ModelSpec, options: HeadOptions | None = None) -> Model:
    engine = LiteRTEngine(EngineOptions(model=path, threads=1))
    contract.check(spec, engine.input, engine.outputs)
    make = registry.load(registry.HEADS, "decoder", spec.decoder)
    head = make(spec, engine.input, engine.outputs, options or HeadOptions())
    return Model(spec, engine, Preprocessor(spec, engine.input), head)


def lines(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8").splitlines())


def relative(result: Result, frame: Frame) -> Array:
    assert isinstance(result, Detections)
    return result.xyxy / np.array(frame.size * 2)


# Classification


@pytest.mark.parametrize(
    ("file", "image", "answer"),
    [
        ("mobilenet_v2_1.0_224_quant", "cat.bmp", {"Egyptian cat": 0.79, "tabby, tabby cat": 0.11}),
        ("mobilenet_v2_1.0_224_quant", "parrot.jpg", {"macaw": 1.0}),
        ("mobilenet_v1_0.25_128_quant", "cat.bmp", {"Egyptian cat": 0.13, "tiger cat": 0.12}),
        ("mobilenet_v1_0.25_128_quant", "parrot.jpg", {"macaw": 0.76, "lorikeet": 0.05}),
    ],
)
def test_mobilenet(real: Path, file: str, image: str, answer: dict[str, float]) -> None:
    spec = imagenet(real)
    model = load(real / f"{file}.tflite", spec, HeadOptions(threshold=0.04))
    result = model(picture(real / image))
    assert model.names(result)[: len(answer)] == list(answer)
    # Resampling differs from Pillow's by little, and so do the answers.
    np.testing.assert_allclose(result.score[: len(answer)], list(answer.values()), atol=0.1)


def imagenet(real: Path) -> ModelSpec:
    labels = lines(real / "imagenet_labels.txt")
    return ModelSpec("imagenet", "classify", "classify", labels, mean=(128.0,), std=(128.0,))


def test_red_is_not_taken_for_blue(real: Path) -> None:
    """A ginger cat is a cat; a blue one is something else to this model."""
    spec, path = imagenet(real), real / "mobilenet_v1_0.25_128_quant.tflite"
    frame = picture(real / "cat_720p.jpg")
    right, swapped = load(path, spec), load(path, replace(spec, color="bgr"))
    assert all("cat" in name for name in right.names(right(frame)))
    assert not any("cat" in name for name in swapped.names(swapped(frame)))


def test_a_wrong_activation_is_seen(real: Path) -> None:
    """Softmax after the model's own softmax flattens everything to one in a thousand."""
    spec = replace(imagenet(real), options={"activation": "softmax"})
    result = load(real / "mobilenet_v2_1.0_224_quant.tflite", spec)(picture(real / "parrot.jpg"))
    assert isinstance(result, Classification) and len(result) == 0


# Detection


@pytest.mark.parametrize(
    ("image", "answer"),
    [
        (
            "bus.jpg",
            [
                ("person", 0.82, (0.07, 0.36, 0.27, 0.83)),
                ("bus", 0.73, (0.03, 0.22, 0.97, 0.71)),
                ("person", 0.66, (0.27, 0.40, 0.42, 0.78)),
                ("person", 0.62, (0.83, 0.30, 1.00, 0.80)),
                ("person", 0.49, (0.73, 0.36, 0.78, 0.42)),
            ],
        ),
        ("cat_720p.jpg", [("cat", 0.72, (0.09, 0.13, 0.71, 0.98))]),
    ],
)
def test_ssd_with_the_post_process_op(real: Path, image: str, answer: list[Any]) -> None:
    path = real / "coco_ssd_mobilenet_v1_1.0_quant.tflite"
    overrides = Overrides(task="detect", labels=real / "coco_labels.txt")
    frame = picture(real / image)
    model = load(path, contract.resolve(path, overrides), HeadOptions(threshold=0.45))
    result = model(frame)
    assert model.names(result) == [name for name, _, _ in answer]
    np.testing.assert_allclose(result.score, [score for _, score, _ in answer], atol=0.05)
    np.testing.assert_allclose(relative(result, frame), [box for _, _, box in answer], atol=0.03)


@pytest.mark.parametrize(
    ("image", "answer"),
    [
        (
            "bus.jpg",
            {
                (0.07, 0.36, 0.28, 0.84): "person",
                (0.04, 0.22, 0.99, 0.68): "bus",
                (0.28, 0.37, 0.43, 0.79): "person",
                (0.83, 0.36, 1.00, 0.80): "person",
            },
        ),
        ("cat_720p.jpg", {(0.08, 0.11, 0.71, 0.99): "cat"}),
    ],
)
def test_yolov8_int8(real: Path, image: str, answer: dict[Any, str]) -> None:
    labels = lines(real / "coco80.txt")[:80]
    spec = ModelSpec("yolov8n", "detect", "yolov8", labels, resize="letterbox", std=(255.0,))
    frame = picture(real / image)
    model = load(real / "yolov8n_full_integer_quant_224.tflite", spec, HeadOptions(threshold=0.5))
    result = model(frame)
    boxes = relative(result, frame)
    for wanted, name in answer.items():
        overlaps = [iou(box, np.array(wanted)) for box in boxes]
        best = int(np.argmax(overlaps))
        assert overlaps[best] > 0.85 and model.names(result)[best] == name
    assert sorted(model.names(result)) == sorted(answer.values())


def test_raw_ssd_gives_what_the_op_gives(real: Path) -> None:
    """The tensors that go into the model's own post-process op, decoded here instead."""
    path = real / "coco_ssd_mobilenet_v1_1.0_quant.tflite"
    interpreter = open_with_all_tensors(path)
    details = {d["name"]: d for d in interpreter.get_tensor_details()}
    infos = {name: info_of(details[name]) for name in ("Squeeze", "convert_scores", "anchors")}
    image = info_of(interpreter.get_input_details()[0])
    outputs = interpreter.get_output_details()
    labels = lines(real / "coco_labels.txt")
    spec = ModelSpec("ssd", "detect", "ssd-postprocess", labels, mean=(128.0,), std=(128.0,))
    user = HeadOptions(threshold=0.3, iou=0.6, top_k=10)
    op = SsdPostprocessHead(spec, image, [info_of(d) for d in outputs], user)
    preprocess = Preprocessor(spec, image)
    # The op has its anchors rounded to 8 bits, the generator has not.
    stored = interpreter.get_tensor(details["anchors"]["index"]).astype(np.float32) * infos["anchors"].scale
    for anchors, tolerance in (({"kind": "explicit", "boxes": stored.tolist()}, 0.5), ({"kind": "ssd"}, 8)):
        options = {"anchors": anchors, "class_agnostic": True}
        roles = {"boxes": "Squeeze", "scores": "convert_scores"}
        raw = SsdAnchorsHead(
            replace(spec, options=options, outputs=roles),
            image,
            [infos["Squeeze"], infos["convert_scores"]],
            user,
        )
        for name in ("bus.jpg", "cat_720p.jpg"):
            tensor, geometry = preprocess(picture(real / name))
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
            interpreter.invoke()
            wanted = op.decode([interpreter.get_tensor(d["index"]) for d in outputs], geometry)
            arrays = [interpreter.get_tensor(details[n]["index"]) for n in ("Squeeze", "convert_scores")]
            found = raw.decode(arrays, geometry)
            assert len(wanted) > 0 and found.class_id.tolist() == wanted.class_id.tolist()
            np.testing.assert_allclose(found.score, wanted.score, atol=1e-6)
            np.testing.assert_allclose(found.xyxy, wanted.xyxy, atol=tolerance)


def open_with_all_tensors(path: Path) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tflite_runtime.interpreter import Interpreter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the memory that this takes
        interpreter = Interpreter(str(path), num_threads=1, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    return interpreter


def info_of(detail: dict[str, Any]) -> TensorInfo:
    scale, zero_point = detail["quantization"]
    return TensorInfo(
        detail["name"], tuple(map(int, detail["shape"])), np.dtype(detail["dtype"]), scale, zero_point
    )


# Faces

EYES_NOSE: Sequence[tuple[float, float]] = ((279, 99), (321, 95), (298, 121))


def test_faces(real: Path) -> None:
    """Two faces near the camera, the right one's eyes and nose where they are in the picture."""
    path = resources.bundled_model("face")
    spec = contract.read(path)
    assert spec is not None and spec.decoder == "blazeface"
    result = load(path, spec)(picture(real / "face.jpg"))
    assert isinstance(result, Detections) and len(result) == 2
    for box, wanted in zip(result.xyxy, [(255, 68, 357, 169), (128, 98, 231, 200)], strict=True):
        assert iou(box, np.array(wanted)) > 0.85
    assert result.score.min() > 0.8
    assert result.keypoints is not None
    np.testing.assert_allclose(result.keypoints[0, :3], EYES_NOSE, atol=6)
