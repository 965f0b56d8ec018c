"""Settings, defined once: TOML keys, environment names and flags are all made from :class:`Settings`.

``edgecam.config_load`` reads them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, get_args

from edgecam import redact
from edgecam.config_events import EVENTS, EventSettings
from edgecam.config_privacy import PRIVACY, PrivacySettings
from edgecam.config_slots import SLOTS, SlotSettings
from edgecam.config_speed import LOAD as LOAD
from edgecam.config_speed import MODEL as MODEL
from edgecam.config_speed import SpeedSettings
from edgecam.config_web import PAGE, WebSettings
from edgecam.contract import Color, Resize, Task
from edgecam.identity import check_device_id
from edgecam.options import Many, Number, Option, Switch, Text
from edgecam.options import setting as _option
from edgecam.registry import ENGINES, HEADS
from edgecam.scene import Tables
from edgecam.values import (
    check_device,
    parse_decoder_option,
    parse_delegate,
    parse_normalize,
    parse_role,
)

PREFIX = "EDGECAM_"
SOURCE, RESULTS = "Source", "Results"
ENGINE, OUTPUT, PROGRAM = "Engine", "Output", "Program"
SECTIONS = (SOURCE, MODEL, SLOTS, RESULTS, EVENTS, PRIVACY, ENGINE, LOAD, OUTPUT, PAGE, PROGRAM)


@dataclass(frozen=True)
class Settings(SpeedSettings, SlotSettings, PrivacySettings, EventSettings, WebSettings):
    """What the user may choose. None (or nothing) stands for the model's own value."""

    source: str = _option(
        "auto",
        Text("a camera, an address, a file or a folder"),
        SOURCE,
        "Where pictures come from; auto is the first camera found, else the demo",
        "SOURCE",
        uri=True,
    )
    max_frames: int = _option(0, Number(int, 0), SOURCE, "End after so many frames; 0 for no bound", "N")
    duration: float = _option(
        0.0, Number(float, 0), SOURCE, "End after so many seconds; 0 for no bound", "SECONDS"
    )
    exit_on_source_error: bool = _option(
        False, Switch(), SOURCE, "End when the camera is lost, in place of waiting for its return"
    )
    wait_for_source: bool = _option(
        False, Switch(), SOURCE, "Wait for a camera that is not there yet, in place of ending"
    )

    model: str = _option(
        "detect-coco",
        Text("a model's name or file", path=True),
        MODEL,
        "Name or .tflite file; edgecam model list shows the names",
        "MODEL",
        short="-m",
    )
    task: str | None = _option(
        None,
        Text(choices=get_args(Task)),
        MODEL,
        "What the model does",
        "classify|detect",
        example="classify",
    )
    decoder: str | None = _option(
        None, Text(choices=sorted(HEADS)), MODEL, "How to read its outputs", "NAME", example="classify"
    )
    labels: str | None = _option(
        None,
        Text("a file", path=True),
        MODEL,
        "Text file with one label a line",
        "FILE",
        example="labels.txt",
    )
    resize: str | None = _option(
        None,
        Text(choices=get_args(Resize)),
        MODEL,
        "How a picture is fitted to its input",
        "|".join(get_args(Resize)),
        example="letterbox",
    )
    normalize: str | None = _option(
        None,
        Text("MEAN,STD", check=parse_normalize),
        MODEL,
        "Input = (pixel - MEAN) / STD, for example 127.5,127.5; per channel M,M,M:S,S,S",
        "MEAN,STD",
        example="127.5,127.5",
    )
    color: str | None = _option(
        None,
        Text(choices=get_args(Color)),
        MODEL,
        "Channel order of its input",
        "|".join(get_args(Color)),
        example="bgr",
    )
    outputs: tuple[str, ...] = _option(
        (),
        Many(" ", "ROLE=TENSOR", check=parse_role),
        MODEL,
        "Which output tensor plays which role of the decoder",
        "ROLE=TENSOR",
        flag="--output",
        example="boxes=0 scores=1",
    )
    decoder_options: tuple[str, ...] = _option(
        (),
        Many(" ", "NAME=VALUE", check=parse_decoder_option),
        MODEL,
        "An option of the decoder, see docs/models.md",
        "NAME=VALUE",
        flag="--decoder-option",
        example="activation=softmax",
    )

    threshold: float | None = _option(
        None, Number(float, 0, 1), RESULTS, "Lowest score to show", "SCORE", short="-t", example="0.5"
    )
    top_k: int | None = _option(
        None, Number(int, 1), RESULTS, "Most results a frame", "N", short="-k", example="5"
    )
    iou: float | None = _option(
        None,
        Number(float, 0, 1),
        RESULTS,
        "Overlap at which two boxes of a class are one object",
        "IOU",
        example="0.5",
    )
    classes: tuple[str, ...] = _option(
        (),
        Many(",", "labels"),
        RESULTS,
        "Keep only these labels",
        "LABEL",
        flag="--class",
        example="person,cat",
    )

    engine: str = _option(
        "litert", Text(choices=sorted(ENGINES)), ENGINE, "What runs the model", "|".join(sorted(ENGINES))
    )
    runtime: str = _option(
        "auto",
        Text(choices=("auto", "litert", "tflite-runtime")),
        ENGINE,
        "Which interpreter package to use",
        "auto|litert|tflite-runtime",
    )
    device: str = _option(
        "auto",
        Text("a device", check=check_device),
        ENGINE,
        "auto (an Edge TPU if the model is compiled for one), cpu, usb, usb:0, pci, pci:0",
        "DEVICE",
    )
    delegate: str | None = _option(
        None,
        Text("PATH?option=value", check=parse_delegate, path=True),
        ENGINE,
        "External delegate library with its options",
        "PATH?option=value",
        example="/usr/lib/libmydelegate.so?option=value",
    )
    require_delegate: bool = _option(
        False, Switch(), ENGINE, "Fail without the accelerator, in place of going on with the CPU"
    )
    threads: int = _option(0, Number(int, 0, 256), ENGINE, "CPU threads; 0 for one a core, up to 4", "N")

    governor: bool = _option(
        True,
        Switch(),
        LOAD,
        "Do less while the board is too hot or results come too late, see docs/doctor.md",
    )
    max_temperature: float | None = _option(
        None,
        Number(float, 30, 120),
        LOAD,
        "Degrees Celsius that are too hot; without it the board's own limit, 80 on a Raspberry Pi",
        "CELSIUS",
        example="75",
    )
    target_latency: float = _option(
        0.0,
        Number(float, 0),
        LOAD,
        "Milliseconds from capture to result that are too late; 0 for no bound",
        "MS",
    )
    model_ladder: tuple[str, ...] = _option(
        (),
        Many(" ", "models"),
        LOAD,
        "Smaller models of the same kind to go over to when nothing else helps, the next smaller first",
        "MODEL",
        example="mobilenet-v1-050-160 mobilenet-v1-025-128",
    )

    sinks: tuple[str, ...] = _option(
        ("web:",),
        Many(" ", "sinks"),
        OUTPUT,
        "Where results go: web:, window:, record:FILE or FOLDER, clips:FOLDER, snapshots:FOLDER, jsonl:-, "
        "mqtt://BROKER, webhook:https://URL, exec:PROGRAM",
        "SINK",
        flag="--sink",
        short="-s",
        uri=True,
    )
    device_id: str | None = _option(
        None,
        Text("1 to 64 letters, digits, - or _", check=check_device_id),
        OUTPUT,
        "What this device is called among others, by MQTT and webhooks; made from the host's name without it",
        "ID",
        example="hall-1",
    )
    status_line: bool = _option(True, Switch(), OUTPUT, "Rates, ages and the model's name over the picture")

    log_level: str = _option(
        "warning",
        Text(choices=("debug", "info", "warning", "error")),
        PROGRAM,
        "Least serious message to log",
        "LEVEL",
    )

    @property
    def mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """(mean, std) of ``normalize``, or None."""
        return None if self.normalize is None else parse_normalize(self.normalize)

    @property
    def output_roles(self) -> dict[str, str]:
        """Role to tensor, from ``outputs``."""
        return dict(parse_role(text) for text in self.outputs)

    @property
    def decoder_parameters(self) -> dict[str, Any]:
        """Name to value, from ``decoder_options``."""
        return dict(parse_decoder_option(text) for text in self.decoder_options)

    @property
    def delegate_library(self) -> tuple[str, dict[str, str]]:
        """(path, options) of ``delegate``; ("", {}) without one."""
        return ("", {}) if self.delegate is None else parse_delegate(self.delegate)


