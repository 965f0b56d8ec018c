"""The engine on the CPU, under whichever interpreter this environment has."""

from __future__ import annotations

import hashlib
import platform
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam import tflite
from edgecam.engines import litert, probe, runtimes
from edgecam.engines.base import EngineOptions
from edgecam.engines.litert import LiteRTEngine
from edgecam.errors import EngineError, ModelError, UnknownNameError
from edgecam.quant import dequantize, quantize
from edgecam.types import Array
from tests.engines import writer
from tests.engines.writer import T

pytestmark = pytest.mark.usefixtures("runtime")
Write = Callable[..., Path]
X86 = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="models that crash an interpreter are known for x86_64 only"
)


def load(path: Path, **options: Any) -> LiteRTEngine:
    return LiteRTEngine(EngineOptions(path, **{"threads": 1, **options}))


def picture(shape: tuple[int, ...] = (1, 4, 4, 3), dtype: str = "float32") -> Array:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


class TestTypes:
    @pytest.mark.parametrize(
        ("type", "dtype", "quant"),
        [
            (writer.UINT8, "uint8", (0.5, 3)),
            (writer.INT8, "int8", (0.25, -3)),
            (writer.FLOAT32, "float32", None),
        ],
    )
    def test_what_goes_in_comes_out(self, write: Write, type: int, dtype: str, quant: Any) -> None:
        engine = load(write(writer.identity(type=type, quant=quant)))
        for info in (engine.input, engine.outputs[0]):
            assert (info.shape, info.dtype) == ((1, 4, 4, 3), np.dtype(dtype))
            assert (info.scale, info.zero_point) == (quant or (0.0, 0))
        (out,) = engine.infer(picture(dtype=dtype))
        assert np.array_equal(out, picture(dtype=dtype))

    def test_float16_weights(self, write: Write) -> None:
        (out,) = load(write(writer.half_weights(1.5))).infer(picture())
        assert np.array_equal(out, picture() + 1.5)

    def test_several_outputs_keep_their_order(self, write: Write) -> None:
        engine = load(write(writer.quantizer(0.5, 3)))
        assert [info.name for info in engine.outputs] == ["q", "back"]
        real = picture((1, 16, 1, 1))
        q, back = engine.infer(real)
        assert np.array_equal(q, quantize(real, engine.outputs[0]))
        assert np.array_equal(back, dequantize(q, engine.outputs[0]))


class TestInfer:
    def test_runs_are_independent_and_the_input_is_left_alone(self, write: Write) -> None:
        engine = load(write(writer.identity()))
        first = picture()
        kept = first.copy()
        (out,) = engine.infer(first)
        engine.infer(picture() * 2)
        assert np.array_equal(first, kept)
        assert np.array_equal(out, kept)

    def test_a_strided_input_is_taken(self, write: Write) -> None:
        engine = load(write(writer.identity()))
        wide = picture((1, 4, 8, 3))[:, :, ::2]
        assert not wide.flags.c_contiguous
        assert np.array_equal(engine.infer(wide)[0], wide)

    @pytest.mark.parametrize("tensor", [picture(dtype="uint8"), picture((1, 4, 5, 3)), picture((4, 4, 3))])
    def test_a_wrong_input_is_an_error(self, write: Write, tensor: Array) -> None:
        engine = load(write(writer.identity()))
        with pytest.raises(EngineError, match="failed"):
            engine.infer(tensor)
        assert engine.infer(picture())[0].shape == (1, 4, 4, 3)

    def test_closed_means_closed(self, write: Write) -> None:
        engine = load(write(writer.identity()))
        engine.close()
        engine.close()
        with pytest.raises(EngineError, match="closed"):
            engine.infer(picture())

    def test_another_thread_may_run_it(self, write: Write) -> None:
        engine = load(write(writer.identity()))
        found: list[Array] = []
        thread = threading.Thread(target=lambda: found.extend(engine.infer(picture())))
        thread.start()
        thread.join(30)
        assert np.array_equal(found[0], picture())


class TestShapes:
    def test_an_open_batch_becomes_one(self, write: Write) -> None:
        engine = load(write(writer.identity(signature=(-1, 4, 4, 3))))
        assert engine.input.shape == (1, 4, 4, 3)
        assert np.array_equal(engine.infer(picture())[0], picture())

    @pytest.mark.parametrize(
        ("shape", "signature", "message"),
        [
            ((1, 1, 1, 3), (-1, -1, -1, 3), "no fixed size (?x?x?x3)"),
            ((1, 4, 4, 3), (1, 4, -1, 3), "no fixed size (1x4x?x3)"),
            ((4, 4, 4, 3), None, "takes 4 pictures at once"),
        ],
    )
    def test_other_open_sizes_are_refused(
        self, write: Write, shape: tuple[int, ...], signature: tuple[int, ...] | None, message: str
    ) -> None:
        path = write(writer.identity(shape, signature=signature))
        with pytest.raises(ModelError) as caught:
            load(path)
        assert message in str(caught.value)
        assert str(path) in str(caught.value)

    def test_several_inputs_are_refused(self, write: Write) -> None:
        tensors = [T("a", (1, 4)), T("b", (1, 4)), T("sum", (1, 4))]
        model = writer.Model(tensors, [0, 1], [2], [writer.Op(writer.ADD, (0, 1), (2,), (11, {}))])
        with pytest.raises(ModelError, match="has 2 inputs"):
            load(write(model))


