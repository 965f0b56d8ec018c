"""Names to implementations, and the URIs that name sources and sinks.

A new source, head, engine or sink is one new file and one line here. Nothing is imported before it is used.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from edgecam import redact, references
from edgecam.errors import UnknownNameError, UsageError

SOURCES = {
    "camera": "edgecam.sources.camera:CameraSource",
    "picamera": "edgecam.sources.picamera:PicameraSource",
    "rtsp": "edgecam.sources.stream:StreamSource",
    "rtsps": "edgecam.sources.stream:StreamSource",
    "http": "edgecam.sources.mjpeg:HttpSource",
    "https": "edgecam.sources.mjpeg:HttpSource",
    "video": "edgecam.sources.video:VideoSource",
    "images": "edgecam.sources.images:ImagesSource",
    "synthetic": "edgecam.sources.synthetic:SyntheticSource",
    "demo": "edgecam.sources.demo:DemoSource",
}

ENGINES = {
    "litert": "edgecam.engines.litert:LiteRTEngine",
    "fake": "edgecam.engines.fake:FakeEngine",
}

HEADS = {
    "classify": "edgecam.heads.classify:ClassifyHead",
    "ssd-postprocess": "edgecam.heads.ssd:SsdPostprocessHead",
    "ssd-anchors": "edgecam.heads.ssd:SsdAnchorsHead",
    "yolov5": "edgecam.heads.yolo:YoloV5Head",
    "yolov8": "edgecam.heads.yolo:YoloV8Head",
    "blazeface": "edgecam.heads.blazeface:BlazeFaceHead",
}

SINKS = {
    "web": "edgecam.sinks.web:WebSink",
    "window": "edgecam.sinks.window:WindowSink",
    "record": "edgecam.sinks.record:RecordSink",
    "segments": "edgecam.sinks.segments:SegmentsSink",
    "clips": "edgecam.sinks.clips:ClipsSink",
    "snapshots": "edgecam.sinks.snapshots:SnapshotsSink",
    "jsonl": "edgecam.sinks.jsonl:JsonlSink",
    "mqtt": "edgecam.sinks.mqtt:MqttSink",
    "mqtts": "edgecam.sinks.mqtt:MqttSink",
    "webhook": "edgecam.sinks.webhook:WebhookSink",
    "exec": "edgecam.sinks.program:ExecSink",
}

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

T = TypeVar("T")


def load(registry: Mapping[str, str], kind: str, name: str) -> Any:
    """The class registered under ``name``.

    Raises:
        UnknownNameError: not registered; the message lists what is.
    """
    if name not in registry:
        raise UnknownNameError(kind, name, registry)
    module, _, attribute = registry[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True)
class URI:
    """``scheme:path?key=value`` or ``scheme://host:port/path?key=value``.

    Attributes:
        scheme: lower case, a key of :data:`SOURCES` or :data:`SINKS`.
        path: what follows the scheme, percent-decoded, without the query ("" if nothing).
        query: the options, in order of appearance.
        text: the URI as given. May hold credentials: show :attr:`safe` instead.
    """

    scheme: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    @property
    def netloc(self) -> tuple[str, int | None]:
        """(host, port) of a ``scheme://host:port`` URI; ("", None) where there is none."""
        try:
            parts = urlsplit(self.text)
            return parts.hostname or "", parts.port
        except ValueError as error:
            # The error's own text may quote a piece of the password.
            raise UsageError(
                f"{self.safe} is not a URL",
                "write scheme://host:port; in a password # is %23, / is %2F, @ is %40",
            ) from error

    @property
    def safe(self) -> str:
        """The URI with user, password and other secrets taken out, fit for logs and screens."""
        return redact.uri(self.text)

    def options(self, **known: tuple[Callable[[str], Any], Any]) -> dict[str, Any]:
        """The query read as typed options: ``options(fps=(float, 30.0))`` gives ``{"fps": 30.0}``.

        Args:
            known: name to (converter from text, default). A converter says what it wants by ValueError.

        Raises:
            UsageError: an unknown option (the nearest known one is named) or a value that does not convert.
        """
        out = {name: default for name, (_, default) in known.items()}
        for name, text in self.query.items():
            if name not in known:
                raise UnknownNameError(f"option of {self.scheme}:", name, known or ["(none)"])
            try:
                out[name] = known[name][0](text)
            except ValueError as error:
                raise UsageError(f"{self.scheme}: option {name}={text!r}: {error}") from error
        return out


