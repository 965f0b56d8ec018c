"""What is installed: interpreters, NumPy, OpenCV, text shaping, ffmpeg."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecam.doctor.context import Context
from edgecam.doctor.findings import Finding, failure, ok, warning
from edgecam.doctor.isolated import Outcome

_HERE = "edgecam.doctor.packages"
RUNTIMES = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}
INSTALL = {
    "litert": "pip install ai-edge-litert",
    "tflite-runtime": "pip install 'edgecam[tflite-runtime]' (Python 3.11, NumPy below 2)",
}
OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
OLDEST_OPENCV = (4, 8)


def version_of(package: str) -> str:
    """The version of an installed distribution, "" if it is not there."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


# -- interpreters


@dataclass(frozen=True)
class Interpreter:
    """One interpreter package that is installed.

    Attributes:
        name: as ``--runtime`` calls it.
        version: of its package.
        outcome: of making an interpreter with a real model in a child process.
    """

    name: str
    version: str
    outcome: Outcome

    @property
    def label(self) -> str:
        return f"{RUNTIMES[self.name]} {self.version}"


def interpreter_facts(context: Context) -> list[Interpreter]:
    return [
        Interpreter(name, version, context.call(f"{_HERE}:make_interpreter", {"name": name}))
        for name, package in RUNTIMES.items()
        if (version := version_of(package))
    ]


def make_interpreter(name: str) -> bool:
    """In the child: an interpreter with the smallest bundled model; whether there was a model to try."""
    from edgecam import catalogue
    from edgecam.engines import runtimes

    runtime = runtimes.load(name)
    smallest = min(catalogue.bundled().values(), key=lambda path: path.stat().st_size, default=None)
    if smallest is None:
        return False
    runtime.interpreter(smallest.read_bytes(), 1, []).allocate_tensors()
    return True


def judge_interpreters(found: Sequence[Interpreter], wanted: str, numpy: str) -> Iterator[Finding]:
    """
    Args:
        wanted: ``auto``, or the one that the settings name.
        numpy: its version, "" if it is not installed.
    """
    check = "interpreter"
    if not numpy:
        yield failure(check, "NumPy is not installed", "pip install --force-reinstall edgecam")
        return
    working = [it for it in found if not it.outcome.error]
    broken = [it for it in found if it.outcome.error]
    enough = any(wanted in ("auto", it.name) for it in working)
    for it in broken:
        fatal = not enough and wanted in ("auto", it.name)
        yield (failure if fatal else warning)(check, _what_is_wrong(it, numpy), _cure(it, numpy))
    if wanted != "auto" and wanted not in [it.name for it in found]:
        yield failure(
            check,
            f"the settings name {RUNTIMES[wanted]}, which is not installed",
            INSTALL[wanted],
        )
    elif not found:
        yield failure(check, "no TFLite interpreter is installed", "pip install ai-edge-litert")
    for it in working:
        yield ok(check, f"{it.label} works with NumPy {numpy}")


def _what_is_wrong(it: Interpreter, numpy: str) -> str:
    if _numpy_clash(it.outcome.error):
        return f"{it.label} cannot make an interpreter with NumPy {numpy}"
    return f"{it.label}: {it.outcome.error}"


def _numpy_clash(error: str) -> bool:
    return bool(re.search(r"numpy|_ARRAY_API|multiarray", error, re.I))


def _cure(it: Interpreter, numpy: str) -> str:
    if it.name == "tflite-runtime" and _numpy_clash(it.outcome.error):
        return (
            "it needs NumPy below 2: pip install 'edgecam[tflite-runtime]'; or pip uninstall tflite-runtime"
        )
    return it.outcome.remedy or f"pip install --force-reinstall --no-cache-dir {RUNTIMES[it.name]}"


# -- OpenCV


def opencv_facts() -> dict[str, str]:
    """The distributions that install ``cv2``, with their versions."""
    return {name: version for name in OPENCV if (version := version_of(name))}


def load_opencv() -> dict[str, str]:
    """In the child: version and place of ``cv2``."""
    import cv2

    return {"version": str(cv2.__version__), "path": str(Path(str(cv2.__file__)).parent)}


def judge_opencv(installed: Mapping[str, str], outcome: Outcome) -> Iterator[Finding]:
    check = "OpenCV"
    names = " and ".join(f"{name} {version}" for name, version in installed.items())
    reinstall = "pip install --force-reinstall opencv-python-headless"
    if len(installed) > 1:
        state = f"; it does not load: {outcome.error}" if outcome.error else ""
        yield (failure if outcome.error else warning)(
            check,
            f"{names} are installed over each other{state}",
            f"pip uninstall -y {' '.join(installed)}; {reinstall}",
        )
    elif outcome.error:
        yield failure(
            check, f"{names or 'OpenCV'} does not load: {outcome.error}", _opencv_cure(outcome.error)
        )
    elif tuple(map(int, re.findall(r"\d+", outcome.value["version"])[:2])) < OLDEST_OPENCV:
        yield warning(
            check,
            f"{outcome.value['version']} is older than 4.8",
            f"pip install -U {next(iter(installed), OPENCV[0])}",
        )
    else:
        yield ok(check, names or f"{outcome.value['version']} at {outcome.value['path']}")


def _opencv_cure(error: str) -> str:
    headless = "pip uninstall -y opencv-python; pip install --force-reinstall opencv-python-headless"
    if re.search(r"libGL|libgthread|libglib|libSM|libXext", error):
        return f"{headless} (it needs no such library), or sudo apt install libgl1 libglib2.0-0"
    if re.search(r"numpy|_ARRAY_API|multiarray", error, re.I):
        return "OpenCV and NumPy do not fit: pip install --force-reinstall opencv-python-headless numpy"
    return headless


# -- text and ffmpeg


def can_shape() -> bool:
    """In the child: whether text in complex scripts is shaped."""
    from edgecam.text import render

    return render.can_shape()


def judge_text(outcome: Outcome) -> Iterator[Finding]:
    if outcome.error:
        yield failure(
            "text", f"Pillow does not load: {outcome.error}", "pip install --force-reinstall pillow"
        )
    elif not outcome.value:
        yield warning(
            "text",
            "letters of Arabic, Devanagari and the like are not joined: FriBiDi is missing",
            "sudo apt install libfribidi0",
        )
    else:
        yield ok("text", "labels in any script (Pillow with Raqm and FriBiDi)")


def judge_ffmpeg(path: str | None, records: bool) -> Iterator[Finding]:
    """
    Args:
        path: of ``ffmpeg``, None if it is not installed.
        records: the settings name a recording.
    """
    if path:
        yield ok("ffmpeg", f"{path}, recordings can be H.264")
    elif records:
        yield warning(
            "ffmpeg",
            "not installed: recordings are MPEG-4, which browsers do not play",
            "sudo apt install ffmpeg",
        )
    else:
        yield ok("ffmpeg", "not installed; only recordings in H.264 need it")


def checks(context: Context) -> Iterator[Finding]:
    """Everything of this module, read from the machine."""
    wanted = context.settings.runtime
    if context.settings.engine == "litert":
        yield from judge_interpreters(interpreter_facts(context), wanted, version_of("numpy"))
    yield from judge_opencv(opencv_facts(), context.call(f"{_HERE}:load_opencv", {}))
    yield from judge_text(context.call(f"{_HERE}:can_shape", {}))
    records = any(text.startswith("record:") or text.endswith(".mp4") for text in context.settings.sinks)
    yield from judge_ffmpeg(shutil.which("ffmpeg"), records)