class TestRefusals:
    def test_an_operator_that_the_interpreter_has_not(self, write: Write) -> None:
        model = writer.identity()
        model.ops = [writer.Op(writer.CUSTOM, (0,), (2,), custom="MyOwnOp")]
        with pytest.raises(ModelError, match="needs the operator MyOwnOp") as caught:
            load(write(model))
        assert "\n" not in str(caught.value)

    def test_a_kernel_that_refuses_its_tensors(self, write: Write) -> None:
        model = writer.identity()
        model.tensors[2].shape = (1, 2, 2, 3)
        model.tensors[1].data = np.array([1, 2, 2, 3], np.int32).tobytes()
        with pytest.raises(EngineError, match="the interpreter refuses the model") as caught:
            load(write(model))
        assert "\n" not in str(caught.value)

    def test_a_damaged_file_never_meets_the_interpreter(self, write: Write) -> None:
        path = write(writer.identity())
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(ModelError, match="truncated or corrupted"):
            load(path)

    @X86
    def test_what_crashes_the_interpreter_is_an_error_here(
        self, write: Write, runtime: runtimes.Runtime
    ) -> None:
        path = write(writer.crashers()[runtime.name])
        tflite.load(path)  # the verifier has nothing to say against it
        with pytest.raises(ModelError, match=rf"crashed under {runtime.name} \(SIG") as caught:
            load(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_unknown_runtimes_are_named(self, write: Write) -> None:
        with pytest.raises(UnknownNameError, match="known: auto, litert, tflite-runtime"):
            load(write(writer.identity()), runtime="tensorflow")


class TestDescription:
    def test_device_and_runtime_are_for_people(self, write: Write, runtime: runtimes.Runtime) -> None:
        engine = load(write(writer.identity()), threads=2, runtime=runtime.name)
        assert engine.device == "CPU x2"
        assert engine.runtime == runtime.label
        assert engine.runtime.split()[0] in ("ai-edge-litert", "tflite-runtime")
        assert engine.notes == ()

    def test_threads_are_one_a_core_up_to_four(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for cores, threads in ((1, 1), (3, 3), (64, 4)):
            monkeypatch.setattr(litert.os, "sched_getaffinity", lambda pid, n=cores: set(range(n)))
            assert litert.default_threads() == threads

    def test_nothing_is_said_on_the_terminal(self, write: Write, capfd: pytest.CaptureFixture[str]) -> None:
        engine = load(write(writer.half_weights(1.5)))
        engine.infer(picture())
        assert capfd.readouterr() == ("", "")


class TestTrying:
    """Unknown files are tried in a child process, once."""

    @pytest.fixture
    def tried(self, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        seen: list[Path] = []
        real = probe.run

        def run(request: probe.Request) -> probe.Verdict:
            seen.append(request.model)
            return real(request)

        monkeypatch.setattr(probe, "run", run)
        return seen

    def test_once(self, write: Write, tried: list[Path]) -> None:
        path = write(writer.identity())
        load(path)
        load(path)
        copy = write(writer.identity(), "copy.tflite")
        load(copy)
        assert tried == [path]

    def test_again_when_the_file_has_changed(self, write: Write, tried: list[Path]) -> None:
        load(write(writer.identity()))
        load(write(writer.half_weights(1.0)))
        assert len(tried) == 2

    @X86
    def test_again_after_a_crash(self, write: Write, tried: list[Path], runtime: runtimes.Runtime) -> None:
        path = write(writer.crashers()[runtime.name])
        for _ in range(2):
            with pytest.raises(ModelError):
                load(path)
        assert len(tried) == 2

    def test_not_where_the_file_is_edgecam_s_own(
        self, write: Write, tried: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write(writer.identity())
        card = path.with_suffix(".md")
        monkeypatch.setattr(probe.resources, "folder", lambda name: path.parent)
        card.write_text(f"| sha256 | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |\n")
        load(path)
        assert tried == []
        card.write_text("| sha256 | `another` |\n")
        load(path)
        assert tried == [path]

    def test_a_cache_that_cannot_be_written_is_no_obstacle(
        self, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
        load(write(writer.identity()))

    def test_services_have_a_cache_of_their_own(
        self, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
    ) -> None:
        monkeypatch.setenv("CACHE_DIRECTORY", f"{tmp_path / 'service'}:/elsewhere")
        load(write(writer.identity()))
        assert list((tmp_path / "service").rglob("*/harmless/*"))
        assert not cache.exists()


@pytest.mark.real
class TestRealModels:
    def test_a_classifier_knows_its_cat(self, real: Path) -> None:
        image = pytest.importorskip("PIL.Image")
        engine = load(real / "mobilenet_v2_1.0_224_quant.tflite", threads=2)
        photo = image.open(real / "cat.bmp").convert("RGB").resize((224, 224), image.BILINEAR)
        scores = dequantize(engine.infer(np.asarray(photo)[None])[0], engine.outputs[0])[0]
        assert int(scores.argmax()) == 286  # Egyptian cat
        assert scores.max() == pytest.approx(0.79, abs=0.02)

    def test_sizes_known_after_a_run_only(self, real: Path) -> None:
        engine = load(real / "coco_ssd_mobilenet_v1_1.0_quant.tflite", threads=2)
        assert [info.shape for info in engine.outputs] == [(1, 10, 4), (1, 10), (1, 10), (1,)]

    def test_int8_in_and_out(self, real: Path) -> None:
        engine = load(real / "yolov8n_full_integer_quant_224.tflite", threads=2)
        assert (engine.input.dtype, engine.input.zero_point) == (np.int8, -128)
        assert (engine.outputs[0].shape, engine.outputs[0].dtype) == ((1, 84, 1029), np.int8)
