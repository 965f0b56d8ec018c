"""Choosing an interpreter package, and keeping it quiet."""

from __future__ import annotations

import logging
import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam.engines import runtimes
from edgecam.engines.base import EngineOptions
from edgecam.engines.litert import LiteRTEngine
from edgecam.engines.quiet import quiet
from edgecam.errors import EngineError, UnknownNameError
from tests.engines import writer


def pretend(monkeypatch: pytest.MonkeyPatch, **packages: Any) -> None:
    """Replaces what is installed: package name -> Interpreter class, None for absent."""
    modules = {"litert": "ai_edge_litert.interpreter", "tflite_runtime": "tflite_runtime.interpreter"}
    for name, interpreter in packages.items():
        module = types.ModuleType(modules[name])
        module.Interpreter = interpreter
        module.load_delegate = None
        monkeypatch.setitem(sys.modules, modules[name], module if interpreter else None)
    monkeypatch.setattr(runtimes.importlib.metadata, "version", lambda package: "9.9")


class Unusable:
    """As tflite-runtime under NumPy 2: imports, and fails when made."""

    def __init__(self, **arguments: Any) -> None:
        raise SystemError("returned a result with an exception set") from AttributeError(
            "_ARRAY_API not found"
        )


class TestChoice:
    def test_best_first(self) -> None:
        assert runtimes.names("auto") == ("litert", "tflite-runtime")
        assert runtimes.names("tflite-runtime") == ("tflite-runtime",)
        with pytest.raises(UnknownNameError):
            runtimes.names("onnx")

    def test_the_next_one_is_taken_where_the_first_cannot_be_made(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runtime: runtimes.Runtime
    ) -> None:
        pretend(monkeypatch, litert=Unusable, tflite_runtime=runtime.Interpreter)
        path = tmp_path / "model.tflite"
        path.write_bytes(writer.identity().write())
        monkeypatch.setattr(runtimes_probe(), "ensure_harmless", lambda *arguments: None)
        engine = LiteRTEngine(EngineOptions(path))
        assert engine.runtime == "tflite-runtime 9.9"
        assert engine.infer(np.ones((1, 4, 4, 3), np.float32))[0].all()

    def test_none_at_all_names_the_reasons_and_the_remedy(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        pretend(monkeypatch, litert=None, tflite_runtime=Unusable)
        path = tmp_path / "model.tflite"
        path.write_bytes(writer.identity().write())
        monkeypatch.setattr(runtimes_probe(), "ensure_harmless", lambda *arguments: None)
        with pytest.raises(EngineError) as caught:
            LiteRTEngine(EngineOptions(path))
        for part in ("ai-edge-litert is not installed", "_ARRAY_API", "pip install ai-edge-litert"):
            assert part in str(caught.value)

    def test_one_that_is_asked_for_and_absent(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        pretend(monkeypatch, tflite_runtime=None)
        path = tmp_path / "model.tflite"
        path.write_bytes(writer.identity().write())
        with pytest.raises(EngineError, match=r"edgecam\[tflite-runtime\]"):
            LiteRTEngine(EngineOptions(path, runtime="tflite-runtime"))


def runtimes_probe() -> Any:
    from edgecam.engines import probe

    return probe


class TestQuiet:
    def test_chatter_goes_to_the_log_and_the_rest_through(
        self, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG), quiet():
            os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nERROR: no memory\n")
        assert capfd.readouterr().err == "ERROR: no memory\n"
        assert "XNNPACK" in caplog.text

    def test_an_exception_tells_enough(
        self, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG), pytest.raises(ValueError, match="reason"), quiet():
            os.write(2, b"a wall of text\n")
            raise ValueError("reason")
        assert capfd.readouterr().err == ""
        assert "a wall of text" in caplog.text

    def test_standard_error_is_itself_again(self, capfd: pytest.CaptureFixture[str]) -> None:
        with quiet(), quiet():
            pass
        os.write(2, b"afterwards\n")
        assert capfd.readouterr().err == "afterwards\n"

    def test_a_daemon_has_no_standard_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def closed(fd: int) -> int:
            raise OSError(9, "Bad file descriptor")

        monkeypatch.setattr("edgecam.engines.quiet.os.dup", closed)
        monkeypatch.setattr(sys, "stderr", None)
        with quiet():
            reached = True
        assert reached
