"""Delegates: chosen, tried in a child process, left for the CPU where they fail. A library stands in for the
hardware's; it is compiled here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecam import accelerators
from edgecam.accelerators import EdgeTpu
from edgecam.engines import delegates, litert
from edgecam.engines.apart import ApartSession
from edgecam.engines.base import EngineOptions
from edgecam.engines.litert import LiteRTEngine
from edgecam.errors import DelegateError, EngineError
from tests.engines import writer
from tests.engines.conftest import compiled

pytestmark = pytest.mark.usefixtures("runtime")
Write = Callable[..., Path]


MADE: list[LiteRTEngine] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Ends the processes of what a test has loaded."""
    yield
    while MADE:
        MADE.pop().close()


def load(path: Path, **options: Any) -> LiteRTEngine:
    MADE.append(LiteRTEngine(EngineOptions(path, **{"threads": 1, **options})))
    return MADE[-1]


def first_byte(engine: LiteRTEngine) -> int:
    (out, *_) = engine.infer(np.ones(engine.input.shape, engine.input.dtype))
    values = set(out.tobytes())
    assert len(values) == 1
    return values.pop()


class TestNamedByTheUser:
    def test_it_runs_the_model(self, write: Write, standin: str) -> None:
        engine = load(write(compiled()), delegate=standin)
        assert first_byte(engine) == 7
        assert engine.device == "delegate libstandin.so"
        assert engine.notes == ()

    def test_it_may_take_over_plain_models(self, write: Write, standin: str) -> None:
        model = write(writer.identity(type=writer.UINT8, quant=(1.0, 0)))
        assert first_byte(load(model, delegate=standin, delegate_options={"claim": "all"})) == 7
        assert first_byte(load(model, delegate=standin, delegate_options={"claim": "none"})) == 1

    def test_device_and_options_reach_it(self, write: Write, standin: str) -> None:
        path = write(compiled())
        assert first_byte(load(path, delegate=standin, device="usb:3")) == 3
        assert first_byte(load(path, delegate=standin, delegate_options={"device": "pci:2"})) == 2

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"fail": "create"}, "stand-in: no such device"),
            ({"fail": "1"}, "stand-in: the device is gone"),
            ({"colour": "red"}, "stand-in: unknown option"),
            ({"crash": "create"}, "crashed under"),
            ({"crash": "1"}, "crashed under"),
        ],
    )
    def test_where_it_fails_the_cpu_goes_on(
        self, write: Write, standin: str, options: dict[str, str], reason: str
    ) -> None:
        model = write(writer.identity(type=writer.UINT8, quant=(1.0, 0)))
        engine = load(model, delegate=standin, delegate_options={"claim": "all", **options})
        assert engine.device == "CPU x1"
        assert first_byte(engine) == 1
        (note,) = engine.notes
        assert reason in note
        assert note.endswith("running on the CPU")
        with pytest.raises(DelegateError, match="require-delegate") as caught:
            load(
                model,
                delegate=standin,
                delegate_options={"claim": "all", **options},
                require_delegate=True,
            )
        assert "\n" not in str(caught.value)

    def test_a_library_that_is_not_there(self, write: Write, tmp_path: Path) -> None:
        engine = load(write(writer.identity()), delegate=str(tmp_path / "libnone.so"))
        assert "libnone.so cannot be used" in engine.notes[0]
        text = tmp_path / "libtext.so"
        text.write_text("no library")
        assert "libtext.so cannot be used" in load(write(writer.identity()), delegate=str(text)).notes[0]

    def test_one_that_fails_while_running_is_an_error_where_the_cpu_cannot_do(
        self, write: Write, standin: str
    ) -> None:
        # the first run is the warming up
        engine = load(write(compiled()), delegate=standin, delegate_options={"fail": "3"})
        first_byte(engine)
        with pytest.raises(DelegateError, match="the device is gone"):
            first_byte(engine)


