"""TensorFlow's converter against LiteRT's quantizer on the bundled detector, for docs/converters.md.

    python benchmarks/quantizers.py COCO

COCO holds ``calibration/`` and ``val/``: pictures with YOLO boxes beside them. Both get the same float twin
and the same calibration pictures; the finished files are judged as the device runs them. Classifiers are
compared by ``edgecam-convert run`` with the recipes ``int8`` and ``int8-litert``. Needs TensorFlow and
litert-quantizer.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from converters import calibrate, flatmodel, litertconvert, recipes, ssd
from converters.bundled import detect_coco
from converters.bundled.recipe import finish
from converters.coco import NAMES
from converters.evaluate import judge_detector, read_yolo
from converters.quiet import quiet
from edgecam import tflite
from edgecam.engines.base import EngineOptions
from edgecam.engines.litert import LiteRTEngine


def latency(path: Path) -> float:
    """Shortest of 30 runs on two threads, in ms."""
    engine = LiteRTEngine(EngineOptions(path, threads=2, device="cpu"))
    tensor = np.full(engine.input.shape, 100, engine.input.dtype)
    times = []
    for _ in range(30):
        began = time.perf_counter()
        engine.infer(tensor)
        times.append(time.perf_counter() - began)
    engine.close()
    return 1000 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("coco", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("out/bundled"), help="folder for downloads")
    parser.add_argument("--out", type=Path, default=Path("out/quantizers"), help="folder for the models")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    names = ssd.SsdGraph()
    paths = sorted((options.coco / "calibration").glob("*.jpg"))
    laid = calibrate.laid(paths, detect_coco.SPEC, (names.size, names.size))
    inputs = calibrate.normalised(laid, detect_coco.SPEC)
    spec = replace(detect_coco.SPEC, report={}, outputs={})
    made: dict[str, tuple[bytes, float]] = {}
    with quiet():
        graph = detect_coco.graph(options.cache)

        def module() -> object:
            return ssd.detector(graph, names, detect_coco.POSTPROCESS)

        made["float"] = ssd.convert(module()), 0.0
        began = time.monotonic()
        data = ssd.convert(module(), (picture[None] for picture in inputs))
        made["tensorflow"] = data, time.monotonic() - began
        twin = options.out / "twin.tflite"
        twin.write_bytes(made["float"][0])
        began = time.monotonic()
        data = litertconvert.convert(twin, recipes.quantization("int8-litert"), inputs)
        made["litert"] = data, time.monotonic() - began
    pictures = list(read_yolo(options.coco / "val"))
    for name, (model, seconds) in made.items():
        path = options.out / f"{name}.tflite"
        roles = ssd.OUTPUTS if len(tflite.parse(model).outputs) == len(ssd.OUTPUTS) else ()
        path.write_bytes(finish(flatmodel.bare(model), spec, roles))
        found = judge_detector(path, pictures, NAMES)
        print(
            f"{name}: AP50 {found.ap50:.4f}, AP {found.ap:.4f}, {len(model):,} bytes,"
            f" {latency(path):.1f} ms, converted in {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