#: name -> what there is to know of it, section by section
OPTIONS: dict[str, Option] = dict(
    sorted(
        ((f.name, f.metadata["option"]) for f in dataclasses.fields(Settings)),
        key=lambda item: SECTIONS.index(item[1].section),
    )
)
DEFAULTS = Settings()


def flag(name: str) -> str:
    """The long flag of a setting; ``SOURCE`` is an argument."""
    if name == "source":
        return "SOURCE"
    return OPTIONS[name].flag or "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def redacted(name: str, settings: Settings) -> Any:
    """A setting's value with secrets and the passwords in addresses replaced by ``***``."""
    option, value = OPTIONS[name], getattr(settings, name)
    if isinstance(option.kind, Tables):
        return option.kind.plain(value)
    if option.secret and value is not None:
        return "***"
    if option.uri and value is not None:
        return tuple(map(_safe, value)) if isinstance(value, tuple) else _safe(value)
    return value


def shown(name: str, settings: Settings) -> str:
    """A setting's value as text for people, redacted; "" for none."""
    kind, value = OPTIONS[name].kind, redacted(name, settings)
    if isinstance(kind, Tables):
        return kind.show(getattr(settings, name)) if value else ""
    return "" if value is None else kind.show(value)


def _safe(text: str) -> str:
    return redact.uri(text)