def parse_uri(text: str) -> URI:
    """Split a URI; the scheme is not checked against a registry."""
    scheme, colon, rest = text.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        raise UsageError(f"{text!r} is not a URI", "write scheme:path, for example camera:0")
    body, _, query = rest.partition("?")
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    return URI(scheme.lower(), unquote(body), pairs, text)


def source_uri(text: str) -> URI:
    """Normalise what a user types for a source.

    ``0`` and ``/dev/video0``, also with options (``0?fps=5``), become ``camera:``; an existing folder, a glob
    or a picture becomes ``images:``; another path becomes ``video:``.

    Raises:
        UnknownNameError: an unknown scheme (the known ones are listed).
        UsageError: a reference to a secret that is not there, see :mod:`edgecam.references`.
    """
    if re.fullmatch(r"(\d+|/dev/[^?]+)(\?.*)?", text):
        return parse_uri(f"camera:{text}")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", text)
    # os.path, for pathlib raises where a folder on the way may not be read; the source says that better.
    if scheme and not os.path.exists(text):  # noqa: PTH110
        uri = parse_uri(references.fill(text))
        if uri.scheme not in SOURCES:
            raise UnknownNameError("source scheme", uri.scheme, SOURCES)
        return uri
    path = Path(text)
    pictures = os.path.isdir(text) or any(c in text for c in "*?[")  # noqa: PTH112
    if pictures or path.suffix.lower() in PICTURE_SUFFIXES:
        return URI("images", text, {}, f"images:{text}")
    return URI("video", text, {}, f"video:{text}")


def sink_uri(text: str) -> URI:
    """Normalise what a user types for a sink: ``web`` is ``web:``, ``out.mp4`` is ``record:out.mp4``,
    ``out.jsonl`` is ``jsonl:out.jsonl``, ``record:FOLDER`` is ``segments:FOLDER``.

    Raises:
        UnknownNameError: an unknown scheme (the known ones are listed).
        UsageError: a reference to a secret that is not there, see :mod:`edgecam.references`.
    """
    if text in SINKS:
        return URI(text, "", {}, f"{text}:")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text):
        uri = parse_uri(references.fill(text))
        if uri.scheme not in SINKS:
            raise UnknownNameError("sink scheme", uri.scheme, SINKS)
        return replace(uri, scheme="segments") if uri.scheme == "record" and _is_folder(uri.path) else uri
    by_suffix = {".mp4": "record", ".jsonl": "jsonl"}.get(Path(text).suffix.lower())
    if by_suffix is None:
        raise UnknownNameError("sink", text, [f"{name}:" for name in SINKS])
    return URI(by_suffix, text, {}, f"{by_suffix}:{text}")


def _is_folder(path: str) -> bool:
    """There is a folder of that name, or it can only be meant as one."""
    return bool(path) and (path.endswith("/") or not Path(path).suffix or os.path.isdir(path))  # noqa: PTH112


def parse_size(text: str) -> tuple[int, int]:
    """``1280x720`` to (1280, 720)."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip())
    if not match or not int(match[1]) or not int(match[2]):
        raise ValueError("expected WIDTHxHEIGHT, for example 1280x720")
    return int(match[1]), int(match[2])


def parse_bool(text: str) -> bool:
    """``1/0 true/false yes/no on/off`` or empty (an option named without a value is on)."""
    word = text.strip().lower()
    if word in {"", "1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError("expected yes or no")


def parse_names(text: str) -> tuple[str, ...]:
    """``door, gate`` to (door, gate)."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def choice(*names: str) -> Callable[[str], str]:
    """A converter that takes one of ``names``."""

    def convert(text: str) -> str:
        if text not in names:
            raise ValueError(f"expected one of {', '.join(names)}")
        return text

    return convert
