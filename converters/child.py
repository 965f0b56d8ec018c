"""The process that TensorFlow lives in: it loads one model and converts it as often as asked.

TensorFlow's converter leaks memory on every call and prints hundreds of lines, and loading it takes seconds;
all of this stays here. Requests come as JSON lines on standard input and are answered on standard output, one
``result`` or ``error`` each, with ``progress`` in between. When the input ends (the parent is gone), so does
the process.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TextIO

from converters.files import write_whole
from converters.quiet import quiet
from edgecam.errors import EdgecamError

Send = Callable[[Mapping[str, Any]], None]


class Worker:
    """Answers requests; see the methods named ``do_...`` for what they take and give."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._source: Any = None

    def answer(self, request: Mapping[str, Any]) -> None:
        """Answer one request, with an error if it fails."""
        arguments = dict(request)
        try:
            with quiet():
                result = getattr(self, f"do_{arguments.pop('do')}")(**arguments)
            self._send({"result": {**result, "peak_mb": round(_peak() / 2**20)}})
        except EdgecamError as error:
            self._send(
                {"error": {"kind": type(error).__name__, "message": error.message, "remedy": error.remedy}}
            )
        except MemoryError:
            remedy = "fewer calibration pictures, or a machine with more memory"
            self._send({"error": {"kind": "EdgecamError", "message": "out of memory", "remedy": remedy}})
        except Exception as error:
            first = (str(error).strip().splitlines() or [""])[0][:300]
            message = f"{type(error).__name__}: {first}"
            self._send({"error": {"kind": "EdgecamError", "message": message, "remedy": "-v shows all"}})

    def do_load(
        self,
        model: str,
        size: list[int],
        custom: str,
        allow_lambda: bool,
        task: str,
        detector: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        """Load a model; what it is. ``detector`` is what its ``.detector.json`` holds."""
        from converters import detecting, keras_io, tfconvert
        from converters.detector import from_dict

        told = None if detector is None else from_dict(detector, Path(model))
        source = keras_io.load(
            Path(model),
            size=tuple(size),
            custom=Path(custom) if custom else None,
            allow_lambda=allow_lambda,
            cut=told.graph if told else None,
        )
        of_detector: dict[str, Any] = {}
        if told is not None:
            source, of_detector = detecting.known(source, told)
        self._source = source
        return {
            "shape": source.shape,
            "outputs": source.outputs,
            "classes": tfconvert.classes(source, task),
            "activation": source.activation,
            "added": tfconvert.head(source, task),
            "scaling": source.scaling,
            "names": source.names,
            "parameters": source.parameters,
            "kind": source.kind,
            "roles": source.roles,
            **of_detector,
        }

    def do_convert(self, recipe: Mapping[str, Any], task: str, calibration: str, out: str) -> dict[str, Any]:
        """Convert what is loaded, calibrated with the pictures in an ``.npy`` file, into the file ``out``."""
        import numpy as np

        from converters import tfconvert
        from converters.recipes import Quantization

        pictures = np.load(calibration, mmap_mode="r") if calibration else None
        began = time.monotonic()
        data = tfconvert.convert(self._source, Quantization(**recipe), task, pictures, self._progress)
        seconds = time.monotonic() - began
        write_whole(Path(out), data)
        return {"seconds": seconds, "converter": versions("tensorflow", "keras")}

    def do_litert(self, recipe: Mapping[str, Any], model: str, calibration: str, out: str) -> dict[str, Any]:
        """Quantise a float ``.tflite`` with LiteRT's quantizer."""
        import numpy as np

        from converters import litertconvert
        from converters.recipes import Quantization

        pictures = np.load(calibration, mmap_mode="r") if calibration else None
        began = time.monotonic()
        data = litertconvert.convert(Path(model), Quantization(**recipe), pictures, self._progress)
        seconds = time.monotonic() - began
        write_whole(Path(out), data)
        return {"seconds": seconds, "converter": versions("litert-quantizer")}

    def _progress(self, done: int, total: int | None) -> None:
        self._send({"progress": [done, total]})


def versions(*packages: str) -> str:
    """``tensorflow 2.21.0, keras 3.15.1``."""
    from importlib import metadata

    return ", ".join(f"{package} {metadata.version(package)}" for package in packages)


def _peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _read(stream: TextIO, queue: SimpleQueue[str]) -> None:
    for line in stream:
        queue.put(line)
    os._exit(0)  # the parent has closed the pipe or died; TensorFlow would not let itself be interrupted


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends this process
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")

    def send(message: Mapping[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    queue: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin, queue), name="requests", daemon=True).start()
    worker = Worker(send)
    while True:
        worker.answer(json.loads(queue.get()))


if __name__ == "__main__":
    main()
