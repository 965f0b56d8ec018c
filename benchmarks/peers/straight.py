"""The loop that examples show: read a frame, resize it, run the interpreter, look at the answer, again.

Written after the pattern of TensorFlow Lite's examples for Raspberry Pi (capture with OpenCV, one thread);
other interpreters may stand in the same place. Prints a line for each result: its frame's number and the
monotonic time. Knows nothing of edgecam, so that it runs in any environment.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

SIZE = 224
BITS = 16


def tflite(model: str, threads: int) -> Callable[[Any], Any]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=model, num_threads=threads)
    interpreter.allocate_tensors()
    image, scores = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(rgb: Any) -> Any:
        interpreter.set_tensor(image, cv2.resize(rgb, (SIZE, SIZE))[None])
        interpreter.invoke()
        return interpreter.get_tensor(scores)[0]

    return run


def opencv(model: str, threads: int) -> Callable[[Any], Any]:
    cv2.setNumThreads(threads)
    net = cv2.dnn.readNet(model)

    def run(rgb: Any) -> Any:
        net.setInput(cv2.dnn.blobFromImage(rgb, 1 / 127.5, (SIZE, SIZE), (127.5, 127.5, 127.5)))
        return net.forward()[0]

    return run


def onnx(model: str, threads: int) -> Callable[[Any], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0]

    def run(rgb: Any) -> Any:
        small = cv2.resize(rgb, (SIZE, SIZE))[None]
        ready = small if image.type == "tensor(uint8)" else small.astype(np.float32) / 127.5 - 1
        return session.run(None, {image.name: ready})[0][0]

    return run


def number_of(image: Any) -> int:
    """The frame's number, spelled by the strip at the lower edge of edgecam's synthetic pictures."""
    height, width = image.shape[:2]
    row = image[height - max(1, max(4, height // 40) // 2)].mean(axis=1)
    return sum(1 << bit for bit in range(BITS) if row[(2 * bit + 1) * width // (2 * BITS)] > 127)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["tflite", "opencv", "onnx"])
    parser.add_argument("source")
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    run = {"tflite": tflite, "opencv": opencv, "onnx": onnx}[options.engine](options.model, options.threads)
    capture = cv2.VideoCapture(options.source)
    while True:
        done, bgr = capture.read()
        if not done:
            break
        scores = run(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
        best = int(np.argmax(scores))
        print(number_of(bgr), time.monotonic(), best, flush=True)


if __name__ == "__main__":
    main()
