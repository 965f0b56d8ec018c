"""What is said of what is installed."""

from __future__ import annotations

import pytest

from edgecam.config import Settings
from edgecam.doctor import packages
from edgecam.doctor.context import Context
from edgecam.doctor.findings import Level, worst
from edgecam.doctor.isolated import Outcome, call
from edgecam.doctor.packages import Interpreter
from tests.doctor.support import Calls, levels, one

WORKS = Outcome(True)
LITERT = Interpreter("litert", "2.3.0", WORKS)
CLASH = Outcome(error="tflite-runtime 2.14.0 does not work with the installed NumPy (_ARRAY_API not found)")
OLD = Interpreter("tflite-runtime", "2.14.0", CLASH)
CRASHED = Interpreter("litert", "2.3.0", Outcome(error="crashed (SIGILL)", crashed=True))


def test_an_interpreter_that_works() -> None:
    assert (
        one(packages.judge_interpreters([LITERT], "auto", "2.3")).seen
        == "ai-edge-litert 2.3.0 works with NumPy 2.3"
    )


def test_tflite_runtime_under_numpy_2() -> None:
    beside = list(packages.judge_interpreters([LITERT, OLD], "auto", "2.3"))
    assert levels(beside) == "warning ok"
    assert beside[0].seen == "tflite-runtime 2.14.0 cannot make an interpreter with NumPy 2.3"
    assert "NumPy below 2" in beside[0].remedy
    assert one(packages.judge_interpreters([OLD], "auto", "2.3")).level is Level.FAILURE
    assert levels(packages.judge_interpreters([LITERT, OLD], "tflite-runtime", "2.3")) == "failure ok"
    assert levels(packages.judge_interpreters([LITERT, OLD], "litert", "2.3")) == "warning ok"


def test_an_interpreter_that_crashes() -> None:
    finding = one(packages.judge_interpreters([CRASHED], "auto", "2.3"))
    assert (finding.level, finding.seen) == (Level.FAILURE, "ai-edge-litert 2.3.0: crashed (SIGILL)")
    assert "force-reinstall" in finding.remedy


def test_interpreters_that_are_not_there() -> None:
    assert one(packages.judge_interpreters([], "auto", "2.3")).remedy == "pip install ai-edge-litert"
    found = list(packages.judge_interpreters([LITERT], "tflite-runtime", "2.3"))
    assert levels(found) == "failure ok"
    assert "tflite-runtime, which is not installed" in found[0].seen
    assert one(packages.judge_interpreters([], "litert", "2.3")).level is Level.FAILURE
    assert "NumPy is not installed" in one(packages.judge_interpreters([LITERT], "auto", "")).seen


HEADLESS = {"opencv-python-headless": "5.0"}
BOTH = {**HEADLESS, "opencv-python": "4.11"}
LOADED = Outcome({"version": "5.0.0", "path": "/lib/cv2"})
LIBGL = Outcome(error="libGL.so.1: cannot open shared object file: No such file or directory")


def test_opencv() -> None:
    assert one(packages.judge_opencv(HEADLESS, LOADED)).seen == "opencv-python-headless 5.0"
    assert one(packages.judge_opencv({}, LOADED)).seen == "5.0.0 at /lib/cv2"
    old = Outcome({"version": "4.6.0", "path": "/usr"})
    assert one(packages.judge_opencv({}, old)).level is Level.WARNING
    # Not compared as text: 4.10 is newer than 4.8.
    assert one(packages.judge_opencv({}, Outcome({"version": "4.10.0", "path": "/usr"}))).level is Level.OK


def test_opencv_flavours_over_each_other() -> None:
    finding = one(packages.judge_opencv(BOTH, LOADED))
    assert finding.level is Level.WARNING
    assert "opencv-python-headless 5.0 and opencv-python 4.11" in finding.seen
    assert finding.remedy.startswith("pip uninstall -y opencv-python-headless opencv-python; ")
    assert one(packages.judge_opencv(BOTH, LIBGL)).level is Level.FAILURE


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (LIBGL.error, "libgl1"),
        ("numpy.core.multiarray failed to import", "do not fit"),
        ("crashed (SIGILL)", "opencv-python-headless"),
    ],
)
def test_opencv_that_does_not_load(error: str, remedy: str) -> None:
    finding = one(packages.judge_opencv({"opencv-python": "4.11"}, Outcome(error=error)))
    assert finding.level is Level.FAILURE
    assert error in finding.seen
    assert remedy in finding.remedy


def test_text() -> None:
    assert one(packages.judge_text(Outcome(True))).level is Level.OK
    assert one(packages.judge_text(Outcome(False))).remedy == "sudo apt install libfribidi0"
    assert one(packages.judge_text(Outcome(error="no PIL"))).level is Level.FAILURE


def test_ffmpeg() -> None:
    assert one(packages.judge_ffmpeg("/usr/bin/ffmpeg", True)).level is Level.OK
    assert one(packages.judge_ffmpeg(None, False)).level is Level.OK
    assert one(packages.judge_ffmpeg(None, True)).level is Level.WARNING


def test_the_packages_of_this_environment_work() -> None:
    found = list(packages.checks(Context()))
    assert worst(found) < Level.FAILURE
    assert any(finding.check == "interpreter" and finding.level is Level.OK for finding in found)


def test_an_interpreter_is_really_made() -> None:
    name = packages.interpreter_facts(Context())[0].name
    assert call("edgecam.doctor.packages:make_interpreter", {"name": name}) == Outcome(True)
    absent = call("edgecam.doctor.packages:make_interpreter", {"name": "onnx"})
    assert absent.kind == "KeyError"


def test_another_engine_needs_no_interpreter() -> None:
    calls = Calls({"load_opencv": LOADED, "can_shape": Outcome(True)})
    list(packages.checks(Context(settings=Settings(engine="fake"), call=calls)))
    assert [name for name, _ in calls.asked] == ["load_opencv", "can_shape"]
