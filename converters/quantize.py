"""From a model of training to ``.tflite`` files, in a child process.

::

    with Converter() as converter:
        info = converter.load(Path("model.keras"))
        figures = converter.convert(recipe, Path("int8.tflite"), calibration=pictures)
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from converters.detector import Detector
from converters.recipes import Quantization
from edgecam import errors
from edgecam.errors import EdgecamError
from edgecam.types import Floats

log = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]

_ROOT = str(Path(__file__).resolve().parent.parent)
_PYTHONPATH = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]


@dataclass(frozen=True)
class ModelInfo:
    """What a loaded model is.

    Attributes:
        shape: (height, width, channels) of the input.
        outputs: shapes of the outputs.
        classes: how many it knows, 0 where its outputs do not tell.
        activation: what its only output ends in, "" if not known.
        added: what is put behind it: ``softmax``, ``pair``, ``sigmoid-pair`` or nothing.
        scaling: the layer of its own that normalises pixels, or "".
        names: of the model and of the models in it.
        parameters: number of weights.
        kind: the format it came in.
        peak_mb: memory of the child so far.
        roles: of a detector's outputs, in the order of the file; of a classifier ``scores``.
        decoder: name of the head that understands the outputs.
        options: of the decoder.
    """

    shape: tuple[int, int, int]
    outputs: tuple[tuple[int, ...], ...]
    classes: int
    activation: str
    added: str
    scaling: str
    names: tuple[str, ...]
    parameters: int
    kind: str
    peak_mb: int
    roles: tuple[str, ...] = ("scores",)
    decoder: str = "classify"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Conversion:
    """How a conversion went.

    Attributes:
        seconds: it took, without loading the model.
        converter: packages and versions.
        peak_mb: most memory that the child had so far.
    """

    seconds: float
    converter: str
    peak_mb: int


class Converter:
    """A child process with TensorFlow; it starts with the first request and ends with the ``with`` block.

    Raises:
        EdgecamError: TensorFlow is not installed, or the child died.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._errors: Any = None

    def __enter__(self) -> Converter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child at once, whatever it is doing; what it was writing does not appear."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def load(
        self,
        model: Path,
        *,
        size: tuple[int, ...] = (),
        custom: str = "",
        allow_lambda: bool = False,
        task: str = "classify",
        detector: Detector | None = None,
    ) -> ModelInfo:
        """Load a model; see :func:`converters.keras_io.load` for arguments and errors.

        ``detector`` says what a detector's outputs are.
        """
        found = self._ask(
            {
                "do": "load",
                "model": str(model),
                "size": list(size),
                "custom": custom,
                "allow_lambda": allow_lambda,
                "task": task,
                "detector": None if detector is None else detector.as_dict(),
            }
        )
        height, width, channels = found.pop("shape")
        outputs = tuple(tuple(shape) for shape in found.pop("outputs"))
        roles = tuple(found.pop("roles")) or ("scores",)
        names = tuple(found.pop("names"))
        return ModelInfo((height, width, channels), outputs, names=names, roles=roles, **found)

    def convert(
        self,
        recipe: Quantization,
        out: Path,
        *,
        calibration: Floats | None = None,
        task: str = "classify",
        float_model: Path | None = None,
        progress: Progress | None = None,
    ) -> Conversion:
        """Convert the loaded model into the file ``out``, which appears whole or not at all.

        Args:
            recipe: how.
            out: a ``.tflite``, without contract.
            calibration: normalised pictures, float32 (N, H, W, C), where the recipe wants them.
            task: a classifier gets what it lacks for probabilities.
            float_model: the float twin, for ``converter = "litert"``, which starts from it.
            progress: called with (pictures calibrated, in all).

        Raises:
            ModelError: operators that cannot be converted (named).
        """
        if recipe.calibrated and (calibration is None or not len(calibration)):
            raise EdgecamError(f"recipe {recipe.name!r} needs calibration pictures", "add --data PICTURES")
        with _as_file(calibration if recipe.calibrated else None, out.parent) as pictures:
            request: dict[str, Any] = {"recipe": asdict(recipe), "calibration": pictures, "out": str(out)}
            if recipe.converter == "litert":
                _require("litert_quantizer", "litert-quantizer", "pip install 'edgecam[convert]'")
                if float_model is None:
                    raise EdgecamError(
                        f"recipe {recipe.name!r} starts from the float twin", "convert that first"
                    )
                request |= {"do": "litert", "model": str(float_model)}
            else:
                request |= {"do": "convert", "task": task}
            return Conversion(**self._ask(request, progress))

    def _ask(self, request: dict[str, Any], progress: Progress | None = None) -> dict[str, Any]:
        child = self._child or self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(request) + "\n")
            child.stdin.flush()
        except OSError:
            raise self._died() from None
        for line in child.stdout:
            message = json.loads(line)
            if "progress" in message and progress is not None:
                progress(*message["progress"])
            elif "error" in message:
                error = message["error"]
                raise getattr(errors, error["kind"], EdgecamError)(error["message"], error["remedy"])
            elif "result" in message:
                result: dict[str, Any] = message["result"]
                return result
        raise self._died()

    def _start(self) -> subprocess.Popen[str]:
        _require("tensorflow", "TensorFlow", "pip install 'edgecam[convert]'")
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        # -P: a file in the current folder must not stand in for a module of the same name.
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "converters.child"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([_ROOT, *_PYTHONPATH])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
        )
        return self._child

    def _died(self) -> EdgecamError:
        assert self._child is not None
        code = self._child.wait()
        self._errors.seek(0)
        log.info("the converter said: %s", self._errors.read())
        self.close()
        if code == -signal.SIGKILL:
            return EdgecamError(
                "the converter was killed", "it may have run out of memory: close other programs"
            )
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return EdgecamError(f"the converter died ({how})", "run it again with -v to see what it said")


def _require(module: str, name: str, remedy: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise EdgecamError(f"{name} is not installed", remedy)


@contextlib.contextmanager
def _as_file(pictures: Floats | None, folder: Path) -> Iterator[str]:
    """The pictures as an ``.npy`` file while inside; "" for none."""
    if pictures is None:
        yield ""
        return
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(
                tempfile.NamedTemporaryFile(dir=folder, prefix=".calibration.", suffix=".npy")
            )
            np.save(file, np.asarray(pictures, np.float32))
            file.flush()
        except OSError as error:
            why = f"cannot write into {folder} ({error.strerror})"
            raise EdgecamError(why, "free space, or choose another folder with --work") from error
        yield file.name
