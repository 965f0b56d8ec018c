"""The int8 file that a network would become: how large it is, how long it takes. Needs TensorFlow."""

from __future__ import annotations

import time
import zlib
from typing import Any, NamedTuple

import numpy as np

from converters import recipes, tfconvert
from converters.quiet import quiet
from converters.source import Source
from edgecam.types import Floats

RUNS = 60  # of which the shortest counts: other work on the machine only makes it longer
_WARM = 5


class Measured(NamedTuple):
    """
    Attributes:
        bytes: of the int8 file, without contract.
        compressed: of it after zlib.
        ms: shortest time for one picture on one thread, 0 if not asked for.
    """

    bytes: int
    compressed: int
    ms: float


def int8(network: Any, pictures: Floats, *, timed: bool = False) -> Measured:
    """Convert a network and look at the file.

    Args:
        network: a classifier.
        pictures: a few, as it takes them; with other pictures the size is the same.
        timed: measure the time, too.
    """
    shape = tuple(int(side) for side in network.inputs[0].shape[1:])
    source = Source(
        call=lambda image: network(image, training=False),
        shape=(shape[0], shape[1], shape[2]),
        outputs=((1, int(network.outputs[0].shape[-1])),),
        activation="softmax",
        scaling="",
        names=(network.name,),
        parameters=int(network.count_params()),
        kind="keras",
        keep=network,
    )
    with quiet():
        data = tfconvert.convert(source, recipes.quantization("int8"), "classify", pictures)
    return Measured(len(data), len(zlib.compress(data, 9)), _milliseconds(data) if timed else 0.0)


def _milliseconds(data: bytes) -> float:
    from ai_edge_litert.interpreter import Interpreter

    with quiet():
        interpreter = Interpreter(model_content=data, num_threads=1)
        interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    noise = np.random.default_rng(0).integers(0, 256, entry["shape"], dtype=np.uint8)
    interpreter.set_tensor(entry["index"], noise)
    times = []
    for _ in range(_WARM + RUNS):
        began = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - began)
    return 1000 * min(times[_WARM:])