class TestEdgeTpu:
    @pytest.fixture
    def plugged(self, monkeypatch: pytest.MonkeyPatch, standin: str) -> Callable[..., None]:
        """Plugs in Edge TPUs; the stand-in is their library."""

        def plug(*tpus: EdgeTpu) -> None:
            monkeypatch.setattr(accelerators, "LIBRARY", standin)
            monkeypatch.setattr(accelerators, "edge_tpus", lambda: list(tpus))

        return plug

    USB0 = EdgeTpu("usb:0", Path("/dev/bus/usb/001/002"), True)
    USB1 = EdgeTpu("usb:1", Path("/dev/bus/usb/001/003"), True)
    PCI0 = EdgeTpu("pci:0", Path("/dev/apex_0"), True)

    @pytest.mark.parametrize(
        ("device", "used", "byte"),
        [("auto", "usb:0", 0), ("usb", "usb:0", 0), ("usb:1", "usb:1", 1), ("pci", "pci:0", 0)],
    )
    def test_the_one_asked_for_runs_the_model(
        self, write: Write, plugged: Callable[..., None], device: str, used: str, byte: int
    ) -> None:
        plugged(self.USB0, self.USB1, self.PCI0)
        engine = load(write(compiled()), device=device)
        assert engine.device == f"Edge TPU {used}"
        assert first_byte(engine) == byte

    @pytest.mark.parametrize(
        ("tpus", "device", "reason"),
        [
            ((), "auto", "no Edge TPU found"),
            ((), "usb", "no Edge TPU usb found"),
            ((USB0,), "usb:1", "no Edge TPU usb:1 found (found: usb:0)"),
            ((USB0,), "pci", "no Edge TPU pci found (found: usb:0)"),
            ((EdgeTpu("pci:0", Path("/dev/apex_0"), False),), "auto", "sudo usermod -aG apex"),
            ((EdgeTpu("usb:0", Path("/dev/x"), False),), "auto", "udev rule"),
            ((USB0,), "cpu", "the CPU was asked for"),
        ],
    )
    def test_a_compiled_model_without_one_names_its_twin(
        self, write: Write, plugged: Callable[..., None], tpus: tuple[EdgeTpu, ...], device: str, reason: str
    ) -> None:
        plugged(*tpus)
        path = write(compiled(), "birds_edgetpu.tflite")
        with pytest.raises(EngineError) as caught:
            load(path, device=device)
        assert reason in str(caught.value)
        assert "before its compilation" in str(caught.value)
        twin = write(writer.identity(), "birds.tflite")
        with pytest.raises(EngineError) as caught:
            load(path, device=device, require_delegate=True)
        assert reason in str(caught.value)
        if device == "cpu":
            assert f"use {twin}, which runs on the CPU" in str(caught.value)
            return
        engine = load(path, device=device)
        assert reason in engine.notes[0]
        assert engine.notes[0].endswith("; running birds.tflite on the CPU")
        assert engine.device == "CPU x1"
        assert reason in engine.trouble

    def test_a_plain_model_runs_on_the_cpu(self, write: Write, plugged: Callable[..., None]) -> None:
        plugged(self.USB0)
        path = write(writer.identity(), "birds.tflite")
        assert load(path).notes == ()
        assert "is not compiled for the Edge TPU" in load(path, device="usb").notes[0]
        with pytest.raises(DelegateError, match="is not compiled for the Edge TPU"):
            load(path, require_delegate=True)
        write(compiled(), "birds_edgetpu.tflite")
        assert "birds_edgetpu.tflite is compiled for it" in load(path).notes[0]
        assert load(path, device="cpu").notes == ()

    def test_a_device_that_needs_a_moment_gets_it(
        self, write: Write, plugged: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plugged(self.USB0)
        tries: list[int] = []

        class Slowly(ApartSession):
            def open(self) -> None:
                tries.append(1)
                if len(tries) < 3:
                    raise DelegateError("busy")
                super().open()

        monkeypatch.setattr(litert, "PAUSE", 0)
        monkeypatch.setattr(litert, "ApartSession", Slowly)
        assert load(write(compiled())).device == "Edge TPU usb:0"
        assert len(tries) == 3

    @pytest.mark.real
    def test_a_real_compiled_model(self, real: Path, plugged: Callable[..., None]) -> None:
        path = real / "mobilenet_v2_1.0_224_quant_edgetpu.tflite"
        plugged(self.USB1)
        engine = load(path)
        assert engine.outputs[0].shape == (1, 1001)
        assert first_byte(engine) == 1
        plugged()
        twin = load(path)
        assert twin.notes[0].endswith("; running mobilenet_v2_1.0_224_quant.tflite on the CPU")
        assert [info.shape for info in twin.outputs] == [info.shape for info in engine.outputs]


def test_a_compiled_model_that_has_no_twin_is_not_its_own(tmp_path: Path) -> None:
    path = tmp_path / "birds.tflite"
    path.write_bytes(b"")
    assert "before its compilation" in str(delegates.needs_edgetpu(path, "there is none"))
