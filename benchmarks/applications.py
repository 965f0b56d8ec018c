"""Convert networks of keras.applications to int8 and print the table of docs/converters.md.

    python benchmarks/applications.py PICTURES                       all of them (an hour on two slow cores)
    python benchmarks/applications.py PICTURES MobileNetV2 --calibration 100

The weights are random, so nothing is recognised: the figures are about conversion, size and speed, and about
how near the int8 network's numbers stay to those of its float twin on real pictures. Batch normalisation gets
the statistics of real pictures; without them random networks fade out to nothing. Needs TensorFlow.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from converters import calibrate, conventions, macs, recipes
from converters.edgetpu import check
from converters.floatops import float_operators
from converters.quantize import Converter
from converters.recipes import Quantization
from edgecam.contract import ModelSpec
from edgecam.engines.base import EngineOptions
from edgecam.engines.litert import LiteRTEngine
from edgecam.errors import ModelError
from edgecam.quant import dequantize, quantize
from edgecam.types import Array, Floats

#: network -> (module of keras.applications, side of its input)
NETWORKS = {
    "MobileNet": ("mobilenet", 224),
    "MobileNetV2": ("mobilenet_v2", 224),
    "MobileNetV3Small": ("mobilenet_v3", 224),
    "MobileNetV3Large": ("mobilenet_v3", 224),
    "EfficientNetB0": ("efficientnet", 224),
    "EfficientNetV2B0": ("efficientnet_v2", 224),
    "NASNetMobile": ("nasnet", 224),
    "DenseNet121": ("densenet", 224),
    "ResNet50": ("resnet", 224),
    "ResNet50V2": ("resnet_v2", 224),
    "InceptionV3": ("inception_v3", 299),
    "Xception": ("xception", 299),
    "ConvNeXtTiny": ("convnext", 224),
    "VGG16": ("vgg16", 224),
}
_JUDGED = 32  # pictures for the agreement
_WARM = 16  # pictures for the statistics of batch normalisation
_MAKE = """
import sys
from converters.quiet import quiet
with quiet():
    import keras
    import numpy as np
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, sys.argv[1])(weights=None, classifier_activation=None)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.load(sys.argv[3]), training=True)
    model.save(sys.argv[2])
"""


@dataclass(frozen=True)
class Row:
    """One network, converted."""

    network: str
    pictures: int
    seconds: float
    peak_mb: int
    float_mb: float
    int8_mb: float
    macs_m: float
    float_ms: float
    int8_ms: float
    float_ops: dict[str, int]
    agreement: float
    sqnr_db: float
    tpu: str


def measure(network: str, paths: Sequence[Path], count: int, folder: Path) -> Row:
    """Convert and judge one network."""
    module, side = NETWORKS[network]
    model = folder / f"{network}.keras"
    convention = conventions.NETWORKS[module]
    spec = ModelSpec(
        network, "classify", "classify", color=convention.color, mean=convention.mean, std=convention.std
    )
    laid = calibrate.laid(paths[: count + _JUDGED], spec, (side, side))
    inputs = calibrate.normalised(laid, spec)
    warm = folder / "warm.npy"
    np.save(warm, inputs[:_WARM])
    subprocess.run([sys.executable, "-c", _MAKE, network, str(model), str(warm)], check=True)
    twin, int8 = folder / f"{network}-float.tflite", folder / f"{network}-int8.tflite"
    with Converter() as converter:
        size = (side, side)
        converter.load(model, size=size, task="other")  # no softmax: uint8 would round its 1/1000 away
        converter.convert(Quantization("float", ""), twin, task="other")
    with Converter() as converter:
        began = time.monotonic()
        converter.load(model, size=size, task="other")
        try:
            done = converter.convert(
                recipes.quantization("int8"), int8, calibration=inputs[:count], task="other"
            )
        except ModelError:  # operators without an integer form: the column "not int8" names them
            recipe = recipes.quantization("int8-float-fallback")
            done = converter.convert(recipe, int8, calibration=inputs[:count], task="other")
        seconds = time.monotonic() - began
    model.unlink()
    reference, float_ms = answers(twin, inputs[count:])
    found, int8_ms = answers(int8, inputs[count:])
    noise = float(((reference - found) ** 2).sum()) or 1e-12
    data = int8.read_bytes()
    return Row(
        network,
        count,
        round(seconds, 1),
        done.peak_mb,
        round(twin.stat().st_size / 1e6, 1),
        round(len(data) / 1e6, 1),
        round(macs.count(data).macs / 1e6, 1),
        float_ms,
        int8_ms,
        float_operators(data),
        float((reference.argmax(1) == found.argmax(1)).mean()),
        round(10 * float(np.log10((reference**2).sum() / noise)), 1),
        on_tpu(data),
    )


def answers(path: Path, inputs: Floats) -> tuple[Floats, float]:
    """The network's numbers (N, K) for ready inputs, and the shortest time of one run in ms."""
    engine = LiteRTEngine(EngineOptions(path, device="cpu"))
    rows: list[Array] = []
    times = []
    for one in inputs:
        tensor = quantize(one[None], engine.input)
        began = time.perf_counter()
        out = engine.infer(tensor)
        times.append(time.perf_counter() - began)
        rows.append(dequantize(np.array(out[0]), engine.outputs[0]).reshape(-1).copy())
    engine.close()
    return np.stack(rows), round(1000 * min(times), 1)


def on_tpu(model: bytes) -> str:
    """Operators that an Edge TPU would run, of all."""
    found = check.check(model)
    return f"{found.on_tpu} of {found.on_tpu + found.on_cpu}"


def table(rows: Sequence[Row]) -> str:
    """As Markdown."""
    head = (
        "network",
        "s",
        "peak MB",
        "float MB",
        "int8 MB",
        "M MACs",
        "float ms",
        "int8 ms",
        "not int8",
        "SQNR dB",
        "top-1 agrees",
        "Edge TPU",
    )
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * 7 + " --- | ---: | ---: | --- |"]
    for row in rows:
        left = ", ".join(f"{name} x{count}" for name, count in row.float_ops.items()) or "none"
        cells = (
            row.network,
            f"{row.seconds:.0f}",
            row.peak_mb,
            row.float_mb,
            row.int8_mb,
            f"{row.macs_m:.0f}",
            row.float_ms,
            row.int8_ms,
            left,
            row.sqnr_db,
            f"{row.agreement:.0%}",
            row.tpu,
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path, help="folder of JPEG pictures, with those in its folders")
    parser.add_argument("networks", nargs="*", choices=[[], *NETWORKS], default=[])
    parser.add_argument("--calibration", type=int, default=20, help="pictures to calibrate with")
    parser.add_argument("--keep", type=Path, help="folder for the models, else they are deleted")
    parser.add_argument("--log", type=Path, help="JSON lines: rows that are there are not measured again")
    options = parser.parse_args()
    paths = sorted(options.pictures.rglob("*.jpg"))
    known = [json.loads(line) for line in options.log.open()] if options.log and options.log.exists() else []
    rows = {row["network"]: Row(**row) for row in known}
    for network in options.networks or NETWORKS:
        if network in rows:
            continue
        with tempfile.TemporaryDirectory() as temporary:
            folder = options.keep or Path(temporary)
            rows[network] = measure(network, paths, options.calibration, folder)
        print(rows[network], file=sys.stderr, flush=True)
        if options.log:
            with options.log.open("a") as file:
                file.write(json.dumps(asdict(rows[network])) + "\n")
        gc.collect()
    print(table(list(rows.values())))


if __name__ == "__main__":
    main()
